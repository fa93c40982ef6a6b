import { assertEquals, assertStringIncludes } from "@std/assert";
import { encodeBase64 } from "../../kv/schema/base64.ts";
import { okValue, type TestApi, withApi } from "../support/api.ts";
import { certificateFor } from "../support/certificates.ts";
import { berth } from "./support.ts";

const COMPOSE = "/srv/shop/compose.yaml";

/** The command line before the real API, which has a service with tcp/8080 and www.test. */
async function withTaken(
  body: (
    run: (args: string[], files?: Record<string, string>) => ReturnType<typeof berth>,
    api: TestApi,
  ) => Promise<void>,
): Promise<void> {
  await withApi(async (api) => {
    const handler = (request: Request) => {
      const headers = new Headers(request.headers);
      headers.set("authorization", `Bearer ${api.admin}`);
      return api.api.fetch(new Request(request, { headers }));
    };
    okValue(
      await api.client().createService({
        name: "web",
        template: { image: "x", ports: [{ target: 80, published: 8080 }] },
        routes: [{ host: "www.test", tls: "plain" }],
      }),
    );
    const [one, two] = [await certificateFor("a.test"), await certificateFor("a.test")];
    for (const project of ["default", "shop"]) {
      const data = encodeBase64(new TextEncoder().encode(one.chain + two.key));
      okValue(await api.client().createSecret({ name: "pem", project, data }));
    }
    await body((args, files = {}) => berth(args, { handler, files }), api);
    const { items } = okValue(await api.client().listServices());
    assertEquals(items.map(({ name, revision }) => [name, revision]), [["web", 1]]);
  });
}

const TAKEN_PORT = "tcp/8080 is published by service default/web";
const TAKEN_ROUTE = "www.test/ is routed to service default/web";
const MISMATCH = "secret pem has a certificate that does not match its private key";
const NO_HOST = "must be a host name, like www.example.com, or one with a first label of *";

Deno.test("a spec's port, route, certificate and host are refused at their place in the file", async () => {
  const file = (more: string) => `name: api\ntemplate:\n  image: x\n${more}`;
  const port = "  ports:\n    - target: 1\n    - target: 2\n      published: 8080\n";
  const routed = (route: string) =>
    file("  ports: [{target: 80}]\nroutes:\n  - host: ok.test\n    path: /a\n    tls: plain\n") +
    `  - ${route}\n`;
  await withTaken(async (run) => {
    for (
      const [text, said] of [
        [file(port), `f.yaml:7:18: template.ports.1.published: ${TAKEN_PORT}`],
        [routed("{host: WWW.test, tls: plain}"), `f.yaml:9:12: routes.1.host: ${TAKEN_ROUTE}`],
        [
          routed("{host: a.test, tls: {certificate: pem}}"),
          `f.yaml:9:39: routes.1.tls.certificate: ${MISMATCH}`,
        ],
        [routed("{host: not a host, tls: plain}"), `f.yaml:9:12: routes.1.host: ${NO_HOST}`],
      ] as const
    ) {
      const { code, err } = await run(["apply", "f.yaml"], { "f.yaml": text });
      assertStringIncludes(err, said);
      assertEquals(code === 0, false);
    }
  });
});

Deno.test("up refuses them at their place in the Compose file", async () => {
  const file = (more: string) => `services:\n  api:\n    image: x\n${more}`;
  const routed = (route: string) =>
    file(`    expose: ["80"]\n    x-berth:\n      routes:\n        - ${route}\n`);
  await withTaken(async (run) => {
    for (
      const [text, said] of [
        [
          file('    ports:\n      - "81:1"\n      - "8080:2"\n'),
          `6:9: services.api.ports: ${TAKEN_PORT}`,
        ],
        [
          routed("{host: www.test, tls: plain}"),
          `7:18: services.api.x-berth.routes: ${TAKEN_ROUTE}`,
        ],
        [
          routed("{host: a.test, tls: {certificate: pem}}"),
          `7:45: services.api.x-berth.routes: ${MISMATCH}`,
        ],
        [
          routed("{host: not a host, tls: plain}"),
          `7:12: services.api.x-berth.routes.0.host: ${NO_HOST}`,
        ],
      ] as const
    ) {
      const { code, err } = await run(["up"], { [COMPOSE]: text });
      assertStringIncludes(err, `${COMPOSE}:${said}`);
      assertEquals(code === 0, false);
    }
  });
});

Deno.test("run names the flag that is to blame, and another --name only where the name is taken", async () => {
  await withTaken(async (run) => {
    for (
      const [flags, said] of [
        [["-p", "8080:80"], `--publish: ${TAKEN_PORT}`],
        [["-p", "80", "--route", "www.test,tls=plain"], `--route: ${TAKEN_ROUTE}`],
        [["-p", "80", "--route", "a.test,certificate=pem"], `--route: ${MISMATCH}`],
        [["-p", "80", "--route", "no_host,tls=plain"], `--route: ${NO_HOST}`],
      ] as const
    ) {
      const { code, err } = await run(["run", "-d", "--name", "api", ...flags, "x"]);
      assertStringIncludes(err, said);
      assertEquals([code === 0, err.includes("another --name")], [false, false], err);
    }
    const taken = await run(["run", "-d", "--name", "web", "x"]);
    assertStringIncludes(taken.err, "choose another --name, or remove that one: berth rm -f web");
  });
});
