import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { connectEngine } from "../../worker/docker/client.ts";
import { okValue } from "../support/api.ts";
import { type ComposeWorld, inDirectory } from "../support/compose_world.ts";
import { engineTest, TEST_IMAGE } from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";

const ARCH = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
const PORT = 23_000 + Deno.pid % 6_000;
const WAITING = "trap 'exit 0' QUIT TERM; while :; do sleep 0.1; done";

/** Every key that Berth promises to honour, most of them at one service. */
const FILE = (project: string) => `
name: ${project}
x-pinned: &pinned {image: ${TEST_IMAGE}, pull_policy: never}
services:
  first:
    <<: *pinned
    command: [sh, -c, "echo first > /data/first"]
    restart: "no"
    volumes: [data:/data]
  store:
    <<: *pinned
    command: [sh, -c, "nc -ll -p 7000 -e cat"]
    expose: [7000]
    networks: {back: {aliases: [my_store]}}
    configs: [app, {source: app, target: /etc/app.conf, uid: "7", gid: "8", mode: 0440}]
    healthcheck: {test: [CMD, "true"], interval: 1s, start_interval: 200ms, start_period: 5s}
  full:
    <<: *pinned
    container_name: full_one
    platform: linux/${ARCH}
    depends_on:
      first: {condition: service_completed_successfully}
      store: {condition: service_healthy}
    scale: 2
    entrypoint: [sh, -c]
    command: ["${WAITING}"]
    env_file: [{path: vars.env}, {path: none.env, required: false}]
    environment: {PLAIN: a b, OVER: own, FROM_SHELL:}
    labels: {tier: front}
    label_file: [labels.env]
    expose: [9000]
    ports: ["127.0.0.1:${PORT}:80", {target: 81, protocol: udp}]
    networks: [back]
    volumes:
      - data:/data:ro
      - ./site:/site
      - {type: bind, source: ./site, target: /site2, read_only: true}
      - {type: volume, source: second, target: /second, volume: {nocopy: true, labels: {own: l}}}
      - {type: tmpfs, target: /scratch, tmpfs: {size: 1m, mode: 0700}}
      - /anonymous
    tmpfs: ["/work:size=2m,mode=777"]
    secrets: [plain, {source: plain, target: pw, uid: "1000", gid: "1000", mode: 0440}]
    healthcheck: {test: test -e /work/post, interval: 7s, timeout: 3s, retries: 9, start_period: 4s, start_interval: 300ms}
    restart: on-failure:3
    stop_grace_period: 9s
    stop_signal: SIGQUIT
    init: true
    user: "1000:1000"
    working_dir: /tmp
    hostname: box
    extra_hosts: ["db=10.0.0.7"]
    logging: {driver: json-file, options: {max-size: 1m}}
    pre_start: [{command: [sh, -c, "echo $$OWN > /second/before; chmod 644 /second/before"], user: "0", environment: {OWN: step}}]
    post_start: [{command: [sh, -c, "echo $$HOOK > /work/post"], environment: {HOOK: hooked}}]
    pre_stop: [{command: [sh, -c, "echo bye > /site/bye-$$HOSTNAME"], user: "0"}]
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    devices: ["/dev/null:/dev/nothing:r"]
    security_opt: ["no-new-privileges:true"]
    read_only: true
    ulimits: {nproc: 512, nofile: {soft: 100, hard: 200}}
    shm_size: 8m
    sysctls: {net.core.somaxconn: "512"}
    cpus: 0.25
    mem_limit: 32m
    pids_limit: 50
    group_add: ["8", 1234]
  open:
    <<: *pinned
    command: [sh, -c, "${WAITING}"]
    network_mode: none
    deploy:
      mode: global
      labels: {of: service}
      endpoint_mode: dnsrr
      resources: {limits: {cpus: "0.5", memory: 64M, pids: 30}, reservations: {cpus: "0.1", memory: 16M}}
      placement: {constraints: [node.role == worker], preferences: [{spread: node.labels.zone}]}
      restart_policy: {condition: any, delay: 1s, max_attempts: 4, window: 2m}
  twice:
    <<: *pinned
    command: ["true"]
    deploy: {mode: replicated-job, replicas: 2}
  everywhere:
    <<: *pinned
    command: ["true"]
    deploy: {mode: global-job}
  spread:
    <<: *pinned
    command: [sh, -c, "${WAITING}"]
    deploy:
      replicas: 1
      placement: {max_replicas_per_node: 1}
      update_config: {parallelism: 2, delay: 1s, failure_action: rollback, monitor: 2s, max_failure_ratio: 0.5, order: start-first}
      rollback_config: {parallelism: 3, delay: 2s, monitor: 3s}
  strong:
    <<: *pinned
    profiles: [strong]
    command: [sh, -c, "${WAITING}"]
    privileged: true
  gpu:
    <<: *pinned
    profiles: [gpu]
    gpus: all
  reserved:
    <<: *pinned
    profiles: [gpu]
    deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: 1}]}}}
networks: {back: {}}
volumes: {data: {}, second: {labels: {kept: yes}}}
secrets: {plain: {file: secret.txt}}
configs: {app: {content: "level = 3\\n"}}
`;

