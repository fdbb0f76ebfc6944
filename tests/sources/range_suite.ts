// One suite for the ranges and lists of every TelemetrySource; it must know no database, only the port and its fixture.
import assert from "node:assert/strict";
import { instantOfMs, instantOfNanos, nanosOf } from "../../src/protocol/nano_instant.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import type {
  RangeQuery,
  RangeResult,
  Sample,
  TelemetrySource,
} from "../../src/sources/telemetry_source.ts";
import {
  registerSteps,
  type Step,
  type TelemetryFixture,
  type TelemetryPoint,
} from "./telemetry_fixture.ts";

const minuteMs = 60_000;
const minuteNanos = 60_000_000_000n;

/** The start of a whole minute so long ago. */
function minutesAgo(minutes: number): string {
  return instantOfMs((Math.floor(Date.now() / minuteMs) - minutes) * minuteMs);
}

function plus(instant: string, nanos: bigint | number): string {
  return instantOfNanos(nanosOf(instant) + BigInt(nanos));
}

function seconds(instant: string, count: number): string {
  return plus(instant, BigInt(Math.round(count * 1_000)) * 1_000_000n);
}

function point(
  deviceId: string,
  timestamp: string,
  metrics: TelemetryPoint["metrics"],
): TelemetryPoint {
  return { deviceId, timestamp, metrics };
}

function read(
  source: TelemetrySource,
  query: Pick<RangeQuery, "tenantId" | "deviceIds"> & Partial<RangeQuery>,
): Promise<RangeResult> {
  return source.readRange({
    after: minutesAgo(120),
    until: instantOfMs(Date.now()),
    maxSamples: 1_000,
    order: "ascending",
    resolutionSeconds: null,
    signal: new AbortController().signal,
    ...query,
  });
}

/** Timestamps and entries: a metric may be called `__proto__`. */
function plain(samples: readonly Sample[] | undefined): [string, [string, unknown][]][] {
  return (samples ?? []).map(({ timestamp, metrics }) => [
    timestamp,
    Object.entries(metrics).sort(([a], [b]) => a < b ? -1 : 1),
  ]);
}

function stamps(samples: readonly Sample[] | undefined): string[] {
  return (samples ?? []).map(({ timestamp }) => timestamp);
}

