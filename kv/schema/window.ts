/**
 * How much of a forwarded connection may be under way in a tunnel: a WebSocket cannot be told to pause,
 * so each side says what it has passed on (`taken`), and the other sends no more than the window beyond
 * that.
 *
 * @module
 */

export const WINDOW_BYTES = 256 * 1024;

export interface SendWindow {
  /** Resolves when so many bytes may be sent, and counts them as sent; false when it was closed. */
  room(bytes: number): Promise<boolean>;
  /** The other side has passed on so many. */
  taken(bytes: number): void;
  /** Nothing more is sent. */
  close(): void;
}

/** For one direction and one sender. */
export function createWindow(): SendWindow {
  let underWay = 0;
  let closed = false;
  let wake = () => {};
  return {
    async room(bytes) {
      // A piece larger than the window goes alone.
      while (!closed && underWay > 0 && underWay + bytes > WINDOW_BYTES) {
        await new Promise<void>((resolve) => wake = resolve);
      }
      underWay += bytes;
      return !closed;
    },
    taken(bytes) {
      underWay = Math.max(0, underWay - bytes);
      wake();
    },
    close() {
      closed = true;
      wake();
    },
  };
}
