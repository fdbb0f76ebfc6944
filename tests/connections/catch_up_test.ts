import assert from "node:assert/strict";
import {
  catchUp,
  type CatchUpDeps,
  type CatchUpDevice,
  type CatchUpRequest,
} from "../../src/connections/catch_up.ts";
import { historyParts } from "../../src/connections/history_parts.ts";
import { EveryFollow } from "../../src/connections/every_follow.ts";
import { FollowedDevice } from "../../src/connections/followed_device.ts";
import { HistoryError } from "../../src/feed/history_error.ts";
import type { HistoryPage, HistoryQuestion } from "../../src/feed/seam.ts";
import type { Resume, ServerMessage } from "../../src/protocol/server_messages.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { memoryLog } from "../support/memory_log.ts";
import { sampleAt } from "../support/samples.ts";
import { history, telemetry } from "./catch_up_world.ts";

type Answer = (
  after: ReadonlyMap<string, string>,
) => Iterable<readonly [string, HistoryPage]> | Error;

const HISTORY_MS = 90_000_000;

/** Everything around one catch-up: what is asked, what is sent and said, in the order in which it is. */
class Fixture {
  readonly clock = fakeClock();
  readonly log = memoryLog();
  readonly asked: Array<Record<string, string>> = [];
  readonly measured: Array<Record<string, string>> = [];
  readonly told: unknown[] = [];
  readonly unwanted = new Set<string>();
  readonly controller = new AbortController();
  readonly #devices = new Map<string, FollowedDevice>();
  /** What the questions are answered, one after another; the last one again and again. */
  answers: Answer[] = [];
  starts = new Map<string, string>();
  /** Resolves when the socket can take more. */
  socket = Promise.resolve();

  device(deviceId = "dev-1"): FollowedDevice {
    const known = this.#devices.get(deviceId);
    if (known !== undefined) return known;
    const device = new FollowedDevice(deviceId);
    device.followEvery();
    this.#devices.set(deviceId, device);
    return device;
  }

  batch(seconds: readonly number[], { floor = -20, deviceId = "dev-1" } = {}): void {
    const device = this.device(deviceId);
    device.deliver({
      deviceId,
      number: device.batchNumber + 1,
      readAt: 0,
      samples: seconds.map((second) => {
        const sample = sampleAt(second);
        return { sample, frame: telemetry(deviceId, sample), readAt: 0 };
      }),
      floor: sampleAt(floor).timestamp,
    });
  }

  start(
    devices: readonly CatchUpDevice[],
    request: Partial<CatchUpRequest> = {},
    deps: Partial<CatchUpDeps> = {},
  ): Promise<void> {
    return catchUp({
      tenantId: "acme",
      devices,
      resolutionSeconds: null,
      kind: "resume",
      frames: { parts: historyParts, history, telemetry },
      send: async (frames) => {
        for (const { message } of frames) this.told.push(shortOf(message));
        await this.socket;
      },
      isWanted: (deviceId) => !this.unwanted.has(deviceId),
      answered: (resumes) => void this.told.push(Object.fromEntries(resumes)),
      joined: (deviceId, last) => void this.told.push(["joined", deviceId, last]),
      signal: this.controller.signal,
      ...request,
    }, {
      histories: {
        page: ({ after }) => this.#page(after),
        earliest: ({ after }: HistoryQuestion) => {
          this.measured.push(Object.fromEntries(after));
          return Promise.resolve(this.starts);
        },
        alerts: () => Promise.reject(new Error("Nobody asks for alerts here")),
      },
      clock: this.clock,
      random: () => 0,
      log: this.log,
      historyMs: HISTORY_MS,
      lateMs: 10_000,
      futureMs: 60_000,
      ...deps,
    });
  }

  #page(after: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, HistoryPage>> {
    this.asked.push(Object.fromEntries(after));
    const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
    const said = answer?.(after) ?? [];
    return said instanceof Error ? Promise.reject(said) : Promise.resolve(new Map(said));
  }
}

