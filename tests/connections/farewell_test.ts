// How clients are let go when the process goes: in portions, each in its time, and whatever they do.
import assert from "node:assert/strict";
import { farewell } from "../../src/connections/farewell.ts";
import { connectionsFixture } from "./connections_fixture.ts";

const WITHIN_MS = 10_000;

Deno.test("Clients are closed in portions over seven tenths of the time, and told before when to come back", async () => {
  using service = connectionsFixture();
  const { clock, manager } = service;
  const clients = Array.from({ length: 100 }, () => service.connect());
  const closedAt = clients.map(() => 0);
  for (const [nth, client] of clients.entries()) {
    client.hello("notices");
    client.take();
    client.socket.close = (code) => {
      closedAt[nth] = clock.now();
      client.leave(code);
    };
  }
  const startedAt = clock.now();
  const gone = farewell(manager, { clock, random: () => 0.5, withinMs: WITHIN_MS });
  assert.deepEqual(
    clients.map((client) => client.take()),
    clients.map(() => [
      { type: "reconnect", after_ms: 0.5 * 2 * 0.7 * WITHIN_MS },
    ]),
  );
  await clock.advance(WITHIN_MS);
  await gone;
  const portions = new Set(closedAt);
  assert.equal(portions.size, 50);
  assert.equal(closedAt[0], startedAt);
  assert.equal(Math.max(...closedAt), startedAt + 0.7 * WITHIN_MS * 49 / 50);
  assert.equal(manager.connectionCount, 0);
});

Deno.test("Who has not answered its close when the time is over is ended, and nobody is waited for", async () => {
  using service = connectionsFixture();
  const { clock, manager } = service;
  const clients = [service.connect(), service.connect()];
  let isOver = false;
  const gone = farewell(manager, { clock, random: () => 0, withinMs: 1_000 })
    .then(() => isOver = true);
  await clock.advance(900);
  assert.equal(isOver, false);
  assert.deepEqual(clients.map(({ socket }) => socket.isTerminated), [false, false]);
  await clock.advance(200);
  await gone;
  assert.deepEqual(clients.map(({ socket }) => socket.closings.map(({ code }) => code)), [
    [1012],
    [1012],
  ]);
  assert.deepEqual(clients.map(({ socket }) => socket.isTerminated), [true, true]);
});
