// Holds what operators load into Grafana and Prometheus, and the document on the metrics, to the metrics that there are.
// It parses the files and every expression in them; it runs neither program.
import { parser } from "@prometheus-io/lezer-promql";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { CLOSINGS } from "../../src/errors.ts";
import { LIMITS } from "../../src/limits/limits.ts";
import { type MetricDefinition, METRICS } from "../../src/observe/metric_table.ts";
import { PrometheusMetrics } from "../../src/observe/prometheus_metrics.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const table: Readonly<Record<string, MetricDefinition>> = METRICS;

/** Labels that Prometheus adds to what it scrapes. */
const SCRAPED = ["job", "instance"];
const SOURCES = ["telemetry", "alerts"];
/** The values of labels that an expression may ask for. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  source: SOURCES,
  transport: ["websocket", "events"],
  kind: ["device", "all_devices", "alerts", "fleet", "rss", "heap_used", "heap_total", "external"],
  fault: ["unavailable", "denied", "missing", "rejected", "other"],
  outcome: ["admitted", ...Object.keys(CLOSINGS)],
  limit: Object.keys(LIMITS),
  code: ["1000", "1001", "1006", "1012", "4001", "4003", "4008", "other"],
};

interface Found {
  readonly metrics: readonly string[];
  readonly groupings: readonly string[];
}

/** What an expression names; fails where it can't be parsed or names what doesn't exist. */
function check(expression: string): Found {
  // Grafana puts these in before it asks.
  const query = expression.replaceAll("$__rate_interval", "1m");
  const metrics: string[] = [];
  const groupings: string[] = [];
  let labels: string[] = [];
  const cursor = parser.parse(query).cursor();
  const text = () => query.slice(cursor.from, cursor.to);
  do {
    const { name } = cursor;
    assert.notEqual(name, "⚠", `${query} can't be parsed at ${cursor.from}`);
    if (name === "VectorSelector") {
      const [, metric = ""] = /^(\w+)/.exec(text()) ?? [];
      labels = labelsOf(metric, query);
      metrics.push(metric);
    } else if (name.endsWith("LabelMatcher")) {
      const [, label = "", value = ""] = /^(\w+)\s*(?:=~|!~|!=|=)\s*"(.*)"$/.exec(text()) ?? [];
      assert.ok(labels.includes(label), `${query}: the metric has no label ${label}`);
      if (SCRAPED.includes(label)) continue;
      for (const one of value.split("|")) {
        assert.ok(VALUES[label]?.includes(one), `${query}: ${label} is never ${one}`);
      }
    } else if (name === "GroupingLabels") {
      groupings.push(...text().replace(/[()\s]/g, "").split(","));
    }
  } while (cursor.next());
  assert.ok(metrics.length > 0, `${query} names no metric`);
  const all = new Set(metrics.flatMap((metric) => labelsOf(metric, query)));
  for (const label of groupings) assert.ok(all.has(label), `${query} groups by ${label}`);
  return { metrics, groupings };
}

/** The labels of a metric, or of one of the series that a histogram has. */
function labelsOf(series: string, query: string): string[] {
  const own = table[series];
  const base = series.replace(/_(bucket|sum|count)$/, "");
  const histogram = table[base]?.type === "histogram" && base !== series ? table[base] : undefined;
  const metric = own?.type === "histogram" ? undefined : own ?? histogram;
  assert.ok(metric !== undefined, `${query} names ${series}, which is not there`);
  return [
    ...metric.labels,
    ...SCRAPED,
    ...(metric.isPerTenant === true ? ["tenant"] : []),
    ...(series.endsWith("_bucket") ? ["le"] : []),
  ];
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly targets?: ReadonlyArray<{ readonly expr: string; readonly legendFormat: string }>;
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The labels that a text puts in. */
const labelsIn = (text: string) =>
  [...text.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].map(([, label = ""]) => label);

Deno.test("Every panel of the dashboard asks for metrics, labels and values that exist", () => {
  const { panels, templating } = JSON.parse(read("ops/grafana-dashboard.json"));
  const shown = new Set<string>();
  for (const { title, type, targets = [] } of panels as readonly Panel[]) {
    assert.equal(targets.length > 0, type !== "row", title);
    for (const { expr, legendFormat } of targets) {
      const { metrics, groupings } = check(expr);
      for (const metric of metrics) shown.add(metric.replace(/_(bucket|sum|count)$/, ""));
      for (const label of labelsIn(legendFormat)) assert.ok(groupings.includes(label), title);
    }
  }
  const variables = templating.list as ReadonlyArray<{ readonly definition?: string }>;
  for (const { definition } of variables) {
    const [, selector] = /^label_values\((.*), \w+\)$/.exec(definition ?? "") ?? [];
    if (selector !== undefined) check(selector);
  }
  const left = Object.keys(METRICS).filter((name) => !shown.has(name));
  assert.deepEqual(left, [], "these have no panel");
  const ids = (panels as readonly Panel[]).map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});

Deno.test("Every alert asks for metrics, labels and values that exist, and says what to do", () => {
  const { groups } = parse(read("ops/prometheus-rules.yml"));
  const rules = (groups as ReadonlyArray<{ readonly rules: readonly Rule[] }>)
    .flatMap(({ rules }) => rules);
  assert.ok(rules.length > 10);
  for (const { alert, expr, labels, annotations } of rules) {
    const { groupings } = check(expr);
    assert.match(labels.severity ?? "", /^(warning|critical)$/, alert);
    assert.ok((annotations.description?.length ?? 0) > 40, alert);
    for (const label of labelsIn(annotations.summary ?? "")) {
      assert.ok(groupings.includes(label), `${alert} puts in ${label}`);
    }
  }
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
});

Deno.test("What does not exist is found", () => {
  for (
    const wrong of [
      "sum(rate(pulsewire_ticks[5m]))",
      "pulsewire_freshness_seconds",
      "pulsewire_feeds_bucket",
      'pulsewire_feeds{source="telemetry"}',
      'pulsewire_closes_total{code="4999"}',
      "sum by (user) (pulsewire_connections)",
      "sum(pulsewire_feeds",
      "1 + 1",
    ]
  ) {
    assert.throws(() => check(wrong), assert.AssertionError, wrong);
  }
});

Deno.test("The document's table says what the registry says", async () => {
  const rows = [
    ...read("docs/METRICS.md").matchAll(/^\| `(\w+)`\s*\| (\w+)\s*\| (.*?)\s*\| (.*?)\s*\|$/gm),
  ]
    .map(([, name, type, labels = "", help]) => ({
      name,
      type,
      labels: labels.replaceAll("`", "").split(", ").filter((label) => label !== ""),
      help,
    }));
  const wanted = Object.entries(table).map(([name, { type, labels, help, isPerTenant }]) => ({
    name,
    type,
    labels: [...labels, ...(isPerTenant === true ? ["tenant"] : [])],
    help,
  }));
  assert.deepEqual(rows, wanted);
  const text = await new PrometheusMetrics({ version: "1", hasTenantLabel: false }).text();
  const registered = [...text.matchAll(/^# HELP (\w+) (.*)$/gm)].map((
    [, name, help],
  ) => [name, help]);
  assert.deepEqual(registered, wanted.map(({ name, help }) => [name, help]));
});

Deno.test("Names of metrics carry their unit, and counters say that they are", () => {
  for (const [name, { type, buckets = [] }] of Object.entries(table)) {
    assert.match(name, /^pulsewire_[a-z_]+$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
    assert.equal(buckets.length > 0, type === "histogram", name);
    assert.deepEqual(buckets, buckets.toSorted((a, b) => a - b), name);
  }
});