function shortOf(message: ServerMessage): unknown {
  if (message.type === "history") {
    return [message.device_id, message.samples.map(({ timestamp }) => timestamp), message.done];
  }
  return message.type === "telemetry" ? [message.device_id, message.data.timestamp] : message.type;
}

function stamp(second: number): string {
  return sampleAt(second).timestamp;
}

function page(seconds: readonly number[], isLast = true): HistoryPage {
  return { samples: seconds.map((second) => sampleAt(second)), isLast, readAt: 0 };
}

/** One answer for all who ask. */
function all(seconds: readonly number[], isLast = true): Answer {
  return (after) => [...after.keys()].map((deviceId) => [deviceId, page(seconds, isLast)]);
}

function down(retryAfterMs: number): Error {
  return new HistoryError("The source can't be read now", { retryAfterMs });
}

function latest(after: string, deviceId = "dev-1"): CatchUpDevice {
  return { deviceId, after, follow: null };
}

const COMPLETE = (from: string): Resume => ({ from, complete: true });

Deno.test("The answer comes first, then the pages, then the device joins the present", async () => {
  const fixture = new Fixture();
  fixture.answers = [all([1, 2], false), all([3], false), all([])];
  await fixture.start([latest(stamp(0))]);
  assert.deepEqual(fixture.told, [
    { "dev-1": COMPLETE(stamp(0)) },
    ["dev-1", [stamp(1), stamp(2)], false],
    ["dev-1", [stamp(3)], false],
    ["dev-1", [], true],
    ["joined", "dev-1", stamp(3)],
  ]);
  assert.deepEqual(fixture.asked.map((after) => after["dev-1"]), [stamp(0), stamp(2), stamp(3)]);
});

Deno.test("A message holds at most 500 samples, and the socket is waited for after each", async () => {
  const fixture = new Fixture();
  fixture.answers = [all(Array.from({ length: 1_200 }, (_, second) => second + 1))];
  const { promise, resolve } = Promise.withResolvers<void>();
  fixture.socket = promise;
  const done = fixture.start([latest(stamp(0))]);
  await fixture.clock.advance(1_000);
  assert.equal(fixture.told.length, 2, "the answer and one page");
  resolve();
  await done;
  const pages = fixture.told.slice(1, -1) as Array<[string, string[], boolean]>;
  assert.deepEqual(pages.map(([, samples, isDone]) => [samples.length, isDone]), [
    [500, false],
    [500, false],
    [200, true],
  ]);
});

Deno.test("Where a start is too far back or ahead the answer says where it really starts", async () => {
  const fixture = new Fixture();
  fixture.answers = [all([])];
  const now = fixture.clock.now();
  const at = (ms: number) => `${new Date(now + ms).toISOString().slice(0, 23)}000000Z`;
  await fixture.start([
    latest(at(-HISTORY_MS - 1_001), "old"),
    latest(at(-HISTORY_MS - 1_000), "just"),
    latest(at(60_000), "ahead"),
    latest(at(60_001), "future"),
  ]);
  assert.deepEqual(fixture.told[0], {
    old: { from: at(-HISTORY_MS), complete: false, reason: "too_old" },
    just: COMPLETE(at(-HISTORY_MS - 1_000)),
    ahead: COMPLETE(at(60_000)),
    future: { from: at(0), complete: false, reason: "in_future" },
  });
  assert.deepEqual(fixture.asked[0], {
    old: at(-HISTORY_MS),
    just: at(-HISTORY_MS - 1_000),
    ahead: at(60_000),
    future: at(0),
  });
});

