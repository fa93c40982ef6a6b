/**
 * `berth events`: what happened, and with `-f` what happens.
 *
 * @module
 */
import type { EventView } from "../../kv/schema/event.ts";
import { isFailure } from "../../kv/schema/task_state.ts";
import type { ServerDeps } from "../deps.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { shortId } from "../format/quantity.ts";
import { oneLine, style } from "../format/style.ts";
import { failCall, hint, printValue } from "../report.ts";

export interface EventsOptions {
  follow: boolean;
  /** Wall time in ms. */
  sinceMs: number | undefined;
  last: number | undefined;
}

const DEFAULT_LAST = 50;
const SINCE_LAST = 1000;
const MAX_RETRY_MS = 5000;

export async function events(options: EventsOptions, deps: ServerDeps): Promise<ExitCode> {
  const { sinceMs } = options;
  const last = options.last ?? (sinceMs === undefined ? DEFAULT_LAST : SINCE_LAST);
  const listed = await deps.client.listEvents({ last });
  if (!listed.ok) return failCall(deps, listed.error, "cannot list events");
  const past = listed.value.items
    .filter((event) => sinceMs === undefined || Date.parse(event.at) >= sinceMs);
  const { output } = deps.view;
  const structured = output === "json" || output === "yaml";
  if (structured && !options.follow) {
    await printValue(deps, past, output);
    return EXIT.ok;
  }
  for (const event of past) await printEvent(event, deps);
  if (!options.follow) {
    if (past.length === 0) deps.io.err("No events. Follow new ones: berth events -f\n");
    return EXIT.ok;
  }
  return await follow(listed.value.items.at(-1)?.id, deps);
}

/** Follows until Ctrl-C, reconnecting after the last event that was seen. */
async function follow(after: string | undefined, deps: ServerDeps): Promise<ExitCode> {
  const stop = new AbortController();
  const disposers = (["SIGINT", "SIGTERM"] as const)
    .map((signal) => deps.io.onSignal(signal, () => stop.abort()));
  let last = after;
  let retryMs = 250;
  try {
    while (!stop.signal.aborted) {
      try {
        const from = last === undefined ? {} : { lastEventId: last };
        for await (const event of deps.client.followEvents({ ...from, signal: stop.signal })) {
          last = event.id;
          retryMs = 250;
          await printEvent(event, deps);
        }
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) throw error;
      }
      if (stop.signal.aborted) break;
      const still = await deps.client.cluster({ signal: stop.signal });
      if (!still.ok && still.error.kind !== "unreachable" && !stop.signal.aborted) {
        return failCall(deps, still.error, "cannot follow events");
      }
      if (!still.ok) hint(deps, "The server does not answer; trying again.");
      await deps.clock.sleep(retryMs, stop.signal);
      retryMs = Math.min(MAX_RETRY_MS, retryMs * 2);
    }
  } finally {
    for (const dispose of disposers) dispose();
  }
  return EXIT.ok;
}

async function printEvent(event: EventView, deps: ServerDeps): Promise<void> {
  const { output } = deps.view;
  if (deps.view.template) await printValue(deps, event, output);
  else if (output === "json") deps.io.out(JSON.stringify(event) + "\n");
  else if (output === "yaml") {
    deps.io.out("---\n");
    await printValue(deps, event, "yaml");
  } else deps.io.out(eventLine(event, deps) + "\n");
}

/** As wide as the longest, `rollout.rolling-back`. */
const TYPE_WIDTH = 20;

/** One event as a line: time, type, what it happened to, and why. */
export function eventLine(event: EventView, { view }: Pick<ServerDeps, "view">): string {
  const paint = style(view.color);
  const at = view.output === "wide" ? event.at : localTime(event.at);
  const parts = [paint.dim(at), paint.accent(event.type.padEnd(TYPE_WIDTH)), subject(event)];
  if (event.state) {
    const word = event.state +
      (event.attempt && event.attempt > 1 ? ` (start ${event.attempt})` : "");
    parts.push(isFailure(event.state) ? paint.bad(word) : paint.good(word));
  }
  if (event.node && (event.taskId || event.serviceId)) parts.push(paint.dim(`on ${event.node}`));
  if (event.why) parts.push(paint.dim(oneLine(event.why)));
  if (view.output === "wide") {
    parts.push(paint.dim(event.taskId ?? event.serviceId ?? event.nodeId ?? ""));
  }
  return parts.filter((part) => part !== "").join("  ");
}

function subject(event: EventView): string {
  const service = event.service?.replace(/^default\//, "");
  if (service !== undefined && event.slot !== undefined) return `${service}.${event.slot}`;
  if (service !== undefined) return service;
  if (event.node !== undefined) return event.node;
  const id = event.taskId ?? event.serviceId ?? event.nodeId;
  return id === undefined ? "" : shortId(id);
}

/** Of this machine's time zone. */
export function localDay(at: string): string {
  const date = new Date(at);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()]
    .map((part) => String(part).padStart(2, "0")).join("-");
}

function localTime(at: string): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, "0")).join(":");
}
