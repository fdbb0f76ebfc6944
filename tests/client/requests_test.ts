// What is asked is sent no faster than the service takes it, is known by its answer, and is sent again where it was not read.
import assert from "node:assert/strict";
import { Requests } from "../../src/client/requests.ts";
import { type SleepyClock, sleepyClock } from "./client_fixture.ts";

function requestsOn(clock: SleepyClock, messagesPerSecond = 10) {
  const sent: { n: number; id: number }[] = [];
  let lastId = 0;
  const requests = new Requests({
    clock,
    send: (message) => void sent.push(message as { n: number; id: number }),
    nextId: () => ++lastId,
    messagesPerSecond,
  });
  return { requests, sent };
}

Deno.test("a burst goes out at once, and the rest no faster than the service takes it", async () => {
  const clock = sleepyClock();
  const { requests, sent } = requestsOn(clock);
  for (let n = 0; n < 200; n++) requests.ask({ n }, () => {});
  // A service that takes ten a second takes a hundred at once.
  let allowed = 100;
  for (let step = 0; sent.length < 200; step++) {
    assert.ok(sent.length <= allowed, `${sent.length} after ${step} steps`);
    await clock.advance(100);
    allowed += 1;
    assert.ok(step < 300, "the rest was never sent");
  }
  assert.deepEqual(sent.map(({ n }) => n), Array.from({ length: 200 }, (_, n) => n));
  assert.equal(clock.timerCount, 0);
});

Deno.test("an answer reaches who asked, once, and a page of history is no answer", () => {
  const { requests, sent } = requestsOn(sleepyClock());
  const answers: string[] = [];
  requests.ask({ n: 1 }, (answer) => void answers.push(`one ${answer.type}`));
  requests.ask({ n: 2 }, (answer) => void answers.push(`two ${answer.type}`));
  const [one, two] = sent;
  assert.ok(one !== undefined && two !== undefined);
  requests.receive({ type: "history", device_id: "d", samples: [], done: true, id: one.id });
  requests.receive({ type: "pong", id: two.id });
  requests.receive({ type: "pong", id: two.id });
  requests.receive({ type: "pong", id: one.id });
  assert.deepEqual(answers, ["two pong", "one pong"]);
});

Deno.test("what the service had no time to read is sent again after the time that it names, in order", async () => {
  const clock = sleepyClock();
  const { requests, sent } = requestsOn(clock);
  for (let n = 1; n <= 3; n++) requests.ask({ n }, () => {});
  requests.receive({ type: "pong", id: sent[0]?.id ?? 0 });
  requests.receive({
    type: "error",
    code: "rate_limited",
    message: "More than 10 messages a second",
    retry_after_ms: 2_000,
  });
  assert.equal(sent.length, 3);
  await clock.advance(2_000);
  assert.equal(sent.length, 3);
  await clock.advance(1_000);
  assert.deepEqual(sent.map(({ n }) => n), [1, 2, 3, 2, 3]);
  assert.equal(sent[3]?.id, sent[1]?.id);
  requests[Symbol.dispose]();
});

Deno.test("what was refused by its id is sent again alone: the others are under way", async () => {
  const clock = sleepyClock();
  const { requests, sent } = requestsOn(clock);
  for (let n = 1; n <= 3; n++) requests.ask({ n }, () => {});
  requests.receive({
    type: "error",
    code: "rate_limited",
    message: "More than 10 messages a second",
    retry_after_ms: 2_000,
    id: sent[1]?.id ?? 0,
  });
  await clock.advance(3_000);
  assert.deepEqual(sent.map(({ n }) => n), [1, 2, 3, 2]);
  requests[Symbol.dispose]();
});

Deno.test("nothing is sent, answered or waited for once the socket is gone", async () => {
  const clock = sleepyClock();
  const { requests, sent } = requestsOn(clock, 1);
  let answers = 0;
  for (let n = 0; n < 20; n++) requests.ask({ n }, () => void answers++);
  const before = sent.length;
  assert.ok(before < 20);
  requests[Symbol.dispose]();
  requests.receive({ type: "pong", id: 1 });
  await clock.advance(60_000);
  assert.deepEqual([sent.length, answers, clock.timerCount], [before, 0, 0]);
});
