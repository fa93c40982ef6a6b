/**
 * A scan's answer, as a process of the simulation gets it.
 *
 * @module
 */
/** The whole answer at once: a scan of this size is one snapshot in the real one too. */
export function iterate<T>(read: () => Promise<Deno.KvEntry<T>[]>): Deno.KvListIterator<T> {
  let entries: Deno.KvEntry<T>[] | undefined;
  let at = 0;
  const iterator: Deno.KvListIterator<T> = {
    cursor: "",
    async next() {
      entries ??= await read();
      const value = entries[at++];
      return value ? { done: false, value } : { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}
