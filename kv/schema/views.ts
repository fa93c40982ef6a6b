/**
 * Answers of the API that are not a row of their own.
 *
 * @module
 */
import { z } from "zod";
import { Id, Timestamp } from "./common.ts";
import { StrategyName } from "./service.ts";

export const ClusterView = z.object({
  id: Id,
  version: z.string().meta({ description: "Version of the program that answers" }),
  createdAt: Timestamp,
  strategy: StrategyName,
  leader: z.object({ epoch: z.int(), self: z.boolean() })
    .meta({ description: "`self`: the answering process leads" }),
  queued: z.int().meta({ description: "Wake-ups that wait for the leader" }),
  parked: z.int().meta({ description: "Wake-ups whose handling kept failing" }),
}).meta({ id: "Cluster" });
export type ClusterView = z.infer<typeof ClusterView>;

export const JoinTokenView = z.object({
  token: z.string(),
  command: z.string().meta({ description: "The line to paste on another machine" }),
}).meta({ id: "JoinToken", description: "Admits workers. Shown once; only its hash is stored." });
export type JoinTokenView = z.infer<typeof JoinTokenView>;