Deno.test("A device with too many samples starts at the newest of them; of two reasons the worse is told", async () => {
  const fixture = new Fixture();
  const from = fixture.clock.now() - HISTORY_MS;
  const at = (hours: number) =>
    `${new Date(from + hours * 3_600_000).toISOString().slice(0, 23)}000000Z`;
  fixture.starts = new Map([["many", at(5)], ["both", at(5)], ["older", at(5)]]);
  fixture.answers = [
    (after) => [...after.keys()].map((id) => [id, page([1], id === "few")]),
    all([7]),
  ];
  await fixture.start([
    latest(at(1), "many"),
    latest(at(1), "few"),
    latest(at(1), "enough"),
    latest(at(-4), "both"),
    latest(at(-6), "older"),
  ]);
  assert.deepEqual(fixture.told[0], {
    many: { from: at(5), complete: false, reason: "too_many" },
    few: COMPLETE(at(1)),
    enough: COMPLETE(at(1)),
    both: { from: at(5), complete: false, reason: "too_many" },
    older: { from: at(5), complete: false, reason: "too_old" },
  });
  assert.deepEqual(fixture.measured, [
    { many: at(1), enough: at(1), both: at(0), older: at(0) },
  ]);
  assert.deepEqual(fixture.asked[1], { many: at(5), enough: stamp(1), both: at(5), older: at(5) });
  assert.ok(
    !fixture.told.some((told) => JSON.stringify(told) === `["many",["${stamp(1)}"],false]`),
  );
});

Deno.test("A source that is down is told at once and asked until it answers, further and further apart", async () => {
  const fixture = new Fixture();
  const times: number[] = [];
  const began = fixture.clock.now();
  fixture.answers = [(after) => {
    times.push((fixture.clock.now() - began) / 1_000);
    if (times.length === 9) return all([1], false)(after);
    return times.length < 11 ? down(times.length === 1 ? 5_000 : 0) : all([])(after);
  }];
  const done = fixture.start([latest(stamp(0))]);
  await fixture.clock.advance(0);
  assert.deepEqual(fixture.told, [
    { "dev-1": { from: stamp(0), complete: false, reason: "source_unavailable" } },
  ]);
  await fixture.clock.advance(200_000);
  await done;
  assert.deepEqual(times, [0, 5, 7, 11, 19, 35, 55, 75, 95, 95, 96]);
  assert.deepEqual(fixture.told.slice(1), [
    ["dev-1", [stamp(1)], false],
    ["dev-1", [], true],
    ["joined", "dev-1", stamp(1)],
  ]);
  assert.equal(fixture.log.of("history_unavailable").length, 9);
});

Deno.test("By chance clients ask a source that was down up to half as much later, never more than 30 seconds", async () => {
  const fixture = new Fixture();
  const times: number[] = [];
  fixture.answers = [() => (times.push(fixture.clock.now()), down(60_000))];
  const done = fixture.start([latest(stamp(0))], {}, { random: () => 1 });
  await fixture.clock.advance(70_000);
  fixture.controller.abort();
  await done;
  assert.deepEqual(times.map((time) => time - (times[0] ?? 0)), [0, 30_000, 60_000]);
});

Deno.test("A device that alone can't be read does not hold up the others", async () => {
  const fixture = new Fixture();
  const both = [latest(stamp(0), "good"), latest(stamp(0), "bad")];
  fixture.answers = [
    () => [["good", page([1])]],
    () => [["bad", page([2])]],
  ];
  const done = fixture.start(both);
  await fixture.clock.advance(900);
  assert.deepEqual(fixture.told, [
    {
      good: COMPLETE(stamp(0)),
      bad: { from: stamp(0), complete: false, reason: "source_unavailable" },
    },
    ["good", [stamp(1)], true],
    ["joined", "good", stamp(1)],
  ]);
  await fixture.clock.advance(1_000);
  await done;
  assert.deepEqual(fixture.asked[1], { bad: stamp(0) });
  assert.deepEqual(fixture.told.at(-1), ["joined", "bad", stamp(2)]);
});

