import assert from "node:assert/strict";
import { HistoryError } from "../../src/feed/history_error.ts";
import { HistoryReader } from "../../src/feed/history_reader.ts";
import type { HistoryPage, HistoryQuestion } from "../../src/feed/seam.ts";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import type { SideAlertState, SideQuery, SideRanges } from "../../src/sources/side_reads.ts";
import { RangeCollector } from "../../src/sources/range_collector.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import type { AlertTableState } from "../../src/sources/alert_source.ts";
import type { RangeResult, Sample } from "../../src/sources/telemetry_source.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { memoryLog } from "../support/memory_log.ts";
import { alertOf, sampleAt } from "../support/samples.ts";

type Answer<Value> =
  | { readonly ok: true; readonly value: Value }
  | {
    readonly ok: false;
    readonly refusal: "unavailable" | "missing";
    readonly retryAfterMs: number;
  };

/** A database in memory behind the reader; each read takes 100 ms. */
class Fixture {
  readonly clock = fakeClock();
  readonly log = memoryLog();
  readonly reads: (SideQuery & SideRanges)[] = [];
  readonly alertReads: SideAlertState[] = [];
  readonly aborted: unknown[] = [];
  readonly #stored = new Map<string, Sample[]>();
  /** What a read does instead of answering; null lets it answer. */
  fault: (query: SideRanges) => Answer<RangeResult> | Error | null = () => null;
  alertState: Answer<AlertTableState> | Error = new Error("No alerts");
  readonly reader = new HistoryReader({
    reads: {
      ranges: (side, query) => this.#ranges(side, query),
      alertState: (query) => {
        this.alertReads.push(query);
        return this.alertState instanceof Error
          ? Promise.reject(this.alertState)
          : Promise.resolve(this.alertState);
      },
    },
    clock: this.clock,
    log: this.log,
    futureMs: 60_000,
    historySamples: 5,
    maxOpenAlerts: 7,
  });

  /** Waited for by each read, as for a place in the line. */
  turn: Promise<void> | null = null;

  /** Stores samples so many seconds after 11:00:00. */
  store(deviceId: string, seconds: Iterable<number>): void {
    const stored = this.#stored.get(deviceId) ?? [];
    for (const second of seconds) stored.push(sampleAt(second, { v: second }));
    this.#stored.set(deviceId, stored);
  }

  ask(
    after: Record<string, number>,
    question: Partial<HistoryQuestion> = {},
  ): Promise<ReadonlyMap<string, HistoryPage>> {
    return this.reader.page(this.question(after, question));
  }

  question(
    after: Record<string, number>,
    question: Partial<HistoryQuestion> = {},
  ): HistoryQuestion {
    return {
      tenantId: "acme",
      after: new Map(Object.entries(after).map(([id, second]) => [id, stamp(second)])),
      resolutionSeconds: null,
      signal: new AbortController().signal,
      ...question,
    };
  }

  /** What was asked, shortly: the devices and the second after which. */
  get asked(): readonly (readonly [string, number])[] {
    return this.reads.map(({ deviceIds, after }) => [deviceIds.join(), secondOf(after)]);
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.turn === null) return;
    await Promise.race([
      this.turn,
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    ]);
  }

  async #ranges(
    { tenantId, signal }: SideQuery,
    ask: () => SideRanges,
  ): Promise<Answer<RangeResult>> {
    await this.#turn(signal);
    const query = ask();
    this.reads.push({ tenantId, signal, ...query });
    const fault = this.fault(query);
    await new Promise<void>((resolve, reject) => {
      const timer = this.clock.setTimeout(resolve, 100);
      signal.addEventListener("abort", () => {
        this.clock.clearTimeout(timer);
        this.aborted.push(query.deviceIds.join());
        reject(signal.reason);
      }, { once: true });
    });
    if (fault instanceof Error) throw fault;
    if (fault !== null) return fault;
    const { skipSamples = 0, deviceIds, after, until } = query;
    const collector = new RangeCollector({ ...query, maxSamples: skipSamples + query.maxSamples });
    for (const deviceId of deviceIds) {
      for (const sample of this.#stored.get(deviceId) ?? []) {
        if (sample.timestamp > after && sample.timestamp <= until) collector.add(deviceId, sample);
      }
    }
    const { samples, ...result } = collector.result();
    const kept = [...samples].map(([id, all]) => [id, all.slice(skipSamples)] as const);
    return { ok: true, value: { ...result, samples: new Map(kept) } };
  }
}

function stamp(second: number): string {
  return sampleAt(second).timestamp;
}

