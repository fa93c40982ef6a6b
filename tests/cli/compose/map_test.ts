import { assertEquals, assertStringIncludes } from "@std/assert";
import type { ServiceSpec } from "../../../kv/schema/service.ts";
import { withSteps } from "../../../cli/compose/expand.ts";
import { externalsOf } from "../../../cli/compose/map/external.ts";
import { valueSources } from "../../../cli/compose/map/files.ts";
import { ownVolumes } from "../../../cli/compose/map/mounts.ts";
import { specOf } from "../../../cli/compose/map/service.ts";
import { notesOf } from "../../../cli/compose/uses.ts";
import { ComposeError } from "../../../cli/compose/tree.ts";
import { DIR, projectIn, type World } from "./support.ts";

async function specsIn(
  text: string,
  more: Omit<World, "files"> = {},
): Promise<Record<string, ServiceSpec>> {
  const project = withSteps(await projectIn(text, more));
  return Object.fromEntries(
    [...project.services.values()].map((service) => [service.name, specOf(project, service)]),
  );
}

/** The spec of a service with these lines, four spaces deep. */
async function web(lines: string): Promise<ServiceSpec> {
  const { web: spec } = await specsIn(`services:\n  web:\n    image: nginx\n${lines}\n`);
  if (!spec) throw new Error("no service");
  return spec;
}