Deno.test("Nothing follows for a device that is not wanted any more, and the others go on", async () => {
  const fixture = new Fixture();
  fixture.answers = [
    (after) => {
      if (fixture.asked.length === 2) fixture.unwanted.add("left");
      return all([fixture.asked.length], false)(after);
    },
    (after) => {
      fixture.unwanted.add("left");
      return all([2])(after);
    },
  ];
  await fixture.start([latest(stamp(0), "left"), latest(stamp(0), "stays")]);
  assert.deepEqual(fixture.told.slice(1), [
    ["left", [stamp(1)], false],
    ["stays", [stamp(1)], false],
    ["stays", [stamp(2)], true],
    ["joined", "stays", stamp(2)],
  ]);
});

Deno.test("An end in the middle leaves nothing under way and says nothing more", async () => {
  for (const phase of ["read", "send", "wait"] as const) {
    const fixture = new Fixture();
    const { signal } = fixture.controller;
    fixture.answers = [phase === "wait" ? () => down(5_000) : all([1], false)];
    if (phase === "send") fixture.socket = new Promise(() => {});
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    aborted.catch(() => {});
    const done = fixture.start(
      [latest(stamp(0))],
      {
        ...(phase === "send"
          ? { send: (frames) => (fixture.told.push(frames.length), aborted.catch(() => {})) }
          : {}),
      },
      phase === "read"
        ? {
          histories: {
            page: () => aborted,
            earliest: () => aborted,
            alerts: () => aborted,
          },
        }
        : {},
    );
    await fixture.clock.advance(100);
    const told = fixture.told.length;
    assert.equal(told, { read: 0, send: 2, wait: 1 }[phase]);
    fixture.controller.abort();
    await done;
    assert.equal(fixture.told.length, told);
    assert.equal(fixture.clock.timerCount, 0);
  }
});

Deno.test("A fault of our own is not taken for a source that is down", async () => {
  const fixture = new Fixture();
  fixture.answers = [() => new TypeError("Our fault")];
  await assert.rejects(fixture.start([latest(stamp(0))]), /Our fault/);
});

Deno.test("Nothing is sent that was asked for before the feed had read the device; the answer does not wait", async () => {
  const fixture = new Fixture();
  const follow = new EveryFollow(fixture.device(), 0);
  fixture.answers = [all([1])];
  const done = fixture.start([{ deviceId: "dev-1", after: stamp(0), follow }]);
  await fixture.clock.advance(200);
  assert.deepEqual(fixture.told, []);
  await fixture.clock.advance(100);
  assert.deepEqual(fixture.told, [{ "dev-1": COMPLETE(stamp(0)) }]);
  fixture.batch([]);
  await fixture.clock.advance(1_000);
  await done;
  assert.deepEqual(fixture.told.slice(1), [
    ["dev-1", [stamp(1)], true],
    ["joined", "dev-1", stamp(1)],
  ]);
  assert.equal(fixture.asked.length, 2);
});

Deno.test("A feed that reads the device soon spares a read of its history", async () => {
  const fixture = new Fixture();
  const follow = new EveryFollow(fixture.device(), 0);
  fixture.answers = [all([1])];
  const done = fixture.start([{ deviceId: "dev-1", after: stamp(0), follow }]);
  await fixture.clock.advance(20);
  fixture.batch([]);
  await fixture.clock.advance(20);
  await done;
  assert.deepEqual([fixture.asked.length, follow.isLive], [1, true]);
});

Deno.test("Batches take over where the history ends, without what it sent", async () => {
  const fixture = new Fixture();
  const follow = new EveryFollow(fixture.device(), 0);
  fixture.batch([]);
  fixture.answers = [(after) => {
    fixture.batch([1, 2]);
    return all([1])(after);
  }];
  await fixture.start([{ deviceId: "dev-1", after: stamp(-30), follow }]);
  assert.deepEqual(follow.due()?.map(({ sample }) => sample.timestamp), [stamp(2)]);
});

