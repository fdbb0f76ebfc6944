// The numbers of a Prometheus text by name and labels, for tests to look them up.
import assert from "node:assert/strict";

export class PrometheusText {
  readonly #values = new Map<string, number>();

  constructor(text: string) {
    for (const line of text.split("\n")) {
      if (line === "" || line.startsWith("#")) continue;
      const [, name = "", labels = "", value = ""] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ??
        assert.fail(`${line} is no sample`);
      this.#values.set(keyOf(name, labels.split(/,(?=\w+=)/)), Number(value));
    }
  }

  /** Undefined where there is no such series. */
  value(name: string, labels: Readonly<Record<string, string | number>> = {}): number | undefined {
    return this.#values.get(
      keyOf(name, Object.entries(labels).map(([label, value]) => `${label}="${value}"`)),
    );
  }

  /** The labels of every series of the metric. */
  series(name: string): readonly string[] {
    return [...this.#values.keys()].filter((key) => key.startsWith(`${name}{`)).map((key) =>
      key.slice(name.length)
    );
  }
}

function keyOf(name: string, labels: readonly string[]): string {
  return `${name}{${labels.filter((label) => label !== "").toSorted().join(",")}}`;
}
