import { assert, assertEquals } from "@std/assert";
import { withApi } from "../support/api.ts";
import { idOf } from "../support/ids.ts";
import { seedNode } from "../support/seed.ts";

const KINDS = ["nobody", "admin", "join", "node", "other node"] as const;
type Kind = typeof KINDS[number];

interface Operation {
  security?: Record<string, string[]>[];
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
}

/** Written down by hand: who may call what. Everything else is refused. */
const ALLOWED: Record<string, Kind[]> = {
  listServices: ["admin"],
  createService: ["admin"],
  getService: ["admin"],
  putService: ["admin"],
  deleteService: ["admin"],
  listRuns: ["admin"],
  createRun: ["admin"],
  listRevisions: ["admin"],
  steerRollout: ["admin"],
  listEndpoints: ["admin"],
  getEndpoints: ["admin"],
  getTraefik: ["admin"],
  getPrometheusTargets: ["admin"],
  getProjectLock: ["admin"],
  lockProject: ["admin"],
  unlockProject: ["admin"],
  listTasks: ["admin"],
  getTask: ["admin"],
  explainTask: ["admin"],
  restartTask: ["admin"],
  listSecrets: ["admin"],
  createSecret: ["admin"],
  getSecret: ["admin"],
  rotateSecret: ["admin"],
  deleteSecret: ["admin"],
  listConfigs: ["admin"],
  createConfig: ["admin"],
  getConfig: ["admin"],
  rotateConfig: ["admin"],
  deleteConfig: ["admin"],
  getConfigValue: ["admin"],
  getTaskFiles: ["node"],
  getCertificate: ["node"],
  listVolumes: ["admin"],
  getVolume: ["admin"],
  deleteVolume: ["admin"],
  backupVolume: ["admin"],
  restoreVolume: ["admin"],
  listRegistries: ["admin"],
  putRegistry: ["admin"],
  deleteRegistry: ["admin"],
  getPullLogin: ["node"],
  settleDigest: ["node"],
  planServices: ["admin"],
  simulate: ["admin"],
  openLogs: ["admin"],
  openExec: ["admin"],
  openForward: ["admin"],
  openAttach: ["admin"],
  openFiles: ["admin"],
  openStats: ["admin"],
  listNodes: ["admin"],
  getNode: ["admin"],
  putNodeSpec: ["admin"],
  deleteNode: ["admin"],
  restartNode: ["admin"],
  createJoinToken: ["admin"],
  listEvents: ["admin"],
  getCluster: ["admin"],
  listParked: ["admin"],
  retryParked: ["admin"],
  metrics: ["admin"],
  joinNode: ["admin", "join"],
  putNodeFacts: ["node"],
  pollAssignments: ["node"],
  pollEndpoints: ["node"],
  reportTasks: ["node"],
  answerTunnel: ["node"],
  followPlayground: ["admin", "join"],
  seedPlayground: ["admin", "join"],
  classroomNodes: ["admin"],
  classroomAddNode: ["admin"],
  classroomRestartNode: ["admin"],
  classroomDeleteNode: ["admin"],
  classroomAddPod: ["admin"],
  healthz: [...KINDS],
  readyz: [...KINDS],
  openapi: [...KINDS],
};

Deno.test("every route takes exactly the tokens that it should", () =>
  withApi(async (t) => {
    const own = await seedNode(t.kv, idOf(1), "n1");
    const other = await seedNode(t.kv, idOf(2), "n2");
    const tokens: Record<Kind, string | null> = {
      "nobody": null,
      "admin": t.admin,
      "join": t.join,
      "node": own,
      "other node": other,
    };
    const document = t.api.openapi() as Document;
    const seen = new Set<string>();
    for (const [template, operations] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        const id = (operation as { operationId: string }).operationId;
        seen.add(id);
        for (const kind of KINDS) {
          const path = template.replace("{id}", idOf(1)).replace("{sessionId}", idOf(3))
            .replace("{ref}", "nope").replace("{project}", "nope");
          const response = await t.send(method.toUpperCase(), path, { token: tokens[kind] });
          await response.body?.cancel();
          const refused = response.status === 401 || response.status === 403;
          const allowed = ALLOWED[id]?.includes(kind) ?? false;
          assertEquals(refused, !allowed, `${id} by ${kind}: ${response.status}`);
          if (refused) assertEquals(response.status, kind === "nobody" ? 401 : 403, id);
        }
      }
    }
    assertEquals([...seen].sort(), Object.keys(ALLOWED).sort());
  }, { deps: { playground: true } }));

Deno.test("a refused request is refused before its body is looked at", () =>
  withApi(async (t) => {
    let read = false;
    const response = await t.api.fetch(
      new Request("http://berth.test/v1/services", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: new ReadableStream({ pull: () => void (read = true) }, { highWaterMark: 0 }),
      }),
    );
    await response.body?.cancel();
    assertEquals(response.status, 401);
    assert(!read);
  }));

Deno.test("metrics can be opened to everybody by configuration", () =>
  withApi(async (t) => {
    const response = await t.send("GET", "/metrics", { token: null });
    assertEquals(response.status, 200);
    await response.body?.cancel();
  }, { deps: { publicMetrics: true } }));