const FILES = {
  "vars.env": "# of all\nFILED=from file\nOVER=file\n",
  "labels.env": "filed=label\n",
  "secret.txt": "hush",
};

type Client = ReturnType<typeof connectEngine>;
type Inspection = Awaited<
  ReturnType<ReturnType<Client["docker"]["getContainer"]>["inspect"]>
>;

/** The containers of a service, as the engine shows them. */
async function inspected(client: Client, project: string, service: string): Promise<Inspection[]> {
  const label = [`berth.project=${project}`, `berth.service=${service}`];
  const found = await client.docker.listContainers({ filters: { label } });
  return await Promise.all(found.map(({ Id }) => client.docker.getContainer(Id).inspect()));
}

const short = (caps: string[]) => caps.map((cap) => cap.replace(/^CAP_/, ""));

function checkConfig({ Config }: Inspection): void {
  const of = Config as unknown as Record<string, unknown>;
  const seen = Object.fromEntries(
    ["Image", "Entrypoint", "Cmd", "User", "WorkingDir", "Hostname", "StopSignal", "StopTimeout"]
      .map((name) => [name, of[name]]),
  );
  assertEquals(seen, {
    ...{ Image: TEST_IMAGE, Entrypoint: ["sh", "-c"], Cmd: [WAITING], User: "1000:1000" },
    ...{ WorkingDir: "/tmp", Hostname: "box", StopSignal: "SIGQUIT", StopTimeout: 9 },
  });
  for (const pair of ["PLAIN=a b", "OVER=own", "FROM_SHELL=here", "FILED=from file"]) {
    assert(Config.Env.includes(pair), `${pair} is not in ${Config.Env}`);
  }
  assertEquals([Config.Labels.tier, Config.Labels.filed], ["front", "label"]);
  assertEquals(Object.keys(Config.ExposedPorts ?? {}).sort(), ["80/tcp", "81/udp", "9000/tcp"]);
  const { Test, Interval, Timeout, Retries, StartPeriod } = Config.Healthcheck ?? {};
  assertEquals([Test, Interval, Timeout, Retries, StartPeriod], [
    ["CMD", "/bin/sh", "-c", "test -e /work/post"],
    ...[7e9, 3e9, 9, 4e9],
  ]);
}

function checkHost({ HostConfig }: Inspection): void {
  const of = HostConfig as unknown as Record<string, unknown>;
  const expected = {
    ...{ Init: true, ReadonlyRootfs: true, Privileged: false, ShmSize: 8 * 1024 ** 2 },
    ...{ NanoCpus: 250_000_000, Memory: 32 * 1024 ** 2, PidsLimit: 50 },
    ExtraHosts: ["db:10.0.0.7"],
    SecurityOpt: ["no-new-privileges:true"],
    GroupAdd: ["8", "1234"],
    Sysctls: { "net.core.somaxconn": "512" },
    LogConfig: { Type: "json-file", Config: { "max-size": "1m" } },
    Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/nothing", CgroupPermissions: "r" }],
    Ulimits: [{ Name: "nproc", Hard: 512, Soft: 512 }, { Name: "nofile", Hard: 200, Soft: 100 }],
    Tmpfs: { "/work": "size=2m,mode=777", "/scratch": "size=1048576,mode=700" },
  };
  const seen = Object.fromEntries(Object.keys(expected).map((name) => [name, of[name]]));
  assertEquals(seen, expected);
  assertEquals(short(HostConfig.CapAdd as string[]), ["NET_ADMIN"]);
  assertEquals(short(HostConfig.CapDrop as string[]), ["MKNOD"]);
}

function checkMounts({ Mounts }: Inspection, dir: string): void {
  const seen = Mounts.filter(({ Type, Destination }) =>
    Type !== "tmpfs" && Destination !== "/run/secrets"
  )
    .map(({ Type, Source, Destination, RW }) =>
      `${Type} ${Type === "bind" ? Source : ""} ${Destination} ${RW ? "rw" : "ro"}`
    );
  assertEquals(seen.sort(), [
    ...[`bind ${dir}/site /site rw`, `bind ${dir}/site /site2 ro`, "volume  /anonymous rw"],
    ...["volume  /data ro", "volume  /second rw"],
  ]);
}

