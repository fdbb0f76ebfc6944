// Which read counts as one of all devices: who follows all from an instant in the past relies on it.
import assert from "node:assert/strict";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import type { TelemetrySource } from "../../src/sources/telemetry_source.ts";
import { outage } from "../support/fake_sources.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  PHASE_MS,
  POLL_MS,
} from "./connections_fixture.ts";

/** Stores a sample taken now; returns its second. */
function store({ clock, sources }: ConnectionsFixture, deviceId: string): number {
  const timestamp = instantOfMs(clock.now());
  sources.put("acme", deviceId, { timestamp, metrics: {} });
  return (clock.now() - Date.UTC(2026, 10, 18, 11)) / 1_000;
}

function ago({ clock }: ConnectionsFixture, ms: number): string {
  return instantOfMs(clock.now() - ms);
}

for (const mode of ["every", "latest"]) {
  Deno.test(`While the read of all devices fails a tick's range of some is not taken for it (${mode})`, async () => {
    using service = connectionsFixture();
    const { clock, sources } = service;
    store(service, "near");
    service.connect().subscribe("near", { mode: "every" });
    for (let tick = 0; tick < 3; tick++) {
      await clock.advance(POLL_MS);
      store(service, "near");
    }
    await clock.advance(PHASE_MS + 100);
    sources.telemetryFault = ({ deviceIds }) => deviceIds === "all" ? outage() : null;
    const client = service.connect();
    client.subscribe("*", { mode, since: ago(service, 60_000) });
    await clock.advance(1_000);
    store(service, "near");
    await clock.advance(1_000);
    assert.match(client.short()[0] ?? "", /^subscribed \*/);
    // It reports for the first time, twice, before a read of all works.
    const stored = [store(service, "new")];
    await clock.advance(10);
    stored.push(store(service, "new"));
    sources.telemetryFault = null;
    await clock.advance(10_000);
    assert.ok(client.short().includes(`history new [${stored}] done`));
  });
}

Deno.test("A range that a tick reads after somebody began to follow all is not taken for a read of all", async () => {
  const newest = Promise.withResolvers<void>();
  const all = Promise.withResolvers<void>();
  let isSlow = false;
  let answered = () => {};
  const slowed = (telemetry: TelemetrySource): TelemetrySource => ({
    readLatest: async (query) => {
      if (query.deviceIds === "all") await all.promise;
      const result = await telemetry.readLatest(query);
      if (!isSlow || query.deviceIds === "all") return result;
      await newest.promise;
      answered();
      return result;
    },
    readRange: (query) => telemetry.readRange(query),
    listDevices: (query) => telemetry.listDevices(query),
  });
  using service = connectionsFixture({
    wrap: ({ telemetry, alerts }) => ({ alerts, telemetry: slowed(telemetry) }),
  });
  const { clock } = service;
  store(service, "far");
  service.connect().subscribe("far", { mode: "every" });
  await clock.advance(60_000 + PHASE_MS - 10);
  // It reports again, before the tick has read what is newest and after it: there is more of it to be read.
  store(service, "far");
  answered = () => void store(service, "far");
  isSlow = true;
  await clock.advance(20);
  const client = service.connect();
  client.subscribe("*", { mode: "every", since: ago(service, 5_000) });
  await clock.advance(2);
  isSlow = false;
  newest.resolve();
  await clock.advance(10);
  const stored = store(service, "new");
  await clock.advance(300);
  all.resolve();
  await clock.advance(5_000);
  assert.ok(client.short().includes(`history new [${stored}] done`));
});
