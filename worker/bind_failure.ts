/**
 * Why a port cannot be listened on, for people. Pure.
 *
 * @module
 */
import type { UnboundPort } from "../kv/schema/node.ts";
import { messageOf } from "./state_file.ts";

const ABSENT =
  /not available|not supported|cannot assign requested address|EADDRNOTAVAIL|EAFNOSUPPORT/i;

/** The machine does not have the address that was to be listened on. */
export function isAddressAbsent(error: unknown): boolean {
  return ABSENT.test(messageOf(error));
}

export function bindFailure(error: unknown): string {
  const message = messageOf(error);
  if (error instanceof Deno.errors.AddrInUse || /EADDRINUSE|in use/i.test(message)) {
    return "another program of this machine has it";
  }
  if (error instanceof Deno.errors.PermissionDenied || /EACCES|permission/i.test(message)) {
    return "it may not be bound: ports below 1024 need root or CAP_NET_BIND_SERVICE";
  }
  if (isAddressAbsent(error)) return "this machine does not have the address";
  return message.slice(0, 200);
}

/** The port that a program written in Go complains of, if it is one. */
export function unboundIn(complaint: string): UnboundPort | undefined {
  const [, port, why] = /listen tcp \S*:(\d+): (bind: [a-z ]+)/.exec(complaint) ?? [];
  if (port === undefined || why === undefined) return undefined;
  return { protocol: "tcp", published: Number(port), reason: bindFailure(why) };
}
