/** Prometheus' text form: each sample's labels and value. */
export interface Sample {
  labels: Readonly<Record<string, string>>;
  value: number;
}

export class MetricText {
  private readonly samples = new Map<string, Sample[]>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (name === undefined) continue;
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text] as const);
      const known = this.samples.get(name) ?? [];
      known.push({ labels: Object.fromEntries(pairs), value: Number(value) });
      this.samples.set(name, known);
    }
  }

  sum(name: string, fits: (labels: Sample['labels']) => boolean = () => true): number {
    return this.of(name, fits).reduce((sum, { value }) => sum + value, 0);
  }

  /** Upper bound of the histogram's bucket in which the quantile lies, over all its labels. */
  quantile(name: string, quantile: number): number {
    const bounds = new Map<number, number>();
    for (const { labels, value } of this.of(`${name}_bucket`)) {
      const bound = labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels['le']);
      bounds.set(bound, (bounds.get(bound) ?? 0) + value);
    }
    const wanted = (bounds.get(Number.POSITIVE_INFINITY) ?? 0) * quantile;
    const found = [...bounds].sort(([a], [b]) => a - b).find(([, count]) => count >= wanted);
    return found?.[0] ?? Number.NaN;
  }

  private of(name: string, fits: (labels: Sample['labels']) => boolean = () => true): Sample[] {
    return (this.samples.get(name) ?? []).filter(({ labels }) => fits(labels));
  }
}
