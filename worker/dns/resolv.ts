/**
 * The machine's own resolvers, as its resolv.conf has them. Pure.
 *
 * @module
 */

const MAX_SERVERS = 3;

/** The addresses of the first three name servers. IPv6 ones may have a zone, like `fe80::1%eth0`. */
export function nameServers(resolvConf: string): string[] {
  return resolvConf.split("\n")
    .map((line) => /^\s*nameserver\s+([0-9A-Fa-f.:]+(?:%\S+)?)\s*(?:[#;].*)?$/.exec(line)?.[1])
    .filter((server) => server !== undefined)
    .slice(0, MAX_SERVERS);
}

/** Those that a container can reach as well: not the machine's loopback. */
export function reachableFromContainers(servers: readonly string[]): string[] {
  return servers.filter((server) => !/^127\.|^::1$|^fe80:|^0\./i.test(server));
}
