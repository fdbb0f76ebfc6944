// One suite for every TelemetrySource; it must know no database, only the port and a fixture that writes.
import assert from "node:assert/strict";
import type { Sample } from "../../src/protocol/server_messages.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import type {
  LatestQuery,
  LatestResult,
  TelemetrySource,
} from "../../src/sources/telemetry_source.ts";
import { registerSteps, type Step, type TelemetryFixture } from "./telemetry_fixture.ts";

const minuteMs = 60_000;

/** An instant so long before now, with nanoseconds after its whole second. */
function instant(agoMs: number, nanos = 0): string {
  const second = new Date(Date.now() - agoMs).toISOString().slice(0, 19);
  return `${second}.${String(nanos).padStart(9, "0")}Z`;
}

function read(
  source: TelemetrySource,
  tenantId: string,
  deviceIds: LatestQuery["deviceIds"],
): Promise<LatestResult> {
  return source.readLatest({ tenantId, deviceIds, signal: new AbortController().signal });
}

/** Entries and not objects: a metric may be called `__proto__`, and a prototype is nobody's concern. */
function entries(sample: Sample | undefined): [string, unknown][] | undefined {
  return sample && Object.entries(sample.metrics).sort(([a], [b]) => (a < b ? -1 : 1));
}

async function readOne(
  source: TelemetrySource,
  tenantId: string,
  deviceId: string,
): Promise<Sample | undefined> {
  const { samples, unreadable } = await read(source, tenantId, [deviceId]);
  assert.deepEqual([...unreadable], []);
  return samples.get(deviceId);
}

const awkwardIds = [
  `it's "odd",x`,
  "back\\slash",
  "a=b, c d",
  "Gerät-7 温度 🌡",
  "${x}",
  "$d0",
  "$1 $& $$",
  `cost$"5`,
  "a$\\b",
  "$${x} $\\${x}",
  `'); DROP MEASUREMENT telemetry; --`,
  `" or true or r.device_id == "`,
  "' OR '1' = '1",
  "/.*/",
  "%_*",
  "__proto__",
  "x".repeat(128),
];

const breakOuts = [
  ...awkwardIds,
  `x' OR device_id =~ /.*/ OR device_id = 'x`,
  `x\\' OR 1 = 1 --`,
  `x") |> drop(columns: ["y"]) //`,
  `x\n' OR device_id != '`,
  `x\r\n" or r.device_id != "`,
  `\${r.device_id}`,
  `"\\`,
  "secret' --",
  "SECRET",
  "secret ",
  "secret\u0000",
];

