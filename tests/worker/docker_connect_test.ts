import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { findEngine } from "../../worker/docker/connect.ts";

/** Finds with these variables on a machine that has these files. */
async function find(variables: Record<string, string>, files: Record<string, string> = {}) {
  return await findEngine({
    env: { get: (name) => variables[name] },
    exists: (path) => Promise.resolve(path in files),
    readText: (path) => Promise.resolve(files[path] ?? ""),
  });
}

function where(found: Awaited<ReturnType<typeof find>>): unknown {
  assert(found.ok, found.ok ? "" : found.message);
  const { description, ...connection } = found.connection;
  assert(description !== "");
  return connection;
}

function problem(found: Awaited<ReturnType<typeof find>>): string {
  assert(!found.ok, "an engine was found");
  assert(!found.message.includes("\n"), "more than one line");
  return found.message;
}

Deno.test("the usual sockets are found in order: docker before podman, system before user", async () => {
  const variables = { HOME: "/home/me", XDG_RUNTIME_DIR: "/run/user/7" };
  const sockets = [
    "/var/run/docker.sock",
    "/home/me/.docker/run/docker.sock",
    "/run/user/7/docker.sock",
    "/run/user/7/podman/podman.sock",
    "/run/podman/podman.sock",
  ];
  for (let first = 0; first < sockets.length; first++) {
    const files = Object.fromEntries(sockets.slice(first).map((path) => [path, ""]));
    assertEquals(where(await find(variables, files)), { kind: "socket", path: sockets[first] });
  }
});

Deno.test("without an engine one line tells what was tried and how to get one", async () => {
  const message = problem(await find({ XDG_RUNTIME_DIR: "/run/user/7" }));
  for (
    const part of [
      "/var/run/docker.sock",
      "/run/user/7/podman/podman.sock",
      "DOCKER_HOST",
      "apt-get install docker.io",
    ]
  ) assertStringIncludes(message, part);
});

Deno.test("DOCKER_HOST is followed, whatever sockets there are", async () => {
  const files = { "/var/run/docker.sock": "", "/run/other.sock": "" };
  const cases: [string, unknown][] = [
    ["unix:///run/other.sock", { kind: "socket", path: "/run/other.sock" }],
    ["tcp://10.0.0.7:2375", { kind: "tcp", host: "10.0.0.7", port: 2375 }],
    ["tcp://engine", { kind: "tcp", host: "engine", port: 2375 }],
    ["tcp://[::1]:80", { kind: "tcp", host: "::1", port: 80 }],
    ["http://engine:80/", { kind: "tcp", host: "engine", port: 80 }],
    ["https://engine:443", { kind: "tcp", host: "engine", port: 443, tls: {} }],
    ["https://engine", { kind: "tcp", host: "engine", port: 2376, tls: {} }],
  ];
  for (const [host, expected] of cases) {
    assertEquals(where(await find({ DOCKER_HOST: host }, files)), expected);
  }
});

Deno.test("a DOCKER_HOST that cannot be used is an error, not a reason to look elsewhere", async () => {
  const files = { "/var/run/docker.sock": "" };
  for (const host of ["unix:///absent.sock", "unix://relative", "ssh://me@engine", "engine:2375"]) {
    assertStringIncludes(problem(await find({ DOCKER_HOST: host }, files)), host);
  }
});

Deno.test("DOCKER_TLS_VERIFY takes the certificates from DOCKER_CERT_PATH or ~/.docker", async () => {
  const pems = (dir: string) => ({
    [`${dir}/ca.pem`]: "CA",
    [`${dir}/cert.pem`]: "CERT",
    [`${dir}/key.pem`]: "KEY",
  });
  const variables = { DOCKER_HOST: "tcp://engine", DOCKER_TLS_VERIFY: "1", HOME: "/home/me" };
  const expected = {
    kind: "tcp",
    host: "engine",
    port: 2376,
    tls: { ca: "CA", cert: "CERT", key: "KEY" },
  } as const;
  const given = { ...variables, DOCKER_CERT_PATH: "/certs" };
  assertEquals(where(await find(given, pems("/certs"))), expected);
  assertEquals(where(await find(variables, pems("/home/me/.docker"))), expected);
});

Deno.test("incomplete TLS files are an error that names the directory", async () => {
  const variables = {
    DOCKER_HOST: "tcp://engine",
    DOCKER_TLS_VERIFY: "1",
    DOCKER_CERT_PATH: "/certs",
  };
  assertStringIncludes(problem(await find(variables)), "/certs");
  const half = { "/certs/ca.pem": "CA", "/certs/cert.pem": "CERT" };
  assertStringIncludes(problem(await find(variables, half)), "key.pem");
});
