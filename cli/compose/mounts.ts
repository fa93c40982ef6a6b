/**
 * Volumes and devices in Compose's short notation. Pure.
 *
 * @module
 */
import { ComposeError, map, type Place, scalar, type Tree } from "./tree.ts";

const EXAMPLE = "write SOURCE:TARGET[:ro], like data:/var/lib/data or ./site:/srv:ro";

/** `data:/var/lib/data`, `./site:/srv:ro`, `/scratch`. A source with a slash or dot is a path. */
export function longVolume(text: string, at: Place): Tree {
  const parts = text.split(":");
  if (parts.length > 3 || parts.some((part) => part === "")) {
    throw new ComposeError(`"${text}" is no volume`, at, EXAMPLE);
  }
  const [first = "", target, options = ""] = parts;
  const entries: [string, Tree][] = [];
  const put = (name: string, value: string | boolean) => entries.push([name, scalar(value, at)]);
  if (target === undefined) {
    put("type", "volume");
    put("target", first);
    return map(entries, at);
  }
  const path = /^[./~]/.test(first);
  put("type", path ? "bind" : "volume");
  put("source", first);
  put("target", target);
  const bind: [string, Tree][] = path ? [["create_host_path", scalar(true, at)]] : [];
  for (const option of options.split(",").filter((one) => one !== "" && one !== "rw")) {
    if (option === "ro") put("read_only", true);
    else if (option === "nocopy" && !path) {
      entries.push(["volume", map([["nocopy", scalar(true, at)]], at)]);
    } else if (/^[zZ]$/.test(option)) bind.push(["selinux", scalar(option, at)]);
    else if (/^r?(shared|slave|private)$/.test(option) && path) {
      bind.push(["propagation", scalar(option, at)]);
    } else if (!/^(cached|delegated|consistent)$/.test(option)) {
      throw new ComposeError(`"${option}" is no option of the volume "${text}"`, at, EXAMPLE);
    }
  }
  if (bind.length > 0) entries.push(["bind", map(bind, at)]);
  return map(entries, at);
}

/** `/dev/kvm`, `/dev/ttyUSB0:/dev/tty0:rwm`, and CDI's `vendor.com/class=name`. */
export function longDevice(text: string, at: Place): Tree {
  const [source = "", second, third] = text.split(":");
  const permissions = third ?? (second !== undefined && /^[rwm]+$/.test(second) ? second : "rwm");
  const target = second !== undefined && !/^[rwm]+$/.test(second) ? second : source;
  return map([
    ["source", scalar(source, at)],
    ["target", scalar(target, at)],
    ["permissions", scalar(permissions, at)],
  ], at);
}
