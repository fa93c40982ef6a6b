import { assertEquals, assertStringIncludes } from "@std/assert";
import { ServiceSpec, type ServiceView } from "../../../kv/schema/service.ts";
import { withBuilt } from "../../../cli/commands/compose/build.ts";
import { changesOf } from "../../../cli/compose/changes.ts";
import { buildKitNeed } from "../../../cli/compose/dockerfile.ts";
import { type Build, buildsOf } from "../../../cli/compose/map/build.ts";
import { ComposeError } from "../../../cli/compose/tree.ts";
import type { Builder } from "../../../cli/deps.ts";
import { berth } from "../support.ts";
import { DIR, projectIn } from "./support.ts";

async function builds(build: string, more = ""): Promise<Build[]> {
  const project = await projectIn(`services: {web: {build: ${build}${more}}}`);
  return buildsOf(project, (name) => name === "PROXY" ? "p:1" : undefined);
}

/** What each key of `build` becomes among the engine's parameters. */
const KEYS: [build: string, name: string, value: string][] = [
  [".", "t", "shop-web"],
  ["{args: {A: 1.10, B: null}}", "buildargs", '{"A":"1.10"}'],
  ["{args: [A=b, PROXY]}", "buildargs", '{"A":"b","PROXY":"p:1"}'],
  ["{labels: [tier=front]}", "labels", '{"tier":"front"}'],
  ["{cache_from: [a, b]}", "cachefrom", '["a","b"]'],
  ["{no_cache: true}", "nocache", "1"],
  ["{pull: true}", "pull", "1"],
  ["{target: final}", "target", "final"],
  ["{network: none}", "networkmode", "none"],
  ["{shm_size: 64m}", "shmsize", "67108864"],
  ["{extra_hosts: ['a=10.0.0.1']}", "extrahosts", "a:10.0.0.1"],
  ["{ulimits: {nofile: 9}}", "ulimits", '[{"Name":"nofile","Soft":9,"Hard":9}]'],
  ["{platforms: [linux/arm64]}", "platform", "linux/arm64"],
];

for (const [build, name, value] of KEYS) {
  Deno.test(`build: ${build} asks the engine for ${name}`, async () => {
    const [found] = await builds(build);
    if (found?.kind !== "plan") throw new Error("no plan");
    assertEquals(found.plan.query.find(([key]) => key === name)?.[1], value);
  });
}

Deno.test("a build says where its context and Dockerfile are, and how its image is called", async () => {
  const plan = async (build: string, more = "") => {
    const [found] = await builds(build, more);
    if (found?.kind !== "plan") throw new Error("no plan");
    const { context, dockerfile, image, query, always } = found.plan;
    return { context, dockerfile, image, always, tags: query.filter(([key]) => key === "t") };
  };
  assertEquals(await plan("./app", ", image: 'reg.test/web:1', pull_policy: build"), {
    context: { dir: `${DIR}/app` },
    dockerfile: { path: "Dockerfile" },
    ...{ image: "reg.test/web:1", always: true, tags: [["t", "reg.test/web:1"]] },
  });
  assertEquals(await plan("{context: 'https://git.test/a.git', dockerfile: d/F, tags: [x:2]}"), {
    context: { remote: "https://git.test/a.git" },
    dockerfile: { path: "d/F" },
    ...{ image: "shop-web", always: false, tags: [["t", "shop-web"], ["t", "x:2"]] },
  });
  assertEquals((await plan("{dockerfile_inline: FROM a}")).dockerfile, { text: "FROM a" });
});

Deno.test("what only BuildKit can do is expected, and says why", async () => {
  const why = async (build: string) => {
    const [found] = await builds(build);
    return found?.kind === "elsewhere" ? found.why : undefined;
  };
  assertEquals(await why("{secrets: [a]}"), "build.secrets needs BuildKit");
  assertEquals(await why("{ssh: [default]}"), "build.ssh needs BuildKit");
  assertEquals(await why("{platforms: [linux/amd64, linux/arm64]}"), "it is for several platforms");
  assertEquals(await why("{provenance: false, additional_contexts: {}}"), undefined);
});

Deno.test("services of one image build it once; two Dockerfiles are refused", async () => {
  const project = await projectIn(
    "services: {a: {image: i, build: .}, b: {image: i, build: .}, c: {image: j}}",
  );
  const found = buildsOf(project, () => undefined);
  assertEquals(found.map(({ services }) => services), [["a", "b"]]);
  try {
    await builds("{dockerfile: a, dockerfile_inline: FROM a}");
    throw new Error("it was taken");
  } catch (error) {
    if (!(error instanceof ComposeError)) throw error;
    assertStringIncludes(
      error.message,
      "compose.yaml:1:60: build: dockerfile and dockerfile_inline",
    );
  }
});