function secondOf(instant: string): number {
  return (Date.parse(`${instant.slice(0, 23)}Z`) - Date.parse(stamp(0))) / 1_000;
}

/** The seconds of each device's samples, and whether there are no more. */
function short(pages: ReadonlyMap<string, HistoryPage>): Record<string, [number[], boolean]> {
  return Object.fromEntries(
    [...pages].map(([id, { samples, isLast }]) => [
      id,
      [samples.map(({ timestamp }) => secondOf(timestamp)), isLast],
    ]),
  );
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, n) => from + n);
}

const DOWN = { ok: false, refusal: "unavailable", retryAfterMs: 9_000 } as const;

Deno.test("Questions of one tenant within 50 ms are one read, and each is answered what is later than it asked", async () => {
  const fixture = new Fixture();
  fixture.store("a", range(-10, -1));
  fixture.store("b", [-5, -3]);
  const first = fixture.ask({ a: -4 });
  await fixture.clock.advance(49);
  const second = fixture.ask({ a: -2, b: -9 });
  const foreign = fixture.ask({ a: -4 }, { tenantId: "other" });
  await fixture.clock.advance(1);
  const late = fixture.ask({ a: -3 });
  const readAt = fixture.clock.now();
  await fixture.clock.advance(400);
  assert.deepEqual(short(await first), { a: [[-3, -2, -1], true] });
  assert.deepEqual(short(await second), { a: [[-1], true], b: [[-5, -3], true] });
  assert.equal((await first).get("a")?.readAt, readAt);
  assert.deepEqual(fixture.asked, [["a,b", -9], ["a", -4], ["a", -3]]);
  const [read] = fixture.reads;
  assert.deepEqual([read?.order, read?.until, read?.maxSamples], [
    "ascending",
    instantOfMs(readAt + 60_000),
    1_000,
  ]);
  await Promise.all([foreign, late]);
});

Deno.test("Who asks for the same samples is given the very same page", async () => {
  const fixture = new Fixture();
  fixture.store("a", range(-4, -1));
  const asked = [-9, -5, -5, -3, -1, -1].map((second) => fixture.ask({ a: second }));
  await fixture.clock.advance(1_000);
  const pages = (await Promise.all(asked)).map((found) => found.get("a"));
  assert.deepEqual(pages.map((page) => page?.samples.length), [4, 4, 4, 2, 0, 0]);
  assert.ok(pages[0] === pages[1] && pages[1] === pages[2] && pages[4] === pages[5]);
  assert.equal(fixture.reads.length, 1);
});

Deno.test("Questions that come before a read's turn share it, and nobody is asked for who left meanwhile", async () => {
  const fixture = new Fixture();
  fixture.store("a", range(-9, -1));
  const turn = Promise.withResolvers<void>();
  fixture.turn = turn.promise;
  const leaves = new AbortController();
  const left = assert.rejects(fixture.ask({ gone: -80 }, { signal: leaves.signal }), /Gone/);
  const first = fixture.ask({ a: -3 });
  await fixture.clock.advance(3_000);
  const second = fixture.ask({ a: -5, b: -2 });
  leaves.abort(new Error("Gone"));
  await left;
  await fixture.clock.advance(3_000);
  turn.resolve();
  await fixture.clock.advance(100);
  assert.deepEqual(fixture.asked, [["a,b", -5]]);
  assert.deepEqual(short(await first), { a: [[-2, -1], true] });
  assert.deepEqual(short(await second), { a: [[-4, -3, -2, -1], true], b: [[], true] });
  assert.equal(fixture.clock.timerCount, 0);
});

Deno.test("Who waits for a turn alone and leaves is not read for; the next one is", async () => {
  const fixture = new Fixture();
  fixture.store("a", [-1]);
  const turn = Promise.withResolvers<void>();
  fixture.turn = turn.promise;
  const leaves = new AbortController();
  const left = assert.rejects(fixture.ask({ gone: -5 }, { signal: leaves.signal }), /Gone/);
  await fixture.clock.advance(100);
  leaves.abort(new Error("Gone"));
  await left;
  await fixture.clock.advance(0);
  const next = fixture.ask({ a: -5 });
  turn.resolve();
  await fixture.clock.advance(200);
  assert.deepEqual(short(await next), { a: [[-1], true] });
  assert.deepEqual(fixture.asked, [["a", -5]]);
});

