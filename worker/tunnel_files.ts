/**
 * The agent's side of copying files out of and into a container.
 *
 * @module
 */
import { CHANNEL } from "../kv/schema/agent.ts";
import type { FilesOptions } from "../kv/schema/inside.ts";
import type { Clock } from "../kv/schema/time.ts";
import type { Inside } from "./runtime.ts";
import type { Frames } from "./tunnel_socket.ts";
import { finish, receiveTar, sendTar } from "./volume_tunnel.ts";

export async function serveFiles(
  { inside, clock }: { inside: Inside; clock: Clock },
  frames: Frames,
  { taskId, options: { action, path } }: { taskId: string; options: FilesOptions },
): Promise<void> {
  const { signal } = frames;
  if (action === "read") {
    return finish(frames, await sendTar(frames, clock, () => inside.read(taskId, path, signal)));
  }
  if (action === "write") {
    return finish(
      frames,
      await receiveTar(frames, clock, (tar) => inside.write(taskId, path, tar, signal)),
    );
  }
  const found = await inside.stat(taskId, path, signal);
  if (found.ok) {
    const answer = JSON.stringify(found.value ? { found: found.value } : {});
    await frames.data(CHANNEL.stdout, new TextEncoder().encode(answer));
  }
  finish(frames, found);
}