const steps: Readonly<Record<string, Step>> = {
  async "The newest sample of a device holds every metric of its own kind and no other sample's"(
    fixture,
    tenantId,
  ) {
    await fixture.write(tenantId, [
      {
        deviceId: "dev-1",
        timestamp: instant(3 * minuteMs),
        metrics: { temp_c: 20.5, humidity: 40 },
      },
      {
        deviceId: "dev-1",
        timestamp: instant(2 * minuteMs, 5_000),
        metrics: { temp_c: 21.25, battery_pct: 88n, door_open: false, alarm: true, fw: "1.2.3" },
      },
    ]);
    const sample = await readOne(fixture.source(), tenantId, "dev-1");
    assert.match(sample?.timestamp ?? "", /\.000005000Z$/);
    assert.deepEqual(entries(sample), [
      ["alarm", true],
      ["battery_pct", 88],
      ["door_open", false],
      ["fw", "1.2.3"],
      ["temp_c", 21.25],
    ]);
  },

  async "Many devices come in one answer, unknown ones are left out of it"(fixture, tenantId) {
    const deviceIds = Array.from({ length: 20 }, (_, n) => `dev-${n}`);
    await fixture.write(
      tenantId,
      deviceIds.flatMap((deviceId, n) => [
        { deviceId, timestamp: instant(2 * minuteMs), metrics: { old: n } },
        { deviceId, timestamp: instant(minuteMs), metrics: { value: n + 0.5 } },
      ]),
    );
    const { samples } = await read(fixture.source(), tenantId, [
      "unknown-1",
      ...deviceIds.slice(1),
      "unknown-2",
    ]);
    assert.deepEqual([...samples.keys()].sort(), deviceIds.slice(1).sort());
    for (const [n, deviceId] of deviceIds.entries()) {
      if (n > 0) assert.deepEqual(entries(samples.get(deviceId)), [["value", n + 0.5]]);
    }
  },

  async "Devices without data make an empty answer"(fixture, tenantId) {
    await fixture.write(tenantId, []);
    const { samples, unreadable } = await read(fixture.source(), tenantId, ["dev-1", "dev-2"]);
    assert.deepEqual([samples.size, unreadable.size], [0, 0]);
  },

  async "A device that moved to another site is one device"(fixture, tenantId) {
    await fixture.write(tenantId, [
      {
        deviceId: "dev-1",
        siteId: "plant-a",
        timestamp: instant(3 * minuteMs),
        metrics: { temp_c: 1, only_a: 1 },
      },
      {
        deviceId: "dev-1",
        siteId: "plant-b",
        timestamp: instant(2 * minuteMs),
        metrics: { temp_c: 2 },
      },
      {
        deviceId: "dev-2",
        siteId: "plant-b",
        timestamp: instant(2 * minuteMs),
        metrics: { temp_c: 3 },
      },
      {
        deviceId: "dev-2",
        siteId: "plant-a",
        timestamp: instant(3 * minuteMs),
        metrics: { temp_c: 4 },
      },
    ]);
    const { samples } = await read(fixture.source(), tenantId, ["dev-1", "dev-2"]);
    assert.deepEqual(entries(samples.get("dev-1")), [["temp_c", 2]]);
    assert.deepEqual(entries(samples.get("dev-2")), [["temp_c", 3]]);
  },

  async "Awkward device ids are read like any other, each its own data"(fixture, tenantId) {
    await fixture.write(
      tenantId,
      awkwardIds.map((deviceId, n) => ({
        deviceId,
        timestamp: instant(minuteMs),
        metrics: { value: n },
      })),
    );
    const { samples } = await read(fixture.source(), tenantId, awkwardIds);
    assert.deepEqual([...samples.keys()].sort(), [...awkwardIds].sort());
    for (const [n, deviceId] of awkwardIds.entries()) {
      assert.deepEqual(entries(samples.get(deviceId)), [["value", n]], deviceId);
      assert.deepEqual(
        entries(await readOne(fixture.source(), tenantId, deviceId)),
        [["value", n]],
        deviceId,
      );
    }
  },

  async "Device ids that try to break out of the query read nothing and harm nothing"(
    fixture,
    tenantId,
  ) {
    const secret = { deviceId: "secret", timestamp: instant(minuteMs), metrics: { value: 42 } };
    await fixture.write(tenantId, [secret]);
    const source = fixture.source();
    for (const deviceId of breakOuts) {
      assert.equal((await read(source, tenantId, [deviceId])).samples.size, 0, deviceId);
    }
    assert.equal((await read(source, tenantId, breakOuts)).samples.size, 0);
    assert.deepEqual([...(await read(source, tenantId, [...breakOuts, "secret"])).samples.keys()], [
      "secret",
    ]);
  },

  async "Two tenants with the same device ids never see each other's data"(fixture, tenantId) {
    const other = `${tenantId}_b`;
    const timestamp = instant(minuteMs);
    await fixture.write(tenantId, [{ deviceId: "dev-1", timestamp, metrics: { value: 1 } }]);
    await fixture.write(other, [
      { deviceId: "dev-1", timestamp: instant(minuteMs - 1000), metrics: { value: 2 } },
      { deviceId: "dev-2", timestamp, metrics: { value: 3 } },
    ]);
    const source = fixture.source();
    const [mine, theirs] = await Promise.all([
      read(source, tenantId, ["dev-1", "dev-2"]),
      read(source, other, ["dev-1", "dev-2"]),
    ]);
    assert.deepEqual([...mine.samples].map(([id, sample]) => [id, entries(sample)]), [["dev-1", [[
      "value",
      1,
    ]]]]);
    assert.deepEqual(entries(theirs.samples.get("dev-1")), [["value", 2]]);
    assert.deepEqual(entries(theirs.samples.get("dev-2")), [["value", 3]]);
  },

  async "A tenant id that is not one is refused before it reaches the database"(fixture, tenantId) {
    await fixture.write(tenantId, [{
      deviceId: "dev-1",
      timestamp: instant(minuteMs),
      metrics: { value: 1 },
    }]);
    const source = fixture.source();
    for (
      const bad of [
        "",
        "a b",
        "../x",
        "$&",
        `${tenantId}"`,
        `${tenantId}'`,
        `${tenantId}\n`,
        "ä",
        "x".repeat(65),
      ]
    ) {
      await assert.rejects(
        async () => await read(source, bad, ["dev-1"]),
        Error,
        JSON.stringify(bad),
      );
    }
  },

  async "Timestamps keep the database's precision and always have nine digits"(fixture, tenantId) {
    const nanos = { whole: 0, millis: 120_000_000, micros: 123_456_000, nanos: 123_456_789 };
    const kept = Object.entries(nanos).filter(([name]) =>
      name !== "nanos" || fixture.precision === 9
    );
    const points = kept.map(([deviceId, fraction]) => (
      { deviceId, timestamp: instant(minuteMs, fraction), metrics: { value: 1 } }
    ));
    await fixture.write(tenantId, points);
    const { samples } = await read(
      fixture.source(),
      tenantId,
      points.map((point) => point.deviceId),
    );
    for (const point of points) {
      assert.equal(samples.get(point.deviceId)?.timestamp, point.timestamp);
    }
  },

  async "The newest sample wins by the last digit of its timestamp"(fixture, tenantId) {
    const unit = fixture.precision === 9 ? 1 : 1_000;
    const at = (fraction: number) => instantAt(second, fraction);
    const second = instant(minuteMs);
    await fixture.write(tenantId, [
      { deviceId: "dev-1", timestamp: at(999_999_000 - unit), metrics: { value: 1 } },
      { deviceId: "dev-1", timestamp: at(999_999_000), metrics: { value: 2 } },
    ]);
    assert.deepEqual(entries(await readOne(fixture.source(), tenantId, "dev-1")), [["value", 2]]);
  },

  async "Integers beyond 2^53 come as decimal strings, exact to the last digit"(fixture, tenantId) {
    await fixture.write(tenantId, [{
      deviceId: "dev-1",
      timestamp: instant(minuteMs),
      metrics: {
        a_max_safe: 9_007_199_254_740_991n,
        b_min_safe: -9_007_199_254_740_991n,
        c_unsafe: 9_007_199_254_740_993n,
        d_max: 9_223_372_036_854_775_807n,
        e_min: -9_223_372_036_854_775_808n,
        f_text: "9223372036854775807",
        g_zero: 0n,
      },
    }]);
    assert.deepEqual(entries(await readOne(fixture.source(), tenantId, "dev-1")), [
      ["a_max_safe", 9007199254740991],
      ["b_min_safe", -9007199254740991],
      ["c_unsafe", "9007199254740993"],
      ["d_max", "9223372036854775807"],
      ["e_min", "-9223372036854775808"],
      ["f_text", "9223372036854775807"],
      ["g_zero", 0],
    ]);
  },

  async "Doubles keep every digit and their JSON can be read again"(fixture, tenantId) {
    const metrics = {
      third: 1 / 3,
      sum: 0.1 + 0.2,
      tiny: 2.5e-308,
      huge: 1.7976931348623157e308,
      minus: -1e-7,
    };
    await fixture.write(tenantId, [{ deviceId: "dev-1", timestamp: instant(minuteMs), metrics }]);
    const sample = await readOne(fixture.source(), tenantId, "dev-1");
    assert.deepEqual(JSON.parse(JSON.stringify(sample?.metrics)), metrics);
  },

  async "Strings come as they were written: newlines, quotes, numbers, unicode"(fixture, tenantId) {
    const metrics = {
      comma: ",a,,b,",
      lines: "one\ntwo\n\nthree",
      number: "22",
      quotes: `"a" ""b"" 'c'`,
      slash: "a\\nb",
      space: "  x ",
      truth: "true",
      unicode: "æ 温度 🌡",
    };
    await fixture.write(tenantId, [{ deviceId: "dev-1", timestamp: instant(minuteMs), metrics }]);
    assert.deepEqual(
      entries(await readOne(fixture.source(), tenantId, "dev-1")),
      Object.entries(metrics),
    );
  },

  async "Metrics may have any name, that of a prototype included"(fixture, tenantId) {
    const metrics = Object.fromEntries(
      [
        "__proto__",
        "a b",
        "a\\\nb",
        "constructor",
        "result",
        "table",
        "toString",
        "x,y=z",
        "æther",
      ].map((name, n) => [name, n]),
    );
    await fixture.write(tenantId, [{ deviceId: "dev-1", timestamp: instant(minuteMs), metrics }]);
    const sample = await readOne(fixture.source(), tenantId, "dev-1");
    assert.deepEqual(entries(sample), Object.entries(metrics));
    assert.equal(({} as Record<string, unknown>)["0"], undefined);
  },

  async "Metadata keys and iox names are dropped, and which keys those are can be set"(
    fixture,
    tenantId,
  ) {
    await fixture.write(tenantId, [{
      deviceId: "dev-1",
      siteId: "plant-a",
      timestamp: instant(minuteMs),
      metrics: { seq: 7n, "iox::measurement": "x", temp_c: 1, fw: "2" },
    }]);
    const byDefault = await readOne(fixture.source(), tenantId, "dev-1");
    assert.deepEqual(entries(byDefault), [["fw", "2"], ["temp_c", 1]]);
    const custom = await readOne(fixture.source({ metadataKeys: ["fw"] }), tenantId, "dev-1");
    assert.deepEqual(entries(custom), [["seq", 7], ["temp_c", 1]]);
  },

  async "A metric called like the device's own column neither changes whose sample it is nor hides others"(
    fixture,
    tenantId,
  ) {
    await fixture.write(tenantId, [
      {
        deviceId: "dev-1",
        timestamp: instant(minuteMs),
        metrics: { device_id: "dev-2", value: 1 },
      },
      { deviceId: "dev-2", timestamp: instant(2 * minuteMs), metrics: { value: 2 } },
    ]);
    for (const deviceIds of [["dev-1"], ["dev-2"], ["dev-1", "dev-2"]]) {
      const { samples } = await read(fixture.source(), tenantId, deviceIds);
      const expected = deviceIds.map((id) => [id, [["value", id === "dev-1" ? 1 : 2]]]);
      assert.deepEqual([...samples].map(([id, sample]) => [id, entries(sample)]).sort(), expected);
    }
  },

  async "A sample that holds nothing but metadata still is the newest one"(fixture, tenantId) {
    await fixture.write(tenantId, [
      { deviceId: "dev-1", timestamp: instant(2 * minuteMs), metrics: { seq: 1n, temp_c: 1 } },
      { deviceId: "dev-1", timestamp: instant(minuteMs, 77_000), metrics: { seq: 2n } },
    ]);
    const sample = await readOne(fixture.source(), tenantId, "dev-1");
    assert.match(sample?.timestamp ?? "", /\.000077000Z$/);
    assert.deepEqual(entries(sample), []);
  },

  async "Samples older than the lookback are not read"(fixture, tenantId) {
    await fixture.write(tenantId, [
      { deviceId: "inside", timestamp: instant(100_000), metrics: { value: 1 } },
      { deviceId: "outside", timestamp: instant(140_000), metrics: { value: 2 } },
    ]);
    const { samples } = await read(fixture.source({ lookbackMs: 120_000 }), tenantId, [
      "inside",
      "outside",
    ]);
    assert.deepEqual([...samples.keys()], ["inside"]);
  },

  async "A wrong clock's future sample neither shows nor hides the present one"(fixture, tenantId) {
    await fixture.write(tenantId, [
      { deviceId: "wrong", timestamp: instant(minuteMs), metrics: { value: 1 } },
      { deviceId: "wrong", timestamp: instant(-140_000), metrics: { value: 2, other: 3 } },
      { deviceId: "ahead", timestamp: instant(-100_000), metrics: { value: 4 } },
      { deviceId: "far", timestamp: "2105-01-01T00:00:00Z", metrics: { value: 5 } },
    ]);
    const { samples } = await read(fixture.source({ futureMs: 120_000 }), tenantId, [
      "wrong",
      "ahead",
      "far",
    ]);
    assert.deepEqual([...samples.keys()].sort(), ["ahead", "wrong"]);
    assert.deepEqual(entries(samples.get("wrong")), [["value", 1]]);
    assert.deepEqual(entries(samples.get("ahead")), [["value", 4]]);
  },

  async "Fifteen hundred devices are read in one call"(fixture, tenantId) {
    const deviceIds = Array.from({ length: 1_500 }, (_, n) => `dev-${String(n).padStart(4, "0")}`);
    const timestamp = instant(minuteMs, 250_000_000);
    await fixture.write(
      tenantId,
      deviceIds.map((deviceId, n) => ({ deviceId, timestamp, metrics: { value: n } })),
    );
    const { samples } = await read(fixture.source(), tenantId, deviceIds);
    assert.equal(samples.size, 1_500);
    const all = await read(fixture.source(), tenantId, "all");
    assert.equal(all.samples.size, 1_500);
    for (const [n, deviceId] of deviceIds.entries()) {
      assert.equal(samples.get(deviceId)?.timestamp, timestamp);
      assert.deepEqual(entries(samples.get(deviceId)), [["value", n]]);
      assert.deepEqual(all.samples.get(deviceId), samples.get(deviceId));
    }
  },

  async "A read of all devices gives each one's newest sample, and nothing that is of no device"(
    fixture,
    tenantId,
  ) {
    const at = (seconds: number) => instant(minuteMs - seconds * 1_000);
    const awkward = awkwardIds.map((deviceId, n) => ({
      deviceId,
      timestamp: at(0),
      metrics: { n },
    }));
    await fixture.write(tenantId, [
      ...awkward,
      { deviceId: "", timestamp: at(9), metrics: { value: -1 } },
      { deviceId: "", siteId: "plant-a", timestamp: at(8), metrics: { value: -2 } },
      { deviceId: "steady", timestamp: at(1), metrics: { temp_c: 1, old: 1 } },
      { deviceId: "steady", timestamp: at(2), metrics: { temp_c: 2.5, fw: "x", ok: true } },
      { deviceId: "moved", siteId: "plant-b", timestamp: at(3), metrics: { temp_c: 3 } },
      { deviceId: "moved", siteId: "plant-a", timestamp: at(4), metrics: { humidity: 4n } },
      { deviceId: "named", timestamp: at(0), metrics: { device_id: "steady", temp_c: 5 } },
      { deviceId: "silent", timestamp: at(0), metrics: { seq: 1n } },
    ]);
    await fixture.write(`${tenantId}_b`, [
      { deviceId: "steady", timestamp: at(9), metrics: { value: 42 } },
      { deviceId: "theirs", timestamp: at(9), metrics: { value: 42 } },
    ]);
    const source = fixture.source();
    const { samples, unreadable } = await read(source, tenantId, "all");
    const expected: [string, [string, unknown][]][] = [
      ...awkwardIds.map((id, n): [string, [string, unknown][]] => [id, [["n", n]]]),
      ["moved", [["humidity", 4]]],
      ["named", [["temp_c", 5]]],
      ["silent", []],
      ["steady", [["fw", "x"], ["ok", true], ["temp_c", 2.5]]],
    ];
    const byId = ([a]: [string, unknown], [b]: [string, unknown]) => (a < b ? -1 : 1);
    const found = [...samples].map(([id, sample]): [string, unknown] => [id, entries(sample)]);
    assert.deepEqual(found.sort(byId), expected.sort(byId));
    assert.equal(unreadable.size, 0);
    const named = await read(source, tenantId, [...samples.keys()]);
    for (const [id, sample] of named.samples) assert.deepEqual(samples.get(id), sample);
  },

  async "A read of all devices looks no further back, and no further ahead, than any other"(
    fixture,
    tenantId,
  ) {
    await fixture.write(tenantId, [
      { deviceId: "inside", timestamp: instant(100_000), metrics: { value: 1 } },
      { deviceId: "outside", timestamp: instant(140_000), metrics: { value: 2 } },
      { deviceId: "wrong", timestamp: instant(minuteMs), metrics: { value: 3 } },
      { deviceId: "wrong", timestamp: instant(-140_000), metrics: { value: 4, other: 4 } },
      { deviceId: "ahead", timestamp: instant(-100_000), metrics: { value: 5 } },
      { deviceId: "far", timestamp: "2105-01-01T00:00:00Z", metrics: { value: 6 } },
    ]);
    const source = fixture.source({ lookbackMs: 120_000, futureMs: 120_000 });
    const { samples } = await read(source, tenantId, "all");
    assert.deepEqual([...samples.keys()].sort(), ["ahead", "inside", "wrong"]);
    assert.deepEqual(entries(samples.get("wrong")), [["value", 3]]);
  },

  async "A read of all devices of a tenant without a sample is empty"(fixture, tenantId) {
    await fixture.write(tenantId, []);
    const empty = await read(fixture.source(), tenantId, "all");
    assert.deepEqual([empty.samples.size, empty.unreadable.size], [0, 0]);
    await fixture.write(tenantId, [{
      deviceId: "",
      siteId: "plant-a",
      timestamp: instant(minuteMs),
      metrics: { value: 1 },
    }]);
    const nobodys = await read(fixture.source(), tenantId, "all");
    assert.deepEqual([nobodys.samples.size, nobodys.unreadable.size], [0, 0]);
  },

  async "An aborted signal rejects with its own reason, before the read and during it"(
    fixture,
    tenantId,
  ) {
    await fixture.write(tenantId, [{
      deviceId: "dev-1",
      timestamp: instant(minuteMs),
      metrics: { value: 1 },
    }]);
    const source = fixture.source();
    for (const deviceIds of [["dev-1"], "all"] as const) {
      const query = { tenantId, deviceIds };
      const before = new Error("Aborted before");
      await assert.rejects(
        async () => await source.readLatest({ ...query, signal: AbortSignal.abort(before) }),
        (error: unknown) => error === before,
      );

      const during = new Error("Aborted during");
      const controller = new AbortController();
      const pending = source.readLatest({ ...query, signal: controller.signal });
      controller.abort(during);
      await assert.rejects(pending, (error: unknown) => error === during);
    }

    assert.deepEqual(entries(await readOne(source, tenantId, "dev-1")), [["value", 1]]);
  },

  async "A tenant that was never written is missing or empty, as its database knows it"(
    fixture,
    tenantId,
  ) {
    for (const deviceIds of [["dev-1"], "all"] as const) {
      const pending = read(fixture.source(), `${tenantId}_nobody`, deviceIds);
      if (fixture.unknownTenant === "empty") {
        assert.equal((await pending).samples.size, 0);
      } else {
        await assert.rejects(
          pending,
          (error: unknown) => error instanceof SourceError && error.kind === "missing",
        );
      }
    }
  },
};

function instantAt(second: string, nanos: number): string {
  return `${second.slice(0, 19)}.${String(nanos).padStart(9, "0")}Z`;
}

export function telemetrySuite(
  name: string,
  open: () => Promise<TelemetryFixture>,
  { ignore }: { readonly ignore?: boolean } = {},
): void {
  registerSteps({ name, open, ignore, steps, prefix: "t" });
}
