/**
 * UDP sockets, with promises.
 *
 * @module
 */
import { createSocket, type Socket } from "node:dgram";

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

/** The port of the service that throws away what it gets. */
const CLAIM_PORT = 9;

/**
 * Takes an address for as long as it is not released: nobody else of this machine who asks this way gets
 * it. Rejects with what the operating system says.
 */
export async function claimAddress(address: string): Promise<() => Promise<void>> {
  const socket = createSocket("udp4");
  try {
    await bindDatagram(socket, { address, port: CLAIM_PORT });
  } catch (error) {
    await closeDatagram(socket);
    throw error;
  }
  let released: Promise<void> | undefined;
  return () => released ??= closeDatagram(socket);
}
