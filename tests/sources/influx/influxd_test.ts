// What only a real InfluxDB 1.x can show: its authentication, its restarts, its quoting and the exact bounds in time.
import assert from "node:assert/strict";
import { instantOfMs } from "../../../src/protocol/nano_instant.ts";
import type { InfluxOptions } from "../../../src/sources/influx/influx_options.ts";
import { createInfluxqlSource } from "../../../src/sources/influx/influxql_source.ts";
import { SourceError } from "../../../src/sources/source_error.ts";
import type { LatestResult, RangeResult, Sample } from "../../../src/sources/telemetry_source.ts";
import { findInfluxd, openInfluxd } from "../../support/influxd.ts";
import { influxOptions } from "./influx_fixtures.ts";
import { lineProtocol } from "./line_protocol.ts";

const isMissing = findInfluxd() === null;

function testReal(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: isMissing ? `${name} (left out: influxd is not installed)` : name,
    ignore: isMissing,
    fn,
  });
}

function read(options: Partial<InfluxOptions>, deviceIds = ["dev-1"]): Promise<LatestResult> {
  const source = createInfluxqlSource(influxOptions(options));
  return source.readLatest({ tenantId: "acme", deviceIds, signal: new AbortController().signal });
}

/** The windows of a minute in the last ten. */
function readWindows(
  options: Partial<InfluxOptions>,
  deviceIds = ["d"],
): Promise<RangeResult> {
  const source = createInfluxqlSource(influxOptions(options));
  const now = Date.now();
  return source.readRange({
    tenantId: "acme",
    deviceIds,
    after: instantOfMs(now - 600_000),
    until: instantOfMs(now),
    maxSamples: 10,
    order: "ascending",
    resolutionSeconds: 60,
    signal: new AbortController().signal,
  });
}

function isKind(kind: SourceError["kind"]): (error: unknown) => boolean {
  return (error) => error instanceof SourceError && error.kind === kind;
}

function now(value: number) {
  return { deviceId: "dev-1", timestamp: new Date().toISOString(), metrics: { value } };
}

testReal(
  "InfluxDB 1.x with a user and a password is read, and refuses a wrong one; a database without a grant is missing",
  async () => {
    const admin = { username: "admin", password: "s3cret" };
    await using server = await openInfluxd({ admin });
    await server.createDatabase("telemetry_acme");
    await server.query(`CREATE USER "ann" WITH PASSWORD 'ä:p w'`);
    await server.query(`CREATE USER "bob" WITH PASSWORD 'x'`);
    await server.query(`GRANT READ ON "telemetry_acme" TO "ann"`);
    await server.write("telemetry_acme", lineProtocol([now(1)]));
    const { url } = server;
    const ann = { kind: "password", username: "ann", password: "ä:p w" } as const;
    const { samples } = await read({ url, auth: ann });
    assert.deepEqual({ ...samples.get("dev-1")?.metrics }, { value: 1 });
    await assert.rejects(read({ url, auth: { ...ann, password: "wrong" } }), isKind("denied"));
    await assert.rejects(read({ url }), isKind("denied"));
    const isWithoutGrant = (error: unknown) => {
      assert.ok(isKind("missing")(error), String(error));
      // Neither the login nor the query.
      assert.match(String(error), /status is 403: requires READ on telemetry_acme$/);
      return true;
    };
    const bob = { kind: "password", username: "bob", password: "x" } as const;
    await assert.rejects(read({ url, auth: bob }), isWithoutGrant);
    // The query, which it repeats before that, may be as long as any.
    const many = Array.from({ length: 1_000 }, (_, nth) => `${nth}`.padStart(128, "'"));
    await assert.rejects(read({ url, auth: bob }, many), isWithoutGrant);
    await server.query(`DROP DATABASE "telemetry_acme"`);
    await assert.rejects(read({ url, auth: ann }), isWithoutGrant);
  },
);

testReal(
  "A source outlives its server: unavailable while it is down, reading again once it is back",
  async () => {
    await using server = await openInfluxd();
    await server.createDatabase("telemetry_acme");
    await server.write("telemetry_acme", lineProtocol([now(1)]));
    const source = createInfluxqlSource(influxOptions({ url: server.url }));
    const query = { tenantId: "acme", deviceIds: ["dev-1"], signal: new AbortController().signal };
    for (let round = 0; round < 3; round++) {
      assert.equal((await source.readLatest(query)).samples.size, 1);
      await server.kill();
      await assert.rejects(source.readLatest(query), isKind("unavailable"));
      await server.restart();
    }
    // A connection of before the restart must not cost the first read after it.
    assert.equal((await source.readLatest(query)).samples.size, 1);
  },
);

