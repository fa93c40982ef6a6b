import { systemClock } from "../../kv/schema/time.ts";
import { createFakeServer, assignmentOf } from "../support/fake_server.ts";
import { serveWire, JOIN_TOKEN } from "../support/wire_server.ts";
import { TEST_IMAGE } from "../support/engine.ts";
import { spawn } from "../support/processes.ts";
const fake = createFakeServer(systemClock); const wire = serveWire(fake);
const dir = await Deno.makeTempDir();
const n = Number(Deno.args[0] ?? 0);
const all = Array.from({length:n},(_,i)=>assignmentOf(i+1,{image:TEST_IMAGE,command:["sleep","10000"],stopGraceMs:0}));
fake.assign(...all);
const w = spawn("worker", ["--server", wire.url, "--name", "n1", "--state-dir", dir, "--join", JOIN_TOKEN]);
await new Promise(r=>setTimeout(r,8000));
const cpu = async()=>{ const f=(await Deno.readTextFile(`/proc/${w.pid}/stat`)).split(" "); return Number(f[13])+Number(f[14]); };
const c0=await cpu(); const p0 = fake.pollsMs.length;
for (let i=0;i<9;i++){ await new Promise(r=>setTimeout(r,10000)); console.log((await Deno.readTextFile(`/proc/${w.pid}/status`)).match(/VmRSS:\s+(\d+)/)![1]); }
const rss=(await Deno.readTextFile(`/proc/${w.pid}/status`)).match(/VmRSS:\s+(\d+)/)![1];
console.log("rss MiB", (Number(rss)/1024).toFixed(1), "cpu %", ((await cpu()-c0)/20).toFixed(2), "polls", fake.pollsMs.length-p0, [...fake.rows.values()].filter(r=>r.state==="running").length);
fake.assign(); await new Promise(r=>setTimeout(r,n?8000:500));
console.log(await w.stop(), w.log().slice(-500)); await wire.close(); await Deno.remove(dir,{recursive:true});
