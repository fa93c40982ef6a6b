/**
 * A registry of images in this process, for one test: as much of the distribution protocol as an engine
 * needs to pull. Images are put into it by the test, and it can move their tags.
 *
 * @module
 */
import { busyboxTar } from "../../worker/docker/offline_image.ts";

export interface TestRegistry {
  /** Host and port, as they stand before an image's name. */
  host: string;
  username: string;
  password: string;
  /** Makes an image with these variables, and has the tag stand for it; answers its digest. */
  push(name: string, tag: string, env: Record<string, string>): Promise<string>;
  /** Before each piece of a blob that it answers, in ms. */
  pauseMs: number;
  close(): Promise<void>;
}

interface Stored {
  type: string;
  data: Uint8Array<ArrayBuffer>;
}

const PIECE_BYTES = 64 * 1024;
const TYPE = {
  manifest: "application/vnd.docker.distribution.manifest.v2+json",
  config: "application/vnd.docker.container.image.v1+json",
  layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
} as const;
const ARCHITECTURES = { x86_64: "amd64", aarch64: "arm64" } as const;
/** Runs until it is asked to stop. */
const COMMAND = ["sh", "-c", 'trap "exit 0" TERM; while :; do sleep 0.1; done'];

/** `token`: who asks without one is sent to fetch one with name and password, as most registries do. */
export async function startRegistry(
  { auth, password }: { auth: "basic" | "token"; password: string },
): Promise<TestRegistry> {
  const username = "ann";
  const blobs = new Map<string, Stored>();
  /** By name and tag, or name and digest. */
  const manifests = new Map<string, string>();
  const tokens = new Set<string>();
  const layer = await busyboxLayer();
  const basic = `Basic ${btoa(`${username}:${password}`)}`;

  async function store(type: string, data: Uint8Array<ArrayBuffer>): Promise<string> {
    const digest = await digestOf(data);
    blobs.set(digest, { type, data });
    return digest;
  }

  function answer(request: Request): Response {
    const { pathname } = new URL(request.url);
    const given = request.headers.get("authorization");
    if (pathname === "/token") {
      if (given !== basic) return denied({});
      const token = crypto.randomUUID();
      tokens.add(`Bearer ${token}`);
      return Response.json({ token });
    }
    if (given === null || !(auth === "basic" ? given === basic : tokens.has(given))) {
      return challenge();
    }
    if (pathname === "/v2/") return new Response("{}");
    const [, name, what, ref = ""] = /^\/v2\/(.+?)\/(blobs|manifests)\/(.*)$/.exec(pathname) ?? [];
    const digest = what === "blobs" ? ref : manifests.get(`${name} ${ref}`) ?? "";
    const found = blobs.get(digest);
    if (!found) return Response.json({ errors: [{ code: "MANIFEST_UNKNOWN" }] }, { status: 404 });
    const headers = {
      "content-type": found.type,
      "content-length": String(found.data.length),
      "docker-content-digest": digest,
    };
    return new Response(request.method === "HEAD" ? null : slowly(found.data), { headers });
  }

  function challenge(): Response {
    const asks = auth === "basic"
      ? 'Basic realm="test"'
      : `Bearer realm="http://${registry.host}/token",service="test"`;
    return denied({ "www-authenticate": asks });
  }

  /** In pieces, so that a pull takes as long as it is told to. */
  function slowly(data: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
    let at = 0;
    return new ReadableStream({
      async pull(controller) {
        if (at >= data.length) return controller.close();
        if (registry.pauseMs > 0) await new Promise((go) => setTimeout(go, registry.pauseMs));
        controller.enqueue(data.slice(at, at += PIECE_BYTES));
      },
    });
  }

  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  const registry: TestRegistry = {
    host: `127.0.0.1:${server.addr.port}`,
    ...{ username, password },
    async push(name, tag, env) {
      const config = json({
        ...{ architecture: ARCHITECTURES[Deno.build.arch], os: "linux" },
        config: { Cmd: COMMAND, Env: Object.entries(env).map((pair) => pair.join("=")) },
        rootfs: { type: "layers", diff_ids: [layer.diffId] },
      });
      const manifest = json({
        ...{ schemaVersion: 2, mediaType: TYPE.manifest },
        config: {
          ...{ mediaType: TYPE.config, size: config.length },
          digest: await store(TYPE.config, config),
        },
        layers: [{
          ...{ mediaType: TYPE.layer, size: layer.data.length },
          digest: await store(TYPE.layer, layer.data),
        }],
      });
      const digest = await store(TYPE.manifest, manifest);
      for (const ref of [tag, digest]) manifests.set(`${name} ${ref}`, digest);
      return digest;
    },
    pauseMs: 0,
    close: () => server.shutdown(),
  };
  return registry;
}

function denied(headers: Record<string, string>): Response {
  const errors = [{ code: "UNAUTHORIZED", message: "authentication required" }];
  return Response.json({ errors }, { status: 401, headers });
}

async function busyboxLayer(): Promise<{ data: Uint8Array<ArrayBuffer>; diffId: string }> {
  // No engine has it already, whatever other tests made.
  const files = { "/tmp/stamp": crypto.randomUUID() };
  const tar = await busyboxTar({ files });
  if (!tar.ok) throw new Error(tar.message);
  const packed = new Blob([tar.value]).stream().pipeThrough(new CompressionStream("gzip"));
  const data = new Uint8Array(await new Response(packed).arrayBuffer());
  return { data, diffId: await digestOf(tar.value) };
}

async function digestOf(data: Uint8Array<ArrayBuffer>): Promise<string> {
  return `sha256:${new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex()}`;
}

function json(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}
