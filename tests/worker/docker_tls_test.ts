/**
 * An engine behind mutual TLS: a proxy to the real one that demands a client certificate. The
 * certificates are made with openssl.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createServer } from "node:tls";
import { ulid } from "ulid";
import { Assignment, ExecOptions } from "../../kv/schema/agent.ts";
import { type EngineConnection, findEngine } from "../../worker/docker/connect.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import type { Outcome } from "../../worker/runtime.ts";
import { ensureTestImage, exists, found, required, TEST_IMAGE } from "../support/engine.ts";

const soon = () => AbortSignal.timeout(20_000);

async function openssl(dir: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args,
    cwd: dir,
    stdin: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** ca, server and client certificates in `dir`, named as the docker CLI wants the client's. */
async function makeCertificates(dir: string): Promise<void> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl(
    dir,
    ...["req", "-x509", ...key, "-keyout", "ca-key.pem", "-out", "ca.pem"],
    ...["-subj", "/CN=test ca", "-days", "2"],
  );
  for (const [name, file] of [["server", "server"], ["client", "cert"]] as const) {
    const secret = name === "client" ? "key.pem" : "server-key.pem";
    await openssl(dir, "req", ...key, "-keyout", secret, "-out", "r.csr", "-subj", `/CN=${name}`);
    await Deno.writeTextFile(`${dir}/ext`, "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
    await openssl(
      dir,
      ...["x509", "-req", "-in", "r.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem"],
      ...["-CAcreateserial", "-out", `${file}.pem`, "-days", "2", "-extfile", "ext"],
    );
  }
}

/** Serves the engine of `socketPath` over TLS to clients with a certificate. */
async function withTlsEngine(
  socketPath: string,
  dir: string,
  fn: (port: number) => Promise<void>,
): Promise<void> {
  const open = new Set<Socket>();
  const server = createServer({
    ca: await Deno.readTextFile(`${dir}/ca.pem`),
    cert: await Deno.readTextFile(`${dir}/server.pem`),
    key: await Deno.readTextFile(`${dir}/server-key.pem`),
    requestCert: true,
    rejectUnauthorized: true,
    allowHalfOpen: true,
  }, (client) => {
    const engine = connect({ path: socketPath, allowHalfOpen: true });
    for (const [socket, other] of [[client, engine], [engine, client]] as const) {
      open.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await fn((server.address() as AddressInfo).port);
  } finally {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of open) socket.destroy();
    await closed;
  }
}

async function connectionFor(variables: Record<string, string>): Promise<EngineConnection> {
  const search = await findEngine({ env: { get: (name) => variables[name] }, exists });
  assert(search.ok, search.ok ? "" : search.message);
  return search.connection;
}

function ok<T>(outcome: Outcome<T>): T {
  assert(outcome.ok, outcome.ok ? "" : outcome.message);
  return outcome.value;
}

/** A container, and a command in it with input and output, through `connection`. */
async function useEngine(connection: EngineConnection): Promise<void> {
  const runtime = createDockerRuntime({ connection, nodeId: ulid().toLowerCase() });
  const assignment = Assignment.parse({
    taskId: ulid().toLowerCase(),
    serviceId: ulid().toLowerCase(),
    service: "tls",
    project: "default",
    slot: 1,
    revision: 1,
    desired: "run",
    template: { image: TEST_IMAGE, command: ["sleep", "1000"] },
  });
  const { taskId } = assignment;
  try {
    assertEquals(ok(await runtime.info(soon())).runtime, "docker");
    ok(await runtime.create(assignment, soon()));
    ok(await runtime.start(taskId, soon()));
    const options = ExecOptions.parse({ command: ["cat"], stdin: true });
    const session = ok(await runtime.exec(taskId, options, soon()));
    await session.write(new TextEncoder().encode("over TLS"));
    session.endInput();
    let said = "";
    for await (const { data } of session.output) said += new TextDecoder().decode(data);
    assertEquals(said, "over TLS");
    assertEquals(await session.exitCode(), 0);
    await session.close();
  } finally {
    ok(await runtime.remove(taskId, soon()));
    await runtime.close();
  }
}

const socketPath = found.available && found.connection.kind === "socket"
  ? found.connection.path
  : undefined;
const hasOpenssl = await exists("/usr/bin/openssl");
const lacking = [
  ...(socketPath === undefined ? ["an engine on a local socket"] : []),
  ...(hasOpenssl ? [] : ["openssl"]),
];

Deno.test({
  name: "a TLS-protected TCP engine is used with the client's certificate, and only with it" +
    (lacking.length > 0 ? ` [needs ${lacking.join(" and ")}]` : ""),
  ignore: lacking.length > 0 && !required,
  async fn() {
    assert(found.available && socketPath !== undefined && hasOpenssl, `needs ${lacking}`);
    await ensureTestImage(found.connection);
    const dir = await Deno.makeTempDir();
    try {
      await makeCertificates(dir);
      await withTlsEngine(socketPath, dir, async (port) => {
        const variables = { DOCKER_HOST: `tcp://127.0.0.1:${port}`, DOCKER_TLS_VERIFY: "1" };
        const connection = await connectionFor({ ...variables, DOCKER_CERT_PATH: dir });
        await useEngine(connection);
        const strangers: EngineConnection[] = [
          await connectionFor(variables),
          {
            ...connection,
            tls: { ca: await Deno.readTextFile(`${dir}/ca.pem`) },
          } as typeof connection,
        ];
        for (const stranger of strangers) {
          const runtime = createDockerRuntime({ connection: stranger, nodeId: "stranger" });
          const refused = await runtime.info(AbortSignal.timeout(3000));
          assert(!refused.ok, "the engine answered a stranger");
          assertEquals(refused.kind, "unavailable");
          assertStringIncludes(refused.message, "info:");
          await runtime.close();
        }
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
