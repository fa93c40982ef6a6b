/**
 * What users do to what there is: tasks are restarted, configs and secrets removed, credentials stored,
 * images pushed.
 *
 * - A task is to be restarted only if somebody asks for that; and if that was acknowledged, it ends.
 * - A config or secret goes only when somebody asks for that, and only when no task with it is left.
 * - Nodes are told credentials that somebody stored.
 * - All containers of a revision have one image, wherever its tag was moved meanwhile.
 *
 * @module
 */
import type { Answer, Delivery, Rule, RuleContext } from "../checker.ts";
import type { Change } from "../facts.ts";
import { createRequests } from "./requests.ts";

interface Login {
  registry: string;
  username: string;
  password: string;
}

export function operations({ facts, broken }: RuleContext): Rule {
  const requests = createRequests();
  /** Passwords that were asked for, as `registry user`. */
  const passwords = new Map<string, Set<string>>();
  /** Who had credentials at a registry at some time, as `registry user`. */
  const stored = new Set<string>();
  /** By `service revision`. */
  const images = new Map<string, string>();

  function checkRestarts(by: string, { key: [, id], before, after }: Change): void {
    const tasks = (row: unknown) => (row as { tasks: string[] } | undefined)?.tasks ?? [];
    const fresh = tasks(after).filter((taskId) => !tasks(before).includes(taskId));
    for (const taskId of fresh) {
      const asked = requests.isAsked(
        by,
        ({ kind, ref }) => kind === "task_restart" && ref === taskId,
      );
      if (!asked) broken(`task ${taskId} of ${id} is to be restarted, and nobody asks for it now`);
    }
  }

  function checkRemoval(by: string, { before }: Change): void {
    const { id, kind, name } = before as { id: string; kind: string; name: string };
    const asked = requests.isAsked(
      by,
      (one) => one.kind === "data" && one.method === "DELETE" && [id, name].includes(one.ref),
    );
    const user = facts.live().find(({ serviceId, revision }) => {
      const { configs = {}, secrets = {} } = facts.resolved(serviceId, revision) ?? {};
      return [...Object.values(configs), ...Object.values(secrets)].some((pin) => pin.id === id);
    });
    if (user) broken(`${kind} ${name} is removed, and task ${user.id} has it`);
    if (!asked) broken(`${kind} ${name} is removed, and nobody asks for it now`);
  }

  function checkLogin(by: string, { key, after }: Change): void {
    const row = after as { username: string } | undefined;
    const registry = String(key[1]);
    const asked = requests.isAsked(
      by,
      ({ kind, method, ref, body }) =>
        kind === "registry" && ref === registry &&
        (row ? body.username === row.username : method === "DELETE"),
    );
    if (!asked) broken(`the credentials for ${registry} changed, and nobody asks for it now`);
    if (row) stored.add(`${registry} ${row.username}`);
  }

  function checkTold({ caller }: Delivery, answer: Answer): void {
    const { login } = JSON.parse(answer.body) as { login?: Login };
    if (!login) return;
    const known = passwords.get(`${login.registry} ${login.username}`);
    if (!known?.has(login.password)) broken(`${caller} is told credentials that nobody stored`);
  }

  return {
    commit({ by, changes }) {
      for (const change of changes) {
        const { key: [kind], before, after } = change;
        if (kind === "task_restarts") checkRestarts(by, change);
        else if (kind === "registry") checkLogin(by, change);
        else if (kind === "sealed" && before !== undefined && after === undefined) {
          checkRemoval(by, change);
        }
      }
    },
    engine({ event, taskId, image }) {
      const task = facts.task(taskId);
      if (event !== "create" || !task || image === undefined) return;
      const name = `${task.serviceId} ${task.revision}`;
      const first = images.get(name) ?? image;
      images.set(name, first);
      if (first !== image) broken(`task ${taskId} has image ${image}, its revision's is ${first}`);
    },
    requestBegins(delivery) {
      const { kind, ref, body: { username, password } } = requests.begins(delivery);
      if (kind !== "registry" || username === undefined) return;
      const name = `${ref} ${username}`;
      passwords.set(name, (passwords.get(name) ?? new Set()).add(String(password)));
    },
    requestEnds(delivery, answer) {
      if (answer?.status === 200 && delivery.sent.path.endsWith("/login")) {
        checkTold(delivery, answer);
      }
      const request = requests.ends(delivery, answer);
      if (request?.kind === "task_restart") facts.restarted.add(request.ref);
      if (request?.kind !== "registry" || request.method === "DELETE") return;
      if (!stored.has(`${request.ref} ${request.body.username}`)) {
        broken(`the credentials for ${request.ref} were acknowledged and are not stored`);
      }
    },
  };
}
