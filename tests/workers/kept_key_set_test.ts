// The issuer's key set as two workers have it, in one thread: everything that passes is made into text and back, and comes
// a moment later, as from another thread.
import assert from "node:assert/strict";
import { createKeySet } from "../../src/auth/create_key_source.ts";
import type { FetchedKeySet } from "../../src/auth/fetched_key_set.ts";
import { Link } from "../../src/workers/link.ts";
import { KeptKeySet } from "../../src/workers/kept_key_set.ts";
import type { KeeperQuestions, WorkerQuestions } from "../../src/workers/questions.ts";
import { WorkerPlace, type WorkerPlaceOptions } from "../../src/workers/worker_place.ts";
import { LoopbackIssuer } from "../auth/loopback_issuer.ts";
import { HandClock, refuses, verifierWith } from "../auth/verifier_fixture.ts";
import { generateSigner, type Signer, signToken } from "../support/tokens.ts";

const CACHE_MAX_AGE_MS = 600_000;
const COOLDOWN_MS = 30_000;

const first = await generateSigner("RS256", "key-1");
const second = await generateSigner("RS256", "key-2");

type Told = Pick<WorkerQuestions, "takeKeys">;

function workerOf(keySet: FetchedKeySet, clock: HandClock) {
  const { answers } = new WorkerPlace(
    {
      back: { keySet },
      member: { change() {}, leave() {} },
      standing: {},
    } as unknown as WorkerPlaceOptions,
  );
  const asked: string[] = [];
  const failed = (error: unknown) => assert.fail(String(error));
  const worker: Link<KeeperQuestions, Told> = new Link<KeeperQuestions, Told>({
    answers: { takeKeys: (keys) => kept.take(keys) },
    send(text) {
      asked.push(text);
      queueMicrotask(() => keeper.receive(text));
    },
    failed,
  });
  const keeper: Link<Told, KeeperQuestions> = new Link<Told, KeeperQuestions>({
    answers,
    send: (text) => queueMicrotask(() => worker.receive(text)),
    failed,
  });
  const kept: KeptKeySet = new KeptKeySet(worker, clock);
  const verifier = verifierWith({ keys: { kind: "set", set: kept }, clock });
  return { kept, keeper, verifier, asked };
}

function setUp() {
  const issuer = new LoopbackIssuer([first.jwk]);
  const clock = new HandClock();
  const keySet = createKeySet({ kind: "jwks", url: issuer.jwksUrl }, { clock });
  const workers = [workerOf(keySet, clock), workerOf(keySet, clock)] as const;
  keySet.listen((keys) => {
    for (const { keeper } of workers) keeper.tell("takeKeys", keys);
  });
  const sign = (signer: Signer) => signToken({}, { signer, nowMs: clock.nowMs });
  return { issuer, clock, keySet, workers, sign };
}

Deno.test("Workers that begin together cost one fetch, and ask nobody while the keys are young", async () => {
  const { issuer, workers, sign } = setUp();
  await using _ = issuer;
  const token = await sign(first);
  await Promise.all(workers.map(({ verifier }) => verifier.verify(token)));
  const asked = workers.map(({ asked }) => asked.length);
  for (const { verifier } of workers) {
    await verifier.verify(token);
    await verifier.verify(await sign(first));
  }
  assert.deepEqual(workers.map(({ asked }) => asked.length), asked);
  assert.equal(issuer.requests.length, 1);
});

Deno.test("Keys that are too old are fetched once for all workers, and stay good while the issuer fails", async () => {
  const { issuer, clock, workers, sign } = setUp();
  await using _ = issuer;
  const token = await sign(first);
  for (const { verifier } of workers) await verifier.verify(token);
  clock.nowMs += CACHE_MAX_AGE_MS;
  for (const { verifier } of workers) await verifier.verify(await sign(first));
  assert.equal(issuer.requests.length, 2);
  issuer.behaviour = "failing";
  clock.nowMs += CACHE_MAX_AGE_MS;
  for (const { verifier } of workers) await verifier.verify(await sign(first));
  assert.equal(issuer.requests.length, 3);
  issuer.behaviour = "well";
  issuer.keys = [second.jwk];
  clock.nowMs += COOLDOWN_MS;
  // The fetch that the first of them began is for all.
  await workers[0].verifier.verify(await sign(second));
  await refuses(workers[1].verifier, await sign(first));
  assert.equal(issuer.requests.length, 4);
});

Deno.test("Whoever met an unknown key with older keys than the keeper's is given those, without a fetch", async () => {
  const { issuer, clock, keySet, workers: [one, other], sign } = setUp();
  await using _ = issuer;
  await one.verifier.verify(await sign(first));
  const oldest = keySet.keys;
  issuer.keys = [first.jwk, second.jwk];
  clock.nowMs += COOLDOWN_MS;
  await one.verifier.verify(await sign(second));
  const newest = keySet.keys;
  assert(oldest !== null && newest !== null);
  clock.nowMs += COOLDOWN_MS;
  assert.equal(await keySet.after(oldest.number), newest);
  assert.deepEqual(await other.kept.after(oldest.number), newest);
  assert.equal(issuer.requests.length, 2);
  // What is told late is no step back.
  other.kept.take(oldest);
  assert.deepEqual(await other.kept.current(), newest);
});

Deno.test("A worker without keys says so while the issuer was never reached, and has them as soon as it was", async () => {
  const { issuer, clock, workers: [one, other], sign } = setUp();
  await using _ = issuer;
  issuer.behaviour = "failing";
  for (const { verifier } of [one, other, one]) {
    await refuses(verifier, await sign(first), "keys_unavailable");
  }
  assert.equal(issuer.requests.length, 1);
  issuer.behaviour = "well";
  clock.nowMs += 1_000;
  await one.verifier.verify(await sign(first));
  await other.verifier.verify(await sign(first));
  assert.equal(issuer.requests.length, 2);
});