/** What a key becomes, as a path of the spec and the value there. */
const KEYS: [lines: string, path: string, value: unknown][] = [
  ["command: run --fast 'a b'", "template.command", ["run", "--fast", "a b"]],
  ["entrypoint: [/entry, -x]", "template.entrypoint", ["/entry", "-x"]],
  ["environment: {A: 1.10, B: true, C: x}", "template.env", { A: "1.10", B: "true", C: "x" }],
  ["labels: [tier=front]", "template.labels", { tier: "front" }],
  ["deploy: {labels: {a: b}}", "labels", { a: "b", "berth.compose": "web" }],
  ["expose: [3000, '53/udp']", "template.ports", [
    { target: 3000, protocol: "tcp", mode: "ingress" },
    { target: 53, protocol: "udp", mode: "ingress" },
  ]],
  ["ports: ['8080:80', '9000-9010:90', '53/udp']", "template.ports", [
    { target: 80, protocol: "tcp", mode: "ingress", published: 8080 },
    { target: 90, protocol: "tcp", mode: "ingress", published: { from: 9000, to: 9010 } },
    { target: 53, protocol: "udp", mode: "ingress" },
  ]],
  ["ports: ['127.0.0.1:80:80', '[::1]:81:81', '0.0.0.0:82:82']", "template.ports", [
    { target: 80, protocol: "tcp", mode: "ingress", published: 80, hostIp: "127.0.0.1" },
    { target: 81, protocol: "tcp", mode: "ingress", published: 81, hostIp: "::1" },
    { target: 82, protocol: "tcp", mode: "ingress", published: 82 },
  ]],
  ["ports: [{target: 80, published: '80', mode: host}]", "template.ports", [
    { target: 80, protocol: "tcp", mode: "host", published: 80 },
  ]],
  [
    "healthcheck: {test: 'curl -f x', interval: 1m30s, timeout: 3s, retries: 5, start_period: 10s}",
    "template.health",
    {
      probe: { type: "engine", command: ["/bin/sh", "-c", "curl -f x"] },
      intervalMs: 90_000,
      timeoutMs: 3_000,
      retries: 5,
      startPeriodMs: 10_000,
      startIntervalMs: 5_000,
      successes: 1,
    },
  ],
  ["healthcheck: {disable: true}", "template.health.probe", { type: "none" }],
  ["restart: on-failure:3", "template.restart.maxAttempts", 3],
  ["restart: unless-stopped", "template.restart.condition", "any"],
  ["restart: 'no'", "mode.type", "job"],
  ["restart: 'no'\n    ports: ['80:80']", "mode.type", "replicated"],
  ["restart: 'no'\n    expose: [80]", "template.restart.condition", "none"],
  ["stop_grace_period: 1m", "template.stopGraceMs", 60_000],
  ["stop_signal: SIGQUIT", "template.stopSignal", "SIGQUIT"],
  ["init: true", "template.init", true],
  ["tty: true", "template.tty", true],
  ["user: '1000:1000'", "template.user", "1000:1000"],
  ["working_dir: /srv", "template.workingDir", "/srv"],
  ["pull_policy: always", "template.pullPolicy", "always"],
  ["pull_policy: every_12h", "template.pullPolicy", "always"],
  ["scale: 3", "mode.replicas", 3],
  ["restart: 'no'\n    scale: 0", "mode.replicas", 0],
  ["volumes: ['data:/d:Z', 'data:/d:Z']\nvolumes: {data: {}}", "template.mounts", [
    { type: "volume", source: "data", target: "/d", readOnly: false, noCopy: false },
  ]],
  ["container_name: Front_1", "aliases", ["front_1"]],
  ["container_name: realtime-dev.front", "aliases", ["realtime-dev.front"]],
  ["container_name: ''", "aliases", undefined],
  ["platform: ''\n    hostname: ''", "template.placement.constraints", []],
  ["deploy: {restart_policy: {condition: unless-stopped}}", "template.restart.condition", "any"],
  ["deploy: {restart_policy: {condition: 'no'}}", "template.restart.condition", "none"],
  ["volumes: ['./a:/a:ro,z']", "template.mounts", [{
    ...{ type: "bind", source: `${DIR}/a`, target: "/a" },
    ...{ readOnly: true, createHostPath: true, selinux: "z" },
  }]],
  ["cpus: 0.5", "template.limit.cpus", 0.5],
  ["cpus: '0.5'", "template.reserve.cpus", 0.5],
  ["mem_limit: 64m", "template.limit.memoryMiB", 64],
  ["mem_limit: 100000000", "template.limit.memoryMiB", 96],
  ["mem_limit: 64m\n    mem_reservation: 32m", "template.reserve.memoryMiB", 32],
  [
    "deploy: {resources: {limits: {cpus: '2', memory: 1g, pids: 9}}}",
    "template.container.pidsLimit",
    9,
  ],
  [
    "deploy: {resources: {limits: {memory: 1g}, reservations: {memory: 512m}}}",
    "template.reserve.memoryMiB",
    512,
  ],
  ["deploy: {mode: global}", "mode.type", "global"],
  ["deploy: {mode: replicated-job, replicas: 4}", "mode.completions", 4],
  ["deploy: {mode: global-job}", "template.restart.condition", "on-failure"],
  ["deploy: {restart_policy: {condition: none}}", "template.restart.condition", "none"],
  [
    "deploy: {restart_policy: {delay: 3s, max_attempts: 2, window: 1m}}",
    "template.restart.windowMs",
    60_000,
  ],
  [
    "deploy: {update_config: {order: start-first, failure_action: rollback, parallelism: 2, delay: 1s, monitor: 2s, max_failure_ratio: 0.3}}",
    "update.order",
    "start-first",
  ],
  ["deploy: {rollback_config: {parallelism: 3}}", "rollback.parallelism", 3],
  [
    "deploy: {placement: {constraints: ['node.role == worker', node.labels.zone==a], preferences: [{spread: node.labels.rack}], max_replicas_per_node: 2}}",
    "template.placement.constraints",
    ["node.labels.zone==a"],
  ],
  [
    "deploy: {placement: {preferences: [{spread: node.labels.rack}]}}",
    "template.placement.spread.0.label",
    "rack",
  ],
  ["deploy: {placement: {max_replicas_per_node: 2}}", "template.placement.maxPerNode", 2],
  ["platform: linux/arm64", "template.placement.constraints", [
    "node.platform.os==linux",
    "node.platform.arch==aarch64",
  ]],
  [
    "x-berth: {strategy: binpack, priority: 5, singleton: strict, pool: fast}",
    "template.placement.strategy",
    "binpack",
  ],
  [
    "ports: ['80']\n    x-berth: {routes: [{host: www.example.com, path: /api, tls: plain}]}",
    "routes",
    [{ host: "www.example.com", path: "/api", tls: "plain" }],
  ],
  ["x-berth: {schedule: {schedule: '0 3 * * *'}}", "mode.type", "cron"],
  ["x-berth: {job: {retries: 2}}", "mode.retries", 2],
  [
    "x-berth: {update: {strategy: canary}}\n    deploy: {update_config: {parallelism: 4}}",
    "update.parallelism",
    4,
  ],
  ["x-berth: {readiness: {probe: {type: http, port: 80}}}", "template.readiness.probe.path", "/"],
  [
    "post_start: [{command: touch /x, user: root, privileged: true}]",
    "template.container.postStart.0.command",
    ["touch", "/x"],
  ],
  ["pre_stop: [{command: [flush], environment: {A: b}}]", "template.container.preStop.0.env", {
    A: "b",
  }],
  ["gpus: all", "template.container.deviceRequests", [{ capabilities: ["gpu"], count: -1 }]],
  [
    "deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: 2}]}}}",
    "template.container.deviceRequests.0.count",
    2,
  ],
  ["extra_hosts: ['db=10.0.0.7', 'six:::1']", "template.container.extraHosts", [
    "db:10.0.0.7",
    "six:::1",
  ]],
  ["ulimits: {nproc: 100, nofile: {soft: 1, hard: 2}}", "template.container.ulimits", [
    { name: "nproc", soft: 100, hard: 100 },
    { name: "nofile", soft: 1, hard: 2 },
  ]],
  ["tmpfs: /run:size=64m", "template.container.tmpfs", { "/run": "size=64m" }],
  [
    "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}]",
    "template.container.tmpfs",
    { "/t": "size=1048576,mode=700" },
  ],
  ["volumes: ['./a:/a:ro', /scratch]", "template.mounts", [
    { type: "bind", source: `${DIR}/a`, target: "/a", readOnly: true, createHostPath: true },
    { type: "volume", target: "/scratch", readOnly: false, noCopy: false },
  ]],
  ["shm_size: 64m", "template.container.shmBytes", 67_108_864],
  ["devices: ['/dev/kvm:/dev/k:rw']", "template.container.devices", [
    { source: "/dev/kvm", target: "/dev/k", permissions: "rw" },
  ]],
  ["logging: {driver: local, options: {max-file: 3}}", "template.container.logging", {
    driver: "local",
    options: { "max-file": "3" },
  }],
  ["network_mode: host", "template.container.networkMode", "host"],
  ["ipc: shareable", "template.container.ipc", "shareable"],
  ["sysctls: {net.core.somaxconn: 512}", "template.container.sysctls", {
    "net.core.somaxconn": "512",
  }],
  [
    "blkio_config: {weight: 300, device_read_bps: [{path: /dev/sda, rate: 1m}]}",
    "template.container.blkio",
    {
      weight: 300,
      readBps: [{ path: "/dev/sda", rate: 1_048_576 }],
    },
  ],
  ...([
    ["cap_add: [NET_ADMIN]", "capAdd", ["NET_ADMIN"]],
    ["cap_drop: [ALL]", "capDrop", ["ALL"]],
    ["privileged: true", "privileged", true],
    ["security_opt: ['no-new-privileges:true']", "securityOpt", ["no-new-privileges:true"]],
    ["read_only: true", "readOnly", true],
    ["group_add: [mail, 7]", "groupAdd", ["mail", "7"]],
    ["hostname: box", "hostname", "box"],
    ["domainname: example.test", "domainname", "example.test"],
    ["dns: 9.9.9.9", "dns", ["9.9.9.9"]],
    ["dns_search: [a, b]", "dnsSearch", ["a", "b"]],
    ["dns_opt: ['ndots:2']", "dnsOptions", ["ndots:2"]],
    ["pid: host", "pid", "host"],
    ["uts: host", "uts", "host"],
    ["userns_mode: host", "userns", "host"],
    ["cgroup: private", "cgroup", "private"],
    ["cgroup_parent: m", "cgroupParent", "m"],
    ["device_cgroup_rules: ['c 1:3 r']", "deviceCgroupRules", ["c 1:3 r"]],
    ["runtime: runc", "runtime", "runc"],
    ["annotations: {a: b}", "annotations", { a: "b" }],
    ["stdin_open: true", "stdinOpen", true],
    ["storage_opt: {size: 1G}", "storageOpt", { size: "1G" }],
    ["pids_limit: 9", "pidsLimit", 9],
    ["memswap_limit: -1", "memorySwapBytes", -1],
    ["mem_swappiness: 5", "memorySwappiness", 5],
    ["oom_kill_disable: true", "oomKillDisable", true],
    ["oom_score_adj: -5", "oomScoreAdj", -5],
    ["cpu_shares: 5", "cpuShares", 5],
    ["cpu_quota: 5000", "cpuQuotaUs", 5000],
    ["cpu_period: 5000", "cpuPeriodUs", 5000],
    ["cpu_rt_runtime: 400ms", "cpuRealtimeRuntimeUs", 400_000],
    ["cpu_rt_period: 1400", "cpuRealtimePeriodUs", 1400],
    ["cpuset: 0-1", "cpuset", "0-1"],
  ] as [string, string, unknown][]).map(([lines, option, value]): [string, string, unknown] => [
    lines,
    `template.container.${option}`,
    value,
  ]),
];

