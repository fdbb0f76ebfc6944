// Questions beside the ticks: they wait in line, leave half of the places free, and end with whoever asked.
import assert from "node:assert/strict";
import { NO_METRICS } from "../../src/observe/metrics.ts";
import { openSources } from "../../src/sources/open_sources.ts";
import { SideReads, type SideReadsOptions } from "../../src/sources/side_reads.ts";
import { SourceGuard } from "../../src/sources/source_guard.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import type { TelemetrySource } from "../../src/sources/telemetry_source.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { memoryLog } from "../support/memory_log.ts";
import { alertOf, sampleAt } from "../support/samples.ts";
import { testConfig } from "../support/service.ts";

const MAX_READS = 4;

/** Side reads and ticks behind one guard, on a source whose histories hang until they are let go. */
function fixture(options: Partial<SideReadsOptions> = {}) {
  const [clock, log, sources] = [fakeClock(), memoryLog(), fakeSources()];
  const guard = new SourceGuard({
    name: "telemetry",
    maxReads: MAX_READS,
    timeoutMs: 10_000,
    retryBaseMs: 1_000,
    retryMaxMs: 30_000,
    clock,
    log,
  });
  const telemetry: TelemetrySource = {
    readLatest: (query) =>
      guard.run(query.signal, (signal) => sources.telemetry.readLatest({ ...query, signal })),
    readRange: (query) =>
      guard.run(query.signal, (signal) => sources.telemetry.readRange({ ...query, signal })),
    listDevices: (query) =>
      guard.run(query.signal, (signal) => sources.telemetry.listDevices({ ...query, signal })),
  };
  const held = Promise.withResolvers<void>();
  sources.historyFault = (signal) =>
    new Promise<never>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      held.promise.then(() => resolve(undefined as never));
    });
  const life = new AbortController();
  const reads = new SideReads({
    sources: { ...sources, telemetry },
    maxReads: MAX_READS,
    lookbackMs: 3_600_000,
    futureMs: 60_000,
    clock,
    log,
    signal: life.signal,
    ...options,
  });
  const ask = (tenantId: string, signal = new AbortController().signal) =>
    reads.devices({ tenantId, limit: 1, signal });
  return { reads, ask, clock, sources, telemetry, guard, life, log, letGo: () => held.resolve() };
}

const RANGE = {
  tenantId: "acme",
  deviceIds: ["dev-1", "dev-2"],
  after: sampleAt(0).timestamp,
  until: sampleAt(60).timestamp,
  maxSamples: 2,
  order: "ascending",
  resolutionSeconds: null,
} as const;

async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

Deno.test("A flood of questions leaves half of the places to ticks, which are read at once", async () => {
  const { ask, sources, telemetry, guard, letGo } = fixture();
  const flood = Array.from({ length: 200 }, (_, n) => ask(`tenant-${n % 20}`));
  await settle();
  assert.equal(guard.reading, MAX_READS / 2);
  assert.equal(sources.historyReads.length, MAX_READS / 2);
  for (let tick = 0; tick < 10; tick++) {
    const { signal } = new AbortController();
    await telemetry.readLatest({ tenantId: "acme", deviceIds: ["dev-1"], signal });
  }
  assert.equal(sources.telemetryReads.length, 10);
  assert.equal(sources.historyReads.length, MAX_READS / 2);
  letGo();
  assert.ok((await Promise.all(flood)).every(({ ok }) => ok));
  assert.equal(sources.historyReads.length, 200);
  assert.equal(guard.reading, 0);
});

