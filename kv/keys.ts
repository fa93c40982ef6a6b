/**
 * Every key of the database, on one screen. Nothing else builds a key.
 *
 * | rows | writer |
 * | --- | --- |
 * | service, service_name, revision, node_spec | users, through the API |
 * | rollout_request, task_restarts, node_restart, playground | users, through the API |
 * | port, route | users, through the API; deleted by the leader with the service |
 * | project_lock | the users who hold it, through the API |
 * | sealed, sealed_name, data_head, rotation | users, through the API |
 * | sealed_value | users, through the API; old versions are deleted by the leader |
 * | registry | users, through the API |
 * | digest | the first node that runs it, through the API; deleted by the leader with the revision |
 * | volume, volume_name | users, through the API |
 * | volume_node | the leader; deleted by users with the volume |
 * | vault | the server, at its start |
 * | node, observed, report | the node's agent, through the API |
 * | run | users, through the API; deleted by the leader with the run's last task |
 * | task, assign, task_of, rollout, run_cursor, elapsed, node_status, log, failed | the leader |
 * | queue | whoever made the change; deleted by the leader with the effect |
 *
 * @module
 */

/** The kinds of wake-up are the kinds of rows that the leader plans from. */
export const key = {
  cluster: () => ["cluster"],

  service: (id: string) => ["service", id],
  serviceName: (project: string, name: string) => ["service_name", project, name],
  revision: (serviceId: string, revision: number) => ["revision", serviceId, revision],
  /** What the image's tag stands for in that revision. */
  digest: (serviceId: string, revision: number) => ["digest", serviceId, revision],
  rollout: (serviceId: string) => ["rollout", serviceId],
  rolloutRequest: (serviceId: string) => ["rollout_request", serviceId],
  /** Tasks that are to be replaced by new ones. */
  taskRestarts: (serviceId: string) => ["task_restarts", serviceId],

  /** The id of the service for which the cluster listens on the port. */
  port: (protocol: string, published: number) => ["port", protocol, published],
  /** Written with every change of those, so that one check guards many. */
  portHead: () => ["port_head"],
  /** The id of the service that requests for the place (host and path) go to. */
  route: (place: string) => ["route", place],
  /** Written with every change of those, as with ports. */
  routeHead: () => ["route_head"],
  projectLock: (project: string) => ["project_lock", project],

  run: (serviceId: string, runId: string) => ["run", serviceId, runId],
  runCursor: (serviceId: string) => ["run_cursor", serviceId],
  /** Slot 0 is the job as a whole. */
  elapsed: (serviceId: string, slot: number) => ["elapsed", serviceId, slot],

  /** Of secrets and configs: what they are, their names, and the parts of their values. */
  sealed: (kind: string, id: string) => ["sealed", kind, id],
  sealedName: (kind: string, project: string, name: string) => ["sealed_name", kind, project, name],
  sealedValue: (
    kind: string,
    id: string,
    version: number,
    part: number,
  ) => ["sealed_value", kind, id, version, part],
  volume: (id: string) => ["volume", id],
  volumeName: (project: string, name: string) => ["volume_name", project, name],
  /** A node that has the volume. */
  volumeNode: (id: string, nodeId: string) => ["volume_node", id, nodeId],
  /** Changes with whatever a name in a template of the project may stand for. */
  dataHead: (project: string) => ["data_head", project],
  /** A new version that has not reached every service yet. */
  rotation: (kind: string, id: string) => ["rotation", kind, id],
  /** Credentials for a registry, by its host. */
  registry: (host: string) => ["registry", host],
  /** Which key everything is sealed with. */
  vault: () => ["vault"],

  node: (id: string) => ["node", id],
  nodeName: (name: string) => ["node_name", name],
  nodeSpec: (id: string) => ["node_spec", id],
  nodeStatus: (id: string) => ["node_status", id],
  nodeToken: (id: string) => ["node_token", id],
  /** A restart that was asked for and not carried out yet. */
  nodeRestart: (id: string) => ["node_restart", id],

  task: (id: string) => ["task", id],
  taskOf: (serviceId: string, taskId: string) => ["task_of", serviceId, taskId],
  assign: (nodeId: string, taskId: string) => ["assign", nodeId, taskId],
  observed: (taskId: string) => ["observed", taskId],
  /** Serialises the reports of one node across replicas. */
  report: (nodeId: string) => ["report", nodeId],

  queue: (messageId: string) => ["queue", messageId],
  /** Written blindly with every message, so that one watch sees all of them. */
  queueHead: () => ["queue_head"],
  failed: (messageId: string) => ["failed", messageId],

  epoch: () => ["leader", "epoch"],
  leaderBeat: () => ["leader", "beat"],

  log: (seq: number) => ["log", seq],
  /** The newest `seq`: the one key that API replicas watch. */
  logHead: () => ["log_head"],

  beat: (replicaId: string, shard: number) => ["beat", replicaId, shard],
  tunnel: (nodeId: string, sessionId: string) => ["tunnel", nodeId, sessionId],
  tunnelHead: () => ["tunnel_head"],

  /** A simulated node that shall be, and the version of the set of them. */
  playgroundNode: (name: string) => ["playground", name],
  playgroundHead: () => ["playground_head"],

  token: (sha256: string) => ["token", sha256],
  /** The hash of the first admin token: made once in the life of a database. */
  adminToken: () => ["admin_token"],
  idempotency: (
    tokenId: string,
    idempotencyKey: string,
  ) => ["idempotency", tokenId, idempotencyKey],
} as const;

/** Prefixes, for scans. */
export const prefix = {
  services: () => ["service"],
  servicesOf: (project: string) => ["service_name", project],
  serviceNames: () => ["service_name"],
  allRevisions: () => ["revision"],
  revisions: (serviceId: string) => ["revision", serviceId],
  ports: (protocol: string) => ["port", protocol],
  runs: (serviceId: string) => ["run", serviceId],
  allRuns: () => ["run"],
  runCursors: () => ["run_cursor"],
  elapsed: () => ["elapsed"],
  rollouts: () => ["rollout"],
  rolloutRequests: () => ["rollout_request"],
  taskRestarts: () => ["task_restarts"],
  allSealed: (kind: string) => ["sealed", kind],
  sealedNames: (kind: string) => ["sealed_name", kind],
  sealedNamesOf: (kind: string, project: string) => ["sealed_name", kind, project],
  sealedValues: () => ["sealed_value"],
  sealedValuesOf: (kind: string, id: string) => ["sealed_value", kind, id],
  sealedValue: (kind: string, id: string, version: number) => ["sealed_value", kind, id, version],
  rotations: () => ["rotation"],
  registries: () => ["registry"],
  volumes: () => ["volume"],
  volumeNames: () => ["volume_name"],
  volumeNamesOf: (project: string) => ["volume_name", project],
  volumeNodes: (id: string) => ["volume_node", id],
  allVolumeNodes: () => ["volume_node"],
  nodes: () => ["node"],
  nodeNames: () => ["node_name"],
  nodeSpecs: () => ["node_spec"],
  nodeStatuses: () => ["node_status"],
  tasks: () => ["task"],
  tasksOf: (serviceId: string) => ["task_of", serviceId],
  assigned: (nodeId: string) => ["assign", nodeId],
  observed: () => ["observed"],
  queue: () => ["queue"],
  failed: () => ["failed"],
  log: () => ["log"],
  beats: () => ["beat"],
  tunnels: (nodeId: string) => ["tunnel", nodeId],
  allTunnels: () => ["tunnel"],
  playgroundNodes: () => ["playground"],
  tokens: () => ["token"],
  idempotency: () => ["idempotency"],
} as const;