for (const [lines, path, value] of KEYS) {
  Deno.test(`${lines.replaceAll(/\s+/g, " ")} becomes ${path}`, async () => {
    const spec: unknown = await web(`    ${lines}`);
    const found = path.split(".").reduce(
      (at: unknown, step) => (at as Record<string, unknown> | undefined)?.[step],
      spec,
    );
    assertEquals(found, value);
  });
}

async function refusedWith(text: string): Promise<string> {
  try {
    await specsIn(text);
  } catch (error) {
    if (error instanceof ComposeError) return error.message.replaceAll(`${DIR}/`, "");
    throw error;
  }
  throw new Error("it was taken");
}

const WRONG: [lines: string, message: string][] = [
  ["image: 'no image'", "compose.yaml:3:12: services.web.image: must be an image reference"],
  ["labels: {'a b': c}", "compose.yaml:4:21: services.web.labels: must be 1 to 128 of"],
  ["stop_signal: nine", "compose.yaml:4:18: services.web.stop_signal: must be a signal"],
  ["network_mode: service:db", "compose.yaml:4:19: network_mode: service:db is refused"],
  [
    "restart: sometimes",
    "compose.yaml:4:14: restart: must be no, always, unless-stopped or on-failure",
  ],
  [
    "scale: 2\n    deploy: {replicas: 3}",
    "compose.yaml:4:12: scale says 2 and deploy.replicas says 3",
  ],
  [
    "volumes: [{type: npipe, target: /a}]",
    "compose.yaml:4:22: volumes: a mount of type npipe is refused",
  ],
  [
    "volumes: [{type: bind, source: ./a, target: /a, bind: {selinux: z, create_host_path: false}}]",
    "services.web.volumes: needs createHostPath: the engine makes what it labels",
  ],
  ["volumes: ['/a:relative']", "compose.yaml:4:15: services.web.volumes: must be an absolute path"],
  ["healthcheck: {test: [curl, x]}", "compose.yaml:4:25: healthcheck.test: a list begins with CMD"],
  ["mem_swappiness: 500", "compose.yaml:4:21: services.web.mem_swappiness: "],
  [
    "deploy: {placement: {constraints: [node.role==manager]}}",
    'compose.yaml:4:40: "node.role==manager" fits no node',
  ],
  [
    "deploy: {placement: {constraints: [node.colour==red]}}",
    "compose.yaml:4:40: services.web.deploy.placement.constraints: ",
  ],
  [
    "x-berth: {routes: [{host: a.test, prot: 80}]}",
    "compose.yaml:4:39: services.web.x-berth.routes.0.prot: there is no such setting",
  ],
  [
    "x-berth: {routes: [{host: a.test, port: 80}]}",
    "compose.yaml:4:45: services.web.x-berth.routes: must be a TCP port of the service",
  ],
  ["x-berth: {singleton: loose}", "compose.yaml:4:15: services.web.x-berth.singleton: "],
  [
    "x-berth: {readiness: {probe: {type: tcp, port: 80, prot: 1}}}",
    "services.web.x-berth.readiness.probe.prot: there is no such setting",
  ],
  [
    "pre_start: [{command: a, per_replica: true}]",
    "compose.yaml:4:43: services.web.pre_start: per_replica is refused",
  ],
];

