// What the page's modules work out without a page: words, windows, trends, lists.
import assert from "node:assert/strict";
import { AlertBoard, sortAlerts } from "../../src/dashboard/page/alert_board.ts";
import { describeMetric } from "../../src/dashboard/page/describe_metric.ts";
import { DeviceSeries } from "../../src/dashboard/page/device_series.ts";
import { listFleet } from "../../src/dashboard/page/fleet_filter.ts";
import { FleetTable } from "../../src/dashboard/page/fleet_table.ts";
import { formatAge, formatSpan } from "../../src/dashboard/page/format_time.ts";
import { formatValue } from "../../src/dashboard/page/format_value.ts";
import { healthOf } from "../../src/dashboard/page/health.ts";
import { orderMetrics } from "../../src/dashboard/page/order_metrics.ts";
import { hashOf, parseRoute } from "../../src/dashboard/page/route.ts";
import { MAX_POINTS, SPANS } from "../../src/dashboard/page/span.ts";
import { within, zoom } from "../../src/dashboard/page/time_window.ts";
import { Trend } from "../../src/dashboard/page/trend.ts";
import type { MetricValue } from "../../src/protocol/server_messages.ts";
import { alertOf } from "../support/samples.ts";

const sample = (second: number, metrics: Record<string, MetricValue>) => ({
  timestamp: `${new Date(second * 1_000).toISOString().slice(0, 19)}.000000000Z`,
  metrics,
});

Deno.test("A metric's name gives its label and its unit", () => {
  const told = (name: string) => {
    const { label, unit } = describeMetric(name);
    return `${label}|${unit}`;
  };
  assert.equal(told("temp_c"), "Temp|°C");
  assert.equal(told("battery_pct"), "Battery|%");
  assert.equal(told("wind_ms"), "Wind|m/s");
  assert.equal(told("latency_ms"), "Latency|ms");
  assert.equal(told("flow_m3h"), "Flow|m³/h");
  assert.equal(told("cpu_pct"), "CPU|%");
  assert.equal(told("door_open"), "Door open|");
  assert.equal(told("v"), "V|");
  assert.equal(told("x_constructor"), "X constructor|");
});

Deno.test("Every kind of value that the wire can bring is shown", () => {
  const show = (value: unknown, unit = "", decimals = 0) => {
    const shown = formatValue(value, { unit, decimals });
    return `${shown.text}|${shown.unit}`;
  };
  assert.equal(show(-21.5, "°C", 2), "−21.50|°C");
  assert.equal(show(9_007_199_254_740_991), "9,007,199,254,740,991|");
  assert.equal(show(-3.4028234663852886e38, "V"), "−3.4e38|V");
  assert.equal(show(1e300), "1e300|");
  assert.equal(show(-1.2e-9, "A", 3), "−1.2e−9|A");
  assert.equal(show(0, "A", 3), "0.000|A");
  assert.equal(show(0.0005, "A", 3), "0.001|A");
  assert.equal(show(0.0001, "", 0), "0|");
  assert.equal(show(true), "yes|");
  assert.equal(show("9007199254740993"), "9007199254740993|");
  assert.equal(show([1, 2]), "[1,2]|");
  assert.equal(show(93_600, "s"), "1 d 2 h|");
  assert.equal(show(undefined, "°C"), "–|");
  assert.deepEqual(orderMetrics({ mode: "a", open: true, b_pct: 1, temp_c: 2 }), {
    headline: "temp_c",
    others: ["b_pct", "open", "mode"],
  });
  assert.deepEqual(orderMetrics({ mode: "a" }), { headline: null, others: ["mode"] });
});

Deno.test("Ages are told in one unit and spans in two, none below zero", () => {
  assert.deepEqual([formatAge(-5), formatAge(59_999), formatAge(3_600_000)], [
    "0 s",
    "59 s",
    "1 h",
  ]);
  assert.deepEqual([formatSpan(90_000), formatSpan(5_000)], ["1 min 30 s", "5 s"]);
});

