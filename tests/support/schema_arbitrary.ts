/**
 * Values from the JSON schemas of an OpenAPI document: valid ones, and ones spoilt at a known place.
 *
 * @module
 */
import fc from "fast-check";

export interface JsonSchema {
  $ref?: string;
  type?: string;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  format?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  allOf?: JsonSchema[];
}

/** Follows a reference into `components.schemas`. */
export type Resolve = (schema: JsonSchema) => JsonSchema;

export function resolver(schemas: Record<string, JsonSchema>): Resolve {
  return function resolve(schema: JsonSchema): JsonSchema {
    if (schema.$ref !== undefined) {
      const target = schemas[schema.$ref.replace("#/components/schemas/", "")];
      if (!target) throw new Error(`dangling ${schema.$ref}`);
      return resolve(target);
    }
    if (!schema.allOf) return schema;
    const parts = schema.allOf.map(resolve);
    const { allOf: _, ...own } = schema;
    return Object.assign({}, ...parts, own, {
      properties: Object.assign({}, ...parts.map((part) => part.properties), schema.properties),
      required: [...parts.flatMap((part) => part.required ?? []), ...schema.required ?? []],
    });
  };
}

/** Values that the schema takes, as far as JSON schema tells. */
export function validOf(given: JsonSchema, resolve: Resolve): fc.Arbitrary<unknown> {
  const schema = resolve(given);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants) return fc.oneof(...variants.map((variant) => validOf(variant, resolve)));
  switch (schema.type) {
    case "string":
      return stringOf(schema);
    case "integer":
      return fc.integer({
        min: schema.minimum ?? 0,
        max: Math.min(schema.maximum ?? 1000, 2 ** 30),
      });
    case "number":
      return fc.double({ min: schema.minimum ?? 0, max: schema.maximum ?? 1000, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "array":
      return fc.array(validOf(schema.items ?? {}, resolve), {
        minLength: schema.minItems ?? 0,
        maxLength: 3,
      });
    case "object":
      return objectOf(schema, resolve);
    default:
      return fc.jsonValue();
  }
}

function stringOf(schema: JsonSchema): fc.Arbitrary<string> {
  if (schema.format === "date-time") return fc.constant("2030-01-01T00:00:00.000Z");
  if (schema.pattern !== undefined) {
    const max = schema.maxLength ?? 512;
    return fc.stringMatching(new RegExp(schema.pattern)).filter((text) => text.length <= max);
  }
  return fc.string({
    minLength: schema.minLength ?? 0,
    maxLength: Math.min(schema.maxLength ?? 40, 40),
    unit: "binary",
  });
}

function objectOf(schema: JsonSchema, resolve: Resolve): fc.Arbitrary<unknown> {
  if (schema.properties) {
    const fields = Object.fromEntries(
      Object.entries(schema.properties).map(([name, field]) => [name, validOf(field, resolve)]),
    );
    return fc.record(fields, { requiredKeys: schema.required ?? [] });
  }
  const values = typeof schema.additionalProperties === "object"
    ? validOf(schema.additionalProperties, resolve)
    : fc.jsonValue();
  return fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), values, { maxKeys: 3 });
}

/** A value that is wrong at one known place. */
export interface Spoilt {
  value: unknown;
  /** Dotted path of that place; `body` for the whole. */
  field: string;
}

/** Spoils a valid value: something of another type at one place that the schema knows. */
export function spoiltOf(schema: JsonSchema, resolve: Resolve): fc.Arbitrary<Spoilt> {
  return validOf(schema, resolve).chain((value) => {
    const places = placesOf(value, schema, resolve, []);
    return fc.constantFrom(...places).map(({ path, type }) => ({
      value: replace(value, path, wrongFor(type)),
      field: path.length === 0 ? "body" : path.join("."),
    }));
  });
}

interface Place {
  path: string[];
  type: string;
}

function placesOf(value: unknown, given: JsonSchema, resolve: Resolve, path: string[]): Place[] {
  const schema = resolve(given);
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants) {
    const type = (value as { type?: unknown } | undefined)?.type;
    const chosen = variants.map(resolve)
      .find((variant) => variant.properties?.type?.enum?.includes(type));
    return [{ path, type: "object" }, ...placesOf(value, chosen ?? {}, resolve, path)];
  }
  if (schema.enum) return [{ path, type: "string" }];
  const here = schema.type === undefined ? [] : [{ path, type: schema.type }];
  if (schema.type === "array" && Array.isArray(value)) {
    const inner = value.flatMap((item, i) =>
      placesOf(item, schema.items ?? {}, resolve, [...path, String(i)])
    );
    return [...here, ...inner];
  }
  if (schema.type === "object" && typeof value === "object" && value !== null) {
    const inner = Object.entries(value).flatMap(([name, item]) => {
      const extra = schema.additionalProperties;
      const field = schema.properties?.[name] ?? (typeof extra === "object" ? extra : undefined);
      return field ? placesOf(item, field, resolve, [...path, name]) : [];
    });
    return [...here, ...inner];
  }
  return here;
}

function wrongFor(type: string): unknown {
  return type === "string" ? 7 : type === "array" ? {} : type === "object" ? [] : { odd: true };
}

function replace(value: unknown, path: readonly string[], wrong: unknown): unknown {
  const [head, ...rest] = path;
  if (head === undefined) return wrong;
  if (Array.isArray(value)) {
    return value.map((item, i) => String(i) === head ? replace(item, rest, wrong) : item);
  }
  const object = value as Record<string, unknown>;
  return { ...object, [head]: replace(object[head], rest, wrong) };
}
