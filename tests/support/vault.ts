/**
 * A vault with a key that everybody knows.
 *
 * @module
 */
import { createVault, KEY_BYTES } from "../../kv/vault.ts";

export const TEST_VAULT = await createVault([new Uint8Array(KEY_BYTES).fill(7)]);
