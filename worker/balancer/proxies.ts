/**
 * What all proxies of one owner share: buffers, deadlines, and a clock that ticks while there are
 * connections, to close those that are idle. Without any nothing ticks: an idle node costs nothing.
 *
 * @module
 */
import type { Clock } from "../../kv/schema/time.ts";
import type { Log } from "../log.ts";
import { createWake } from "../wake.ts";
import { createDeadlines } from "./deadlines.ts";
import { createBuffers } from "./splice.ts";
import type { Proxy, ProxyDeps } from "./tcp_proxy.ts";

export interface Proxies {
  /** For every proxy that the owner opens. */
  deps: ProxyDeps;
  /** It listens no longer; its connections live on. */
  leave(proxy: Proxy): void;
  connections(): number;
  /** Ticks until the signal aborts, then ends all proxies. */
  run(signal: AbortSignal): Promise<void>;
}

const TICK_MS = 1_000;

/** `listening` are the owner's open proxies. */
export function createProxies(
  { clock, log, listening }: { clock: Clock; log: Log; listening: () => Iterable<Proxy> },
): Proxies {
  const ticker = { nowMs: clock.monoMs() };
  const deadlines = createDeadlines(clock);
  const bell = createWake(clock);
  const leaving = new Set<Proxy>();
  let ticking = false;

  const all = () => [...listening(), ...leaving];
  const connections = () => all().reduce((sum, proxy) => sum + proxy.connections, 0);

  function sweep(): void {
    ticker.nowMs = clock.monoMs();
    for (const proxy of all()) proxy.sweep(ticker.nowMs);
    for (const proxy of leaving) if (proxy.connections === 0) leaving.delete(proxy);
  }

  return {
    deps: {
      ...{ buffers: createBuffers(), ticker, clock, deadlines, log },
      onOpen() {
        if (ticking) return;
        ticking = true;
        ticker.nowMs = clock.monoMs();
        bell.ring();
      },
    },
    leave(proxy) {
      proxy.close();
      leaving.add(proxy);
    },
    connections,
    async run(signal) {
      while (!signal.aborted) {
        sweep();
        ticking = connections() > 0 || leaving.size > 0;
        if (ticking) await clock.sleep(TICK_MS, signal);
        else await bell.wait(signal);
      }
      for (const proxy of all()) proxy.cut();
      deadlines.close();
    },
  };
}
