// What a worker holds of what all share, by itself: whenever it goes, nothing of it stays taken.
import assert from "node:assert/strict";
import type { KeySet } from "../../src/auth/key_set.ts";
import { LimitLedger } from "../../src/limits/limits.ts";
import { RefusedSockets } from "../../src/limits/refused_sockets.ts";
import { Seats } from "../../src/limits/seats.ts";
import { type AsksKeeper, remoteBack } from "../../src/workers/remote_back.ts";
import { WorkerPlace, type WorkerPlaceOptions } from "../../src/workers/worker_place.ts";
import { defaultLimits } from "../connections/connections_fixture.ts";

function openPlace() {
  const seats = new Seats(new LimitLedger(defaultLimits()));
  const refusals = new RefusedSockets(5);
  let parts = 1;
  const place = new WorkerPlace(
    {
      back: { seats, refusals },
      member: { change() {}, leave: () => parts-- },
      standing: {},
    } as unknown as WorkerPlaceOptions,
  );
  const { signal } = new AbortController();
  const taken = () => [seats.taken, refusals.open, parts];
  return { place, answers: place.answers, signal, taken };
}

Deno.test("What a worker held is given back when it goes, once", async () => {
  const { place, answers, signal, taken } = openPlace();
  const seat = await answers.takeSeat("192.0.2.1", signal);
  assert(typeof seat === "number");
  await answers.takeSeat("192.0.2.1", signal);
  await answers.enterRefused(null, signal);
  await answers.enterRefused(null, signal);
  answers.leaveSeat(seat, signal);
  answers.leaveRefused(null, signal);
  assert.deepEqual(taken(), [1, 1, 1]);
  place.vacate();
  place.vacate();
  assert.deepEqual(taken(), [0, 0, 0]);
});

Deno.test("What a worker was about to be given when it went is given back", async () => {
  const { place, answers, signal, taken } = openPlace();
  const seat = answers.takeSeat("192.0.2.1", signal);
  const refusal = answers.enterRefused(null, signal);
  assert.deepEqual(taken(), [1, 1, 1]);
  place.vacate();
  await Promise.all([seat, refusal]);
  assert.deepEqual(taken(), [0, 0, 0]);
});

const NO_KEYS: KeySet = {
  state: { reached: false, failure: null },
  current: () => Promise.resolve(null),
  after: () => Promise.resolve(null),
  reach: () => Promise.resolve(false),
};

Deno.test("A seat that a worker has of the keeper is left once, however often its socket goes", async () => {
  const told: unknown[] = [];
  const keeper = {
    ask: () => Promise.resolve(7),
    tell: (...said: readonly unknown[]) => told.push(said),
  } as unknown as AsksKeeper;
  const feeds = { change() {}, listen() {} };
  const seat = await remoteBack(keeper, { feeds, keySet: NO_KEYS }).seats.take("192.0.2.1");
  assert(typeof seat === "object");
  seat.leave();
  seat.leave();
  assert.deepEqual(told, [["leaveSeat", 7]]);
});
