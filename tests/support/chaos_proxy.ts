/**
 * A socket in front of an engine's: what comes between can be slow, stand still, be cut, or go away
 * altogether, while the engine itself and its containers stay as they are.
 *
 * @module
 */

export interface ChaosProxy {
  path: string;
  /** Everything passes; what was held back goes on its way. */
  pass(): void;
  /** Each piece of data is held back for so long. */
  slow(ms: number): void;
  /** Connections are taken, requests are not answered: a hung engine. */
  hang(): void;
  /** Breaks all connections and takes no new ones: an engine that is being restarted. */
  down(): void;
  /** Is there again after {@link ChaosProxy.down}. */
  up(): void;
  /** Connections that are open now. */
  open(): number;
  close(): Promise<void>;
}

const BUFFER = 64 * 1024;

/** Listens at `path` for clients of the engine at `enginePath`. */
export function chaosProxy(path: string, enginePath: string): ChaosProxy {
  const sockets = new Set<Deno.UnixConn>();
  const pumps = new Set<Promise<void>>();
  let gate: { opened: Promise<void>; open: () => void } | undefined;
  let delayMs = 0;
  let listeners = 0;
  let listener: Deno.UnixListener | undefined;

  /** From one side to the other, until either ends. */
  async function pump(from: Deno.UnixConn, to: Deno.UnixConn): Promise<void> {
    const buffer = new Uint8Array(BUFFER);
    try {
      for (let read = await from.read(buffer); read !== null; read = await from.read(buffer)) {
        if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
        while (gate) await gate.opened;
        for (let at = 0; at < read;) at += await to.write(buffer.subarray(at, read));
      }
      await to.closeWrite();
    } catch {
      // Either side is gone, which the other is told now.
      end(from);
      end(to);
    }
  }

  function end(socket: Deno.UnixConn): void {
    if (sockets.delete(socket)) socket.close();
  }

  async function serve(client: Deno.UnixConn): Promise<void> {
    sockets.add(client);
    try {
      const engine = await Deno.connect({ transport: "unix", path: enginePath });
      sockets.add(engine);
      await Promise.all([pump(client, engine), pump(engine, client)]);
      end(engine);
    } finally {
      end(client);
    }
  }

  async function accept(from: Deno.UnixListener): Promise<void> {
    for await (const client of from) {
      const served: Promise<void> = serve(client).finally(() => pumps.delete(served));
      pumps.add(served);
    }
  }

  const proxy: ChaosProxy = {
    path,
    pass() {
      delayMs = 0;
      gate?.open();
      gate = undefined;
    },
    slow(ms) {
      delayMs = ms;
    },
    hang() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate ??= { opened: promise, open: resolve };
    },
    down() {
      if (listener) Deno.removeSync(path);
      listener?.close();
      listener = undefined;
      proxy.pass();
      for (const socket of [...sockets]) end(socket);
    },
    up() {
      // A closed listener removes its file some time later, which must not be that of the next one.
      const own = `${path}.${++listeners}`;
      listener = Deno.listen({ transport: "unix", path: own });
      Deno.symlinkSync(own, path);
      const accepting: Promise<void> = accept(listener).finally(() => pumps.delete(accepting));
      pumps.add(accepting);
    },
    open: () => sockets.size,
    async close() {
      proxy.down();
      await Promise.all(pumps);
    },
  };
  proxy.up();
  return proxy;
}
