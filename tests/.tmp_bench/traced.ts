import { systemClock } from "../../kv/schema/time.ts";
import { createDockerRuntime } from "../../worker/docker/docker.ts";
import { createAgent } from "../../worker/agent.ts";
import { factsOf, removeAll } from "../../worker/join.ts";
import { createFileStore } from "../../worker/state_file.ts";
import { ensureTestImage, found, TEST_IMAGE } from "../support/engine.ts";
import { assignmentOf, createFakeServer } from "../support/fake_server.ts";
import { idOf } from "../support/ids.ts";
if (!found.available) throw 1;
const connection = found.connection;
await ensureTestImage(connection);
const nodeId = idOf(77777), bareId = idOf(77778);
const runtime = createDockerRuntime({ connection, nodeId });
const bare = createDockerRuntime({ connection, nodeId: bareId });
const fake = createFakeServer(systemClock);
const dir = await Deno.makeTempDir();
const withPorts = Deno.args[0] === "ports";
const traced = new Proxy(runtime, { get(o, k) { const v = Reflect.get(o, k); if (typeof v !== "function" || k === "events") return typeof v==="function"? v.bind(o): v;
  return async (...a: unknown[]) => { const t0 = performance.now(); try { return await v.apply(o, a);} finally { (globalThis as any).T.push([`${String(k)} ${(performance.now()-t0).toFixed(1)}`, performance.now()]); } } } });
const agent = createAgent({ runtime: traced as typeof runtime, client: fake, clock: systemClock, random: Math.random, state: createFileStore(dir),
  log: (l, m, f) => { if (l !== "debug" && l !== "info") console.log(l, m, f); }, config: { nodeId, facts: (i) => factsOf(i, { name: "n", address: "x", labels: {} }) } });
const stop = new AbortController();
const T: [string, number][] = [];
(globalThis as any).T = T;

const run = agent.run(stop.signal);
await new Promise((r) => setTimeout(r, 1000));
const a: number[] = [], b: number[] = [];
const make = (n: number) => assignmentOf(n, { image: TEST_IMAGE, command: ["sleep", "1000"], stopGraceMs: 0, ...(withPorts ? {ports: [{ target: 80 }]} : {}) });
for (let i = 1; i <= 16; i++) {
  const x = make(i);
  const bx = make(1000 + i);
  let t = performance.now();
  await bare.create(bx, stop.signal); await bare.start(bx.taskId, stop.signal);
  b.push(performance.now() - t); if (i>10) console.log("bare", b.at(-1)!.toFixed(1));
  await bare.remove(bx.taskId, stop.signal);
  t = performance.now();
  T.length=0; fake.assign(x);
  while (fake.stateOf(x.taskId) !== "1 running") await new Promise((r) => setTimeout(r, 1));
  a.push(performance.now() - t); if (i>10) console.log((performance.now()-t).toFixed(1), T.map(([n,at])=>`${n} @${(at-t).toFixed(1)}`).join("  "));
  fake.assign();
  while ((await runtime.list(stop.signal) as {value: unknown[]}).value.length) await new Promise((r) => setTimeout(r, 20));
}
const med = (x: number[]) => x.sort((p, q) => p - q)[x.length >> 1]!;
console.log("bare", med(b).toFixed(1), "agent", med(a).toFixed(1), "ratio", (med(a) / med(b)).toFixed(3));
stop.abort(); await run;
await removeAll(runtime, { log: () => {}, timeoutMs: 1e4 }); await removeAll(bare, { log: () => {}, timeoutMs: 1e4 });
await runtime.close(); await bare.close(); await Deno.remove(dir, { recursive: true });
