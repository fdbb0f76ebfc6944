// Readiness: every part was found right once and nobody is leaving; what fails later does not turn it.
import assert from "node:assert/strict";
import { Readiness } from "../../src/http/readiness.ts";
import type { SourceCheck } from "../../src/sources/source_check.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { memoryLog } from "../support/memory_log.ts";
import { startService } from "../support/service.ts";
import { LoopbackIssuer } from "../auth/loopback_issuer.ts";
import { generateSigner } from "../support/tokens.ts";
import { until } from "../support/until.ts";

const OK: SourceCheck = { ok: true };
const DOWN: SourceCheck = { ok: false, kind: "unavailable", message: "Connection refused" };
const DENIED: SourceCheck = { ok: false, kind: "denied", message: "Table has no policy" };
const MISSING: SourceCheck = { ok: false, kind: "missing", message: "No bucket" };

function watch() {
  const clock = fakeClock();
  const log = memoryLog();
  const world = {
    checks: 0,
    answer: { telemetry: OK, alerts: OK } as Record<"telemetry" | "alerts", SourceCheck>,
    hang: false,
    hasKeys: true,
    isDraining: false,
    clock,
    log,
  };
  const readiness = new Readiness({
    states: () => ({ telemetry: { state: "ok" }, alerts: { state: "down" } }),
    check: () => {
      world.checks++;
      return world.hang ? new Promise(() => {}) : Promise.resolve(world.answer);
    },
    keys: { isReached: () => world.hasKeys, reach: () => Promise.resolve(world.hasKeys) },
    isDraining: () => world.isDraining,
    clock,
    log,
    signal: new AbortController().signal,
  });
  return { world, readiness };
}

Deno.test("Ready once both sources were found right and the keys are there", async () => {
  const { world, readiness } = watch();
  assert.deepEqual(await readiness.report(), {
    status: "ready",
    draining: false,
    keys: "ok",
    sources: { telemetry: "ok", alerts: "down" },
  });
  assert.equal(world.clock.timerCount, 0);
});

for (const source of ["telemetry", "alerts"] as const) {
  for (const kind of ["unavailable", "denied", "rejected"] as const) {
    const fault: SourceCheck = { ok: false, kind, message: "Not right" };
    Deno.test(`Not ready, and said why, while ${source} is ${kind}; what it is later does not turn it`, async () => {
      const { world, readiness } = watch();
      world.answer[source] = fault;
      const { status, sources } = await readiness.report();
      assert.deepEqual([status, sources[source]], ["not_ready", kind]);
      world.answer[source] = OK;
      await world.clock.advance(1_000);
      assert.equal((await readiness.report()).status, "ready");
      world.answer[source] = fault;
      await world.clock.advance(60_000);
      const later = await readiness.report();
      assert.deepEqual([later.status, later.sources], ["ready", {
        telemetry: "ok",
        alerts: "down",
      }]);
      assert.equal(world.checks, 2, "who was found right is not asked again");
    });
  }
}

Deno.test("A bucket that is missing keeps nobody from being ready", async () => {
  const { world, readiness } = watch();
  world.answer.telemetry = MISSING;
  const { status, sources } = await readiness.report();
  assert.deepEqual([status, sources.telemetry], ["ready", "ok"]);
});

Deno.test("What is wrong is told in the log once, however often it is asked", async () => {
  const { world, readiness } = watch();
  world.answer = { telemetry: DOWN, alerts: DENIED };
  for (let i = 0; i < 5; i++) {
    await readiness.report();
    await world.clock.advance(1_000);
  }
  assert.deepEqual(world.log.of("source_check_failed").map(({ fields }) => fields), [
    { source: "telemetry", kind: "unavailable", error: "Connection refused" },
    { source: "alerts", kind: "denied", error: "Table has no policy" },
  ]);
});

Deno.test("Not ready without keys, nor while draining", async () => {
  const { world, readiness } = watch();
  world.hasKeys = false;
  const { status, keys } = await readiness.report();
  assert.deepEqual([status, keys], ["not_ready", "unreached"]);
  world.hasKeys = true;
  world.isDraining = true;
  const report = await readiness.report();
  assert.deepEqual([report.status, report.draining], ["not_ready", true]);
});

Deno.test("Probers by the thousand cost the databases one look a second", async () => {
  const { world, readiness } = watch();
  world.answer = { telemetry: DOWN, alerts: DOWN };
  for (let i = 0; i < 50; i++) {
    await Promise.all(Array.from({ length: 20 }, () => readiness.report()));
    await world.clock.advance(100);
  }
  assert(world.checks <= 5, `${world.checks} checks`);
});

Deno.test("A prober is answered also while a database hangs", async () => {
  const { world, readiness } = watch();
  world.hang = true;
  const report = readiness.report();
  await world.clock.advance(1_000);
  assert.equal((await report).status, "not_ready");
  assert.equal(world.clock.timerCount, 0);
});

for (const WS_ENGINE of ["ws", "deno"]) {
  Deno.test(`/readyz is 503 until the issuer was reached, 200 then, and 503 while draining (engine ${WS_ENGINE})`, async () => {
    const signer = await generateSigner("ES256", "k1");
    await using issuer = new LoopbackIssuer([signer.jwk]);
    await issuer.goDown();
    await using service = await startService({
      sources: fakeSources(),
      settings: { WS_ENGINE, JWKS_URL: issuer.jwksUrl.href },
    });
    const ask = async () => {
      const response = await fetch(`${service.origin}/readyz`);
      assert.equal(response.headers.get("cache-control"), "no-store");
      return [response.status, await response.json()];
    };
    const sources = { telemetry: "ok", alerts: "ok" };
    assert.deepEqual(await ask(), [503, {
      status: "not_ready",
      draining: false,
      keys: "unreached",
      sources,
    }]);
    issuer.comeBack();
    await until(async () => (await ask())[0] === 200);
    await issuer.goDown();
    assert.deepEqual(await ask(), [200, { status: "ready", draining: false, keys: "ok", sources }]);
    await service.app.drain(0);
    assert.deepEqual(await ask(), [503, {
      status: "not_ready",
      draining: true,
      keys: "ok",
      sources,
    }]);
  });
}
