/**
 * Lint rules of the house.
 *
 * - `injected-time`: time and randomness are parameters; only composition roots and the clock itself
 *   reach for the machine's.
 * - `no-console`: output belongs to the composition roots and to what they pass on.
 * - `waits-for-conditions`: tests wait for conditions (tests/support/eventually.ts), not for the clock.
 *
 * @module
 */
const ROOTS = /\/(main\.ts|worker\/main\.ts|worker\/sample_image\.ts|cli\/main\.ts)$/;
const ROOMS = /\/(kv|scheduler|api|worker|cli)\//;
const CLOCK = /\/kv\/schema\/time\.ts$/;
const TESTS = /\/tests\/.*_test\.ts$/;

const MACHINE_CALLS = new Set(["Date.now", "performance.now", "Math.random"]);

function calleeName(node: Deno.lint.CallExpression): string | undefined {
  const { callee } = node;
  if (callee.type === "Identifier") return callee.name;
  if (callee.type !== "MemberExpression") return undefined;
  if (callee.object.type !== "Identifier" || callee.property.type !== "Identifier") {
    return undefined;
  }
  return `${callee.object.name}.${callee.property.name}`;
}

const plugin: Deno.lint.Plugin = {
  name: "berth",
  rules: {
    "injected-time": {
      create(context) {
        const { filename } = context;
        const applies = ROOMS.test(filename) && !ROOTS.test(filename) && !CLOCK.test(filename) &&
          !/\/tests\//.test(filename);
        if (!applies) return {};
        return {
          CallExpression(node) {
            const name = calleeName(node);
            if (name !== undefined && MACHINE_CALLS.has(name)) {
              context.report({ node, message: `${name}: take a Clock or a random as a parameter` });
            }
          },
          NewExpression(node) {
            if (
              node.callee.type === "Identifier" && node.callee.name === "Date" &&
              node.arguments.length === 0
            ) context.report({ node, message: "new Date(): take a Clock as a parameter" });
          },
        };
      },
    },
    "no-console": {
      create(context) {
        const { filename } = context;
        if (!ROOMS.test(filename) || ROOTS.test(filename) || /\/tests\//.test(filename)) return {};
        return {
          CallExpression(node) {
            if (calleeName(node)?.startsWith("console.")) {
              context.report({ node, message: "console: take a log or an output as a parameter" });
            }
          },
        };
      },
    },
    "waits-for-conditions": {
      create(context) {
        if (!TESTS.test(context.filename)) return {};
        return {
          CallExpression(node) {
            const name = calleeName(node);
            if (name === "setTimeout" || name === "delay" || name === "sleep") {
              context.report({
                node,
                message: `${name}: wait for a condition with eventually()`,
              });
            }
          },
        };
      },
    },
  },
};

export default plugin;
