// The newest samples of a tenant: what one read makes of them, and the devices that spoil a query.
import assert from "node:assert/strict";
import { type ReadStart, readStart } from "../../src/feed/read_start.ts";
import { TelemetryStates } from "../../src/feed/telemetry_states.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { fakeSources, outage } from "../support/fake_sources.ts";
import { memoryLog } from "../support/memory_log.ts";
import { sampleAt } from "../support/samples.ts";

const QUARANTINE_MS = 60_000;
const { signal } = new AbortController();

function fixture(spoilers: ReadonlySet<string> = new Set()) {
  const clock = fakeClock();
  const sources = fakeSources();
  const log = memoryLog();
  const { telemetry: source } = sources;
  const states = new TelemetryStates({
    tenantId: "acme",
    source,
    clock,
    log,
    quarantineMs: QUARANTINE_MS,
  });
  sources.telemetryFault = ({ deviceIds }) =>
    deviceIds !== "all" && deviceIds.some((id) => spoilers.has(id))
      ? new SourceError("rejected", "Type conflict")
      : null;
  let seq = 0;
  const read = async (deviceIds: readonly string[]) => {
    const start = readStart(clock.now(), { seq: ++seq, lateMs: 10_000, staleMs: 300_000 });
    const result = await states.read(deviceIds, { start, signal });
    return result?.map(({ deviceId }) => deviceId) ?? null;
  };
  return { clock, sources, log, states, read };
}

function fleet(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `dev-${index}`);
}

Deno.test("A device that spoils a query is found in few reads and the others are read", async () => {
  const devices = fleet(1_000);
  const { sources, log, read } = fixture(new Set(["dev-617"]));
  const found = await read(devices);
  assert.deepEqual(found, devices.filter((id) => id !== "dev-617"));
  assert.ok(sources.telemetryReads.length <= 21, `${sources.telemetryReads.length} reads`);
  const [line, ...more] = log.records;
  assert.equal(more.length, 0);
  assert.equal(line?.event, "devices_set_aside");
  assert.deepEqual(line?.fields.devices, ["dev-617"]);
});

Deno.test("A device that was set aside is left out for a while and then tried again", async () => {
  const spoilers = new Set(["dev-3"]);
  const { clock, sources, read } = fixture(spoilers);
  const devices = fleet(8);
  const others = devices.filter((id) => id !== "dev-3");
  await read(devices);
  sources.telemetryReads.length = 0;
  await clock.advance(QUARANTINE_MS - 1);
  assert.deepEqual(await read(devices), others);
  assert.deepEqual(sources.telemetryReads.map(({ deviceIds }) => deviceIds), [others]);
  spoilers.clear();
  await clock.advance(1);
  assert.deepEqual(await read(devices), devices);
});

Deno.test("Finding spoilers is bounded however many there are, and goes on with the next read", async () => {
  const spoilers = new Set(fleet(100).filter((_, index) => index % 4 === 3));
  const { sources, read } = fixture(spoilers);
  const devices = fleet(100);
  let longest = 0;
  let found: readonly string[] | null = [];
  for (let tick = 0; tick < 20; tick++) {
    sources.telemetryReads.length = 0;
    found = await read(devices);
    longest = Math.max(longest, sources.telemetryReads.length);
  }
  assert.equal(longest, 32);
  assert.deepEqual(found, devices.filter((id) => !spoilers.has(id)));
});

Deno.test("When no query at all is accepted no device is set aside", async () => {
  const devices = fleet(4);
  const spoilers = new Set(devices);
  const { sources, log, read } = fixture(spoilers);
  await assert.rejects(read(devices), { name: "SourceError", kind: "rejected" });
  assert.deepEqual(log.records, []);
  spoilers.clear();
  sources.telemetryReads.length = 0;
  assert.deepEqual(await read(devices), devices);
  assert.equal(sources.telemetryReads.length, 1);
});

Deno.test("A device that spoils its query alone is set aside and nothing was learned", async () => {
  const { sources, read } = fixture(new Set(["dev-1"]));
  assert.equal(await read(["dev-1"]), null);
  assert.equal(await read(["dev-1"]), null);
  assert.equal(sources.telemetryReads.length, 1);
});

Deno.test("A failure that is not the query's is thrown without a search for spoilers", async () => {
  const { sources, read } = fixture();
  sources.telemetryFault = outage;
  await assert.rejects(read(fleet(4)), { kind: "unavailable" });
  assert.equal(sources.telemetryReads.length, 1);
});

Deno.test("A device whose data can't be understood is told once and the others are read", async () => {
  const { sources, log, read } = fixture();
  sources.unreadable.add("dev-1");
  for (let tick = 0; tick < 3; tick++) assert.deepEqual(await read(["dev-0", "dev-1"]), ["dev-0"]);
  assert.deepEqual(log.records, [{
    level: "warning",
    event: "device_unreadable",
    fields: { tenant: "acme", device: "dev-1", error: "Metrics are not an object" },
  }]);
  sources.unreadable.clear();
  await read(["dev-1"]);
  sources.unreadable.add("dev-1");
  await read(["dev-1"]);
  assert.equal(log.records.length, 2, "it is told again after it was read");
});

Deno.test("A version rises when the timestamp or any metric changes and only then", async () => {
  const { sources, states, read } = fixture();
  const versions: number[] = [];
  for (
    const sample of [
      sampleAt(1, { a: 1, b: { c: [1, 2] } }),
      sampleAt(1, { b: { c: [1, 2] }, a: 1 }),
      sampleAt(2, { a: 1, b: { c: [1, 2] } }),
      sampleAt(2, { a: 1, b: { c: [1, 3] } }),
      sampleAt(2, { a: 1 }),
      sampleAt(2, { a: 1, b: 1 }),
      sampleAt(2, { c: 1, b: 1 }),
      sampleAt(2, { c: 1, b: "1" }),
    ]
  ) {
    sources.put("acme", "dev-1", sample);
    await read(["dev-1"]);
    versions.push(states.get("dev-1")?.version ?? -1);
  }
  assert.deepEqual(versions, [1, 1, 2, 3, 4, 5, 6, 7]);
});

Deno.test("A device without a sample has version 0 and no frame", async () => {
  const { states, read } = fixture();
  assert.deepEqual(await read(["dev-1"]), ["dev-1"]);
  const { version, frame } = states.get("dev-1") ?? {};
  assert.deepEqual({ version, frame }, { version: 0, frame: null });
});

Deno.test("Of two reads side by side the newest sample stays, whichever database answer was made first", () => {
  const { clock, states } = fixture();
  const [earlier, later, next] = [1, 2, 3].map((seq) =>
    readStart(clock.now(), { seq, lateMs: 10_000, staleMs: 300_000 })
  ) as [ReadStart, ReadStart, ReadStart];
  const [older, newer] = [sampleAt(1), sampleAt(2)];
  states.begin(earlier);
  states.begin(later);
  states.merge("dev-1", newer, earlier);
  const state = states.merge("dev-1", older, later);
  assert.deepEqual([state?.seq, state?.sample, state?.version], [2, newer, 1]);
  // A read that began afterwards is believed: samples can be deleted.
  states.begin(next);
  assert.deepEqual(states.merge("dev-1", older, next)?.sample, older);
});
