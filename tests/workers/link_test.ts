// Questions between two threads: each is answered once or fails as the other end failed, and none outlives its asker.
import assert from "node:assert/strict";
import { HistoryError } from "../../src/feed/history_error.ts";
import { type Answers, Link } from "../../src/workers/link.ts";

interface Asked {
  readonly double: readonly [number, number];
  readonly wait: readonly [null, null];
  readonly note: readonly [string, void];
}
type Nothing = Record<never, never>;

const GONE = new Error("The other end is gone");

/** Two ends in one thread, with what was sent from one to the other. */
function linked(answers: Partial<Answers<Asked>>) {
  const texts: string[] = [];
  const failures: unknown[] = [];
  const unexpected = () => assert.fail("nothing of this is asked");
  const asker: Link<Asked, Nothing> = new Link<Asked, Nothing>({
    answers: {},
    send(text) {
      texts.push(text);
      queueMicrotask(() => answerer.receive(text));
    },
    failed: (error) => failures.push(error),
  });
  const answerer: Link<Nothing, Asked> = new Link<Nothing, Asked>({
    answers: { double: unexpected, wait: unexpected, note: unexpected, ...answers },
    send: (text) => queueMicrotask(() => asker.receive(text)),
    failed: (error) => failures.push(error),
  });
  return { asker, answerer, texts, failures };
}

Deno.test("Questions that are asked in one turn travel together, and each has its own answer", async () => {
  const { asker, texts } = linked({ double: (n) => Promise.resolve(n * 2) });
  const answers = await Promise.all([1, 2, 3].map((n) => asker.ask("double", n)));
  assert.deepEqual(answers, [2, 4, 6]);
  assert.equal(texts.length, 1);
});

Deno.test("What the other end throws is thrown here, and a past without an answer says when to ask again", async () => {
  const { asker } = linked({
    double(n) {
      if (n === 0) throw new HistoryError("Not now", { retryAfterMs: 1_234 });
      throw new TypeError("Not ever");
    },
  });
  await assert.rejects(asker.ask("double", 0), (error) => {
    assert(error instanceof HistoryError);
    assert.equal(error.retryAfterMs, 1_234);
    return true;
  });
  await assert.rejects(asker.ask("double", 1), { name: "Error", message: "Not ever" });
});

Deno.test("Who gives a question up is told its own reason, and who answers it that nobody waits", async () => {
  const given = Promise.withResolvers<void>();
  const { asker } = linked({
    wait: (_, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          given.resolve();
          reject(signal.reason);
        }, { once: true });
      }),
  });
  const life = new AbortController();
  const answer = asker.ask("wait", null, life.signal);
  await Promise.resolve();
  life.abort(new Error("Changed my mind"));
  await assert.rejects(answer, { message: "Changed my mind" });
  await given.promise;
  await assert.rejects(asker.ask("wait", null, life.signal), { message: "Changed my mind" });
});

Deno.test("Who gives up a question that was answered says nothing of it", async () => {
  const { asker, texts } = linked({ double: (n) => n * 2 });
  const life = new AbortController();
  assert.equal(await asker.ask("double", 1, life.signal), 2);
  life.abort();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(texts.length, 1);
});

Deno.test("What was said and has not gone out when the line is closed never does", async () => {
  const { asker, texts } = linked({});
  asker.tell("note", "unheard");
  asker.close(GONE);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(texts, []);
});

Deno.test("A line that is closed leaves no question open, on either end", async () => {
  const aborted = Promise.withResolvers<unknown>();
  const { asker, answerer } = linked({
    wait: (_, signal) =>
      new Promise(() => signal.addEventListener("abort", () => aborted.resolve(signal.reason))),
  });
  const answer = asker.ask("wait", null);
  await new Promise((resolve) => setTimeout(resolve, 0));
  asker.close(GONE);
  answerer.close(GONE);
  await assert.rejects(answer, GONE);
  assert.equal(await aborted.promise, GONE);
  await assert.rejects(asker.ask("double", 1), GONE);
  asker.tell("note", "unheard");
});

Deno.test("What is told is done in order, and what fails of it is known here", async () => {
  const noted: string[] = [];
  const { asker, failures } = linked({
    note(text) {
      if (text === "bad") throw new Error("Cannot note it");
      noted.push(text);
    },
  });
  for (const text of ["one", "bad", "two"]) asker.tell("note", text);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(noted, ["one", "two"]);
  assert.deepEqual(failures.map((error) => (error as Error).message), ["Cannot note it"]);
});

Deno.test("A question that nobody answers fails", async () => {
  const { asker } = linked({});
  await assert.rejects(
    (asker as unknown as Link<{ other: readonly [null, null] }, Nothing>).ask("other", null),
    { message: 'Nobody answers "other"' },
  );
});
