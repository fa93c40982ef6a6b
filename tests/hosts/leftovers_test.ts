import { assertEquals } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { hostsTest } from "../support/hosts.ts";
import { claim, clear, must, nameOf } from "../support/hosts_claim.ts";
import { plugHosts } from "../support/hosts_network.ts";

// Given by the test to its own child, which makes a bed and waits to be killed.
const PLUG = `
  import { claim } from "${new URL("../support/hosts_claim.ts", import.meta.url)}";
  import { plugHosts } from "${new URL("../support/hosts_network.ts", import.meta.url)}";
  const mine = await claim();
  const [host] = await plugHosts(mine, ["h1"]);
  const [command, ...args] = [...host.within, "sleep", "3600"];
  new Deno.Command(command, { args }).spawn();
  console.log(mine.n);
  setInterval(() => {}, 1000);
`;

hostsTest(
  "what a killed test left is cleared before the next bed is made",
  { count: 0 },
  async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--quiet", PLUG],
      stdout: "piped",
      cwd: new URL("../..", import.meta.url).pathname,
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value = "" } = await reader.read();
    const left = { n: Number(value), dir: `/tmp/berth-hosts/${value.trim()}` };
    const space = nameOf(left, "h1");
    const [sleeper = ""] = (await must("ip", "netns", "pids", space)).split("\n");
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();

    const next = await claim();
    try {
      const spaces = await must("ip", "netns", "list");
      assertEquals(spaces.includes(`${space} `) || spaces.endsWith(space), false, spaces);
      await eventually(() => must("kill", "-0", sleeper).then(() => false, () => true), {
        what: "the process that was left to be gone",
      });
      assertEquals((await plugHosts(next, ["h1"])).length, 1);
    } finally {
      await clear(next);
    }
  },
);
