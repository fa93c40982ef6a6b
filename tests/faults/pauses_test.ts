import { engineTest } from "../support/engine.ts";
import { freeze } from "./pauses.ts";

const PAUSE = { ttlMs: 2000, forMs: 5000 };

engineTest(
  "a server that stands still for longer than the TTL gives nobody up, and plans on",
  (connection) => freeze(connection, "server", PAUSE),
);

engineTest(
  "a worker that stands still for longer than the TTL is replaced, and gives way when it is back",
  (connection) => freeze(connection, "worker", PAUSE),
);

engineTest(
  "a machine that is suspended, server and worker, goes on where it was",
  (connection) => freeze(connection, "both", PAUSE),
);