Deno.test("an image that was built anew changes its service; one that was not leaves it", () => {
  const spec = ServiceSpec.parse({ name: "web", template: { image: "shop-web" } });
  const kinds = (wanted: ServiceSpec, there: ServiceSpec) =>
    changesOf([wanted], [{ ...there, phase: "running" } as ServiceView]).map(({ kind }) => kind);
  const [one, two] = ["sha256:1", "sha256:2"].map((id) =>
    withBuilt([spec], new Map([["shop-web", id]]))[0] ?? spec
  );
  if (!one || !two) throw new Error("no specs");
  assertEquals(kinds(one, one), ["unchanged"]);
  assertEquals(kinds(spec, one), ["unchanged"]);
  assertEquals(kinds(two, one), ["change"]);
  const other = ServiceSpec.parse({ name: "web", template: { image: "nginx" } });
  const [change] = changesOf([other], [{ ...one, phase: "running" } as ServiceView]);
  assertEquals(change?.spec?.template.labels, {});
});

/** Runs `up --dry-run` or `up` on a machine with this engine; the server knows no services and takes none. */
async function upWith(args: string[], builder?: Partial<Builder>, dockerfile = "FROM a") {
  const built: string[] = [];
  const ran = await berth(["up", ...args], {
    files: {
      [`${DIR}/compose.yaml`]: "services: {web: {build: .}}",
      [`${DIR}/Dockerfile`]: dockerfile,
    },
    handler: () => Response.json({ items: [] }),
    ...(builder && {
      builder: {
        where: "/engine.sock",
        imageId: () => Promise.resolve({ ok: true, id: undefined }),
        build: ({ image }) => {
          built.push(image);
          return Promise.resolve({ ok: false, message: "no such file: Dockerfile" });
        },
        ...builder,
      },
    }),
  });
  return { ...ran, built };
}

Deno.test("an image is built here, there already, or expected, and why is said", async () => {
  const said = async (args: string[], builder?: Partial<Builder>) => {
    const { err } = await upWith(["--dry-run", ...args], builder);
    return err.trim().replace("note: web: the image shop-web ", "");
  };
  const imageId = (id: string) => () => Promise.resolve({ ok: true as const, id });
  const denied = () => Promise.resolve({ ok: false as const, message: "permission denied" });
  assertEquals(await said([]), "is expected, built beforehand: this machine has no engine");
  assertEquals(await said([], {}), "would be built here");
  assertEquals(await said([], { imageId: imageId("sha256:1") }), "");
  assertEquals(await said(["--build"], { imageId: imageId("sha256:1") }), "would be built here");
  assertEquals(await said(["--no-build"], {}), "is expected, built beforehand: --no-build");
  const why = "is expected, built beforehand: /engine.sock: permission denied";
  assertEquals(await said([], { imageId: denied }), why);
});

Deno.test("a build that fails changes nothing", async () => {
  const ran = await upWith([], {});
  assertEquals([ran.code, ran.out, ran.built], [1, "", ["shop-web"]]);
  assertStringIncludes(ran.err, "berth: cannot build shop-web: no such file: Dockerfile");
  assertStringIncludes(ran.err, "nothing was changed in the cluster");
});

Deno.test("a Dockerfile that needs BuildKit is not half built: its image is expected, and why is said", async () => {
  const ran = await upWith(["--dry-run"], {}, "FROM a\nRUN --mount=type=cache,target=/c make\n");
  assertStringIncludes(
    ran.err,
    "the image shop-web is expected, built beforehand: its Dockerfile needs BuildKit (RUN --mount in line 2): ",
  );
  assertEquals(ran.built, []);
});

Deno.test("what asks for BuildKit is found, and what only looks like it is not", () => {
  const needs: [text: string, need: string | undefined][] = [
    ["FROM a\nRUN <<EOF\napk add x\nEOF", "a here-document in line 2"],
    ["FROM a\nCOPY --from=b --link x /x", "COPY --link in line 2"],
    ["FROM a\nadd --checksum=sha256:1 u /x", "ADD --checksum in line 2"],
    ["FROM --platform=$BUILDPLATFORM a", "a platform of BuildKit's in line 1"],
    ["FROM a\nARG TARGETARCH\nRUN get $TARGETARCH", "an argument of BuildKit's in line 2"],
    ["ARG BUILDPLATFORM=linux/amd64\nFROM --platform=${BUILDPLATFORM} a", undefined],
    ["# syntax=docker/dockerfile:1\nFROM a\n# RUN --mount\nRUN echo 1 << 2", undefined],
    ["FROM a\nRUN run --mount x\nCOPY --chown=1 a b", undefined],
  ];
  assertEquals(needs.map(([text]) => [text, buildKitNeed(text)]), needs);
});
