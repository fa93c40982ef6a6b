/**
 * A quick look whether a row is just what its schema would make of it, derived from the schema itself.
 * Rows that this program wrote nearly always are; they need not be parsed, and copied, once more.
 *
 * 1. `conforms` says yes only if parsing would succeed and answer an equal value. Defaults, transforms
 *    and unknown fields therefore mean no.
 * 2. What it does not know is a no: the caller then parses, and gets zod's answer or error.
 *
 * @module
 */
import type { z } from "zod";

type Check = (value: unknown) => boolean;
/** What a schema says of itself; only what is looked at here. */
interface Definition {
  type: string;
  checks?: { _zod: Limit }[];
  shape?: Record<string, z.ZodType>;
  catchall?: unknown;
  innerType?: z.ZodType;
  element?: z.ZodType;
  keyType?: z.ZodType;
  valueType?: z.ZodType;
  options?: z.ZodType[];
  discriminator?: string;
  entries?: Record<string, unknown>;
  values?: unknown[];
  coerce?: boolean;
}
interface Limit {
  def: CheckDefinition;
  /** Adds to the issues of a value; that of `superRefine` and `check` has no other form. */
  check?(payload: { value: unknown; issues: unknown[] }): unknown;
}
interface CheckDefinition {
  check?: string;
  format?: string;
  pattern?: RegExp;
  value?: number;
  inclusive?: boolean;
  maximum?: number;
  minimum?: number;
  fn?: (value: unknown) => unknown;
}

/** Types of which a value has one at the most. */
const DISTINCT = new Set(["string", "number", "boolean", "object"]);

const known = new WeakMap<z.ZodType, Check>();

/** See the module's invariants. */
export function conforms(schema: z.ZodType, value: unknown): boolean {
  return checkOf(schema)(value);
}

function checkOf(schema: z.ZodType): Check {
  let check = known.get(schema);
  if (!check) {
    check = compile(schema._zod.def as Definition & CheckDefinition);
    known.set(schema, check);
  }
  return check;
}

const never: Check = () => false;

function compile(def: Definition & CheckDefinition): Check {
  // A format such as `z.int()` is a schema and its own check.
  const own = def.check === undefined ? [] : [{ def }];
  const limits = [...own, ...(def.checks ?? []).map((c) => c._zod)].map((one) => limitOf(one, def));
  const base = def.coerce ? never : baseOf(def);
  if (base === never || limits.includes(never)) return never;
  const [first, second, third] = limits;
  if (!first) return base;
  if (!second) return (value) => base(value) && first(value);
  if (!third) return (value) => base(value) && first(value) && second(value);
  return (value) => base(value) && limits.every((limit) => limit(value));
}

function baseOf(def: Definition): Check {
  switch (def.type) {
    case "string":
      return (value) => typeof value === "string";
    case "number":
      return Number.isFinite;
    case "boolean":
      return (value) => typeof value === "boolean";
    case "enum":
      return memberOf(Object.values(def.entries ?? {}));
    case "literal":
      return memberOf(def.values ?? []);
    case "optional":
    case "default":
    case "prefault":
      // Absence is the object's business: a default would change the value.
      return def.innerType ? checkOf(def.innerType) : never;
    case "array":
      return arrayOf(def);
    case "record":
      return recordOf(def);
    case "object":
      return objectOf(def);
    case "union":
      return unionOf(def);
    default:
      return never;
  }
}

function memberOf(values: readonly unknown[]): Check {
  const members = new Set(values);
  return (value) => members.has(value);
}

function arrayOf({ element }: Definition): Check {
  if (!element) return never;
  const check = checkOf(element);
  return (value) => Array.isArray(value) && value.every(check);
}

function recordOf({ keyType, valueType }: Definition): Check {
  if (!keyType || !valueType) return never;
  const checkKey = checkOf(keyType), checkValue = checkOf(valueType);
  return (value) =>
    isObject(value) &&
    Object.entries(value).every(([key, entry]) => checkKey(key) && checkValue(entry));
}

function objectOf({ shape = {}, catchall }: Definition): Check {
  if (catchall !== undefined) return never;
  const fields = Object.entries(shape).map(([name, schema]) => ({
    name,
    check: checkOf(schema),
    optional: mayBeAbsent(schema._zod.def as Definition),
  }));
  return (value) => {
    if (!isObject(value)) return false;
    let present = 0;
    for (const { name, check, optional } of fields) {
      const field = value[name];
      if (field !== undefined) {
        if (!check(field)) return false;
        present++;
      } else if (!optional) return false;
    }
    // Whatever is left over is unknown, or there and undefined.
    for (const _ in value) present--;
    return present === 0;
  };
}

/** Without a default: an absent field stays absent. */
function mayBeAbsent({ type, innerType }: Definition): boolean {
  return type === "optional" && !/default|prefault|optional/.test(innerType?._zod.def.type ?? "");
}

/** Only of what a field or the type tells apart: one option takes the value at the most. */
function unionOf({ options = [], discriminator }: Definition): Check {
  const types = new Set(options.map((option) => (option._zod.def as Definition).type));
  const apart = types.size === options.length && [...types].every((type) => DISTINCT.has(type));
  if (discriminator === undefined && !apart) return never;
  const checks = options.map(checkOf);
  return (value) => checks.some((check) => check(value));
}

function limitOf(limit: Limit, { type }: Definition): Check {
  const { def } = limit;
  const { maximum = 0, minimum = 0, value: bound = 0, pattern, fn } = def;
  switch (def.check) {
    case "string_format": {
      const plain = def.format === "regex" || def.format === "datetime";
      if (!plain || !pattern || pattern.global || pattern.sticky) return never;
      return (value) => pattern.test(value as string);
    }
    case "number_format":
      return def.format === "safeint" ? Number.isSafeInteger : never;
    case "max_length":
      return (value) => (value as { length: number }).length <= maximum;
    case "min_length":
      return (value) => (value as { length: number }).length >= minimum;
    case "greater_than":
      return def.inclusive
        ? (value) => value as number >= bound
        : (value) => value as number > bound;
    case "less_than":
      return def.inclusive
        ? (value) => value as number <= bound
        : (value) => value as number < bound;
    case "custom":
      if (fn) return (value) => fn(value) === true;
      // Texts with a grammar (schedules, constraints) are left to parsing.
      return type === "string" ? never : (value) => passes(limit, value);
    default:
      return never;
  }
}

function passes({ check }: Limit, value: unknown): boolean {
  const payload = { value, issues: [] };
  // What is told later is not waited for.
  if (!check || check(payload) instanceof Promise) return false;
  return payload.issues.length === 0 && payload.value === value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
