/**
 * Files of services: YAML or JSON with one spec, a list of them, or `{services: [...]}`. Whatever is
 * wrong with a file is one message that says where.
 *
 * @module
 */
import type { Document, LineCounter } from "yaml";
import type { z } from "zod";
import { ServiceSpec } from "../kv/schema/service.ts";
import type { Deps } from "./deps.ts";
import { readBytes, readStream } from "./input.ts";

export type SpecsRead =
  | {
    ok: true;
    specs: ServiceSpec[];
    /** A field of one of them, like `routes.0.host`, with its place before it. */
    placed(spec: ServiceSpec, field: string): string;
  }
  | { ok: false; message: string };

/** A path into a document. */
type Path = (string | number)[];

const MAX_BYTES = 4 * 1024 * 1024;

/** Reads and checks a file of services; `-` is standard input. */
export async function readSpecs(
  path: string,
  deps: Pick<Deps, "io" | "readFile">,
): Promise<SpecsRead> {
  const read = await readBytes(path, deps, MAX_BYTES);
  if (!read.ok) return read;
  const name = path === "-" ? "standard input" : path;
  return await parseSpecs(new TextDecoder().decode(read.bytes), name);
}

/** Standard input, up to the bound of a file. */
export async function readInput(input: ReadableStream<Uint8Array>): Promise<string> {
  const bytes = await readStream(input, MAX_BYTES);
  if (bytes.length <= MAX_BYTES) return new TextDecoder().decode(bytes);
  throw new Error(`it is over ${MAX_BYTES / 1024 / 1024} MiB`);
}

/** Checks the text of a file of services. `name` is what messages call it. */
export async function parseSpecs(text: string, name: string): Promise<SpecsRead> {
  const { LineCounter, parseAllDocuments } = await import("yaml");
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const file = { name, lines };
  const specs: ServiceSpec[] = [];
  const places = new Map<string, string>();
  const placeIn = new Map<ServiceSpec, (path: Path) => string>();
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error) return wrong(placeOf(file, error.pos[0]), error.message);
    for (const { path, value } of servicesIn(document)) {
      const place = (at: Path) => placeOf(file, offsetOf(document, [...path, ...at]));
      const checked = check(value, place);
      if (!checked.ok) return checked;
      const { project, name } = checked.spec;
      const before = places.get(`${project}/${name}`);
      if (before) return wrong(place(["name"]), `service ${name} is in ${before} already`);
      places.set(`${project}/${name}`, place([]));
      specs.push(checked.spec);
      placeIn.set(checked.spec, place);
    }
  }
  if (specs.length > 0) {
    return {
      ok: true,
      specs,
      placed(spec, field) {
        const path = field.split(".").map((step) => /^\d+$/.test(step) ? Number(step) : step);
        return `${placeIn.get(spec)?.(path) ?? name}: ${field}`;
      },
    };
  }
  return wrong(name, "there is no service in it");
}

interface File {
  name: string;
  lines: LineCounter;
}

interface Found {
  path: Path;
  value: unknown;
}

/** What stands where a service's spec should. */
function servicesIn(document: Document): Found[] {
  const root: unknown = document.toJS();
  if (root === null || root === undefined) return [];
  if (Array.isArray(root)) return root.map((value, i) => ({ path: [i], value }));
  if (typeof root === "object" && "services" in root) {
    const { services } = root;
    if (Array.isArray(services)) {
      return services.map((value, i) => ({ path: ["services", i], value }));
    }
  }
  return [{ path: [], value: root }];
}

function check(
  value: unknown,
  place: (path: Path) => string,
): { ok: true; spec: ServiceSpec } | { ok: false; message: string } {
  if (isCompose(value)) {
    return wrong(
      place(["services"]),
      "this looks like a Compose file: apply it with berth up -f, or write the services as a list, each " +
        "with its name and its template",
    );
  }
  const parsed = ServiceSpec.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = (issue?.path ?? []).map((step) => typeof step === "symbol" ? "" : step);
    return wrong(place(path), `${dotted(path)}${messageOf(issue)}`);
  }
  const unread = unreadField(value, parsed.data);
  if (unread) return wrong(place(unread), `${dotted(unread)}there is no such field`);
  return { ok: true, spec: parsed.data };
}

function isCompose(value: unknown): boolean {
  if (typeof value !== "object" || value === null || !("services" in value)) return false;
  return typeof value.services === "object" && value.services !== null;
}

/** What a schema says of a value. */
export function messageOf(issue: z.core.$ZodIssue | undefined): string {
  if (!issue) return "it is no service";
  const keys = issue.code === "invalid_key" || issue.code === "invalid_element" ? issue.issues : [];
  return keys.map(({ message }) => message).join("; ") || issue.message;
}

function dotted(path: Path): string {
  return path.length === 0 ? "" : `${path.join(".")}: `;
}

/** The path of the first field that the schema did not keep: misspelt, most likely. */
export function unreadField(sent: unknown, kept: unknown): Path | undefined {
  if (typeof sent !== "object" || sent === null) return undefined;
  if (typeof kept !== "object" || kept === null) return undefined;
  const fields = new Map(Object.entries(kept));
  for (const [name, value] of Object.entries(sent)) {
    if (!fields.has(name)) return [name];
    const inner = unreadField(value, fields.get(name));
    if (inner) return [name, ...inner];
  }
  return undefined;
}

/** Where a path leads in the text, or how far into it there is something. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    const range = rangeOf(node);
    if (range) return range;
  }
  return rangeOf(document.contents) ?? 0;
}

function rangeOf(node: unknown): number | undefined {
  if (typeof node !== "object" || node === null || !("range" in node)) return undefined;
  return Array.isArray(node.range) && typeof node.range[0] === "number" ? node.range[0] : undefined;
}

function placeOf({ name, lines }: File, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return line === 0 ? name : `${name}:${line}:${col}`;
}

function wrong(place: string, message: string): { ok: false; message: string } {
  return { ok: false, message: `${place}: ${message}` };
}
