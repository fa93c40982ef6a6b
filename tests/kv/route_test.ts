import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Route, type RouteInput } from "../../kv/schema/route.ts";
import { ServiceSpec, type ServiceSpecInput } from "../../kv/schema/service.ts";

const hosts: [string, string | undefined][] = [
  ["www.example.com", "www.example.com"],
  ["WWW.Example.COM.", "www.example.com"],
  ["localhost", "localhost"],
  ["bücher.example", "xn--bcher-kva.example"],
  ["*.example.com", "*.example.com"],
  ["*.Bücher.example", "*.xn--bcher-kva.example"],
  ["xn--bcher-kva.example", "xn--bcher-kva.example"],
  ["", undefined],
  ["*", undefined],
  ["a.*.example.com", undefined],
  ["*.*.example.com", undefined],
  ["*example.com", undefined],
  ["-a.example.com", undefined],
  ["a..example.com", undefined],
  ["a_b.example.com", undefined],
  ["192.0.2.1", undefined],
  ["[::1]", undefined],
  ["2130706433", undefined],
  ["example.com:80", undefined],
  ["http://example.com", undefined],
  ["example.com/path", undefined],
  ["exa mple.com", undefined],
  ["{env.HOME}.example.com", undefined],
  ["xn--a.example", undefined],
  [`${"a".repeat(64)}.example.com`, undefined],
  [`${"a.".repeat(130)}com`, undefined],
];

Deno.test("a host is a host name, kept in the form in which names are compared", () => {
  for (const [text, kept] of hosts) {
    const parsed = Route.safeParse({ host: text, tls: "plain" });
    assertEquals(parsed.success ? parsed.data.host : undefined, kept, JSON.stringify(text));
    if (!parsed.success) assertEquals(parsed.error.issues[0]?.path, ["host"], text);
  }
});

Deno.test("a path is a plain prefix; a slash at its end does not count", () => {
  for (const [path, kept] of [["/", "/"], ["/api/", "/api"], ["/a/b.c~d", "/a/b.c~d"]] as const) {
    assertEquals(Route.parse({ host: "a.test", path }).path, kept);
  }
  for (
    const path of ["", "api", "/a//b", "/../a", "/a/.", "/a*", "/{x}", "/a b", "/a?b", "/ä", "/%41"]
  ) {
    assert(!Route.safeParse({ host: "a.test", path }).success, path);
  }
});

function issuesOf(routes: RouteInput[], more: Partial<ServiceSpecInput> = {}): [string, string][] {
  const template = {
    image: "a",
    ports: [{ target: 80 }, { target: 53, protocol: "udp" as const }],
  };
  const parsed = ServiceSpec.safeParse({ name: "web", template, routes, ...more });
  return (parsed.error?.issues ?? []).map(({ path, message }) => [path.join("."), message]);
}

Deno.test("what does not fit is refused with its field", () => {
  const job = { type: "job" as const };
  const cases: [string, string, ReturnType<typeof issuesOf>][] = [
    ["routes.0.port", "which has 80", issuesOf([{ host: "a.test", port: 53 }])],
    ["routes.1.path", "routed twice", issuesOf([{ host: "a.test" }, { host: "A.test" }])],
    [
      "routes.1.tls",
      "as for this host before",
      issuesOf([{ host: "a.test" }, { host: "a.test", path: "/b", tls: { certificate: "x" } }]),
    ],
    ["routes.0.tls", "wildcard", issuesOf([{ host: "*.a.test" }])],
    ["routes.0.host", "serve nobody", issuesOf([{ host: "a.test" }], { mode: job })],
    [
      "routes.0.redirect.to",
      "URL",
      issuesOf([{ host: "a.test", redirect: { to: "javascript:alert(1)" } }]),
    ],
    ["routes.0.redirect.to", "URL", issuesOf([{ host: "a.test", redirect: { to: "//evil" } }])],
    [
      "routes.0.responseHeaders.set.X",
      "one line",
      issuesOf([{ host: "a.test", responseHeaders: { set: { X: "a\r\nb" } } }]),
    ],
  ];
  for (const [field, words, [issue]] of cases) {
    assertEquals(issue?.[0], field);
    assertStringIncludes(issue?.[1] ?? "", words);
  }
  assertEquals(issuesOf([{ host: "a.test" }, { host: "a.test", path: "/x", tls: "plain" }]), []);
  assertEquals(
    issuesOf([{ host: "a.test", redirect: { to: "/x" } }], {
      template: { image: "a" },
    }),
    [],
  );
});
