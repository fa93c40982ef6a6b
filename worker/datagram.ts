/**
 * UDP sockets, with promises.
 *
 * @module
 */
import type { Socket } from "node:dgram";

/** Rejects with what the operating system says; the socket is still to be closed then. */
export function bindDatagram(
  socket: Socket,
  at: { address: string; port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(at, () => {
      socket.off("error", reject);
      resolve();
    });
  });
}

/** Resolves once its address is free again. */
export function closeDatagram(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
