/** What several rounds gave for one thing. */
export interface Figures {
  readonly median: number;
  /** Half of the distance between the least and the most, as a part of the median. */
  readonly spread: number;
  readonly rounds: number;
}

export function figuresOf(samples: readonly number[]): Figures | null {
  if (samples.length === 0) return null;
  const median = medianOf(samples);
  const spread = (Math.max(...samples) - Math.min(...samples)) / 2 / median;
  return { median, spread: median === 0 ? 0 : spread, rounds: samples.length };
}

/** Of at least one number. */
export function medianOf(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? NaN;
  return (upper + lower) / 2;
}

/**
 * Ours to the best of the others, round by round, so that what disturbed one round disturbs both
 * sides. Null when there is none to compare with.
 */
export function ratioToBest(
  ours: readonly number[],
  others: readonly (readonly number[])[],
): Figures | null {
  const ratios = ours.flatMap((value, round) => {
    const best = Math.max(...others.map((samples) => samples[round] ?? 0));
    return best > 0 ? [value / best] : [];
  });
  return figuresOf(ratios);
}

/** Three significant digits at least: 9.87, 98.7, 987, 12,345. */
export function formatNumber(value: number): string {
  const decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(decimals).replace(/\B(?=(\d{3})+(?!\d)(?<!\.\d*))/g, ",");
}

/** "12,345 ±4 %", or "–" where nothing was measured. */
export function formatFigures(figures: Figures | null): string {
  if (figures === null) return "–";
  return `${formatNumber(figures.median)} ±${Math.round(figures.spread * 100)} %`;
}

/** A table in Markdown; the first column is text, the others numbers. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${
      widths.map((width, column) => {
        const text = row[column] ?? "";
        return column === 0 ? text.padEnd(width) : text.padStart(width);
      }).join(" | ")
    } |`;
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`
  );
  return [line(head), `| ${rule.join(" | ")} |`, ...body.map(line)].join("\n");
}