for (const [lines, message] of WRONG) {
  Deno.test(`${lines.replaceAll(/\s+/g, " ")} is refused at its place`, async () => {
    const image = lines.startsWith("image") ? "" : "    image: nginx\n";
    const said = await refusedWith(`services:\n  web:\n${image}    ${lines}\n`);
    assertStringIncludes(said, message);
  });
}

Deno.test("a service that another waits for to complete is a job", async () => {
  const specs = await specsIn(`
services:
  migrate: {image: m}
  web: {image: w, depends_on: {migrate: {condition: service_completed_successfully}}}
`);
  assertEquals([specs.migrate?.mode.type, specs.web?.mode.type], ["job", "replicated"]);
  assertEquals(specs.migrate?.template.restart.condition, "none");
});

Deno.test("pre_start steps are jobs in a row, with the service's image and environment", async () => {
  const project = withSteps(
    await projectIn(`
services:
  db: {image: db}
  web:
    image: web
    environment: {A: "1", B: "2"}
    user: app
    ports: ["80:80"]
    depends_on: [db]
    pre_start:
      - {command: chown -R app /data, user: root}
      - {command: [migrate], image: tools, environment: {B: own}}
`),
  );
  assertEquals(project.waves, [["db"], ["web-pre-start-1"], ["web-pre-start-2"], ["web"]]);
  const spec = (name: string) => {
    const service = project.services.get(name);
    if (!service) throw new Error(name);
    return specOf(project, service);
  };
  const [first, second] = [spec("web-pre-start-1"), spec("web-pre-start-2")];
  assertEquals([first.mode.type, first.template.image, first.template.user], [
    "job",
    "web",
    "root",
  ]);
  assertEquals(first.template.entrypoint, ["chown", "-R", "app", "/data"]);
  assertEquals([second.template.image, second.template.user], ["tools", "app"]);
  assertEquals([second.template.env, second.template.ports], [{ A: "1", B: "own" }, []]);
});