Deno.test("A tenant whose questions go on and on is read for half of the time at most", async () => {
  const fixture = new Fixture();
  fixture.store("a", [-1]);
  const asked: Promise<unknown>[] = [];
  const beganAt: number[] = [];
  for (let ms = 0; ms < 2_000; ms += 25) {
    asked.push(fixture.ask({ a: -5 }));
    await fixture.clock.advance(25);
    if (fixture.reads.length > beganAt.length) beganAt.push(ms + 25);
  }
  await fixture.clock.advance(1_000);
  await Promise.all(asked);
  // 100 ms to read and as long until the next.
  assert.deepEqual(beganAt.slice(0, 4), [50, 250, 450, 650]);
});

Deno.test("A rush of questions gathers on until it is over, and no longer than 250 ms", async () => {
  for (const [rushMs, readAtMs] of [[120, 150], [2_000, 250]] as const) {
    const fixture = new Fixture();
    fixture.store("a", [-1]);
    const asked: Promise<unknown>[] = [];
    let beganAtMs: number | null = null;
    for (let ms = 0; ms < 400; ms += 10) {
      if (ms < rushMs) asked.push(fixture.ask({ a: -5 }));
      await fixture.clock.advance(10);
      if (fixture.reads.length > 0) beganAtMs ??= ms + 10;
    }
    assert.equal(beganAtMs, readAtMs);
    await fixture.clock.advance(2_000);
    await Promise.all(asked);
  }
});

Deno.test("Who goes far back is read apart and after those who do not", async () => {
  const fixture = new Fixture();
  fixture.store("a", [-80_000, -100, -1]);
  const seconds = [-80_000, -100, -30, -20, -10, 30];
  const asked = seconds.map((second) => fixture.ask({ a: second }));
  // So many at once are a rush, which is over after as long again.
  await fixture.clock.advance(2 * 50 + 200);
  assert.deepEqual(fixture.asked, [["a", -30], ["a", -100], ["a", -80_000]]);
  assert.deepEqual(short(await (asked[2] ?? asked[0]!)), { a: [[-1], true] });
  await fixture.clock.advance(100);
  await Promise.all(asked);
});

Deno.test("Samples of one read are bounded over all its devices, and its devices too", async () => {
  const fixture = new Fixture();
  const ids = (n: number) => Object.fromEntries(range(1, n).map((id) => [`dev-${id}`, -10]));
  for (const n of [10, 50, 1_000, 2_100]) {
    const asked = fixture.ask(ids(n));
    await fixture.clock.advance(1_000);
    assert.equal((await asked).size, n);
  }
  assert.deepEqual(
    fixture.reads.map(({ deviceIds, maxSamples }) => [deviceIds.length, maxSamples]),
    [[10, 1_000], [50, 400], [1_000, 20], [1_000, 20], [1_000, 20], [100, 200]],
  );
});

Deno.test("A page that is full says that there is more; the next begins where it ended", async () => {
  const fixture = new Fixture();
  fixture.store("a", range(-1_500, -1));
  const first = fixture.ask({ a: -2_000 });
  await fixture.clock.advance(200);
  const { a: [seconds, isLast] = [[], true] } = short(await first);
  assert.deepEqual([seconds.length, seconds.at(-1), isLast], [1_000, -501, false]);
  const second = fixture.ask({ a: -501 });
  await fixture.clock.advance(200);
  assert.deepEqual(short(await second), { a: [range(-500, -1), true] });
});

Deno.test("Who is not reached because others ask for so much before is read with fewer of them", async () => {
  const fixture = new Fixture();
  fixture.store("a", range(-4_000, -1));
  fixture.store("b", [-1_500]);
  const far = fixture.ask({ a: -4_001 });
  const near = fixture.ask({ a: -1_501 });
  const last = fixture.ask({ a: -1_101, b: -1_501 });
  await fixture.clock.advance(1_000);
  assert.deepEqual(short(await far), { a: [range(-4_000, -3_001), false] });
  assert.deepEqual(short(await near), { a: [range(-1_500, -501), false] });
  assert.deepEqual(short(await last), { a: [range(-1_100, -101), false], b: [[-1_500], true] });
  assert.deepEqual(fixture.asked.length, 3);
});

Deno.test("A chart that is asked for in pages has each window once, whole, and none is lost", async () => {
  const fixture = new Fixture();
  fixture.store("a", range(-1_500 * 60, -1).filter((second) => second % 30 === 0));
  const seconds: number[] = [];
  const values: unknown[] = [];
  let after = stamp(-1_500 * 60 + 50);
  for (let isLast = false; !isLast;) {
    const asked = fixture.reader.page({
      ...fixture.question({}, { resolutionSeconds: 60 }),
      after: new Map([["a", after]]),
    });
    await fixture.clock.advance(200);
    const page = (await asked).get("a");
    assert.ok(page !== undefined && page.samples.length > 0);
    seconds.push(...page.samples.map(({ timestamp }) => secondOf(timestamp)));
    values.push(...page.samples.map(({ metrics }) => metrics.v));
    isLast = page.isLast;
    after = stamp((seconds.at(-1) ?? 0) + 60);
  }
  assert.deepEqual(seconds, range(-1_500, -1).map((minute) => minute * 60));
  assert.equal(fixture.reads.length, 2);
});