testReal("The lower bound is excluded and the upper one included, to the nanosecond", async () => {
  await using server = await openInfluxd();
  await server.createDatabase("telemetry_acme");
  const at = (deviceId: string, timestamp: string) => ({
    deviceId,
    timestamp,
    metrics: { value: 1 },
  });
  await server.write(
    "telemetry_acme",
    lineProtocol([
      at("at-lower", "2026-11-18T11:00:00.250Z"),
      at("over-lower", "2026-11-18T11:00:00.250000001Z"),
      at("at-upper", "2026-11-18T12:01:00.250Z"),
      at("over-upper", "2026-11-18T12:01:00.250000001Z"),
    ]),
  );
  const clock = {
    now: () => Date.parse("2026-11-18T12:00:00.250Z"),
    monotonicNow: () => 0,
    setTimeout: () => {},
    clearTimeout: () => {},
  };
  const { samples } = await read(
    { url: server.url, clock, lookbackMs: 3_600_000, futureMs: 60_000 },
    ["at-lower", "over-lower", "at-upper", "over-upper"],
  );
  assert.deepEqual([...samples.keys()].sort(), ["at-upper", "over-lower"]);
});

testReal("Measurement and tag may have any name", async () => {
  await using server = await openInfluxd();
  await server.createDatabase("telemetry_acme");
  const instant = BigInt(Date.now()) * 1_000_000n;
  await server.write("telemetry_acme", `odd\\ "m"\\,x,my"tag=a v=1 ${instant}`);
  const options = { url: server.url, measurement: `odd "m",x`, deviceTag: `my"tag` };
  const { samples } = await read(options, ["a"]);
  assert.deepEqual({ ...samples.get("a")?.metrics }, { v: 1 });
});

testReal(
  "A field that changed its type has the mean of its numbers and the last of its texts",
  async () => {
    await using server = await openInfluxd();
    await server.createDatabase("telemetry_acme");
    const now = Math.floor(Date.now() / 60_000) * 60;
    // Types are kept for a shard, which spans a week.
    const then = now - 21 * 86_400;
    await server.write(
      "telemetry_acme",
      `telemetry,device_id=d a=4i,b="old",c=true,d=1 ${then}000000000`,
    );
    await server.write("telemetry_acme", `telemetry,device_id=d a=6i ${then + 1}000000000`);
    await server.write(
      "telemetry_acme",
      `telemetry,device_id=d a=2.5,b=7,c="new",d="x" ${now - 60}000000000`,
    );
    const source = createInfluxqlSource(influxOptions({ url: server.url }));
    const { samples } = await source.readRange({
      tenantId: "acme",
      deviceIds: ["d"],
      after: new Date((then - 60) * 1_000).toISOString().replace("Z", "000000Z"),
      until: new Date(now * 1_000).toISOString().replace("Z", "000000Z"),
      maxSamples: 10,
      order: "ascending",
      resolutionSeconds: 60,
      signal: new AbortController().signal,
    });
    assert.deepEqual(samples.get("d")?.map(({ metrics }) => ({ ...metrics })), [
      { a: 5, b: "old", c: true, d: 1 },
      { a: 2.5, b: 7, c: "new", d: "x" },
    ]);
  },
);

testReal("A field whose name InfluxQL can't say takes no other field's windows away", async () => {
  await using server = await openInfluxd();
  await server.createDatabase("telemetry_acme");
  const second = Math.floor(Date.now() / 60_000) * 60 - 60;
  await server.write(
    "telemetry_acme",
    `telemetry,device_id=d a\rb=1,c\0d=2,v=3 ${second}000000000`,
  );
  const { samples } = await readWindows({ url: server.url });
  assert.deepEqual(samples.get("d")?.map(({ metrics }) => ({ ...metrics })), [{ v: 3 }]);
});

