/**
 * From `healthcheck` to the engine's probe. Pure.
 *
 * @module
 */
import type { ServiceSpecInput } from "../../../kv/schema/service.ts";
import { ComposeError, get, type Tree } from "../tree.ts";
import { durationAt, flagAt, numberAt, present, textsAt } from "./read.ts";

type Health = NonNullable<ServiceSpecInput["template"]["health"]>;

/** A check without a test is that of the image, with other numbers. */
export function healthOf(service: Tree): Health | undefined {
  const check = get(service, "healthcheck");
  if (!check) return undefined;
  if (flagAt(check, "disable")) return { probe: { type: "none" } };
  const [kind, ...rest] = textsAt(check, "test") ?? [];
  const at = get(check, "test")?.at;
  const numbers = present({
    intervalMs: durationAt(check, "interval"),
    timeoutMs: durationAt(check, "timeout"),
    retries: numberAt(check, "retries"),
    startPeriodMs: durationAt(check, "start_period"),
    startIntervalMs: durationAt(check, "start_interval"),
  });
  switch (kind) {
    case undefined:
      return { probe: { type: "engine" }, ...numbers };
    case "NONE":
      return { probe: { type: "none" } };
    case "CMD":
      if (rest.length === 0) throw new ComposeError("healthcheck.test: CMD has no command", at);
      return { probe: { type: "engine", command: rest }, ...numbers };
    case "CMD-SHELL":
      return { probe: { type: "engine", command: ["/bin/sh", "-c", rest.join(" ")] }, ...numbers };
    default:
      throw new ComposeError(
        `healthcheck.test: a list begins with CMD, CMD-SHELL or NONE, found "${kind}"`,
        at,
        `write [CMD, ${kind}, …], or the whole as text`,
      );
  }
}