/** What the processes in the container see. */
async function checkInside({ berth }: ComposeWorld, project: string): Promise<void> {
  const script = [
    ...["cat /data/first /second/before /work/post /run/secrets/plain", "echo"],
    ...["stat -c '%u %g %a' /run/secrets/pw", "cat /run/secrets/pw", "echo"],
    ...["ulimit -n", "cat /proc/sys/net/core/somaxconn", "touch /x 2>&1 | grep -c Read-only"],
    ...["echo said | nc -w 2 my_store 7000", "id -G"],
  ].join("; ");
  const ran = await berth("exec", "--project", project, "full", "sh", "-c", script);
  assertEquals(ran.out.trim().split("\n"), [
    ...["first", "step", "hooked", "hush", "1000 1000 440", "hush"],
    ...["100", "512", "1", "said", "1000 8 1234"],
  ], ran.err);
  const look = "cat /app /etc/app.conf; stat -c '%u %g %a' /etc/app.conf";
  const store = await berth("exec", "--project", project, "store", "sh", "-c", look);
  assertEquals(store.out.trim().split("\n"), ["level = 3", "level = 3", "7 8 440"], store.err);
}

async function checkOthers(w: ComposeWorld, client: Client, project: string): Promise<void> {
  const [open] = await inspected(client, project, "open");
  const { NetworkMode, NanoCpus, Memory, PidsLimit } = open?.HostConfig ?? {};
  assertEquals([NetworkMode, NanoCpus, Memory, PidsLimit], [
    ...["none", 500_000_000, 64 * 1024 ** 2, 30],
  ]);
  const services = okValue(await w.server.client.listServices({ project })).items;
  const spec = (name: string) => {
    const found = services.find((service) => service.name === name);
    if (!found) throw new Error(`no service ${name}`);
    return found;
  };
  assertEquals(services.map(({ name, mode, phase }) => `${name} ${mode.type} ${phase}`), [
    ...["everywhere global finished", "first job finished", "full replicated running"],
    ...["full-pre-start-1 job finished", "open global running", "spread replicated running"],
    ...["store replicated running", "twice job finished"],
  ]);
  assertEquals(spec("twice").counts.succeeded, 2);
  const { template, labels } = spec("open");
  assertEquals([labels.of, template.reserve], ["service", { cpus: 0.1, memoryMiB: 16 }]);
  const { condition, delayMs, maxAttempts, windowMs } = template.restart;
  assertEquals([condition, delayMs, maxAttempts, windowMs], ["any", 1000, 4, 120_000]);
  assertEquals(template.placement.spread?.[0]?.label, "zone");
  const { update, rollback } = spec("spread");
  assertEquals([update.parallelism, update.failureAction, update.order, update.maxFailureRatio], [
    ...[2, "rollback", "start-first", 0.5],
  ]);
  assertEquals([rollback.parallelism, rollback.delayMs, rollback.monitorMs], [3, 2000, 3000]);
  assertEquals(spec("spread").template.placement.maxPerNode, 1);
}

engineTest(
  "every key that is honoured reaches the container, or what it is said to reach",
  async (connection) => {
    const dir = await Deno.makeTempDir({ prefix: "berth-keys-" });
    const project = `keys-${Deno.pid}`;
    await Deno.mkdir(`${dir}/site`);
    await Deno.chmod(`${dir}/site`, 0o777);
    for (const [name, text] of Object.entries({ ...FILES, "compose.yaml": FILE(project) })) {
      await Deno.writeTextFile(`${dir}/${name}`, text);
    }
    const client = connectEngine(connection);
    try {
      await inDirectory(connection, { dir, env: { FROM_SHELL: "here" } }, async (w) => {
        const ran = await w.berth("up", "--wait", "--timeout", "2m");
        assertEquals(ran.code, 0, ran.err);
        const full = await inspected(client, project, "full");
        assertEquals(full.length, 2);
        for (const one of full) {
          checkConfig(one);
          checkHost(one);
          checkMounts(one, dir);
        }
        await checkInside(w, project);
        await checkOthers(w, client, project);
        const again = await w.berth("up");
        assert(!/created|\bchanged/.test(again.out), again.out);

        await w.berth("up", "gpu", "reserved", "--timeout", "1s");
        await eventually(async () => {
          const tasks = okValue(await w.server.client.listTasks({ project })).items;
          return tasks.filter(({ name, why }) =>
            /^(gpu|reserved)\./.test(name) && /GPU/i.test(JSON.stringify(why))
          ).length === 2;
        }, { what: "tasks that wait for GPUs", timeoutMs: 20_000 });

        await w.berth("up", "strong", "--timeout", "1s");
        await eventually(async () => {
          const [strong] = await inspected(client, project, "strong");
          if (strong) return strong.HostConfig.Privileged;
          // An engine that has itself fewer rights cannot give them all.
          const tasks = okValue(await w.server.client.listTasks({ project })).items;
          return tasks.some(({ name, observed }) =>
            name === "strong.1" && /apply caps/.test(observed?.message ?? "")
          );
        }, { what: "a privileged container", timeoutMs: 20_000 });

        const down = await w.berth("down", "-v", "--yes");
        assertEquals(down.code, 0, down.err);
        const left = await Array.fromAsync(Deno.readDir(`${dir}/site`), ({ name }) => name);
        assertEquals(left, ["bye-box"]);
        assertStringIncludes(await Deno.readTextFile(`${dir}/site/bye-box`), "bye");
      });
    } finally {
      client.close();
      await Deno.remove(dir, { recursive: true });
    }
  },
);
