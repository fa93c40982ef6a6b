export { sameValue, stableJson } from "./schema/same.ts";