Deno.test("Windows begin with the one that the instant lies in, its start included", async () => {
  const fixture = new Fixture();
  fixture.store("a", [-121, -120, -61, -60]);
  const asked = [-120, -61, -60].map((second) =>
    fixture.ask({ a: second }, { resolutionSeconds: 60 })
  );
  const raw = fixture.ask({ a: -120 });
  await fixture.clock.advance(200);
  const starts = (await Promise.all(asked)).map((pages) => short(pages).a?.[0]);
  assert.deepEqual(starts, [[-120, -60], [-120, -60], [-60]]);
  assert.deepEqual(short(await raw).a, [[-61, -60], true]);
  assert.deepEqual(
    fixture.reads.map(({ after, resolutionSeconds }) => [after, resolutionSeconds]),
    [
      [`${stamp(-121).slice(0, 20)}999999999Z`, 60],
      [stamp(-120), null],
    ],
  );
});

Deno.test("Who goes away ends no read that others wait for; a read that nobody waits for ends", async () => {
  const fixture = new Fixture();
  fixture.store("a", [-1]);
  const [one, two] = [new AbortController(), new AbortController()];
  const left = fixture.ask({ a: -5 }, { signal: one.signal });
  const stays = fixture.ask({ a: -5 }, { signal: two.signal });
  await fixture.clock.advance(60);
  one.abort(new Error("Gone"));
  await assert.rejects(left, /Gone/);
  assert.deepEqual(fixture.aborted, []);
  await fixture.clock.advance(100);
  assert.deepEqual(short(await stays), { a: [[-1], true] });

  const three = new AbortController();
  const alone = fixture.ask({ a: -5 }, { signal: three.signal });
  await fixture.clock.advance(60);
  three.abort(new Error("Gone too"));
  await assert.rejects(alone, /Gone too/);
  await fixture.clock.advance(0);
  assert.deepEqual(fixture.aborted, ["a"]);

  const four = new AbortController();
  const early = fixture.ask({ a: -5 }, { signal: four.signal });
  four.abort(new Error("Gone early"));
  await assert.rejects(early, /Gone early/);
  await fixture.clock.advance(1_000);
  assert.equal(fixture.reads.length, 2);
  await assert.rejects(fixture.ask({ a: -5 }, { signal: four.signal }), /Gone early/);
  assert.equal(fixture.clock.timerCount, 0);
});

Deno.test("What the source can't say now rejects with when to ask again, and nothing more is read for it", async () => {
  const fixture = new Fixture();
  fixture.fault = () => DOWN;
  const asked = [fixture.ask({ a: -5 }), fixture.ask({ a: -50_000 })];
  const failed = Promise.allSettled(asked);
  await fixture.clock.advance(1_000);
  for (const result of await failed) {
    assert.ok(result.status === "rejected" && result.reason instanceof HistoryError);
    assert.equal(result.reason.retryAfterMs, 9_000);
  }
  assert.equal(fixture.reads.length, 1);
});

Deno.test("What could be read before the source failed is answered", async () => {
  const fixture = new Fixture();
  fixture.store("near", [-1]);
  fixture.fault = ({ deviceIds }) => deviceIds.includes("far") ? DOWN : null;
  const asked = fixture.ask({ near: -5, far: -50_000 });
  await fixture.clock.advance(1_000);
  assert.deepEqual(short(await asked), { near: [[-1], true] });
});

Deno.test("The past of a tenant that has nothing to read from is not known, and not empty", async () => {
  const fixture = new Fixture();
  fixture.fault = () => ({ ok: false, refusal: "missing", retryAfterMs: 5_000 });
  const isUnknown = (error: unknown) =>
    error instanceof HistoryError && error.retryAfterMs === 5_000;
  const asked = [fixture.ask({ a: -5 }), fixture.reader.earliest(fixture.question({ a: -5 }))];
  const refused = asked.map((answer) => assert.rejects(answer, isUnknown));
  await fixture.clock.advance(1_000);
  await Promise.all(refused);
});