Deno.test("An address leads to a view and back, whatever a device is called", () => {
  const names = ["dev-1", "a/b c", "ä%?&#", "50%"];
  for (const deviceId of names) {
    const route = { view: "device", deviceId, range: "6h" } as const;
    assert.deepEqual(parseRoute(hashOf(route)), route);
  }
  assert.deepEqual(parseRoute("#/device/x?range=9d"), {
    view: "device",
    deviceId: "x",
    range: "15m",
  });
  for (const hash of ["", "#", "#/", "#/nowhere", "#/device/", "#/device/%E0%A4%A"]) {
    assert.deepEqual(parseRoute(hash), { view: "fleet" }, hash);
  }
});

Deno.test("No range asks for more points than a chart is made of", () => {
  for (const { seconds, resolutionSeconds } of Object.values(SPANS)) {
    assert.ok(seconds / resolutionSeconds <= MAX_POINTS);
  }
});

Deno.test("Live samples go on in the window that history ended with, and a silence breaks the line", () => {
  const series = new DeviceSeries({ spanSeconds: 600, resolutionSeconds: 10 });
  series.addWindow(sample(1_000, { temp_c: 1 }));
  series.addWindow(sample(1_010, { temp_c: 2 }));
  series.add(sample(1_021, { temp_c: 4 }));
  series.add(sample(1_029, { temp_c: 6 }));
  assert.deepEqual(series.line("temp_c"), { times: [1_000, 1_010, 1_020], values: [1, 2, 5] });
  series.add(sample(1_090, { temp_c: 7 }));
  assert.deepEqual(series.line("temp_c").values, [1, 2, 5, null, 7]);
  series.add(sample(1_033, { temp_c: 9 }));
  assert.deepEqual(series.line("temp_c").times.slice(0, 4), [1_000, 1_010, 1_020, 1_030]);
  assert.equal(series.newest?.metrics.temp_c, 7);
  series.add(sample(1_605, { temp_c: 8 }));
  assert.equal(series.line("temp_c").times[0], 1_000);
  series.add(sample(1_611, { temp_c: 8 }));
  assert.equal(series.line("temp_c").times[0], 1_010);
});

Deno.test("What is no number is told in phases, and its silences stay empty", () => {
  const series = new DeviceSeries({ spanSeconds: 600, resolutionSeconds: 1 });
  for (const second of [0, 1, 2]) series.add(sample(second, { door_open: false }));
  for (const second of [3, 4]) series.add(sample(second, { door_open: true }));
  for (const second of [60, 61]) series.add(sample(second, { door_open: true }));
  assert.deepEqual(series.phases("door_open"), [
    { from: 0, to: 3, value: false },
    { from: 3, to: 5, value: true },
    { from: 60, to: 62, value: true },
  ]);
});

Deno.test("A trend joins what follows at the device's own pace, and leaves gaps open", () => {
  const path = (...bins: number[]) => {
    const trend = new Trend();
    for (const bin of bins) trend.push(bin * 15_000, bin % 2);
    return trend.path({ nowMs: 59 * 15_000, width: 120, height: 26 }).replaceAll(/[^MLh]/g, "");
  };
  assert.equal(path(50, 51, 52, 53), "MLLL");
  assert.equal(path(40, 44, 48, 52), "MLLL");
  assert.equal(path(40, 41, 42, 52, 53), "MLLML");
  assert.equal(path(59), "Mh");
  assert.equal(path(), "");
});

Deno.test("A trend that was seen is filled with what was stored, and what was seen counts", () => {
  const trend = new Trend();
  trend.push(50 * 15_000, 9);
  trend.fill([{ timeMs: 49 * 15_000, value: 0 }, { timeMs: 50 * 15_000, value: 0 }]);
  const [, first, last] = /^M\S+ (\S+)L\S+ (\S+)$/.exec(
    trend.path({ nowMs: 50 * 15_000, width: 120, height: 26 }),
  ) ?? [];
  assert.ok(Number(first) > Number(last), `${first} is not below ${last}`);
});

