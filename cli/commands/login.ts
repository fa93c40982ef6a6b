/**
 * `berth login`, `berth logout` and `berth registry ls`: credentials for pulling images.
 *
 * @module
 */
import { DEFAULT_REGISTRY, RegistryName } from "../../kv/schema/registry.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { age } from "../format/duration.ts";
import { askHidden, type Hidden } from "../hidden.ts";
import { readBytes } from "../input.ts";
import { fail, failCall, printList } from "../report.ts";

export interface LoginOptions {
  username: string | undefined;
  password: string | undefined;
  passwordStdin: boolean;
}

const MAX_PASSWORD_BYTES = 16 * 1024;

export async function login(
  options: LoginOptions,
  server: string = DEFAULT_REGISTRY,
  deps: ServerDeps,
): Promise<ExitCode> {
  const name = nameOf(server);
  const usage = `printf %s "$PASSWORD" | berth login ${name ?? "REGISTRY"} -u NAME`;
  const refuse = (message: string) => fail(deps, message, usage, EXIT.usage);
  if (name === undefined) return refuse(`${server} is no registry: ${NAME_RULE}`);
  const { username } = options;
  if (username === undefined) return refuse("there is no user name: give --username");
  const password = await readPassword(options, name, deps);
  if (!password.ok) return refuse(password.message);
  if (password.text === "") return refuse("the password is empty");
  const request = { username, password: password.text };
  const put = await deps.client.putRegistry(name, request);
  if (!put.ok) return failCall(deps, put.error, `cannot store credentials for ${name}`);
  deps.io.out(`${put.value.registry}\n`);
  return EXIT.ok;
}

export async function logout(
  server: string = DEFAULT_REGISTRY,
  deps: ServerDeps,
): Promise<ExitCode> {
  const name = nameOf(server);
  if (name === undefined) {
    const message = `${server} is no registry: ${NAME_RULE}`;
    return fail(deps, message, "berth registry ls", EXIT.usage);
  }
  const gone = await deps.client.deleteRegistry(name);
  if (!gone.ok) return failCall(deps, gone.error, `cannot forget ${name}`);
  deps.io.out(`${name}\n`);
  return EXIT.ok;
}

export async function list(deps: ServerDeps): Promise<ExitCode> {
  const listed = await deps.client.listRegistries();
  if (!listed.ok) return failCall(deps, listed.error, "cannot list registries");
  const nowMs = deps.clock.wallMs();
  return await printList(deps, {
    rows: listed.value.items,
    columns: [
      { header: "REGISTRY", cell: (one) => one.registry, minWidth: 8 },
      { header: "USER", cell: (one) => one.username, minWidth: 4 },
      { header: "CHANGED", cell: (one) => age(nowMs - Date.parse(one.updatedAt)), drop: 1 },
    ],
    name: (one) => one.registry,
    empty: "No credentials. Store some: berth login REGISTRY -u NAME",
  });
}

const NAME_RULE = "it is HOST, HOST:PORT, or one of these with the beginning of a path";
/** Other names of the default one, as people know them from Docker's files. */
const DEFAULT_ALIASES = /^(index\.docker\.io(\/v1)?|registry-1\.docker\.io)$/;

/** The registry as images name it; people also give its address. */
function nameOf(server: string): string | undefined {
  const bare = server.toLowerCase().replace(/^https?:\/\//, "").replace(/\/+$/, "");
  const name = RegistryName.safeParse(bare.replace(DEFAULT_ALIASES, DEFAULT_REGISTRY));
  return name.success ? name.data : undefined;
}

async function readPassword(
  { username, password, passwordStdin }: LoginOptions,
  name: string,
  deps: ServerDeps,
): Promise<Hidden> {
  if (password !== undefined) {
    if (passwordStdin) {
      return { ok: false, message: "--password and --password-stdin exclude each other" };
    }
    deps.io.err("warning: --password is seen in the shell's history and by who lists processes\n");
    return { ok: true, text: password };
  }
  if (deps.io.inIsTty && !passwordStdin) {
    const question = `Password of ${username} for ${name}: `;
    return await askHidden(deps.io, question, MAX_PASSWORD_BYTES);
  }
  const read = await readBytes("-", deps, MAX_PASSWORD_BYTES);
  if (!read.ok) return read;
  // As docker login has it: a line's end is none of the password.
  return { ok: true, text: new TextDecoder().decode(read.bytes).replace(/\r?\n$/, "") };
}
