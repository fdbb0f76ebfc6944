// What a tick brings reaches all whom it concerns, whatever else is read, or begins, while it reads; with one worker and
// with two.
import assert from "node:assert/strict";
import type { Snapshot } from "../../src/feed/seam.ts";
import { alertOf, sampleAt } from "../support/samples.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  PHASE_MS,
  POLL_MS,
} from "./connections_fixture.ts";

/** Two clients of one device, whose tick is reading until it is let go. */
async function readingTick(service: ConnectionsFixture) {
  service.sources.put("acme", "dev-1", sampleAt(0));
  const clients = [service.connect(), service.connect()];
  for (const client of clients) client.follow("dev-1");
  await service.clock.advance(PHASE_MS - 10);
  for (const client of clients) client.take();
  const { promise, resolve } = Promise.withResolvers<void>();
  service.sources.hold = promise;
  await service.clock.advance(30);
  return {
    clients,
    letGo: () => {
      service.sources.hold = null;
      resolve();
    },
  };
}

for (const workers of [1, 2]) {
  Deno.test(`Somebody who begins to follow all devices takes no tick from others, workers: ${workers}`, async () => {
    using service = connectionsFixture({ workers });
    const { clients, letGo } = await readingTick(service);
    service.connect().subscribe("*");
    letGo();
    await service.clock.advance(0);
    await service.clock.advance(200);
    for (const client of clients) assert.deepEqual(client.short(), ["dev-1 0"]);
  });

  Deno.test(`A first read that overtakes a tick's takes no tick from others, workers: ${workers}`, async () => {
    using service = connectionsFixture({ workers });
    const { clients, letGo } = await readingTick(service);
    service.sources.hold = null;
    service.connect().subscribe("*");
    await service.clock.advance(10);
    letGo();
    await service.clock.advance(200);
    for (const client of clients) assert.deepEqual(client.short(), ["dev-1 0"]);
  });

  Deno.test(`A first read of alerts that overtakes a tick's takes no tick from others, workers: ${workers}`, async () => {
    using service = connectionsFixture({ workers });
    service.sources.setAlerts("acme", [alertOf(1)]);
    const clients = [service.connect(), service.connect()];
    for (const client of clients) client.followAlerts();
    await service.clock.advance(PHASE_MS - 10);
    for (const client of clients) client.take();
    const { promise, resolve } = Promise.withResolvers<void>();
    service.sources.holdAlerts = promise;
    await service.clock.advance(30);
    service.sources.holdAlerts = null;
    service.connect().subscribeAlerts({ mode: "changes" });
    await service.clock.advance(10);
    resolve();
    await service.clock.advance(200);
    for (const client of clients) assert.deepEqual(client.short(), ["alerts [1]"]);
  });

  Deno.test(`A first list of changes does not wait for a tick where another client has one, workers: ${workers}`, async () => {
    using service = connectionsFixture({ workers });
    service.sources.setAlerts("acme", [alertOf(7)]);
    // With two workers the third client is the first one's neighbour, and not the second one's.
    const [one, other, late] = [service.connect(), service.connect(), service.connect()];
    one.followAlerts();
    other.subscribeAlerts({ mode: "changes" });
    await service.clock.advance(PHASE_MS + 100);
    await service.tick();
    late.subscribeAlerts({ mode: "changes" });
    await service.clock.advance(300);
    assert.deepEqual(late.short(), ["subscribed alerts", "alerts [7]"]);
  });

  Deno.test(`Who follows the fleet alone is woken once a tick, workers: ${workers}`, async () => {
    const seen: Snapshot[] = [];
    using service = connectionsFixture({
      workers,
      watch: (snapshot) => void seen.push(snapshot),
    });
    service.sources.put("acme", "dev-1", sampleAt(0));
    service.connect().followFleet();
    await service.clock.advance(PHASE_MS + 100);
    seen.length = 0;
    for (let tick = 1; tick <= 3; tick++) {
      service.sources.put("acme", `dev-${tick}`, sampleAt(tick));
      await service.tick();
    }
    assert.deepEqual(seen.map(({ cause }) => cause), ["tick", "tick", "tick"]);
  });

  Deno.test(`A tick that was overtaken in part reaches all whom it concerns, workers: ${workers}`, async () => {
    using service = connectionsFixture({ workers });
    const { clock, sources } = service;
    for (const deviceId of ["dev-1", "dev-2"]) sources.put("acme", deviceId, sampleAt(0));
    const [one, other, third] = [service.connect(), service.connect(), service.connect()];
    one.follow("dev-1");
    other.follow("dev-2");
    await clock.advance(PHASE_MS + 2 * POLL_MS - 10);
    for (const deviceId of ["dev-1", "dev-2"]) sources.put("acme", deviceId, sampleAt(2));
    for (const client of [one, other]) client.take();
    const { promise, resolve } = Promise.withResolvers<void>();
    sources.hold = promise;
    await clock.advance(20);
    // A first read of the one device overtakes the tick, which has something of the other one only.
    sources.hold = null;
    third.follow("dev-1");
    await clock.advance(20);
    resolve();
    await clock.advance(20);
    assert.deepEqual([one.short(), other.short()], [["dev-1 2"], ["dev-2 2"]]);
  });
}
