/**
 * Servers behind a proxy, and requests to it.
 *
 * @module
 */
/** A server that says its name, what it was asked and with which headers, and echoes WebSockets. */
export function upstream(name: string) {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    if (request.headers.get("upgrade") === "websocket") {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onmessage = ({ data }) => socket.send(`${name}: ${data}`);
      return response;
    }
    const { pathname, search } = new URL(request.url);
    const body = await request.text().catch(() => "");
    const said = {
      name,
      path: pathname + search,
      x: request.headers.get("x-set"),
      size: body.length,
    };
    return Response.json(said, { headers: { "x-up": "stream" } });
  });
}

/** By curl, which can name any host, and speaks HTTP/2. */
export async function curl(
  { port, scheme = "http" }: { port: number; scheme?: "http" | "https" },
  target: string,
  ...args: string[]
) {
  const [host = ""] = target.split("/");
  const path = target.slice(host.length) || "/";
  const { stdout } = await new Deno.Command("curl", {
    args: [
      ...["-sS", "-i", "-k", "--max-time", "5", "--resolve", `${host}:${port}:127.0.0.1`],
      ...[...args, `${scheme}://${host}:${port}${path}`],
    ],
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  const [head = "", body = ""] = text.split("\r\n\r\n").slice(-2);
  return { head, body, status: Number(/^HTTP\/\S+ (\d+)/.exec(head)?.[1] ?? 0) };
}

/** A WebSocket at `localhost`, where an {@link upstream} is. */
export async function openSocket(port: number) {
  const socket = new WebSocket(`ws://localhost:${port}/`);
  let ended = false;
  const closed = new Promise<void>((resolve) => {
    socket.onclose = () => {
      ended = true;
      resolve();
    };
  });
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = (event) => reject(new Error((event as ErrorEvent).message));
  });
  return {
    ended: () => ended,
    /** What comes back; rejects when the connection ends. */
    say: (text: string) =>
      Promise.race([
        new Promise<string>((resolve) => {
          socket.onmessage = ({ data }) => resolve(String(data));
          socket.send(text);
        }),
        closed.then(() => Promise.reject(new Error("the WebSocket was closed"))),
      ]),
    async close() {
      socket.close();
      await closed;
    },
  };
}
