import { assert, assertEquals } from "@std/assert";
import { specOf } from "../../cli/commands/lifecycle.ts";
import type { ServiceSpecInput } from "../../kv/schema/service.ts";
import { eventually } from "../support/eventually.ts";
import { type Hosts, hostsTest } from "../support/hosts.ts";
import { type Run, runService, settled, within } from "../support/hosts_services.ts";

const TTL_MS = 4000;
const bed = { count: 3, nodeTtlMs: TTL_MS };
const PORT = 8080;

type Template = Partial<ServiceSpecInput["template"]>;

/** A service of project shop, unless it says `name.project`, whose tasks answer with its name. */
async function serving(
  { server }: Hosts,
  fullName: string,
  { replicas = 1, where = [], ...template }: Template & { replicas?: number; where?: string[] } =
    {},
): Promise<void> {
  const [name = "", project = "shop"] = fullName.split(".");
  const serve = `mkdir /w; echo ${name}.${project} $HOSTNAME > /w/index.html; ` +
    `exec httpd -f -p ${PORT} -h /w`;
  await runService(server, { name, project, mode: { type: "replicated", replicas } }, {
    command: ["sh", "-c", serve],
    ports: [{ target: PORT }],
    placement: { constraints: where.map((rule) => `node.name ${rule}`) },
    ...template,
  });
  await settled(server, `${project}/${name}`, replicas);
}

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

namesTest(
  "when a host is cut off, requests by name fail no more after its TTL and a second; healed, nothing is doubled",
  async (all) => {
    const { get, hosts, look } = all;
    await serving(all, "api", { replicas: 2, where: ["!= h3"] });
    const before = await several(4, () => get("api"));
    assertEquals(before.size, 2);
    const [h1] = hosts;
    const cutMs = performance.now();
    await h1?.cut();
    await eventually(() => performance.now() - cutMs > TTL_MS + 1000, { timeoutMs: 2 * TTL_MS });
    for (let i = 0; i < 8; i++) {
      const said = await get("api");
      assert(said.startsWith("api.shop "), said);
    }
    await h1?.heal();
    await eventually(async () => (await look("tasks.api")).length === 2, {
      timeoutMs: 20_000,
      what: "two tasks to be known again",
    });
  },
);
