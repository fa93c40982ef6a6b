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
