/**
 * Bearer tokens. Only their SHA-256 is stored; a token is 256 random bits, so a plain hash is enough.
 *
 * @module
 */
import { key } from "./keys.ts";
import { Lru } from "./lru.ts";
import { timestamp } from "./schema/common.ts";
import { Token, type TokenKind } from "./schema/control.ts";
import type { Clock } from "./schema/time.ts";
import { getRow, type Kv } from "./store.ts";

export interface TokenDeps {
  clock: Clock;
  newId: () => string;
  /** 256 random bits as base64url. */
  randomToken: () => string;
}

export interface NewToken {
  /** The token itself: shown once. */
  plain: string;
  sha256: string;
  row: Token;
}

/** Mints a token; nothing is stored. The prefix tells people and secret scanners what it is. */
export async function mintToken(
  deps: TokenDeps,
  kind: TokenKind,
  nodeId?: string,
): Promise<NewToken> {
  const plain = `berth_${kind}_${deps.randomToken()}`;
  const row: Token = {
    id: deps.newId(),
    kind,
    ...(nodeId === undefined ? {} : { nodeId }),
    createdAt: timestamp(deps.clock.wallMs()),
  };
  return { plain, sha256: await sha256Hex(plain), row };
}

/** Stores a new token and answers it. */
export async function createToken(
  deps: TokenDeps & { kv: Kv },
  kind: Exclude<TokenKind, "node">,
): Promise<string> {
  const token = await mintToken(deps, kind);
  await deps.kv.atomic().set(key.token(token.sha256), token.row).commit();
  return token.plain;
}

/** The first admin token of a database: answered when this call made it, `undefined` afterwards. */
export async function ensureAdminToken(
  deps: TokenDeps & { kv: Kv },
): Promise<string | undefined> {
  const known = await deps.kv.get(key.adminToken());
  if (known.versionstamp !== null) return undefined;
  const token = await mintToken(deps, "admin");
  const committed = await deps.kv.atomic().check(known)
    .set(key.adminToken(), token.sha256)
    .set(key.token(token.sha256), token.row).commit();
  return committed.ok ? token.plain : undefined;
}

/** How long a token that was found is believed without another look, in ms. */
export const TOKEN_CACHE_MS = 5000;
const CACHED_TOKENS = 20_000;

export interface TokenReader {
  /** The row of a token; costs at most one read. Only tokens that exist are remembered. */
  find(plain: string): Promise<Token | undefined>;
}

/** One per process. A token that is withdrawn works for at most {@link TOKEN_CACHE_MS} more. */
export function createTokenReader(deps: { kv: Kv; clock: Clock }): TokenReader {
  // By the token itself: hashing it costs more than all else that a request of an agent asks for.
  const known = new Lru<string, { row: Token; sha256: string; untilMs: number }>(CACHED_TOKENS);
  return {
    async find(plain) {
      if (!TOKEN_FORM.test(plain)) return undefined;
      const nowMs = deps.clock.monoMs();
      const cached = known.get(plain);
      if (cached && nowMs < cached.untilMs) return cached.row;
      const sha256 = cached?.sha256 ?? await sha256Hex(plain);
      const row = (await getRow(deps.kv, key.token(sha256), Token))?.row;
      if (row) known.set(plain, { row, sha256, untilMs: nowMs + TOKEN_CACHE_MS });
      else known.delete(plain);
      return row;
    },
  };
}

const TOKEN_FORM = /^berth_(admin|join|node)_[A-Za-z0-9_-]{1,128}$/;

/** Lower-case hex. */
export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
