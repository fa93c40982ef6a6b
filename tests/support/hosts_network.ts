/**
 * The network of a bed of hosts: a switch in a namespace of its own, so that no packet filter of this
 * machine sees what passes it, a wire from there to each host, and one to the root namespace.
 *
 * @module
 */
import { type Claim, must, nameOf, uplinkOf } from "./hosts_claim.ts";

/** Seen from the host: `in`, nothing reaches it; `out`, nothing leaves it. */
export type Direction = "in" | "out" | "both";

export interface HostNetwork {
  name: string;
  address: string;
  /** Starts a command in the host's network. (`ip netns exec` would hide the control groups.) */
  within: readonly string[];
  /** Takes it off the network, or one direction of it. */
  cut(direction?: Direction): Promise<void>;
  /** Undoes every cut. */
  heal(): Promise<void>;
}

/** The root namespace's address on the bed's network, in a range that no real network uses. */
export const rootAddress = ({ n }: Claim) => `198.18.${n}.1`;
const FIRST_HOST = 11;

export async function plugHosts(claim: Claim, names: readonly string[]): Promise<HostNetwork[]> {
  const hub = nameOf(claim, "switch");
  const uplink = uplinkOf(claim);
  await must("ip", "netns", "add", hub);
  await batch(hub, ["link add name switch type bridge", "link set dev switch up"]);
  await must(
    "ip",
    ..."link add name".split(" "),
    uplink,
    ..."type veth peer name root".split(" "),
    "netns",
    hub,
  );
  await batch(hub, ["link set dev root master switch up"]);
  await batch(undefined, [
    `address add ${rootAddress(claim)}/24 dev ${uplink}`,
    `link set dev ${uplink} up`,
  ]);
  return await Promise.all(names.map((name, i) => plugHost(claim, name, FIRST_HOST + i)));
}

async function plugHost(claim: Claim, name: string, last: number): Promise<HostNetwork> {
  const hub = nameOf(claim, "switch");
  const space = nameOf(claim, name);
  const address = `198.18.${claim.n}.${last}`;
  const wire = `host${last}`;
  await must("ip", "netns", "add", space);
  await batch(hub, [
    `link add name ${wire} type veth peer name eth0 netns ${space}`,
    `link set dev ${wire} master switch up`,
  ]);
  await batch(space, [
    "link set dev lo up",
    `address add ${address}/24 dev eth0`,
    "link set dev eth0 up",
    `route add default via ${rootAddress(claim)}`,
  ]);
  const within = ["nsenter", `--net=/var/run/netns/${space}`];
  const [nsenter = "", net = ""] = within;
  // Before anything else of the engine's own, in both tables: forwarded packets too.
  const rules = {
    in: "-t raw %s PREROUTING -i eth0 -j DROP",
    out: "-t mangle %s POSTROUTING -o eth0 -j DROP",
  };
  const filter = (direction: "in" | "out", verb: "-I" | "-D") =>
    must(nsenter, net, "iptables", "-w", ...rules[direction].replace("%s", verb).split(" "));
  const cuts = new Set<Direction>();
  return {
    name,
    address,
    within,
    async cut(direction = "both") {
      if (cuts.has(direction)) return;
      cuts.add(direction);
      if (direction === "both") await batch(hub, [`link set dev ${wire} down`]);
      else await filter(direction, "-I");
    },
    async heal() {
      for (const direction of cuts) {
        cuts.delete(direction);
        if (direction === "both") await batch(hub, [`link set dev ${wire} up`]);
        else await filter(direction, "-D");
      }
    },
  };
}

/** Commands of `ip`, in that namespace or the root one. */
async function batch(space: string | undefined, commands: readonly string[]): Promise<void> {
  for (const command of commands) {
    await must("ip", ...(space ? ["-n", space] : []), ...command.split(" "));
  }
}