Deno.test("One tenant may not take the whole line, and nobody waits in one without end", async () => {
  const { ask, letGo } = fixture();
  const greedy = Array.from({ length: 40 }, () => ask("greedy"));
  const other = ask("other");
  const refusals = (await Promise.all(greedy.slice(32))).map((answer) => !answer.ok && answer);
  for (const refusal of refusals) {
    assert.deepEqual(refusal, { ok: false, refusal: "busy", retryAfterMs: 1_000 });
  }
  const crowd = Array.from({ length: 400 }, (_, n) => ask(`tenant-${n}`));
  const last = await crowd.at(-1);
  assert.equal(last?.ok, false);
  letGo();
  assert.equal((await other).ok, true);
  const served = (await Promise.all(crowd)).filter(({ ok }) => ok).length;
  // 256 wait; of those 30 are the greedy one's and one the other's.
  assert.equal(served, 256 - 31);
  assert.equal((await ask("greedy")).ok, true);
});

Deno.test("Who leaves while waiting is never read for, and gives the place in line back", async () => {
  const { ask, sources, letGo } = fixture();
  const first = [ask("a"), ask("b")];
  const controller = new AbortController();
  const reason = new Error("Gone");
  const leaving = ask("c", controller.signal);
  const last = ask("d");
  await settle();
  controller.abort(reason);
  await assert.rejects(leaving, (error: unknown) => error === reason);
  letGo();
  assert.ok((await Promise.all([...first, last])).every(({ ok }) => ok));
  const tenants = sources.historyReads.map(({ tenantId }) => tenantId);
  assert.deepEqual(tenants, ["a", "b", "d"]);
  await assert.rejects(ask("e", AbortSignal.abort(reason)), (error: unknown) => error === reason);
  assert.equal(sources.historyReads.length, 3);
});

Deno.test("What is under way ends with the process, and nothing begins after it", async () => {
  const { ask, life, guard } = fixture();
  const asked = [ask("a"), ask("b"), ask("c")];
  await settle();
  const reason = new Error("Going away");
  life.abort(reason);
  for (const one of asked) await assert.rejects(one, (error: unknown) => error === reason);
  await assert.rejects(ask("d"), (error: unknown) => error === reason);
  await settle();
  assert.equal(guard.reading, 0);
});

Deno.test("A source with a single place lets questions have it, one at a time", async () => {
  const { ask, sources, letGo } = fixture({ maxReads: 1 });
  const asked = [ask("a"), ask("b")];
  await settle();
  assert.equal(sources.historyReads.length, 1);
  letGo();
  assert.ok((await Promise.all(asked)).every(({ ok }) => ok));
});

Deno.test("Questions of one client don't make the attempt that the ticks of all wait for", async () => {
  const clock = fakeClock();
  let attempts = 0;
  const metrics = { ...NO_METRICS, read: () => void attempts++ };
  await using sources = openSources(testConfig(), { clock, log: memoryLog(), metrics });
  const { reads } = fixture({ sources, clock });
  const query = { tenantId: "acme", limit: 1, signal: new AbortController().signal };
  for (let count = 0; count < 3; count++) await assert.rejects(sources.alerts.readOpen(query));
  await clock.advance((sources.state().alerts.retryAt ?? 0) - clock.now());
  for (let count = 0; count < 10; count++) {
    const answer = await reads.alerts({ ...query, status: "ALL" });
    assert.equal(answer.ok || answer.refusal, "unavailable");
  }
  assert.equal(attempts, 3);
  await assert.rejects(sources.alerts.readOpen(query));
  assert.equal(attempts, 4);
});

Deno.test("Ranges of several devices are one question, passed on as it was asked", async () => {
  const { reads, sources, letGo } = fixture();
  letGo();
  for (let second = 1; second <= 6; second++) sources.put("acme", "dev-1", sampleAt(second));
  sources.put("acme", "dev-2", sampleAt(9));
  const { signal } = new AbortController();
  const answer = await reads.ranges(
    { tenantId: "acme", signal },
    () => ({ ...RANGE, skipSamples: 3 }),
  );
  assert.ok(answer.ok);
  assert.deepEqual([...answer.value.samples], [["dev-1", [sampleAt(4), sampleAt(5)]]]);
  assert.deepEqual([...answer.value.truncated], ["dev-1"]);
  assert.deepEqual(sources.historyReads, [{ ...RANGE, skipSamples: 3, isAside: true }]);
});

