/**
 * Prometheus' text format, and the one kind of metric that is counted as things happen.
 *
 * @module
 */

export interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  samples: Sample[];
}

export interface Sample {
  value: number;
  labels?: Labels;
  /** What is said of the family, such as `_sum`. */
  suffix?: string;
}

export type Labels = Record<string, string>;

/** Version 0.0.4 of the format. */
export function exposition(families: readonly Family[]): string {
  return families.map(({ name, help, type, samples }) => {
    const lines = samples.map(({ value, labels = {}, suffix = "" }) =>
      `${name}${suffix}${labelText(labels)} ${numberText(value)}\n`
    );
    return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`;
  }).join("\n");
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(([label, value]) => `${label}="${escapeLabel(value)}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

export interface Histogram {
  /** Counts one value; labels are to be few in their combinations. */
  observe(labels: readonly string[], value: number): void;
  /** What was counted so far, the buckets cumulative. */
  samples(): Sample[];
}

interface Counts {
  labels: Labels;
  /** By bucket: those above all the bounds last. */
  counts: number[];
  sum: number;
}

/** `bounds` ascend; a value belongs to the first bucket whose bound is not below it. */
export function createHistogram(
  labelNames: readonly string[],
  bounds: readonly number[],
): Histogram {
  const known = new Map<string, Counts>();

  function begin(key: string, labels: readonly string[]): Counts {
    const named = Object.fromEntries(labelNames.map((name, i) => [name, labels[i] ?? ""]));
    const counts = { labels: named, counts: Array(bounds.length + 1).fill(0), sum: 0 };
    known.set(key, counts);
    return counts;
  }

  return {
    observe(labels, value) {
      const key = labels.join("\n");
      const into = known.get(key) ?? begin(key, labels);
      let bucket = 0;
      while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
      into.counts[bucket] = (into.counts[bucket] ?? 0) + 1;
      into.sum += value;
    },
    samples: () =>
      [...known.values()].flatMap(({ labels, counts, sum }): Sample[] => {
        let count = 0;
        const buckets = counts.map((more, i): Sample => ({
          suffix: "_bucket",
          labels: { le: numberText(bounds[i] ?? Infinity), ...labels },
          value: count += more,
        }));
        return [
          ...buckets,
          { suffix: "_sum", labels, value: sum },
          { suffix: "_count", labels, value: count },
        ];
      }),
  };
}
