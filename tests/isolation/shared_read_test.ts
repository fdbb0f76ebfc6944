// What one read may serve: flips each field that a shared read depends on, and expects a read of its own and its own data.
import assert from "node:assert/strict";
import { type FakeClock, fakeClock } from "../support/fake_clock.ts";
import { type FakeSources, fakeSources } from "../support/fake_sources.ts";
import { memoryLog } from "../support/memory_log.ts";
import { alertOf, sampleAt } from "../support/samples.ts";
import { markOf, TenantClients } from "./tenant_clients.ts";

const POLL_MS = 1_000;

/** Everything that a subscription says and a read depends on; a field that is added belongs here and into `flips`. */
interface Followed {
  readonly tenantId: string;
  readonly channel: "device" | "alerts";
  readonly deviceId: string;
}

const base: Followed = { tenantId: "acme", channel: "device", deviceId: "dev-1" };

/** Other values of each field, and such as a careless key or comparison would take for the same. */
const flips: { readonly [K in keyof Followed]: readonly Followed[K][] } = {
  tenantId: ["globex", "ACME", "acme_", "acm", "__proto__"],
  channel: ["alerts"],
  deviceId: ["dev-2", "DEV-1", "dev-1 ", "dev-10", "dev-1/dev-1", "dév-1", "__proto__"],
};

interface Stage extends Disposable {
  readonly clients: TenantClients;
  readonly sources: FakeSources;
  readonly clock: FakeClock;
}

function openStage(): Stage {
  const clock = fakeClock();
  const sources = fakeSources();
  const { telemetry, alerts } = sources;
  const log = memoryLog();
  // No tick falls into what is looked at.
  const random = () => 0.5;
  const clients = new TenantClients({ telemetry, alerts, pollMs: POLL_MS, clock, log, random });
  for (const tenantId of [base.tenantId, ...flips.tenantId]) {
    for (const deviceId of [base.deviceId, ...flips.deviceId]) {
      sources.put(tenantId, deviceId, sampleAt(1, { note: `${markOf(tenantId)}${deviceId}` }));
    }
    sources.setAlerts(tenantId, [alertOf(1, { tenant_id: tenantId, summary: markOf(tenantId) })]);
  }
  return { clients, sources, clock, [Symbol.dispose]: () => clients[Symbol.dispose]() };
}

/** One more client that follows; the reads that this brought about before any tick, and the frames it got. */
async function follow(
  { clients, sources, clock }: Stage,
  { tenantId, channel, deviceId }: Followed,
) {
  sources.telemetryReads.length = 0;
  sources.alertReads.length = 0;
  const client = clients.connect(tenantId);
  if (channel === "alerts") clients.followAlerts(client);
  else clients.follow(client, deviceId);
  client.connection.wake();
  await clock.advance(10);
  return {
    telemetryReads: [...sources.telemetryReads],
    alertReads: [...sources.alertReads],
    frames: client.frames,
  };
}

Deno.test("A client that follows the very same shares what was read", async () => {
  using stage = openStage();
  await follow(stage, base);
  const { telemetryReads, alertReads, frames } = await follow(stage, base);
  assert.deepEqual([...telemetryReads, ...alertReads], []);
  assert.equal(frames, 1);
  stage.clients.check();
});

for (const [field, values] of Object.entries(flips)) {
  for (const value of values) {
    Deno.test(`A client that follows the same but for ${field} ${JSON.stringify(value)} has a read of its own`, async () => {
      using stage = openStage();
      await follow(stage, base);
      const flipped = { ...base, [field]: value } as Followed;
      const { telemetryReads, alertReads, frames } = await follow(stage, flipped);
      const { tenantId, channel, deviceId } = flipped;
      const expected = channel === "alerts"
        ? { telemetryReads: [], alertReads: [{ tenantId }] }
        : { telemetryReads: [{ tenantId, deviceIds: [deviceId] }], alertReads: [] };
      assert.deepEqual({ telemetryReads, alertReads }, expected);
      assert.equal(frames, 1);
      stage.clients.check();
    });
  }
}
