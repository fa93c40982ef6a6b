import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SERVICE_FLAGS } from "../../cli/catalog/service_flags.ts";
import { COMMANDS } from "../../cli/main.ts";
import { ServiceSpec } from "../../kv/schema/service.ts";
import { berth, serviceView } from "./support.ts";

/** Command line, the field that it sets, and to what. */
type Case = [line: string, field: string, value: unknown];

const CASES: Case[] = [
  ["--health-cmd test/x", "template.health.probe", {
    type: "engine",
    command: ["/bin/sh", "-c", "test/x"],
  }],
  ["--health-http 8080", "template.health.probe", httpProbe(8080)],
  [
    "--health-http https:8443/up",
    "template.health.probe",
    { ...httpProbe(8443), path: "/up", scheme: "https" },
  ],
  ["--health-tcp 5432", "template.health.probe", { type: "tcp", port: 5432 }],
  ["--no-healthcheck", "template.health.probe", { type: "none" }],
  ["--health-interval 2s", "template.health.intervalMs", 2000],
  ["--health-interval 2s", "template.health.probe", { type: "engine" }],
  ["--health-timeout 3s", "template.health.timeoutMs", 3000],
  ["--health-retries 7", "template.health.retries", 7],
  ["--health-start-period 1m", "template.health.startPeriodMs", 60_000],
  ["--health-start-interval 1s", "template.health.startIntervalMs", 1000],
  ["--ready-cmd up", "template.readiness.probe", {
    type: "exec",
    command: ["/bin/sh", "-c", "up"],
  }],
  ["--ready-http 80/ready", "template.readiness.probe", { ...httpProbe(80), path: "/ready" }],
  ["--ready-tcp 80", "template.readiness.probe", { type: "tcp", port: 80 }],
  ["--ready-tcp 80 --ready-interval 1s", "template.readiness.intervalMs", 1000],
  ["--ready-tcp 80 --ready-timeout 1s", "template.readiness.timeoutMs", 1000],
  ["--ready-tcp 80 --ready-retries 9", "template.readiness.retries", 9],
  ["--restart on-failure", "template.restart.condition", "on-failure"],
  ["--restart-delay 1s", "template.restart.delayMs", 1000],
  ["--restart-max-delay 9s", "template.restart.maxDelayMs", 9000],
  ["--restart-max-attempts 2", "template.restart.maxAttempts", 2],
  ["--restart-window 1m", "template.restart.windowMs", 60_000],
  ["--stop-grace-period 1m30s", "template.stopGraceMs", 90_000],
  ["--stop-signal SIGINT", "template.stopSignal", "SIGINT"],
  ["--max-unavailable 0", "disruption.maxUnavailable", 0],
  ["--singleton strict", "singleton", "strict"],
  ["--singleton none", "singleton", undefined],
  ["--disconnect-replace-after 1m", "disconnect.replaceAfterMs", 60_000],
  ["--disconnect-stop-after 2m", "disconnect.stopAfterMs", 120_000],
  ["--disconnect-reconcile keep-old", "disconnect.reconcile", "keep-old"],
  ["--node n1", "template.placement.node", "n1"],
  ["--pool edge", "template.placement.pool", "edge"],
  ["--constraint node.ip!=10.0.0.0/8 --constraint node.name==a", "template.placement.constraints", [
    "node.ip!=10.0.0.0/8",
    "node.name==a",
  ]],
  ["--toleration gpu --toleration old=yes:no-execute", "template.placement.tolerations", [
    { key: "gpu", operator: "exists" },
    { key: "old", operator: "equal", value: "yes", effect: "no-execute" },
  ]],
  ["--toleration *", "template.placement.tolerations", [{ operator: "exists" }]],
  ["--affinity shop/db,topology=zone,required", "template.placement.affinity", [
    {
      ...{ to: { project: "shop", service: "db" }, topology: "zone" },
      ...{ anti: false, required: true, weight: 50 },
    },
  ]],
  ["--affinity node.labels.disk==ssd,weight=70", "template.placement.affinity", [
    {
      ...{ to: { constraint: "node.labels.disk==ssd" }, topology: "node" },
      ...{ anti: false, required: false, weight: 70 },
    },
  ]],
  ["--anti-affinity web", "template.placement.affinity.0.anti", true],
  ["--spread zone", "template.placement.spread", [
    { label: "zone", maxSkew: 1, required: false, weight: 50 },
  ]],
  ["--spread zone,max-skew=2,weight=9", "template.placement.spread", [
    { label: "zone", maxSkew: 2, required: true, weight: 9 },
  ]],
  ["--max-per-node 2", "template.placement.maxPerNode", 2],
  ["--strategy binpack", "template.placement.strategy", "binpack"],
  ["--priority -5", "priority", -5],
  ["--update-strategy canary", "update.strategy", "canary"],
  ["--canary 3", "update.canary", 3],
  ["--promote manual", "update.promote", "manual"],
  ["--update-parallelism 0", "update.parallelism", 0],
  ["--update-delay 1s", "update.delayMs", 1000],
  ["--update-order start-first", "update.order", "start-first"],
  ["--update-monitor 9s", "update.monitorMs", 9000],
  ["--update-max-failure-ratio 0.3", "update.maxFailureRatio", 0.3],
  ["--update-failure-action continue", "update.failureAction", "continue"],
  ["--progress-deadline 0s", "update.progressDeadlineMs", 0],
  ["--drain 5s", "update.drainMs", 5000],
  ["--rollback-parallelism 4", "rollback.parallelism", 4],
  ["--rollback-delay 1s", "rollback.delayMs", 1000],
  ["--rollback-order start-first", "rollback.order", "start-first"],
  ["--rollback-monitor 1s", "rollback.monitorMs", 1000],
  ["--rollback-max-failure-ratio 1", "rollback.maxFailureRatio", 1],
  ["--route a.test/x,tls=plain,redirect=/y", "routes.0.redirect.to", "/y"],
  ["--route a.test,certificate=pem,redirect=/y", "routes.0.tls.certificate", "pem"],
  ["--rollback-failure-action continue", "rollback.failureAction", "continue"],
];