Deno.test("A device whose read is refused keeps nobody from the others, and the log says it once", async () => {
  const fixture = new Fixture();
  const ids = range(1, 100).map((id) => `dev-${id}`);
  for (const id of ids) fixture.store(id, [-1]);
  fixture.fault = ({ deviceIds }) =>
    deviceIds.includes("dev-42") ? new SourceError("rejected", "Out of range") : null;
  for (let round = 0; round < 2; round++) {
    const all = fixture.ask(Object.fromEntries(ids.map((id) => [id, -5])));
    const refused = assert.rejects(
      fixture.ask({ "dev-42": -5 }),
      (error: unknown) => error instanceof HistoryError && error.retryAfterMs === 5_000,
    );
    await fixture.clock.advance(5_000);
    const pages = await all;
    assert.deepEqual([...pages.keys()].sort(), ids.filter((id) => id !== "dev-42").sort());
    await refused;
  }
  assert.deepEqual(
    fixture.log.of("read_failed").map(({ level, fields: { source, tenant, kind } }) => [
      level,
      source,
      tenant,
      kind,
    ]),
    [["warning", "telemetry", "acme", "rejected"]],
  );
  assert.ok(fixture.reads.length < 40, `${fixture.reads.length} reads`);
});

Deno.test("A fault of our own reaches everybody who asked", async () => {
  const fixture = new Fixture();
  fixture.fault = ({ deviceIds }) => deviceIds.includes("far") ? new TypeError("Our fault") : null;
  const asked = assert.rejects(fixture.ask({ near: -5, far: -50_000 }), /Our fault/);
  await fixture.clock.advance(1_000);
  await asked;
});

Deno.test("A device with more samples than a history may hold begins after those that are left out", async () => {
  const fixture = new Fixture();
  fixture.store("few", range(-5, -1));
  fixture.store("many", range(-20, -1));
  fixture.store("later", range(-20, -1));
  const found = fixture.reader.earliest(fixture.question({ few: -100, many: -100, later: -6 }));
  await fixture.clock.advance(1_000);
  assert.deepEqual([...await found], [["many", stamp(-6)]]);
  const [read] = fixture.reads;
  assert.deepEqual([read?.order, read?.skipSamples, read?.maxSamples], ["descending", 5, 1]);
  const next = fixture.ask({ many: -6 });
  await fixture.clock.advance(200);
  assert.deepEqual(short(await next), { many: [range(-5, -1), true] });

  fixture.store("chart", range(-600, -1).filter((second) => second % 60 === 0));
  const windows = fixture.question({ chart: -600 }, { resolutionSeconds: 60 });
  const start = fixture.reader.earliest(windows);
  await fixture.clock.advance(200);
  assert.deepEqual([...await start], [["chart", stamp(-300)]]);
});

Deno.test("Alerts that came and went, or went, since the instant are told apart from those before it", async () => {
  const fixture = new Fixture();
  const at = (second: number) => `2026-11-18T11:00:0${second}.000000Z`;
  const changed = (
    id: number,
    { created, closed }: { created: number; closed: number | null },
  ) => ({
    alert: alertOf(id, { created_at: at(created), status: closed === null ? "OPEN" : "CLOSED" }),
    isOpen: closed === null,
    closedAt: closed === null ? null : at(closed),
  });
  const rows = [
    changed(1, { created: 1, closed: 4 }),
    changed(2, { created: 3, closed: 4 }),
    changed(3, { created: 4, closed: null }),
    changed(4, { created: 1, closed: 2 }),
    { ...changed(5, { created: 4, closed: 5 }), closedAt: null },
  ];
  fixture.alertState = {
    ok: true,
    value: { open: [], changed: rows, isChangedTruncated: true, counts: null },
  };
  const signal = new AbortController().signal;
  const since = "2026-11-18T11:00:02.000000000Z";
  const history = await fixture.reader.alerts({ tenantId: "acme", since, signal });
  assert.deepEqual(history.passed.map(({ alert_id }) => alert_id), [2, 5]);
  assert.deepEqual([history.closed, history.isTruncated], [[1, 2, 5], true]);
  const [{ signal: _, ...asked } = {}] = fixture.alertReads;
  assert.deepEqual(asked, {
    tenantId: "acme",
    limit: 7,
    changedSince: since,
    changedLimit: 7,
    isCounted: false,
  });

  fixture.alertState = DOWN;
  await assert.rejects(
    fixture.reader.alerts({ tenantId: "acme", since, signal }),
    (error: unknown) => error instanceof HistoryError && error.retryAfterMs === 9_000,
  );
  fixture.alertState = new SourceError("rejected", "No such column");
  await assert.rejects(fixture.reader.alerts({ tenantId: "acme", since, signal }), HistoryError);
});
