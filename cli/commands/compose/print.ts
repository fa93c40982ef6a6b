/**
 * Tables of the Compose commands.
 *
 * @module
 */
import type { Change } from "../../compose/changes.ts";
import type { Deps } from "../../deps.ts";
import { style } from "../../format/style.ts";
import { printList } from "../../report.ts";

export interface Row {
  service: string;
  project: string;
  result: string;
  revision: number;
}

export async function printOutcomes(deps: Deps, rows: Row[]): Promise<void> {
  const paint = style(deps.view.color);
  const paints: Record<string, (text: string) => string> = {
    unchanged: paint.dim,
    failed: paint.bad,
    skipped: paint.busy,
  };
  await printList(deps, {
    rows,
    columns: [
      { header: "SERVICE", cell: (row) => row.service, minWidth: 8 },
      {
        header: "RESULT",
        cell: (row) => row.result,
        paint: (row) => paints[row.result] ?? paint.good,
      },
      { header: "REVISION", cell: (row) => row.revision === 0 ? "-" : String(row.revision) },
    ],
    name: (row) => row.service,
    empty: "No services.",
  });
}

interface Line {
  service: string;
  change: Change["kind"];
  field: string;
  before: string;
  after: string;
}

/** What would be done, field by field. */
export async function printChanges(deps: Deps, changes: readonly Change[]): Promise<void> {
  const paint = style(deps.view.color);
  const paints: Record<Change["kind"], (text: string) => string> = {
    create: paint.good,
    change: paint.busy,
    recreate: paint.busy,
    unchanged: paint.dim,
    orphan: paint.bad,
  };
  const rows = changes.flatMap(({ name, kind, fields }): Line[] =>
    fields.length === 0
      ? [{ service: name, change: kind, field: "", before: "", after: "" }]
      : fields.map(({ path, before, after }) => ({
        service: name,
        change: kind,
        field: path,
        before,
        after,
      }))
  );
  await printList(deps, {
    rows,
    columns: [
      { header: "SERVICE", cell: (row) => row.service, minWidth: 8 },
      { header: "CHANGE", cell: (row) => row.change, paint: (row) => paints[row.change] },
      { header: "FIELD", cell: (row) => row.field, optional: true, minWidth: 10 },
      { header: "BEFORE", cell: (row) => row.before, optional: true, minWidth: 8 },
      { header: "AFTER", cell: (row) => row.after, optional: true, minWidth: 8 },
    ],
    name: (row) => row.service,
    empty: "No services.",
  });
}