function httpProbe(port: number) {
  return {
    ...{ type: "http", port, path: "/", scheme: "http", headers: {} },
    status: { from: 200, to: 399 },
  };
}

function at(value: unknown, path: string): unknown {
  return path.split(".").reduce(
    (object, key) => (object as Record<string, unknown> | undefined)?.[key],
    value,
  );
}

/** What is sent for this command line. */
async function sent(args: string[], service: unknown = serviceView()): Promise<ServiceSpec> {
  let body: unknown;
  const { err } = await berth(args, {
    handler: async (request) => {
      if (request.method === "GET") return Response.json(service);
      body = await request.json();
      return Response.json(serviceView());
    },
  });
  assertEquals(err, "", args.join(" "));
  return ServiceSpec.parse(body);
}

Deno.test("flags of run and update land in the spec, each in its field", async () => {
  for (const [line, field, value] of CASES) {
    const flags = line.split(" ");
    const run = await sent(["run", "-d", "--name", "web", ...flags, "nginx"]);
    assertEquals(at(run, field), value, `run ${line}`);
    const update = await sent(["update", ...flags, "storefront"]);
    assertEquals(at(update, field), value, `update ${line}`);
  }
});

Deno.test("each flag of a service has its case here, and its line in docs/cli.md", async () => {
  const docs = await Deno.readTextFile(new URL("../../docs/cli.md", import.meta.url));
  for (const { flags } of Object.values(SERVICE_FLAGS)) {
    const [name = ""] = flags.split(" ");
    assert(CASES.some(([line]) => line.split(" ").includes(name)), name);
    assertStringIncludes(docs, `\`${name}`, name);
  }
});

