/**
 * Reads output that an engine stamped with times (`timestamps` of its logs) back into lines, each with
 * its time. Pure but for its own memory.
 *
 * The engine keeps a long line in pieces of {@link PIECE_BYTES} and stamps each of them, so stamps
 * stand at the beginning of lines and at every so many bytes within.
 *
 * @module
 */
import { concat } from "./lines.ts";

export interface StampedLine {
  /** Microseconds since the epoch; the line's before it where the engine gave none. */
  timeUs: number;
  /** As the engine wrote it; empty when it wrote none. */
  time: string;
  /** Without the stamp, with its newline. */
  text: Uint8Array;
}

export interface StampedReader {
  push(data: Uint8Array): StampedLine[];
  /** What is left at the end, with a newline added. */
  flush(): StampedLine[];
}

const PIECE_BYTES = 16 * 1024;
/** A line longer than this is cut: memory stays bounded whatever a container prints. */
const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 10;
const SPACE = 32;
const MAX_STAMP_BYTES = 40;
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:\d\d)$/;

export function stampedReader(): StampedReader {
  let pending = new Uint8Array(0);
  let line = new Uint8Array(0);
  let stamp = { time: "", timeUs: 0 };
  /** Bytes of the line so far, what was cut off included. */
  let column = 0;
  let atStamp = true;

  /** Takes a stamp off the front; false when there are too few bytes to tell. */
  function readStamp(ended: boolean): boolean {
    const head = pending.subarray(0, MAX_STAMP_BYTES);
    const space = head.indexOf(SPACE);
    if (space < 0 && head.length < MAX_STAMP_BYTES && !head.includes(NEWLINE) && !ended) {
      return false;
    }
    const time = space < 0 ? "" : new TextDecoder().decode(head.subarray(0, space));
    const timeUs = microsOf(time);
    if (timeUs !== undefined) {
      if (column === 0) stamp = { time, timeUs };
      pending = pending.subarray(space + 1);
    }
    atStamp = false;
    return true;
  }

  function read(ended: boolean): StampedLine[] {
    const lines: StampedLine[] = [];
    const emit = (text: Uint8Array) => lines.push({ ...stamp, text });
    while (pending.length > 0) {
      if (atStamp && !readStamp(ended)) break;
      const room = PIECE_BYTES - column % PIECE_BYTES;
      const newline = pending.subarray(0, room).indexOf(NEWLINE);
      const count = newline < 0 ? Math.min(room, pending.length) : newline + 1;
      line = concat(line, pending.subarray(0, count));
      pending = pending.subarray(count);
      column += count;
      if (newline >= 0) {
        emit(line);
        [line, column, atStamp] = [new Uint8Array(0), 0, true];
        continue;
      }
      atStamp = column % PIECE_BYTES === 0;
      if (line.length >= MAX_LINE_BYTES) {
        emit(concat(line, Uint8Array.of(NEWLINE)));
        line = new Uint8Array(0);
      }
    }
    return lines;
  }

  return {
    push(data) {
      pending = concat(pending, data);
      return read(false);
    },
    flush() {
      const lines = read(true);
      if (line.length > 0) lines.push({ ...stamp, text: concat(line, Uint8Array.of(NEWLINE)) });
      line = new Uint8Array(0);
      return lines;
    },
  };
}

/** Microseconds since the epoch of an RFC 3339 time with up to nine digits of a second. */
export function microsOf(time: string): number | undefined {
  const match = STAMP.exec(time);
  if (!match) return undefined;
  const fraction = (match[1] ?? "").padEnd(9, "0");
  const wholeMs = Date.parse(time.replace(/\.\d+/, ""));
  return Number.isNaN(wholeMs) ? undefined : wholeMs * 1000 + Math.floor(Number(fraction) / 1000);
}