const steps: Readonly<Record<string, Step>> = {
  async "A range holds every sample of a device with all its metrics, in the order asked for"(
    fixture,
    tenantId,
  ) {
    const start = minutesAgo(10);
    const at = (n: number) => seconds(start, n + 0.5);
    await fixture.write(tenantId, [
      point("dev-1", at(2), { temp_c: 2.5, door_open: true, fw: "1.0" }),
      point("dev-1", at(0), { temp_c: 0.5, count: 9_007_199_254_740_993n }),
      point("dev-1", at(1), { humidity: 40n }),
      point("dev-2", at(1), { temp_c: 9.5 }),
    ]);
    const source = fixture.source();
    const query = { tenantId, deviceIds: ["dev-1", "dev-2", "nobody"] };
    const ascending = await read(source, query);
    const expected = [
      [at(0), [["count", "9007199254740993"], ["temp_c", 0.5]]],
      [at(1), [["humidity", 40]]],
      [at(2), [["door_open", true], ["fw", "1.0"], ["temp_c", 2.5]]],
    ];
    assert.deepEqual(plain(ascending.samples.get("dev-1")), expected);
    assert.deepEqual(plain(ascending.samples.get("dev-2")), [[at(1), [["temp_c", 9.5]]]]);
    assert.deepEqual([...ascending.samples.keys()].sort(), ["dev-1", "dev-2"]);
    assert.deepEqual([ascending.truncated.size, ascending.unreadable.size], [0, 0]);
    const descending = await read(source, { ...query, order: "descending" });
    assert.deepEqual(plain(descending.samples.get("dev-1")), expected.toReversed());
  },

  async "The lower bound is excluded and the upper one included, to the database's last digit"(
    fixture,
    tenantId,
  ) {
    const unit = fixture.precision === 9 ? 1 : 1_000;
    const after = plus(minutesAgo(10), 123_456_000);
    const until = plus(minutesAgo(9), 654_321_000);
    const instants = [after, plus(after, unit), plus(until, -unit), until, plus(until, unit)];
    await fixture.write(tenantId, instants.map((instant, n) => point("dev-1", instant, { n })));
    const source = fixture.source();
    const query = { tenantId, deviceIds: ["dev-1"], after, until };
    assert.deepEqual(
      stamps((await read(source, query)).samples.get("dev-1")),
      instants.slice(1, 4),
    );
    // Bounds between two instants that the database can hold.
    const between = await read(source, {
      ...query,
      after: plus(after, unit - 1),
      until: plus(until, unit - 1),
    });
    assert.deepEqual(stamps(between.samples.get("dev-1")), instants.slice(1, 4));
    const single = await read(source, { ...query, after, until: plus(after, unit) });
    assert.deepEqual(stamps(single.samples.get("dev-1")), [instants[1]]);
    for (const [from, to] of [[after, after], [until, after]] as const) {
      assert.equal((await read(source, { ...query, after: from, until: to })).samples.size, 0);
    }
  },

  async "No range reaches further ahead than every read does"(fixture, tenantId) {
    const now = instantOfMs(Date.now());
    const ahead = seconds(now, 30);
    const far = seconds(now, 300);
    await fixture.write(tenantId, [
      point("dev-1", ahead, { n: 1 }),
      point("dev-1", far, { n: 2 }),
    ]);
    const query = { tenantId, deviceIds: ["dev-1"], until: seconds(now, 3_600) };
    const { samples } = await read(fixture.source({ futureMs: minuteMs }), query);
    assert.equal(samples.get("dev-1")?.length, 1);
    const wide = await read(fixture.source({ futureMs: 10 * minuteMs }), query);
    assert.equal(wide.samples.get("dev-1")?.length, 2);
    const beyond = { ...query, after: seconds(now, 120) };
    assert.equal((await read(fixture.source({ futureMs: minuteMs }), beyond)).samples.size, 0);
  },

  async "Each device has a limit of its own, and one that has more is said to be cut"(
    fixture,
    tenantId,
  ) {
    const start = minutesAgo(10);
    const at = Array.from({ length: 6 }, (_, n) => seconds(start, n));
    await fixture.write(tenantId, [
      ...at.map((instant, n) => point("six", instant, { [n % 2 === 0 ? "even" : "odd"]: n })),
      ...at.slice(0, 3).map((instant, n) => point("three", instant, { n })),
    ]);
    const query = { tenantId, deviceIds: ["six", "three"], maxSamples: 3 };
    const ascending = await read(fixture.source(), query);
    assert.deepEqual(stamps(ascending.samples.get("six")), at.slice(0, 3));
    assert.deepEqual(stamps(ascending.samples.get("three")), at.slice(0, 3));
    assert.deepEqual([...ascending.truncated], ["six"]);
    const descending = await read(fixture.source(), { ...query, order: "descending" });
    assert.deepEqual(stamps(descending.samples.get("six")), at.slice(3).reverse());
    assert.deepEqual(plain(descending.samples.get("six"))[0]?.[1], [["odd", 5]]);
    assert.deepEqual([...descending.truncated], ["six"]);
    const exact = await read(fixture.source(), { ...query, maxSamples: 6 });
    assert.deepEqual([exact.samples.get("six")?.length, exact.truncated.size], [6, 0]);
  },

  async "Samples that are skipped are the first of each device in the order asked for"(
    fixture,
    tenantId,
  ) {
    const start = minutesAgo(10);
    const at = Array.from({ length: 7 }, (_, n) => seconds(start, n));
    await fixture.write(tenantId, [
      ...at.map((instant, n) => ({
        ...point("seven", instant, { [n % 3 === 0 ? "rare" : "often"]: n }),
        siteId: n % 2 === 0 ? "plant-a" : "plant-b",
      })),
      ...at.slice(0, 3).map((instant, n) => point("three", instant, { n })),
    ]);
    const source = fixture.source();
    const query = { tenantId, deviceIds: ["seven", "three"] };
    for (const order of ["ascending", "descending"] as const) {
      const seven = order === "ascending" ? at : at.toReversed();
      const three = order === "ascending" ? at.slice(0, 3) : at.slice(0, 3).reverse();
      for (const [skipSamples, maxSamples] of [[0, 2], [2, 2], [2, 5], [5, 2], [6, 9], [7, 1]]) {
        const cut = { order, skipSamples: skipSamples ?? 0, maxSamples: maxSamples ?? 0 };
        const end = cut.skipSamples + cut.maxSamples;
        const { samples, truncated } = await read(source, { ...query, ...cut });
        const expected = [["seven", seven], ["three", three]] as const;
        for (const [id, all] of expected) {
          const message = `${id} ${JSON.stringify(cut)}`;
          assert.deepEqual(stamps(samples.get(id)), all.slice(cut.skipSamples, end), message);
          assert.equal(samples.has(id), all.length > cut.skipSamples, message);
          assert.equal(truncated.has(id), all.length > end, message);
        }
      }
    }
    const [sample] = (await read(source, { ...query, skipSamples: 3, maxSamples: 1 })).samples
      .get("seven") ?? [];
    assert.deepEqual(Object.entries(sample?.metrics ?? {}), [["rare", 3]]);
  },

  async "Windows that are skipped are counted as windows"(fixture, tenantId) {
    const start = minutesAgo(30);
    const windows = [0, 1, 3, 4, 6].map((n) => plus(start, BigInt(n) * minuteNanos));
    await fixture.write(tenantId, [
      ...windows.flatMap((at, n) => [
        point("dev-1", seconds(at, 5), { v: n, fw: "a" }),
        point("dev-1", seconds(at, 50), { v: n + 1 }),
      ]),
      // No window: it says nothing but what is dropped.
      point("dev-1", plus(start, 2n * minuteNanos), { seq: 1n }),
      point("dev-2", start, { v: 1 }),
    ]);
    const query = { tenantId, deviceIds: ["dev-1", "dev-2"], resolutionSeconds: 60 };
    for (const order of ["ascending", "descending"] as const) {
      const all = order === "ascending" ? windows : windows.toReversed();
      for (const skipSamples of [1, 2, 3, 4, 5]) {
        const cut = { order, skipSamples, maxSamples: 2 };
        const { samples, truncated } = await read(fixture.source(), { ...query, ...cut });
        const message = JSON.stringify(cut);
        assert.deepEqual(
          stamps(samples.get("dev-1")),
          all.slice(skipSamples, skipSamples + 2),
          message,
        );
        assert.deepEqual([...truncated], skipSamples < 3 ? ["dev-1"] : [], message);
        assert.equal(samples.has("dev-2"), false, message);
      }
    }
    const { samples } = await read(fixture.source(), { ...query, skipSamples: 3, maxSamples: 1 });
    assert.deepEqual(plain(samples.get("dev-1")), [[windows[3], [["fw", "a"], ["v", 3.5]]]]);
  },

  async "Samples of a device that moved come in time order, each instant once"(fixture, tenantId) {
    const start = minutesAgo(10);
    const points = Array.from({ length: 8 }, (_, n) => ({
      ...point("dev-1", seconds(start, n), { n }),
      siteId: n % 2 === 0 ? "plant-a" : "plant-b",
    }));
    await fixture.write(tenantId, points);
    const query = { tenantId, deviceIds: ["dev-1"] };
    const all = await read(fixture.source(), query);
    assert.deepEqual(
      plain(all.samples.get("dev-1")),
      points.map(({ timestamp }, n) => [timestamp, [["n", n]]]),
    );
    for (const order of ["ascending", "descending"] as const) {
      const cut = await read(fixture.source(), { ...query, order, maxSamples: 5 });
      const expected = points.map(({ timestamp }) => timestamp);
      if (order === "descending") expected.reverse();
      assert.deepEqual(stamps(cut.samples.get("dev-1")), expected.slice(0, 5));
      assert.deepEqual([...cut.truncated], ["dev-1"]);
    }
  },

  async "Metadata is dropped, and a sample that holds nothing else still is one"(
    fixture,
    tenantId,
  ) {
    const start = minutesAgo(10);
    await fixture.write(tenantId, [
      point("dev-1", start, { seq: 1n, temp_c: 1, device_id: "dev-2", "iox::x": 1 }),
      point("dev-1", seconds(start, 1), { seq: 2n }),
    ]);
    const { samples } = await read(fixture.source(), { tenantId, deviceIds: ["dev-1", "dev-2"] });
    assert.deepEqual([...samples.keys()], ["dev-1"]);
    assert.deepEqual(plain(samples.get("dev-1")), [
      [start, [["temp_c", 1]]],
      [seconds(start, 1), []],
    ]);
  },

  async "Awkward ids and names are read as they are, and ids that break out of a query read nothing"(
    fixture,
    tenantId,
  ) {
    const start = minutesAgo(10);
    const ids = [`it's "odd",x`, "back\\slash", "Gerät-7 温度 🌡", "${x}", "$d0", "__proto__"];
    const names = [`a"b`, "c\\d", "e f", "__proto__", "æ", "f0", "time2", `") --`];
    const metrics = Object.fromEntries(names.map((name, n) => [name, n]));
    await fixture.write(tenantId, [
      ...ids.map((id, n) => point(id, start, { n })),
      point("named", start, metrics),
    ]);
    const hostile = [
      `x' OR '1'='1`,
      `" or true or r.device_id == "`,
      `x") |> drop(columns: ["y"]) //`,
      "named\u0000",
      "NAMED",
      "/.*/",
      "%",
    ];
    const expectedNames = Object.entries(metrics).sort(([a], [b]) => a < b ? -1 : 1);
    for (const resolutionSeconds of [null, 60]) {
      const query = { tenantId, resolutionSeconds };
      const { samples } = await read(fixture.source(), {
        ...query,
        deviceIds: [...ids, ...hostile, "named"],
      });
      assert.deepEqual([...samples.keys()].sort(), [...ids, "named"].sort());
      for (const [n, id] of ids.entries()) {
        assert.deepEqual(plain(samples.get(id)), [[start, [["n", n]]]], id);
      }
      assert.deepEqual(plain(samples.get("named")), [[start, expectedNames]]);
      assert.equal(
        (await read(fixture.source(), { ...query, deviceIds: hostile })).samples.size,
        0,
      );
    }
  },

  async "A window is one sample at its start: means of numbers, the last of everything else"(
    fixture,
    tenantId,
  ) {
    const start = minutesAgo(30);
    const next = plus(start, minuteNanos);
    await fixture.write(tenantId, [
      point("dev-1", seconds(start, 1), { temp_c: 1.5, count: 1n, fw: "a", ok: true }),
      point("dev-1", seconds(start, 59.999), { temp_c: 2, count: 2n, fw: "b", ok: false }),
      point("dev-1", seconds(start, 30), { temp_c: 4, fw: "x", ok: true, seq: 3n }),
      point("dev-1", next, { temp_c: -7, count: 9_007_199_254_740_993n }),
      // A minute that only says what is dropped is no window, and so is one that says nothing.
      point("dev-1", plus(next, minuteNanos), { seq: 5n }),
      point("dev-1", plus(next, 4n * minuteNanos), { count: 5n }),
      point("dev-2", seconds(start, 7), { temp_c: 8.5 }),
    ]);
    const query = { tenantId, deviceIds: ["dev-1", "dev-2"], resolutionSeconds: 60 };
    const { samples, truncated } = await read(fixture.source(), query);
    const expected = [
      [start, [["count", 1.5], ["fw", "b"], ["ok", false], ["temp_c", 2.5]]],
      [next, [["count", 9_007_199_254_740_992], ["temp_c", -7]]],
      [plus(next, 4n * minuteNanos), [["count", 5]]],
    ];
    assert.deepEqual(plain(samples.get("dev-1")), expected);
    assert.deepEqual(plain(samples.get("dev-2")), [[start, [["temp_c", 8.5]]]]);
    assert.equal(truncated.size, 0);
    const newest = await read(fixture.source(), { ...query, order: "descending", maxSamples: 2 });
    assert.deepEqual(plain(newest.samples.get("dev-1")), expected.slice(1).reverse());
    assert.deepEqual([...newest.truncated], ["dev-1"]);
  },

  async "Windows count only what lies in the range, and keep their own start where it cuts them"(
    fixture,
    tenantId,
  ) {
    const start = minutesAgo(30);
    await fixture.write(
      tenantId,
      [0, 10, 20, 30, 40].map((second) => point("dev-1", seconds(start, second), { second })),
    );
    const query = { tenantId, deviceIds: ["dev-1"], resolutionSeconds: 60 };
    const cut = { after: seconds(start, 10), until: seconds(start, 30) };
    const { samples } = await read(fixture.source(), { ...query, ...cut });
    assert.deepEqual(plain(samples.get("dev-1")), [[start, [["second", 25]]]]);
    // A length that divides no minute is counted from the epoch all the same.
    const odd = await read(fixture.source(), { ...query, resolutionSeconds: 7 });
    for (const { timestamp } of odd.samples.get("dev-1") ?? []) {
      assert.equal(nanosOf(timestamp) % 7_000_000_000n, 0n);
    }
    assert.equal(odd.samples.get("dev-1")?.length, 5);
  },

  async "A device that moved has one mean a window, and the last value of its two sites"(
    fixture,
    tenantId,
  ) {
    const start = minutesAgo(30);
    await fixture.write(tenantId, [
      { ...point("dev-1", seconds(start, 1), { v: 1, fw: "a" }), siteId: "plant-b" },
      { ...point("dev-1", seconds(start, 2), { v: 2, fw: "b" }), siteId: "plant-b" },
      { ...point("dev-1", seconds(start, 3), { v: 6, fw: "c" }), siteId: "plant-a" },
    ]);
    const query = { tenantId, deviceIds: ["dev-1"], resolutionSeconds: 60 };
    const { samples } = await read(fixture.source(), query);
    assert.deepEqual(plain(samples.get("dev-1")), [[start, [["fw", "c"], ["v", 3]]]]);
  },

  async "A field that is called like the tag is a metric where metadata lets it"(
    fixture,
    tenantId,
  ) {
    const start = minutesAgo(30);
    await fixture.write(tenantId, [
      point("dev-1", start, { device_id: "dev-2", v: 1 }),
      point("dev-2", start, { v: 2 }),
    ]);
    for (const resolutionSeconds of [null, 60]) {
      const query = { tenantId, deviceIds: ["dev-1", "dev-2"], resolutionSeconds };
      const { samples } = await read(fixture.source({ metadataKeys: [] }), query);
      const own = new Map(samples.get("dev-1")?.flatMap(({ metrics }) => Object.entries(metrics)));
      assert.equal(own.get("v"), 1);
      assert.ok([undefined, "dev-2"].includes(own.get("device_id") as string | undefined));
      assert.deepEqual(plain(samples.get("dev-2")), [[start, [["v", 2]]]]);
    }
  },

  async "Many devices and long ranges come whole"(fixture, tenantId) {
    const deviceIds = Array.from({ length: 210 }, (_, n) => `dev-${n}`);
    const start = minutesAgo(30);
    const instants = Array.from({ length: 40 }, (_, n) => seconds(start, n));
    await fixture.write(
      tenantId,
      deviceIds.flatMap((id, d) => instants.map((at, n) => point(id, at, { n, d }))),
    );
    const { samples, truncated } = await read(fixture.source(), { tenantId, deviceIds });
    assert.equal(samples.size, deviceIds.length);
    assert.equal(truncated.size, 0);
    for (const [d, id] of deviceIds.entries()) {
      assert.deepEqual(
        plain(samples.get(id)),
        instants.map((at, n) => [at, [["d", d], ["n", n]]]),
      );
    }
    const windows = await read(fixture.source(), { tenantId, deviceIds, resolutionSeconds: 60 });
    for (const [d, id] of deviceIds.entries()) {
      assert.deepEqual(plain(windows.samples.get(id)), [[start, [["d", d], ["n", 19.5]]]]);
    }
  },

  async "Devices are listed newest first, each once, within the lookback and the upper bound"(
    fixture,
    tenantId,
  ) {
    const start = minutesAgo(10);
    const at = (n: number) => plus(seconds(start, n), 123_456_000);
    await fixture.write(tenantId, [
      { ...point("moved", at(1), { v: 1 }), siteId: "plant-b" },
      { ...point("moved", at(5), { v: 2, fw: "x", n: 1n }), siteId: "plant-a" },
      point("Gerät 'x'", at(3), { ok: true }),
      point("steady", at(2), { v: 1 }),
      point("steady", at(4), { v: 1 }),
      point("gone", minutesAgo(600), { v: 1 }),
      point("ahead", seconds(minutesAgo(0), 600), { v: 1 }),
    ]);
    const signal = new AbortController().signal;
    const expected = [
      { device_id: "moved", last: at(5) },
      { device_id: "steady", last: at(4) },
      { device_id: "Gerät 'x'", last: at(3) },
    ];
    const list = (limit: number) => fixture.source().listDevices({ tenantId, limit, signal });
    assert.deepEqual(await list(100), { devices: expected, truncated: false });
    assert.deepEqual(await list(3), { devices: expected, truncated: false });
    assert.deepEqual(await list(2), { devices: expected.slice(0, 2), truncated: true });
    const wide = fixture.source({ lookbackMs: 24 * 3_600_000, futureMs: 3_600_000 });
    const all = await wide.listDevices({ tenantId, limit: 100, signal });
    assert.deepEqual(
      all.devices.map(({ device_id: id }) => id),
      ["ahead", "moved", "steady", "Gerät 'x'", "gone"],
    );
  },

  async "Two tenants with the same device ids never see each other's ranges or devices"(
    fixture,
    tenantId,
  ) {
    const other = `${tenantId}_b`;
    const start = minutesAgo(10);
    await fixture.write(tenantId, [point("dev-1", start, { v: 1 })]);
    await fixture.write(other, [
      point("dev-1", seconds(start, 1), { v: 2 }),
      point("dev-2", start, { v: 3 }),
    ]);
    const source = fixture.source();
    const signal = new AbortController().signal;
    for (const resolutionSeconds of [null, 1]) {
      const query = { deviceIds: ["dev-1", "dev-2"], resolutionSeconds };
      const mine = await read(source, { ...query, tenantId });
      assert.deepEqual([...mine.samples.keys()], ["dev-1"]);
      assert.deepEqual(plain(mine.samples.get("dev-1")), [[start, [["v", 1]]]]);
      const theirs = await read(source, { ...query, tenantId: other });
      assert.deepEqual(plain(theirs.samples.get("dev-1")), [[seconds(start, 1), [["v", 2]]]]);
    }
    const devices = await source.listDevices({ tenantId, limit: 10, signal });
    assert.deepEqual(devices.devices, [{ device_id: "dev-1", last: start }]);
    for (const bad of ["", "a b", `${tenantId}'`, `${tenantId}"`, "ä", "x".repeat(65)]) {
      await assert.rejects(async () => await read(source, { tenantId: bad, deviceIds: ["dev-1"] }));
      await assert.rejects(async () =>
        await source.listDevices({ tenantId: bad, limit: 1, signal })
      );
    }
  },

  async "An aborted signal rejects with its own reason, before a read and during it"(
    fixture,
    tenantId,
  ) {
    await fixture.write(tenantId, [point("dev-1", minutesAgo(10), { v: 1 })]);
    const source = fixture.source();
    const reason = new Error("Enough");
    const isReason = (error: unknown) => error === reason;
    const reads = [
      (signal: AbortSignal) => read(source, { tenantId, deviceIds: ["dev-1"], signal }),
      (signal: AbortSignal) =>
        read(source, { tenantId, deviceIds: ["dev-1"], resolutionSeconds: 60, signal }),
      (signal: AbortSignal) => source.listDevices({ tenantId, limit: 1, signal }),
    ];
    for (const begin of reads) {
      await assert.rejects(async () => await begin(AbortSignal.abort(reason)), isReason);
      const controller = new AbortController();
      const pending = begin(controller.signal);
      controller.abort(reason);
      await assert.rejects(pending, isReason);
    }
    assert.equal((await read(source, { tenantId, deviceIds: ["dev-1"] })).samples.size, 1);
  },

  async "A tenant that was never written is missing or empty, as its database knows it"(
    fixture,
    tenantId,
  ) {
    const nobody = `${tenantId}_nobody`;
    const signal = new AbortController().signal;
    const sizes = [
      async () =>
        (await read(fixture.source(), { tenantId: nobody, deviceIds: ["d"] })).samples.size,
      async () =>
        (await read(fixture.source(), { tenantId: nobody, deviceIds: ["d"], resolutionSeconds: 5 }))
          .samples.size,
      async () =>
        (await fixture.source().listDevices({ tenantId: nobody, limit: 1, signal })).devices.length,
    ];
    for (const size of sizes) {
      if (fixture.unknownTenant === "empty") assert.equal(await size(), 0);
      else {
        await assert.rejects(
          size(),
          (error: unknown) => error instanceof SourceError && error.kind === "missing",
        );
      }
    }
  },

  async "A tenant without a sample has empty ranges and no devices"(fixture, tenantId) {
    await fixture.write(tenantId, []);
    const signal = new AbortController().signal;
    for (const resolutionSeconds of [null, 60]) {
      const query = { tenantId, deviceIds: ["dev-1"], resolutionSeconds };
      assert.equal((await read(fixture.source(), query)).samples.size, 0);
    }
    const listed = await fixture.source().listDevices({ tenantId, limit: 5, signal });
    assert.deepEqual(listed, { devices: [], truncated: false });
  },
};

export function rangeSuite(
  name: string,
  open: () => Promise<TelemetryFixture>,
  { ignore }: { readonly ignore?: boolean } = {},
): void {
  registerSteps({ name, open, ignore, steps, prefix: "r" });
}