Deno.test("an update leaves what it does not name as it was", async () => {
  const placement = {
    ...{ pool: "edge", constraints: ["node.name==a"], tolerations: [], affinity: [] },
    spread: [{ label: "zone" }],
  };
  const health = { probe: { type: "tcp", port: 1 }, retries: 8 };
  const service = serviceView({
    template: { image: "app:1", placement, health },
    singleton: "strict",
    disconnect: { replaceAfterMs: 5000 },
    update: { order: "start-first", parallelism: 3 },
  });
  const lines = "--update-delay 1s --health-interval 1s --disconnect-stop-after 1m --pool core";
  const spec = await sent(["update", ...lines.split(" "), "storefront"], service);
  const { update, template, disconnect, singleton } = spec;
  assertEquals([update.order, update.parallelism, update.delayMs], ["start-first", 3, 1000]);
  assertEquals(template.health?.probe, { type: "tcp", port: 1 });
  assertEquals([template.health?.retries, template.health?.intervalMs], [8, 1000]);
  assertEquals([disconnect?.replaceAfterMs, disconnect?.stopAfterMs], [5000, 60_000]);
  assertEquals([template.placement.pool, singleton], ["core", "strict"]);
  assertEquals(template.placement.constraints, ["node.name==a"]);
  const lifted = await sent(
    ["update", "--constraint", "", "--spread", "", "--singleton", "none", "storefront"],
    service,
  );
  assertEquals(lifted.template.placement.constraints, []);
  assertEquals(lifted.template.placement.spread, []);
  assertEquals(lifted.singleton, undefined);
});

Deno.test("flags that cannot be are refused with code 2, before anything is sent", async () => {
  const cases: [string, string][] = [
    ["--health-cmd a --health-tcp 80", "give one of --health-cmd"],
    ["--ready-cmd a --ready-tcp 80", "give one of --ready-cmd"],
    ["--ready-interval 1s", "need --ready-http"],
    ["--health-http x", "8080/healthz"],
    ["--health-http 80/a\tb", "--health-cmd, --health-http or --health-tcp: must start with /"],
    ["--health-tcp 99999", "65535"],
    ["--health-interval 1ms", "--health-interval:"],
    ["--constraint node.disk==ssd", "'node.disk' is not one of"],
    ["--toleration gpu:never", "no-schedule"],
    ["--toleration =x", "KEY[=VALUE]"],
    ["--route http://a.test", "HOST[/PATH]"],
    ["--route a.test,near", "not near"],
    ["--route 1.2.3.4", "--route: must be a host name"],
    ["--route a.test,port=1", "--route: must be a TCP port of the service"],
    ["--affinity db,near", "'near' is not one of required, topology=…, weight=…"],
    ["--affinity db,weight=500", "--affinity:"],
    ["--affinity node.ip==x", "neither an address"],
    ["--spread zone,max-skew=0", "--spread:"],
    ["--spread zone,weight=1,weight=2", "each once"],
    ["--priority 2000", "-1000 to 1000"],
    ["--strategy best", "binpack"],
    ["--max-per-node 0", "--max-per-node:"],
    ["--restart-max-attempts 9999", "--restart-max-attempts:"],
    ["--rollback-failure-action rollback", "pause"],
  ];
  const handler = (request: Request) => {
    assertEquals(request.method, "GET", "nothing is written");
    return Response.json(serviceView());
  };
  for (const [line, words] of cases) {
    for (const command of [["run", "-d"], ["update"]]) {
      const args = [...command, ...line.split(" "), "storefront"];
      const { code, out, err } = await berth(args, { handler });
      assertEquals([code, out], [2, ""], args.join(" "));
      assertStringIncludes(err, words);
      assertStringIncludes(err, "→", "it says what to do next");
    }
  }
  const job = await berth(["run", "--update-order", "start-first", "nginx"], { handler });
  assertEquals(job.code, 2);
  assertStringIncludes(job.err, "jobs are not updated");
});

Deno.test("help shows the flags of a service under their titles", async () => {
  for (const name of ["run", "update"]) {
    assert(COMMANDS.some((command) => command.name === name));
    const { out } = await berth([name, "--help"], { columns: 80 });
    for (const title of ["Health:", "Placement:", "Updates:", "Restarts and disruptions:"]) {
      assertStringIncludes(out, title);
    }
    assert(out.indexOf("Health:") < out.indexOf("--health-cmd"));
  }
});
