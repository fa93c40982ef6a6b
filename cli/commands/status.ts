/**
 * `berth status`: the cluster at a glance; and `berth version`.
 *
 * @module
 */
import type { NodeView } from "../../kv/schema/node.ts";
import type { Deps, ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { listAll } from "../find.ts";
import { age } from "../format/duration.ts";
import { memory } from "../format/quantity.ts";
import { style } from "../format/style.ts";
import { failCall, printValue } from "../report.ts";

export async function status(deps: ServerDeps): Promise<ExitCode> {
  const { client, io, view } = deps;
  const [cluster, nodes, services] = await Promise.all([
    client.cluster(),
    listAll((query) => client.listNodes(query)),
    listAll((query) => client.listServices(query)),
  ]);
  if (!cluster.ok) return failCall(deps, cluster.error, `cannot ask ${deps.target.server}`);
  if (!nodes.ok) return failCall(deps, nodes.error, "cannot list nodes");
  if (!services.ok) return failCall(deps, services.error, "cannot list services");
  const count = (all: readonly string[]) =>
    all.reduce<Record<string, number>>((sum, key) => ({ ...sum, [key]: (sum[key] ?? 0) + 1 }), {});
  const running = services.value.reduce((sum, service) => sum + service.counts.running, 0);
  const pending = services.value.reduce((sum, service) => sum + service.counts.pending, 0);
  const summary = {
    server: deps.target.server,
    cluster: cluster.value,
    nodes: { total: nodes.value.length, ...count(nodes.value.map((node) => node.status.state)) },
    services: {
      total: services.value.length,
      ...count(services.value.map((service) => service.phase)),
    },
    tasks: { running, pending },
  };
  if (view.output === "json" || view.output === "yaml") {
    await printValue(deps, summary, view.output);
    return EXIT.ok;
  }
  const paint = style(view.color);
  const sum = (pick: (node: NodeView) => number) =>
    nodes.value.reduce((total, node) => total + pick(node), 0);
  const of = (states: Record<string, number>) =>
    Object.entries(states).filter(([key]) => key !== "total").map(([key, n]) => `${n} ${key}`)
      .join(", ") || "none";
  const { leader, queued, parked, strategy, version, createdAt } = cluster.value;
  const uptime = age(deps.clock.wallMs() - Date.parse(createdAt));
  const lines: [string, string][] = [
    [
      "server",
      `${deps.target.server}  ${paint.dim(`berth ${version}, cluster made ${uptime} ago`)}`,
    ],
    ["leader", `epoch ${leader.epoch}${leader.self ? ", this server" : ""}, strategy ${strategy}`],
    ["nodes", of(summary.nodes)],
    [
      "cpus",
      `${Number(sum((n) => n.allocated.cpus).toFixed(2))} of ${
        Number(sum((n) => n.capacity.cpus).toFixed(2))
      } set aside`,
    ],
    [
      "memory",
      `${sum((n) => n.allocated.memoryMiB) ? memory(sum((n) => n.allocated.memoryMiB)) : "0"} of ${
        memory(sum((n) => n.capacity.memoryMiB))
      } set aside`,
    ],
    ["services", of(summary.services)],
    ["tasks", `${running} running, ${pending} not yet`],
    ["queue", `${queued} waiting${parked > 0 ? `, ${paint.bad(`${parked} parked`)}` : ""}`],
  ];
  for (const [key, text] of lines) io.out(`${paint.dim(key.padEnd(9))} ${text}\n`);
  return EXIT.ok;
}

/** The CLI's version, and the server's if one answers. */
export async function version(own: string, deps: Deps): Promise<ExitCode> {
  const connection = await deps.connection();
  const answer = connection.ok
    ? await (await deps.connect(connection.target)).cluster()
    : undefined;
  const server = answer?.ok ? answer.value.version : undefined;
  const { output } = deps.view;
  const shown = { cli: own, deno: Deno.version.deno, server: server ?? null };
  if (output === "json" || output === "yaml") await printValue(deps, shown, output);
  else {
    deps.io.out(`berth   ${own} (deno ${Deno.version.deno})\n`);
    if (connection.ok) {
      deps.io.out(`server  ${server ?? "does not answer"} (${connection.target.server})\n`);
    }
  }
  return EXIT.ok;
}
