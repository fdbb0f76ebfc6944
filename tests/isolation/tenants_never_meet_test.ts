// Many tenants with the same device ids, over one guard for all of them, while reads fail, hang and come late and clients
// come and go: no frame may reach another tenant's connection.
import assert from "node:assert/strict";
import fc from "fast-check";
import { SourceError } from "../../src/sources/source_error.ts";
import { SourceGuard } from "../../src/sources/source_guard.ts";
import { type FakeClock, fakeClock } from "../support/fake_clock.ts";
import { type FakeSources, fakeSources } from "../support/fake_sources.ts";
import { memoryLog } from "../support/memory_log.ts";
import { alertOf, sampleAt } from "../support/samples.ts";
import { markOf, type TenantClient, TenantClients } from "./tenant_clients.ts";

const POLL_MS = 1_000;
const TENANTS = ["acme", "ACME", "acme_", "a", "acme-1", "1", "tenant", "t", "null", "__proto__"];
const DEVICES = ["dev-1", "dev-2", "acme", "a", "__proto__", "alerts"];
const KINDS = ["unavailable", "denied", "missing", "rejected"] as const;

const tenant = fc.constantFrom(...TENANTS);
const device = fc.constantFrom(...DEVICES);
const client = fc.nat({ max: 30 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant("connect"), tenant, device) },
  { weight: 6, arbitrary: fc.tuple(fc.constant("follow"), client, device) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("unfollow"), client, device) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("reconnect"), client, tenant) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("store"), tenant, device) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("fail"), fc.constantFrom(...KINDS), tenant) },
  { weight: 1, arbitrary: fc.constant(["heal"] as const) },
  { weight: 1, arbitrary: fc.constantFrom(["hold"] as const, ["release"] as const) },
  { weight: 5, arbitrary: fc.tuple(fc.constant("pass"), fc.constantFrom(0, 6, 100, 700, 2_500)) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The databases in memory behind guards that all tenants share, as the service has them. */
class Model implements Disposable {
  readonly clock: FakeClock = fakeClock();
  readonly sources: FakeSources = fakeSources();
  readonly clients: TenantClients;
  #gate: PromiseWithResolvers<void> | null = null;
  #count = 0;

  constructor() {
    const { clock, sources } = this;
    const log = memoryLog();
    const guard = (name: "telemetry" | "alerts") =>
      new SourceGuard({
        name,
        maxReads: 3,
        timeoutMs: 10 * POLL_MS,
        retryBaseMs: POLL_MS,
        retryMaxMs: 2 * POLL_MS,
        clock,
        log,
      });
    const [telemetryGuard, alertGuard] = [guard("telemetry"), guard("alerts")];
    this.clients = new TenantClients({
      telemetry: {
        ...sources.telemetry,
        readLatest: (query) =>
          telemetryGuard.run(query.signal, async (signal) => {
            const result = await sources.telemetry.readLatest({ ...query, signal });
            await this.#gate?.promise;
            return result;
          }),
      },
      alerts: {
        ...sources.alerts,
        readOpen: (query) =>
          alertGuard.run(query.signal, async (signal) => {
            const result = await sources.alerts.readOpen({ ...query, signal });
            await this.#gate?.promise;
            return result;
          }),
      },
      pollMs: POLL_MS,
      clock,
      log,
    });
    for (const tenantId of TENANTS) for (const id of DEVICES) this.store(tenantId, id);
  }

  store(tenantId: string, deviceId: string): void {
    this.#count++;
    const note = `${markOf(tenantId)}${deviceId}`;
    this.sources.put(tenantId, deviceId, sampleAt(this.#count, { note }));
    this.sources.setAlerts(tenantId, [
      alertOf(this.#count, { tenant_id: tenantId, summary: note }),
    ]);
  }

  async take([act, ...rest]: Step): Promise<void> {
    const { clients, clock, sources } = this;
    const [first, second] = rest as readonly [unknown, unknown];
    const chosen: TenantClient | undefined = clients
      .clients[Number(first) % Math.max(1, clients.clients.length)];
    switch (act) {
      case "connect": {
        const fresh = clients.connect(String(first));
        clients.follow(fresh, String(second));
        return clients.followAlerts(fresh);
      }
      case "follow":
        return chosen && clients.follow(chosen, String(second));
      case "unfollow":
        return chosen && clients.unfollow(chosen, String(second));
      case "reconnect": {
        if (chosen === undefined) return;
        const followed = [...chosen.connection.devices.keys()];
        clients.disconnect(chosen);
        // The same person with another tenant's token.
        const fresh = clients.connect(String(second));
        for (const deviceId of followed) clients.follow(fresh, deviceId);
        return clients.followAlerts(fresh);
      }
      case "store":
        return this.store(String(first), String(second));
      case "fail": {
        const error = new SourceError(first as (typeof KINDS)[number], "No");
        sources.telemetryFault = ({ tenantId }) => tenantId <= String(second) ? error : null;
        sources.alertFault = () => error;
        return;
      }
      case "heal":
        sources.telemetryFault = sources.alertFault = null;
        return;
      case "hold":
        this.#gate ??= Promise.withResolvers();
        return;
      case "release":
        this.#gate?.resolve();
        this.#gate = null;
        return;
      case "pass":
        return await clock.advance(Number(first));
    }
  }

  [Symbol.dispose](): void {
    this.clients[Symbol.dispose]();
  }
}

Deno.test("No frame reaches a connection of another tenant, whatever fails, hangs, reconnects or shares an id", async () => {
  const seed = Deno.env.get("PROPERTY_SEED");
  let frames = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 80, size: "max" }),
      async (steps) => {
        using model = new Model();
        for (const next of steps) {
          await model.take(next);
          model.clients.check();
        }
        await model.take(["heal"]);
        await model.take(["release"]);
        await model.clock.advance(5 * POLL_MS);
        model.clients.check();
        frames += model.clients.markedFrames;
      },
    ),
    // The seed of a failure is in its message; PROPERTY_SEED plays it again.
    { numRuns: 200, ...(seed === undefined ? {} : { seed: Number(seed) }) },
  );
  assert.ok(frames > 10_000, `only ${frames} frames were looked at`);
});
