/**
 * An HTTP server for containers, out of busybox alone. It keeps connections open. Once it is told to end
 * it takes no new ones, as most servers do, says `Connection: close` with each answer on those that it
 * has, and goes a second later.
 *
 * @module
 */
const HANDLER = String.raw`
while true; do
  close=
  while true; do
    IFS= read -r line || exit 0
    line=${"$"}{line%?}
    [ -z "$line" ] && break
    case "$line" in "Connection: close") close=1;; esac
  done
  [ -e /tmp/bye ] && close=1
  if [ -n "$close" ]; then c=close; else c=keep-alive; fi
  printf 'HTTP/1.1 200 OK\r\nContent-Length: %s\r\nConnection: %s\r\n\r\n%s\n' "$LENGTH" "$c" "$PAGE"
  [ -n "$close" ] && exit 0
done
`;

/** What a container with a shell, `nc` and `sleep` runs; it listens on port 80. */
export function keepAliveCommand(page: string): string[] {
  const script = [
    `export PAGE=${page} LENGTH=${page.length + 1}`,
    `cat > /tmp/handler <<'END'${HANDLER}END`,
    `trap 'touch /tmp/bye; kill $!; sleep 1; exit 0' TERM`,
    `nc -ll -p 80 -e sh /tmp/handler & wait`,
  ];
  return ["sh", "-c", script.join("\n")];
}
