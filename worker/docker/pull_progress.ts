/**
 * From the lines of a pull, one per change of a layer, to one sentence about all of it.
 *
 * @module
 */

/** A line of the engine's. */
export interface PullLine {
  status?: string;
  /** Of the layer; of the first line it is the tag. */
  id?: string;
  error?: string;
  progressDetail?: { current?: number; total?: number };
}

interface Layer {
  pulled: number;
  unpacked: number;
  total: number;
}

const MIB = 1024 * 1024;
/** No image has as many. */
const MAX_LAYERS = 1_000;

/** Answers what there is to say after each line; undefined when nothing changed. */
export function createPullProgress(): (line: PullLine) => string | undefined {
  const layers = new Map<string, Layer>();
  let said: string | undefined;
  return ({ status, id, progressDetail: { current = 0, total = 0 } = {} }) => {
    if (id === undefined || status === undefined) return undefined;
    const layer = layers.get(id) ?? { pulled: 0, unpacked: 0, total: 0 };
    if (layers.size >= MAX_LAYERS && !layers.has(id)) return undefined;
    if (total > 0) layer.total = total;
    if (status === "Downloading") layer.pulled = current;
    else if (status === "Extracting") [layer.pulled, layer.unpacked] = [layer.total, current];
    else if (status === "Download complete") layer.pulled = layer.total;
    else if (status === "Pull complete") layer.pulled = layer.unpacked = layer.total;
    else return undefined;
    layers.set(id, layer);
    const text = textOf([...layers.values()]);
    if (text === said) return undefined;
    said = text;
    return text;
  };
}

function textOf(layers: readonly Layer[]): string | undefined {
  const sum = (field: keyof Layer) => layers.reduce((bytes, layer) => bytes + layer[field], 0);
  const total = sum("total");
  if (total === 0) return undefined;
  const pulled = sum("pulled");
  return pulled < total
    ? `pulling ${amount(pulled, total)}`
    : `unpacking ${amount(sum("unpacked"), total)}`;
}

/** In units of the whole, so that the two numbers can be compared. */
function amount(bytes: number, total: number): string {
  const [unit, name] = total < 10 * MIB ? [1024, "KiB"] as const : [MIB, "MiB"] as const;
  return `${Math.floor(bytes / unit)} of ${Math.ceil(total / unit)} ${name}`;
}
