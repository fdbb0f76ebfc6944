// The issuer's keys as two workers use them: asked for once for all, and kept for whoever comes later.
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../src/clock.ts";
import type { WorkerThread } from "../../src/workers/worker_thread.ts";
import { LoopbackIssuer } from "../auth/loopback_issuer.ts";
import { TestClient } from "../support/client.ts";
import { generateSigner, type Signer, signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { startWorkers, type WorkerService } from "./worker_service.ts";

const COOLDOWN_MS = 30_000;

const first = await generateSigner("RS256", "key-1");
const second = await generateSigner("RS256", "key-2");

/** Two workers and the keeper, whose clock may be set forward; no tick is needed here, and no database. */
async function setUp({ isDiscovered }: { readonly isDiscovered?: true } = {}) {
  const issuer = new LoopbackIssuer([first.jwk]);
  let aheadMs = 0;
  const clock: Clock = {
    now: () => systemClock.now() + aheadMs,
    monotonicNow: () => systemClock.monotonicNow(),
    setTimeout: (callback, delayMs) => systemClock.setTimeout(callback, delayMs),
    clearTimeout: (handle) => systemClock.clearTimeout(handle),
  };
  const service = await startWorkers({ settings: {} }, {
    ...(isDiscovered ? { OIDC_ISSUER: issuer.issuer } : { JWKS_URL: issuer.jwksUrl.href }),
    MAX_CONNECTIONS_PER_USER: "1000",
  }, { clock });
  const clients: TestClient[] = [];
  return {
    issuer,
    service,
    clients,
    passTime: (ms: number) => aheadMs += ms,
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.close()));
      await service[Symbol.asyncDispose]();
      await issuer[Symbol.asyncDispose]();
    },
  };
}

async function connect(service: WorkerService, signer: Signer): Promise<TestClient> {
  return await TestClient.connect(service.socketUrl(`token=${await signToken({}, { signer })}`));
}

/** Connects until each of the workers has let in one more; which of them gets one is the kernel's choice. */
async function letIn(
  { service, clients }: Awaited<ReturnType<typeof setUp>>,
  signer: Signer,
): Promise<void> {
  const countOf = async (thread: WorkerThread<unknown>) =>
    (await thread.usageOf("acme")).connections.websocket;
  const before = new Map<WorkerThread<unknown>, number>();
  for (const thread of service.serving.keeper.threads) before.set(thread, await countOf(thread));
  for (const [thread, count] of before) {
    while (await countOf(thread) === count) {
      const client = await connect(service, signer);
      clients.push(client);
      client.send({ action: "ping" });
      const isIn = client.next(({ type }) => type === "pong").then(() => "in", () => "gone");
      const fate = await Promise.race([isIn, client.closed.then(({ code }) => code)]);
      assert.equal(fate, "in");
    }
  }
}

/** What an endpoint answers that asks no database; so often that each worker is asked. */
async function statuses({ origin }: WorkerService, token: string): Promise<readonly number[]> {
  const answers = Array.from({ length: 30 }, async () => {
    const headers = { authorization: `Bearer ${token}`, connection: "close" };
    const response = await fetch(`${origin}/api/v2/stream/status`, { headers });
    await response.body?.cancel();
    return response.status;
  });
  return [...new Set(await Promise.all(answers))];
}

/** What is said of the keys. */
async function readyz({ service }: Awaited<ReturnType<typeof setUp>>): Promise<string> {
  const response = await fetch(`${service.origin}/readyz`, { headers: { connection: "close" } });
  return (await response.json()).keys;
}

Deno.test("An issuer is asked once for all workers, and the service has keys when it has answered", async () => {
  await using world = await setUp();
  await until(async () => await readyz(world) === "ok");
  await letIn(world, first);
  assert.equal(world.issuer.requests.length, 1);
});

Deno.test("A worker that is started again while the issuer is down lets in whom the others let in", async () => {
  await using world = await setUp();
  const { issuer, service } = world;
  await letIn(world, first);
  await issuer.goDown();
  const [doomed] = service.serving.keeper.threads;
  await doomed?.terminate();
  await until(() => service.log.of("worker_restarted").length > 0);
  assert.equal(await readyz(world), "ok");
  await letIn(world, first);
  assert.equal(await readyz(world), "ok");
});

Deno.test("A key that an issuer rotated to is known to all workers with one fetch, and one that it took back to none", async () => {
  await using world = await setUp();
  const { issuer, service } = world;
  await letIn(world, first);
  issuer.keys = [second.jwk];
  world.passTime(COOLDOWN_MS);
  await letIn(world, second);
  assert.equal(issuer.requests.length, 2);
  for (let nth = 0; nth < 20; nth++) {
    const client = await connect(service, first);
    assert.equal((await client.closed).code, 4001);
  }
  assert.equal(issuer.requests.length, 2);
});

Deno.test("Unknown keys cost an issuer one fetch a cooldown, however many workers meet them", async () => {
  await using world = await setUp();
  const { issuer, service } = world;
  await letIn(world, first);
  const token = await signToken({}, { signer: second });
  for (const expected of [1, 2, 3]) {
    assert.deepEqual(await statuses(service, token), [401]);
    assert.equal(issuer.requests.length, expected);
    world.passTime(COOLDOWN_MS);
  }
});

Deno.test("Workers let in the tokens of the issuer whose discovery document the keeper found, and no others", async () => {
  await using world = await setUp({ isDiscovered: true });
  const { issuer, service } = world;
  const tokenOf = (iss?: string) => signToken({ iss }, { signer: first });
  assert.deepEqual(await statuses(service, await tokenOf(issuer.issuer)), [200]);
  assert.deepEqual(await statuses(service, await tokenOf()), [401]);
  assert.deepEqual(await statuses(service, await tokenOf("https://other.example")), [401]);
  assert.equal(issuer.requests.length, 2);
});
