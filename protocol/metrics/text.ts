import { assert } from "../core/assert.ts";

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

/** One histogram: counts of each bucket by itself, the last one being all above the last bound. */
export interface HistogramSeries {
  readonly labels: Labels;
  /** Rising; the same for every series of a family. */
  readonly bounds: readonly number[];
  /** One more than there are bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** The content type of what `MetricsText` makes. */
export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format). Values come
 * from counters that are kept elsewhere, so there is no registry: one object writes one answer. A
 * family without samples is left out.
 */
export class MetricsText {
  readonly #lines: string[] = [];
  readonly #families = new Set<string>();

  /** `name` ends in "_total". */
  counter(name: string, help: string, samples: readonly Sample[]): void {
    assert(name.endsWith("_total"), "a counter's name ends in _total");
    this.#family(name, "counter", help, samples);
  }

  gauge(name: string, help: string, samples: readonly Sample[]): void {
    assert(!name.endsWith("_total"), "a gauge's name does not end in _total");
    this.#family(name, "gauge", help, samples);
  }

  histogram(name: string, help: string, series: readonly HistogramSeries[]): void {
    if (series.length === 0) return;
    this.#head(name, "histogram", help);
    for (const { labels, bounds, counts, sum } of series) {
      assert(counts.length === bounds.length + 1, "a bucket for each bound and one above");
      let count = 0;
      counts.forEach((of, i) => {
        count += of;
        const le = i < bounds.length ? String(bounds[i]) : "+Inf";
        this.#sample(`${name}_bucket`, { ...labels, le }, count);
      });
      this.#sample(`${name}_sum`, labels, sum);
      this.#sample(`${name}_count`, labels, count);
    }
  }

  toString(): string {
    return this.#lines.map((line) => `${line}\n`).join("");
  }

  #family(name: string, type: string, help: string, samples: readonly Sample[]): void {
    if (samples.length === 0) return;
    this.#head(name, type, help);
    for (const [labels, value] of samples) this.#sample(name, labels, value);
  }

  #head(name: string, type: string, help: string): void {
    assert(/^[a-z][a-z0-9_]*$/.test(name), "a metric's name is lower case");
    assert(!this.#families.has(name), "a family is written once");
    this.#families.add(name);
    this.#lines.push(`# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}`);
    this.#lines.push(`# TYPE ${name} ${type}`);
  }

  #sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
    const braces = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
    this.#lines.push(`${name}${braces} ${numberText(value)}`);
  }
}

function escaped(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}

function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}
