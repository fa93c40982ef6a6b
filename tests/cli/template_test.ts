import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { parseTemplate } from "../../cli/format/template.ts";
import { berth, ID, oneService } from "./support.ts";

const TASK = {
  id: "01abc",
  name: "web.1",
  state: "running",
  labels: { "a.b": "x", zone: "a" },
  ports: [{ target: 80 }, { target: 443 }],
  none: [],
  restarts: 3,
};

function render(template: string): string {
  const parsed = parseTemplate(template);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.value.render(TASK);
}

Deno.test("templates say what Docker's users expect of them", () => {
  const table: Record<string, string> = {
    "{{.Name}}": "web.1",
    "{{.ID}} {{ .state }}": "01abc running",
    '{{.Labels.zone}}/{{index .Labels "a.b"}}': "a/x",
    "{{json .Labels}}": '{"a.b":"x","zone":"a"}',
    json: JSON.stringify(TASK),
    "{{.Absent}} {{.Absent.More}}": "<no value> <no value>",
    "{{range .Ports}}{{.Target}} {{end}}": "80 443 ",
    "{{range .None}}x{{else}}nothing{{end}}": "nothing",
    '{{if eq .State "running"}}up{{else}}down{{end}}': "up",
    "{{if gt .Restarts 5}}many{{else if gt .Restarts 2}}some{{else}}few{{end}}": "some",
    "{{with .Labels}}{{.Zone}} of {{$.Name}}{{end}}": "a of web.1",
    '{{.Name | upper | printf "%-8s|"}}': "WEB.1   |",
    '{{len .Ports}} {{join (split .Name ".") "-"}}': "2 web-1",
    'a {{- " b " -}} c': "a b c",
    "{{/* nothing */}}{{truncate .Name 3}}": "web",
    '{{not .None}} {{and .Name .State}} {{or .None "x"}}': "true running x",
    "{{.Name}}\\t{{.State}}": "web.1\trunning",
  };
  for (const [template, wanted] of Object.entries(table)) {
    assertEquals(render(template), wanted, template);
  }
});

Deno.test("what is no template is refused with what is wrong", () => {
  const table: Record<string, string> = {
    "{{.Name": "without }}",
    "{{if .Name}}x": "no {{end}}",
    "{{end}}": "without a beginning",
    "{{frob .Name}}": "no function frob; there are json",
    "{{.Name .State}}": "too much",
    "{{(.Name}}": "without )",
    "{{.Name ~}}": "cannot be read at: ~",
    "{{}}": "lacks something",
    name: "has no field",
  };
  for (const [template, wanted] of Object.entries(table)) {
    const parsed = parseTemplate(template);
    assert(!parsed.ok, template);
    assertStringIncludes(parsed.message, wanted);
  }
});

Deno.test("no text makes the parser fail otherwise, and none reaches beyond the value", () => {
  const parts = fc.constantFrom(
    "{{",
    "}}",
    ".",
    "if ",
    "end",
    "range ",
    "x",
    '"',
    "|",
    "(",
    ")",
    " ",
  );
  fc.assert(fc.property(fc.array(parts, { maxLength: 20 }), (pieces) => {
    const parsed = parseTemplate(pieces.join(""));
    if (parsed.ok) parsed.value.render(TASK);
  }));
  assertEquals(render("{{.constructor}} {{.__proto__}}"), "<no value> <no value>");
  assertFalse(parseTemplate("{{constructor .}}").ok);
});

Deno.test("--format prints each row of a list, and a table of what tabs divide", async () => {
  const handler = oneService;
  const rows = await berth(["ps", "--format", "{{.Name}} {{.State}}"], { handler });
  assertEquals(rows.out, "storefront.1 running\nstorefront.2 pending\n");
  const table = await berth(["ps", "--format", "table {{.Name}}\\t{{.ImageName}}"], { handler });
  assertEquals(
    table.out,
    "NAME           IMAGE NAME\nstorefront.1   <no value>\nstorefront.2   <no value>\n",
  );
  const one = await berth(["inspect", "storefront", "--format", "{{.ID}}"], { handler });
  assertEquals(one.out, `${ID.service}\n`);
  const wrong = await berth(["ps", "--format", "{{.Name"], { handler });
  assertEquals([wrong.code, wrong.out], [2, ""]);
});

Deno.test("--yes stands for the person who would be asked", async () => {
  const gone: string[] = [];
  const handler = (request: Request) => {
    if (request.method !== "DELETE") return oneService(request);
    gone.push(new URL(request.url).pathname);
    return Response.json({ ...JSON.parse("{}") }, { status: 404 });
  };
  assertEquals((await berth(["rm", "storefront"], { handler })).code, 4);
  assertEquals(gone, [], "without a terminal nobody is asked, and nothing goes");
  await berth(["rm", "--yes", "--no-wait", "storefront"], { handler });
  assertEquals(gone, [`/v1/services/${ID.service}`]);
});
