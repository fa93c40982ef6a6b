/**
 * Planted bugs around configs, secrets and volumes.
 *
 * @module
 */
import { encodeBase64 } from "../../kv/schema/base64.ts";
import type { Plant } from "./plants.ts";
import { DATA } from "./stories/data.ts";
import { drop, onCommits } from "./tamper.ts";

export const DATA_PLANTS: readonly Plant[] = [
  {
    name: "where a volume is gets forgotten",
    story: DATA,
    finds: /its volume v1 on/,
    install: (sim) =>
      onCommits(sim, (op) => drop(op, (m) => m.kind === "set" && m.key[0] === "volume_node")),
  },
  {
    name: "a task follows its volume to another node",
    story: DATA,
    finds: /its volume v1 on/,
    install: (sim) =>
      onCommits(sim, (op) => {
        for (const m of op.mutations) {
          if (m.key[0] === "volume_node") m.key = ["volume_node", m.key[1] ?? "", "elsewhere"];
        }
      }),
  },
  {
    name: "a new version reaches no service",
    story: DATA,
    finds: /never got it/,
    install: (sim) =>
      onCommits(sim, (op) => {
        const rotates = op.mutations.some(({ key }) => key[0] === "revision" && Number(key[2]) > 1);
        if (rotates) drop(op, ({ key }) => ["revision", "service"].includes(String(key[0])));
      }),
  },
  {
    name: "a new version is acknowledged and not stored",
    story: DATA,
    finds: /was acknowledged and is not stored/,
    install: (sim) => onCommits(sim, (op) => drop(op, ({ key }) => key[0] === "sealed")),
  },
  {
    name: "a rotation is never finished",
    story: DATA,
    finds: /is not finished/,
    install: (sim) =>
      onCommits(sim, (op) => drop(op, (m) => m.kind === "delete" && m.key[0] === "rotation")),
  },
  {
    name: "containers get another version than their revision's",
    story: DATA,
    finds: /does not have version/,
    install(sim) {
      sim.tamperServe = ({ path, status }, answer) => {
        if (!/\/tasks\/[^/]+\/files$/.test(path) || status !== 200) return answer;
        const body = JSON.parse(answer.body);
        const old = encodeBase64(new TextEncoder().encode("an old value"));
        const files = body.files.map((file: object) => ({ ...file, data: old }));
        return { ...answer, body: JSON.stringify({ files }) };
      };
    },
  },
];