Deno.test("aliases of networks, links and container names are further names of the service", async () => {
  const specs = await specsIn(`
services:
  db:
    image: i
    container_name: my_database
    networks: {back: {aliases: [store, db]}}
  web: {image: i, links: ["db:data", db]}
networks: {back: {}}
`);
  assertEquals(specs.db?.aliases, ["data", "my_database", "store"]);
  assertEquals(specs.web?.aliases, undefined);
});

Deno.test("what is emulated is said once for each key, with the first place", async () => {
  const project = await projectIn(`
version: "3.8"
services:
  a: {build: ., container_name: x}
  b: {image: i, container_name: y, attach: false, networks: {n: {ipv4_address: 10.9.0.2}}}
networks: {n: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}
`);
  const notes = notesOf(project).map((note) => note.replaceAll(`${DIR}/`, ""));
  assertEquals(notes.map((note) => note.split(": ").slice(0, 2).join(" ")), [
    "compose.yaml:2:10 version",
    "compose.yaml:6:11 networks",
    "compose.yaml:6:16 networks.*.ipam",
    "compose.yaml:4:17 (and 1 more) container_name",
    "compose.yaml:5:36 attach",
    "compose.yaml:5:51 networks",
    "compose.yaml:5:66 networks.*.ipv4_address",
  ]);
});

Deno.test("secrets, configs and volumes go by the names they have in the cluster", async () => {
  const project = await projectIn(`
services:
  web:
    image: web
    secrets: [plain, {source: named, target: /etc/token, uid: "5", mode: 0400}]
    configs: [{source: inline, target: /etc/x}]
    volumes: ["data:/data", "shared:/shared"]
secrets:
  plain: {file: ./plain.txt}
  named: {external: true, name: prod_token}
configs:
  inline: {content: "a = b", labels: {tier: front}}
volumes:
  data: {labels: {keep: "yes"}}
  shared: {name: prod-shared, driver: local, driver_opts: {type: nfs}}
`);
  const web = project.services.get("web");
  if (!web) throw new Error("no service");
  const { template } = specOf(project, web);
  const file = { uid: 0, gid: 0, mode: 0o444 };
  assertEquals(template.secrets, [
    { ...file, source: "plain" },
    { ...file, source: "prod_token", target: "/etc/token", uid: 5, mode: 0o400 },
  ]);
  assertEquals(template.configs, [{ ...file, source: "inline", target: "/etc/x" }]);
  assertEquals(template.mounts.map((mount) => mount.type === "volume" ? mount : undefined), [
    {
      ...{ type: "volume", source: "data", target: "/data", readOnly: false, noCopy: false },
      labels: { keep: "yes" },
    },
    {
      ...{
        type: "volume",
        source: "prod-shared",
        target: "/shared",
        readOnly: false,
        noCopy: false,
      },
      ...{ driver: "local", options: { type: "nfs" } },
    },
  ]);
  assertEquals(ownVolumes(project), ["data", "prod-shared"]);
  const sources = valueSources(project).map((
    { kind, name, from, labels },
  ) => [kind, name, from, labels]);
  assertEquals(sources, [
    ["secret", "plain", { file: `${DIR}/plain.txt` }, {}],
    ["config", "inline", { content: "a = b" }, { tier: "front" }],
  ]);
});

Deno.test("the certificates of routes are secrets of the files, or of the cluster", async () => {
  const project = await projectIn(`
services:
  web:
    image: web
    ports: ["80"]
    x-berth:
      routes:
        - {host: a.test, tls: {certificate: own}}
        - {host: b.test, tls: {certificate: named}}
        - {host: c.test, tls: {certificate: cluster}}
secrets:
  own: {file: ./own.pem}
  named: {external: true, name: prod_pem}
`);
  const web = project.services.get("web");
  if (!web) throw new Error("no service");
  assertEquals(specOf(project, web).routes?.map(({ tls }) => tls), [
    { certificate: "own" },
    { certificate: "prod_pem" },
    { certificate: "cluster" },
  ]);
  assertEquals(valueSources(project).map(({ kind, name }) => [kind, name]), [["secret", "own"]]);
  assertEquals(externalsOf(project).map(({ name }) => name), ["prod_pem"]);
});
