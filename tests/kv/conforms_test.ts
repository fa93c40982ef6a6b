import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { z } from "zod";
import { conforms } from "../../kv/schema/conforms.ts";
import { PollResponse } from "../../kv/schema/agent.ts";
import { QueueMessage, Token } from "../../kv/schema/control.ts";
import { LogRecord } from "../../kv/schema/event.ts";
import { Node, NodeSpec, NodeStatus } from "../../kv/schema/node.ts";
import { Revision, Service } from "../../kv/schema/service.ts";
import { Observed, Task } from "../../kv/schema/task.ts";
import { type JsonSchema, resolver, spoiltOf, validOf } from "../support/schema_arbitrary.ts";

/** Rows of which there are many, or that are read often: all of them are to take the quick way. */
const QUICK: Record<string, z.ZodType> = {
  ...{ Task, Observed, Service, Node, NodeSpec, NodeStatus, Token, LogRecord, QueueMessage },
};
/** Some rare fields of a template are left to parsing. */
const ROWS = { ...QUICK, Revision, PollResponse };

/** Values that the schema takes; where JSON schema tells too little, also some that it refuses. */
function inputsOf(schema: z.ZodType): { valid: fc.Arbitrary<unknown>; all: fc.Arbitrary<unknown> } {
  const { $defs = {}, ...json } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const text = JSON.stringify({ json, $defs }).replaceAll("#/$defs/", "#/components/schemas/");
  const plain = JSON.parse(text) as { json: JsonSchema; $defs: Record<string, JsonSchema> };
  const resolve = resolver(plain.$defs);
  const valid = validOf(plain.json, resolve);
  const extended = valid.map((value) => ({ ...value as object, extra: 1 }));
  const spoilt = spoiltOf(plain.json, resolve).map(({ value }) => value);
  return { valid, all: fc.oneof(valid, extended, spoilt, fc.jsonValue()) };
}

for (const [name, schema] of Object.entries(ROWS)) {
  const { valid, all } = inputsOf(schema);

  Deno.test(`${name}: what conforms is what parsing would make of it`, () => {
    fc.assert(
      fc.property(all, (value) => {
        if (!conforms(schema, value)) return;
        assertEquals(schema.parse(value), value);
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  if (!(name in QUICK)) continue;
  Deno.test(`${name}: a row that was parsed once conforms`, () => {
    const sample = fc.sample(valid, { numRuns: 100, seed: 2 });
    const parsed = sample.flatMap((value) => {
      const row = schema.safeParse(value);
      return row.success ? [row.data] : [];
    });
    assert(parsed.length > 0);
    for (const row of parsed) assert(conforms(schema, row), JSON.stringify(row));
  });
}

Deno.test("an absent default, an unknown field, a field that is there and undefined: parse it", () => {
  const schema = z.object({
    a: z.string().default("x"),
    b: z.string().optional(),
    c: z.string().default("y").optional(),
  });
  assert(conforms(schema, { a: "x", c: "y" }));
  for (const value of [{ c: "y" }, { a: "x" }, { a: "x", c: "y", d: 1 }]) {
    assert(!conforms(schema, value), JSON.stringify(value));
  }
  assert(!conforms(schema, { a: "x", b: undefined, c: "y" }));
});

Deno.test("a check of a whole object is asked, and so is which type a value has", () => {
  const range = z.object({ from: z.number(), to: z.number() });
  const schema = z.object({
    port: z.union([
      z.number().min(1),
      range.superRefine(({ from, to }, ctx) => {
        if (from > to) ctx.addIssue("must not end before it begins");
      }),
    ]),
  });
  assert(conforms(schema, { port: 2 }) && conforms(schema, { port: { from: 1, to: 2 } }));
  for (const port of [0, "2", { from: 2, to: 1 }, { from: 1 }]) {
    assert(!conforms(schema, { port }), JSON.stringify(port));
  }
});

Deno.test("what is not known to be plain is left to parsing", () => {
  const schemas = [
    z.string().transform((text) => text),
    z.string().trim(),
    z.coerce.number(),
    z.string().pipe(z.string()),
    z.union([z.object({ a: z.string() }), z.object({ a: z.string(), b: z.string() })]),
    z.looseObject({}),
    z.email(),
    z.string().superRefine(() => {}),
    z.object({ a: z.string() }).check((payload) => void (payload.value = { a: "b" })),
    z.union([z.number(), z.number().min(1)]),
  ];
  for (const schema of schemas) {
    for (const value of ["a", 1, { a: "a" }, { a: "a", b: "b" }, {}]) {
      assert(!conforms(schema, value));
    }
  }
});
