/**
 * The work queue: KV rows, written in the commit that makes the change and deleted in the commit that
 * makes the effect. A message is a wake-up that names an object; it carries nothing, so losing,
 * doubling or reordering messages changes no outcome.
 *
 * A message whose handling throws is counted; after {@link MAX_TRIES} it is parked: out of the queue,
 * visible, retryable. One that this version cannot read (a newer one's, left behind by an upgrade that was
 * taken back) is parked at once, as it is.
 *
 * @module
 */
import { key, prefix } from "./keys.ts";
import { ParkedMessage, QueueFailure, QueueMessage } from "./schema/control.ts";
import { getRow, type Kv, readRow } from "./store.ts";

export const MAX_TRIES = 5;
const MAX_BATCH = 500;

export interface QueuedMessage {
  messageId: string;
  message: QueueMessage;
}

/** Adds a wake-up to a commit. The head row lets one watch see every message. */
export function enqueue(
  op: Deno.AtomicOperation,
  message: QueueMessage,
  newId: () => string,
): Deno.AtomicOperation {
  const messageId = newId();
  return op.set(key.queue(messageId), message).set(key.queueHead(), messageId);
}

/** A row of the queue that is no message to this version. */
export interface UnreadableMessage {
  messageId: string;
  value: unknown;
  problem: string;
}

/** The oldest messages that are not parked, of at most `limit` rows; the others are told of. */
export async function readQueue(
  kv: Kv,
  limit: number,
  onUnreadable: (unreadable: UnreadableMessage) => void = () => {},
): Promise<QueuedMessage[]> {
  const messages: QueuedMessage[] = [];
  const batchSize = Math.min(limit, MAX_BATCH);
  for await (const { key, value } of kv.list({ prefix: prefix.queue() }, { limit, batchSize })) {
    const messageId = String(key[1]);
    const read = readRow(value, QueueMessage);
    if (read.ok) messages.push({ messageId, message: read.row });
    else onUnreadable({ messageId, value, problem: read.problem });
  }
  return messages;
}

/** Parks what cannot be read: trying again would not help this version. */
export async function parkUnreadable(
  kv: Kv,
  { messageId, value, problem }: UnreadableMessage,
  guard: Deno.AtomicCheck,
): Promise<void> {
  const row: ParkedMessage = { kind: "unreadable", messageId, tries: 1, error: problem };
  await kv.atomic().check(guard)
    .set(key.failed(messageId), { ...row, parked: true, value })
    .delete(key.queue(messageId))
    .commit();
}

/** How many messages wait. */
export async function countQueue(kv: Kv): Promise<number> {
  let count = 0;
  for await (const _ of kv.list({ prefix: prefix.queue() }, { batchSize: 1000 })) count++;
  return count;
}

/** Counts a failure of a message; the one that makes {@link MAX_TRIES} parks it. */
export async function failMessage(
  kv: Kv,
  queued: QueuedMessage,
  options: { error: string; guard: Deno.AtomicCheck },
): Promise<{ tries: number; parked: boolean }> {
  const { messageId, message } = queued;
  const known = await getRow(kv, key.failed(messageId), QueueFailure);
  const tries = (known?.row.tries ?? 0) + 1;
  const parked = tries >= MAX_TRIES;
  const op = kv.atomic().check(options.guard);
  if (parked) {
    const row: ParkedMessage = { ...message, messageId, tries, error: options.error };
    op.set(key.failed(messageId), { ...row, parked }).delete(key.queue(messageId));
  } else {
    op.set(key.failed(messageId), { tries, error: options.error, parked });
  }
  await op.commit();
  return { tries, parked };
}

/** The parked messages, oldest first. */
export async function listParked(kv: Kv): Promise<ParkedMessage[]> {
  const parked: ParkedMessage[] = [];
  for await (const entry of kv.list({ prefix: prefix.failed() })) {
    const row = ParkedMessage.safeParse(entry.value);
    if (row.success) parked.push(row.data);
  }
  return parked;
}

/** Puts a parked message back into the queue; false when there is none of that id. */
export async function retryParked(
  kv: Kv,
  messageId: string,
  newId: () => string,
): Promise<boolean> {
  const found = await kv.get(key.failed(messageId));
  const row = ParkedMessage.safeParse(found.value);
  if (!row.success) return false;
  const op = kv.atomic().check(found).delete(key.failed(messageId));
  const message = QueueMessage.safeParse(row.data);
  const value = message.success ? message.data : (found.value as { value: unknown }).value;
  const done = await enqueue(op, value as QueueMessage, newId).commit();
  return done.ok;
}
