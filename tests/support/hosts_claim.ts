/**
 * What a bed of hosts takes of this machine, claimed under a number, so that beds of several processes do
 * not meet and what a killed process left is found and cleared.
 *
 * @module
 */

/** Holds a directory per claim, and the lock under which claims are made and cleared. */
const BASE = "/tmp/berth-hosts";
const MOST = 200;

export interface Claim {
  /** From 0; part of every name and address of the bed. */
  n: number;
  dir: string;
}

/** Clears what dead processes left, then takes a number that nobody holds. */
export async function claim(): Promise<Claim> {
  await Deno.mkdir(BASE, { recursive: true });
  using lock = await Deno.open(`${BASE}/lock`, { create: true, write: true });
  await lock.lock(true);
  for await (const { name } of Deno.readDir(BASE)) {
    if (/^\d+$/.test(name) && !await hasOwner(`${BASE}/${name}`)) {
      await clear({ n: Number(name), dir: `${BASE}/${name}` });
    }
  }
  for (let n = 0; n < MOST; n++) {
    const dir = `${BASE}/${n}`;
    if (await exists(dir)) continue;
    await Deno.mkdir(dir);
    await Deno.writeTextFile(`${dir}/owner`, `${Deno.pid} ${await startOf(Deno.pid)}`);
    return { n, dir };
  }
  throw new Error(`all ${MOST} beds of hosts are taken; see ${BASE}`);
}

export const nameOf = ({ n }: Claim, part: string) => `berth-${n}-${part}`;
/** The root namespace's end of the bed's network. */
export const uplinkOf = ({ n }: Claim) => `berth-${n}`;

/** Ends all processes of the bed, and takes away its namespaces, mounts, control groups and files. */
export async function clear({ n, dir }: Claim): Promise<void> {
  const script = new URL("hosts_clear.sh", import.meta.url).pathname;
  await must("sh", script, String(n), dir);
}

/** Where the bed's containers are accounted, below the roots of the control groups. */
export const cgroupOf = (claim: Claim) => nameOf(claim, "hosts");

async function hasOwner(dir: string): Promise<boolean> {
  const [pid = "", start] = (await Deno.readTextFile(`${dir}/owner`).catch(() => "")).split(" ");
  return pid !== "" && start !== undefined && await startOf(Number(pid)) === start;
}

/** When the process started, in the kernel's ticks; a number is used again, this is not. */
async function startOf(pid: number): Promise<string | undefined> {
  // Deno reads nothing there itself without all permissions.
  const stat = await must("cat", `/proc/${pid}/stat`).catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

function exists(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}

/** Runs a command to its end and answers what it printed; fails when it fails. */
export async function must(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  throw new Error(`${command} ${args.join(" ")}: ${decoder.decode(stderr).trim()}`);
}