Deno.test("The state of the alerts is one question, passed on as it was asked", async () => {
  const { reads, sources } = fixture();
  const [open, passed] = [
    alertOf(2, { severity: null, created_at: "2026-11-18T11:00:02.000000Z" }),
    alertOf(1, { created_at: "2026-11-18T11:00:01.000000Z" }),
  ];
  const closed_at = "2026-11-18T11:00:03.000000Z";
  sources.setAlerts("acme", [open, { ...passed, closed_at }, alertOf(0)]);
  const asked = {
    tenantId: "acme",
    limit: 5,
    changedSince: "2026-11-18T11:00:00.000000000Z",
    changedLimit: 5,
    isCounted: true,
  };
  const answer = await reads.alertState({ ...asked, signal: new AbortController().signal });
  assert.deepEqual(answer, {
    ok: true,
    value: {
      open: [open, alertOf(0)],
      changed: [
        { alert: open, isOpen: true, closedAt: null },
        { alert: passed, isOpen: false, closedAt: closed_at },
      ],
      isChangedTruncated: false,
      counts: { total: 2, bySeverity: { 3: 1, none: 1 } },
    },
  });
  assert.deepEqual(sources.alertStateReads, [{ ...asked, isAside: true }]);
});

Deno.test("Questions of several devices and of alerts wait in their source's line, and learn that it can't be read", async () => {
  const { reads, ask, sources, letGo } = fixture({ maxReads: 1 });
  const first = ask("acme");
  const { signal } = new AbortController();
  let isAsked = false;
  const second = reads.ranges({ tenantId: "acme", signal }, () => {
    isAsked = true;
    return RANGE;
  });
  const asked = {
    tenantId: "acme",
    limit: 1,
    changedSince: null,
    changedLimit: 1,
    isCounted: false,
    signal,
  };
  // Alerts have a line of their own.
  assert.equal((await reads.alertState(asked)).ok, true);
  assert.equal(isAsked, false, "which range is asked for when its turn has come");
  assert.equal(sources.historyReads.length, 1);
  letGo();
  assert.ok((await first).ok && (await second).ok);
  const refused = { ok: false, refusal: "unavailable", retryAfterMs: 5_000 };
  sources.historyFault = () => new SourceError("unavailable", "Connection refused");
  sources.alertFault = () => new SourceError("unavailable", "Connection refused");
  assert.deepEqual(await reads.ranges({ tenantId: "acme", signal }, () => RANGE), refused);
  assert.deepEqual(await reads.alertState(asked), refused);
});

Deno.test("What a question could not be answered for is logged with its source and its tenant", async () => {
  const { ask, sources, log } = fixture();
  const error = new SourceError("missing", "No bucket");
  sources.historyFault = () => error;
  assert.equal((await ask("globex")).ok, false);
  assert.deepEqual(log.of("history_unavailable").map(({ fields }) => fields), [
    { source: "telemetry", tenant: "globex", error },
  ]);
});

Deno.test("A tenant that has nothing to read from is asked for again after a while, however many ask", async () => {
  const { ask, clock, reads, sources } = fixture();
  const { signal } = new AbortController();
  sources.historyFault = () => new SourceError("missing", "No bucket");
  const missing = (retryAfterMs: number) => ({ ok: false, refusal: "missing", retryAfterMs });
  assert.deepEqual(await ask("acme"), missing(5_000));
  await clock.advance(4_999);
  sources.historyFault = null;
  assert.deepEqual(await reads.ranges({ tenantId: "acme", signal }, () => RANGE), missing(1));
  assert.equal(sources.historyReads.length, 1);
  assert.equal((await ask("globex")).ok, true, "others are read");
  await clock.advance(1);
  assert.equal((await ask("acme")).ok, true);
});