testReal("A mean that is too great for a double is no value, and harms no other", async () => {
  await using server = await openInfluxd();
  await server.createDatabase("telemetry_acme");
  const second = Math.floor(Date.now() / 60_000) * 60 - 60;
  const lines = [
    `telemetry,device_id=d high=1.7e308,low=-1.7e308,v=2 ${second}000000000`,
    `telemetry,device_id=d high=1.7e308,low=-1.7e308,v=1.7e308 ${second + 1}000000000`,
    `telemetry,device_id=e v=0.1,high=1.7e308 ${second}000000000`,
  ];
  await server.write("telemetry_acme", lines.join("\n"));
  const { samples } = await readWindows({ url: server.url }, ["d", "e"]);
  assert.deepEqual(samples.get("d")?.map(({ metrics }) => ({ ...metrics })), [{ v: 8.5e307 }]);
  assert.deepEqual(samples.get("e")?.map(({ metrics }) => ({ ...metrics })), [
    { high: 1.7e308, v: 0.1 },
  ]);
});

testReal("What several series of a device hold of one instant is one sample", async () => {
  await using server = await openInfluxd();
  await server.createDatabase("telemetry_acme");
  const now = Math.floor(Date.now() / 1_000);
  const at = (n: number) => instantOfMs((now - 60 + n) * 1_000);
  const lines = [0, 1, 2, 3].flatMap((n) =>
    ["a", "b", "c"].map((part) =>
      `telemetry,device_id=d,part=${part} ${part}=${n} ${now - 60 + n}000000000`
    )
  );
  const behind = `telemetry,device_id=d,part=z old=1 ${now - 90}000000000`;
  const alone = `telemetry,device_id=e v=1 ${now}000000000`;
  await server.write("telemetry_acme", [...lines, behind, alone].join("\n"));
  const source = createInfluxqlSource(influxOptions({ url: server.url }));
  const { signal } = new AbortController();
  const whole = (n: number) => ({ timestamp: at(n), metrics: { a: n, b: n, c: n } });
  const plain = (samples: readonly Sample[] = []) =>
    samples.map(({ timestamp, metrics }) => ({ timestamp, metrics: { ...metrics } }));
  for (const deviceIds of [["d", "e"], "all"] as const) {
    const { samples } = await source.readLatest({ tenantId: "acme", deviceIds, signal });
    assert.deepEqual([...samples.keys()].sort(), ["d", "e"]);
    assert.deepEqual(plain([...samples.values()].filter(({ metrics }) => "a" in metrics)), [
      whole(3),
    ]);
  }
  const query = { tenantId: "acme", deviceIds: ["d"], after: at(-1), until: at(9), signal };
  for (const maxSamples of [1, 2, 3, 4]) {
    const cut = { ...query, maxSamples, resolutionSeconds: null };
    const ascending = await source.readRange({ ...cut, order: "ascending" });
    const expected = [0, 1, 2, 3].slice(0, maxSamples).map(whole);
    assert.deepEqual(plain(ascending.samples.get("d")), expected);
    const [newest] = (await source.readRange({ ...cut, order: "descending" })).samples.get("d") ??
      [];
    assert.deepEqual(Object.keys(newest?.metrics ?? {}).sort(), ["a", "b", "c"]);
  }
  const { devices } = await source.listDevices({ tenantId: "acme", limit: 5, signal });
  assert.deepEqual(devices.map(({ device_id: id, last }) => [id, last]), [["e", at(60)], [
    "d",
    at(3),
  ]]);
});

testReal("A device that wrote one instant under two sites has one sample of it", async () => {
  await using server = await openInfluxd();
  await server.createDatabase("telemetry_acme");
  const second = Math.floor(Date.now() / 1_000) - 60;
  await server.write(
    "telemetry_acme",
    `telemetry,device_id=d,site_id=a v=1 ${second}000000000\ntelemetry,device_id=d,site_id=b w=2 ${second}000000000`,
  );
  const source = createInfluxqlSource(influxOptions({ url: server.url }));
  const { samples } = await source.readRange({
    tenantId: "acme",
    deviceIds: ["d"],
    after: new Date((second - 60) * 1_000).toISOString().replace("Z", "000000Z"),
    until: new Date().toISOString().replace("Z", "000000Z"),
    maxSamples: 10,
    order: "ascending",
    resolutionSeconds: null,
    signal: new AbortController().signal,
  });
  assert.deepEqual(samples.get("d")?.map(({ metrics }) => ({ ...metrics })), [{ v: 1, w: 2 }]);
});
