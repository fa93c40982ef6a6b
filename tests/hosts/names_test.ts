import { assert, assertEquals } from "@std/assert";
import { specOf } from "../../cli/commands/lifecycle.ts";
import { eventually } from "../support/eventually.ts";
import { type Hosts, hostsTest } from "../support/hosts.ts";
import { type Run, serving, SERVING_PORT as PORT, within } from "../support/hosts_services.ts";

const bed = { count: 3, nodeTtlMs: 4000 };

/** Three hosts with a client on the third. */
function namesTest(name: string, body: (at: Hosts & Client) => Promise<void>): void {
  hostsTest(name, bed, async (all) => {
    await serving(all, "client", { where: ["== h3"] });
    await within(all, "shop/client", (run) => body({ ...all, ...clientOf(run) }));
  });
}

interface Client {
  /** What the service at that name says to the client. */
  get(host: string): Promise<string>;
  /** What the name is, for the client. */
  look(name: string, type?: "a" | "srv"): Promise<string[]>;
}

function clientOf(run: Run): Client {
  return {
    async get(host) {
      const { code, said } = await run("wget", "-q", "-O", "-", `http://${host}:${PORT}`);
      return code === 0 ? said.trim() : `failed: ${said.trim()}`;
    },
    async look(name, type = "a") {
      const { said } = await run("nslookup", `-type=${type}`, name);
      // After the server's own address.
      const answer = said.slice(said.indexOf("\n\n"));
      return [...answer.matchAll(/Address: (\S+)|service = (.+)|(NXDOMAIN)/g)]
        .map(([, address, service, code]) => address ?? service ?? code ?? "").sort();
    },
  };
}

async function several(times: number, get: () => Promise<string>): Promise<Set<string>> {
  const said = new Set<string>();
  for (let i = 0; i < times; i++) said.add(await get());
  return said;
}

namesTest(
  "a container reaches services by name, on other hosts, in other projects, one task at a time",
  async (all) => {
    const { server, get, look } = all;
    await serving(all, "api", { replicas: 2, where: ["!= h3"] });
    await serving(all, "api.bank", { where: ["== h1"] });
    await serving(all, "local", { where: ["== h3"], ports: [] });

    const said = await several(4, () => get("api"));
    assertEquals(said.size, 2, "both replicas answer");
    assert([...said].every((one) => one.startsWith("api.shop ")), [...said].join());
    assert((await get("api.shop")).startsWith("api.shop "));
    assert((await get("api.bank")).startsWith("api.bank "));
    assert((await get("api.shop.berth.internal")).startsWith("api.shop "));
    assert((await get("local")).startsWith("local.shop "), "a neighbour needs no ports");
    assertEquals(await look("nothing"), ["NXDOMAIN"]);

    assertEquals((await look("api")).length, 1);
    const tasks = await look("tasks.api");
    assertEquals(tasks.length, 2);
    const each = await Promise.all(tasks.map((address) => get(address)));
    assertEquals(new Set(each), said, "each address is one task");
    assertEquals(await look(`_${PORT}._tcp.api`, "srv"), [`0 0 ${PORT} api.shop.berth.internal`]);

    const now = await server.client.getService("api", "shop");
    assert(now.ok);
    const more = { ...specOf(now.value), mode: { type: "replicated" as const, replicas: 3 } };
    assert((await server.client.putService(now.value.id, more)).ok);
    await eventually(async () => (await look("tasks.api")).length === 3, {
      timeoutMs: 20_000,
      what: "the third task to have an address",
    });
  },
);

namesTest(
  "a port that is published for one service takes nothing from others with the same port",
  async (all) => {
    const { get, hosts } = all;
    await serving(all, "before", { where: ["== h1"] });
    assert((await get("before")).startsWith("before.shop "));
    await serving(all, "public", { where: ["== h2"], ports: [{ target: PORT, published: PORT }] });
    await serving(all, "after", { where: ["== h1"] });
    const [h1] = hosts;
    const atH1 = () =>
      fetch(`http://${h1?.address}:${PORT}/`, { headers: { connection: "close" } })
        .then((response) => response.text(), () => "");
    await eventually(async () => (await atH1()).startsWith("public.shop "), {
      timeoutMs: 20_000,
      what: "the published port to answer on every host",
    });
    for (const name of ["before", "public", "after"]) {
      assert((await get(name)).startsWith(`${name}.shop `), name);
    }
  },
);

namesTest(
  "names are answered while the control plane is away, and by a worker that starts meanwhile",
  async (all) => {
    const { server, hosts, get, look } = all;
    const host = hosts[2];
    assert(host);
    await serving(all, "api", { replicas: 2, where: ["!= h3"] });
    const address = await look("api");
    assertEquals(address.length, 1);
    await server.stop("SIGKILL");
    assertEquals(await look("api"), address);
    assert((await get("api")).startsWith("api.shop "));
    assertEquals((await look("tasks.api")).length, 2, "also one that nobody asked for before");

    await host.worker().stop("SIGKILL");
    host.relaunch();
    await eventually(async () => (await look("api")).join() === address.join(), {
      timeoutMs: 30_000,
      what: "the name to have its address again",
    });
    assert((await get("api")).startsWith("api.shop "));
  },
);