Deno.test("A value is live only while it is as young as its device's pace explains", () => {
  const of = (ageMs: number, paceMs: number | null, isArriving = true) =>
    healthOf({ ageMs, paceMs, staleMs: 300_000, isArriving });
  assert.equal(of(14_000, 1_000), "live");
  assert.equal(of(16_000, 1_000), "quiet");
  assert.equal(of(100_000, 60_000), "live");
  assert.equal(of(16_000, null), "quiet");
  assert.equal(of(1_000, 1_000, false), "old");
  assert.equal(of(301_000, 200_000), "stale");
  assert.equal(of(301_000, 1_000, false), "stale");
});

Deno.test("The fleet is listed as people count, and trouble comes first where that is wanted", () => {
  const table = new FleetTable();
  const nowMs = 1_000_000;
  for (const [id, ageMs] of [["pump-10", 0], ["pump-2", 30_000], ["pump-1", 400_000]] as const) {
    table.receive({ device_id: id, ...sample((nowMs - ageMs) / 1_000, { flow_lps: 1 }) });
  }
  table.receive({ device_id: "pump-10", ...sample(900, { flow_lps: 5 }) });
  assert.equal(table.row("pump-10")?.metrics.flow_lps, 1);
  const list = (order: "name" | "trouble", alerts: [string, number][] = []) =>
    listFleet(table.rows(), { search: "", show: "all", order }, {
      nowMs,
      staleMs: 300_000,
      isArriving: true,
      alerts: new Map(alerts),
    }).map(({ row, health }) => `${row.deviceId} ${health}`);
  assert.deepEqual(list("name"), ["pump-1 stale", "pump-2 quiet", "pump-10 live"]);
  assert.deepEqual(list("trouble", [["pump-10", 1]]), [
    "pump-10 live",
    "pump-1 stale",
    "pump-2 quiet",
  ]);
});

Deno.test("An alert that closed is kept for a while, and one that opens again is no closed one", () => {
  const board = new AlertBoard();
  const [one, other] = [alertOf(1, { severity: 2 }), alertOf(2, { severity: 5 })];
  const none = { opened: [], updated: [], closed: [] };
  assert.equal(board.open, null);
  board.receive([one], null, 0);
  assert.ok(!board.isNew(1, 0), "what was open before is not new");
  board.receive([other, one], { ...none, opened: [other] }, 1_000);
  assert.ok(board.isNew(2, 2_000) && !board.isNew(2, 60_000));
  assert.deepEqual(sortAlerts(board.open ?? [], "severity"), [other, one]);
  board.receive([one], { ...none, closed: [2, 99] }, 3_000);
  assert.deepEqual(board.closed, [{ alert: other, closedMs: 3_000 }]);
  board.receive([other, one], { ...none, opened: [other] }, 4_000);
  assert.deepEqual(board.closed, []);
  const brief = alertOf(3);
  board.receive([other, one], { ...none, opened: [brief], closed: [3] }, 5_000);
  assert.deepEqual(board.closed, [{ alert: brief, closedMs: 5_000 }]);
  board.receive([other, one], none, 700_000);
  assert.deepEqual(board.closed, []);
});

Deno.test("Zooming keeps within what there is, and to see all of it is to follow", () => {
  const whole = { from: 0, to: 900 };
  assert.deepEqual(zoom(whole, 0.5), { from: 225, to: 675 });
  assert.deepEqual(within({ from: 800, to: 1_000 }, whole), { from: 700, to: 900 });
  assert.deepEqual(within({ from: -50, to: 50 }, whole), { from: 0, to: 100 });
  assert.equal(within({ from: -10, to: 910 }, whole), null);
});