Deno.test("A cursor ahead of the clock does not silence a device whose clock is put right", async () => {
  const fixture = new Fixture();
  const follow = new EveryFollow(fixture.device(), 0);
  fixture.batch([]);
  fixture.answers = [all([])];
  await fixture.start([{ deviceId: "dev-1", after: stamp(50), follow }]);
  fixture.batch([-1, 1, 51]);
  assert.deepEqual(
    follow.due()?.map(({ sample }) => sample.timestamp),
    [stamp(1), stamp(51)],
    "what is older than the start is the client's already",
  );
});

Deno.test("While batches go by faster than the history is read it goes back for what came late, and is not done", async () => {
  const fixture = new Fixture();
  const follow = new EveryFollow(fixture.device(), 0);
  fixture.batch([], { floor: -5 });
  fixture.answers = [
    (after) => {
      for (let n = 0; n < 5; n++) fixture.batch([n], { floor: n - 5 });
      return all([-8, 4])(after);
    },
    all([-3, 4, 5]),
  ];
  await fixture.start([{ deviceId: "dev-1", after: stamp(-30), follow }]);
  assert.deepEqual(fixture.asked.map((after) => after["dev-1"]), [stamp(-30), stamp(-5)]);
  assert.deepEqual(fixture.told.slice(1), [
    ["dev-1", [stamp(-8), stamp(4)], false],
    ["dev-1", [stamp(-3), stamp(5)], true],
    ["joined", "dev-1", stamp(5)],
  ]);
  assert.deepEqual(follow.due(), []);
});

Deno.test("What was missed while the socket was full comes as telemetry, and nothing of it twice", async () => {
  const fixture = new Fixture();
  const follow = new EveryFollow(fixture.device(), 0);
  fixture.batch([], { floor: -10 });
  fixture.batch([1, 2], { floor: -8 });
  follow.due();
  follow.sent();
  for (let n = 3; n < 8; n++) fixture.batch([n], { floor: n - 10 });
  assert.equal(follow.due(), null);
  fixture.answers = [all([-1, 1, 2, 3, 4, 5, 6, 7])];
  await fixture.start([{ deviceId: "dev-1", after: "", follow }], { kind: "lag" });
  assert.deepEqual(fixture.asked, [{ "dev-1": stamp(-8) }]);
  assert.deepEqual(fixture.told, [
    ...[-1, 3, 4, 5, 6, 7].map((second) => ["dev-1", stamp(second)]),
    ["joined", "dev-1", stamp(7)],
  ]);
  assert.deepEqual([follow.isLive, follow.due()], [true, []]);
});

Deno.test("Windows are asked for from the end of the last one, and are no samples that a push could repeat", async () => {
  const fixture = new Fixture();
  fixture.answers = [all([0, 60], false), all([120])];
  await fixture.start([latest(stamp(30))], { resolutionSeconds: 60 });
  assert.deepEqual(fixture.asked.map((after) => after["dev-1"]), [stamp(30), stamp(120)]);
  assert.deepEqual(fixture.told.slice(1), [
    ["dev-1", [stamp(0), stamp(60)], false],
    ["dev-1", [stamp(120)], true],
    ["joined", "dev-1", null],
  ]);
});

Deno.test("More devices than one answer may hold are asked for in turns, and answered together", async () => {
  const fixture = new Fixture();
  const ids = Array.from({ length: 1_100 }, (_, n) => `dev-${n}`);
  fixture.answers = [all([1])];
  await fixture.start(ids.map((id) => latest(stamp(0), id)));
  assert.deepEqual(fixture.asked.map((after) => Object.keys(after).length), [
    ...[500, 500, 100],
    ...[500, 100],
  ]);
  assert.equal(Object.keys(fixture.told[0] as object).length, 1_100);
  const joined = fixture.told.filter((told) => Array.isArray(told) && told[0] === "joined");
  assert.equal(joined.length, 1_100);
});

Deno.test("A history of nothing ends with one empty page", async () => {
  const fixture = new Fixture();
  fixture.answers = [all([])];
  await fixture.start([latest(stamp(0))]);
  assert.deepEqual(fixture.told.slice(1), [["dev-1", [], true], ["joined", "dev-1", null]]);
});
