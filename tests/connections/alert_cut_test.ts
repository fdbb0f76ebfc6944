// Following the changes of more open alerts than the list holds: what falls off its end, and comes back.
import assert from "node:assert/strict";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import type { StoredAlert } from "../support/fake_sources.ts";
import { alertOf } from "../support/samples.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  HIGH_WATER_BYTES,
} from "./connections_fixture.ts";

/** A table whose alerts open and close now, behind a list that holds two. */
class CutList implements Disposable {
  readonly service: ConnectionsFixture;
  #table: readonly StoredAlert[] = [];

  constructor() {
    this.service = connectionsFixture({ maxOpenAlerts: 2, slowClientMs: Infinity });
  }

  open(alertId: number): void {
    this.#set([alertOf(alertId, { created_at: this.#now() }), ...this.#table]);
  }

  close(alertId: number): void {
    this.#set(
      this.#table.map((alert) =>
        alert.alert_id === alertId ? { ...alert, status: "CLOSED", closed_at: this.#now() } : alert
      ),
    );
  }

  remove(alertId: number): void {
    this.#set(this.#table.filter((alert) => alert.alert_id !== alertId));
  }

  async pass(seconds: number): Promise<void> {
    await this.service.clock.advance(seconds * 1_000);
  }

  [Symbol.dispose](): void {
    this.service[Symbol.dispose]();
  }

  #set(table: readonly StoredAlert[]): void {
    this.#table = table;
    this.service.sources.setAlerts("acme", table);
  }

  #now(): string {
    return `${instantOfMs(this.service.clock.now()).slice(0, 26)}Z`;
  }
}

Deno.test("Who came while the list was cut is told of an alert that comes into it, also where others know it", async () => {
  for (const isKnown of [false, true]) {
    using world = new CutList();
    world.open(1);
    world.open(2);
    if (isKnown) world.service.connect().subscribeAlerts({ mode: "changes" });
    await world.pass(20);
    world.open(3);
    await world.pass(20);
    const client = world.service.connect();
    client.subscribeAlerts({ mode: "changes" });
    await world.pass(2);
    assert.deepEqual(client.short(), ["subscribed alerts", "alerts [3,2] of 3"]);
    world.close(3);
    await world.pass(2);
    assert.deepEqual(client.short(), [
      isKnown ? "changes +[] ~[1] -[3]" : "changes +[1] ~[] -[3]",
    ]);
  }
});

/** A client that was told of alert 1, which then fell off the end, and whose socket takes nothing from then on. */
async function slowClient(world: CutList) {
  world.open(1);
  world.open(2);
  const client = world.service.connect();
  client.subscribeAlerts({ mode: "changes" });
  await world.pass(2);
  world.open(3);
  await world.pass(1);
  assert.deepEqual(client.short(), [
    "subscribed alerts",
    "alerts [2,1]",
    "changes +[3] ~[] -[] of 3",
  ]);
  client.socket.bufferedBytes = HIGH_WATER_BYTES;
  await world.pass(20);
  world.open(4);
  await world.pass(2);
  return client;
}

Deno.test("An alert that fell off the end and closes while its client is slow for long is told closed", async () => {
  using world = new CutList();
  const client = await slowClient(world);
  world.close(1);
  await world.pass(70);
  client.socket.bufferedBytes = 0;
  await world.pass(5);
  assert.deepEqual(client.short(), ["changes +[4] ~[] -[1] of 3"]);
});

Deno.test("An alert that comes back into the list while its client is slow for long is not opened again", async () => {
  using world = new CutList();
  const client = await slowClient(world);
  world.close(4);
  world.close(3);
  await world.pass(70);
  client.socket.bufferedBytes = 0;
  await world.pass(5);
  assert.deepEqual(client.short(), ["changes +[4] ~[1] -[3,4]"]);
});

Deno.test("An alert whose row is deleted is closed for who follows a cut list, also while it is slow for long", async () => {
  for (const isSlow of [false, true]) {
    using world = new CutList();
    for (const alertId of [1, 2, 3, 4]) {
      world.open(alertId);
      await world.pass(1);
    }
    const client = world.service.connect();
    client.subscribeAlerts({ mode: "changes" });
    await world.pass(20);
    assert.deepEqual(client.short(), ["subscribed alerts", "alerts [4,3] of 4"]);
    if (isSlow) client.socket.bufferedBytes = HIGH_WATER_BYTES;
    world.remove(4);
    await world.pass(70);
    client.socket.bufferedBytes = 0;
    await world.pass(5);
    assert.deepEqual(client.short(), [
      isSlow ? "changes +[] ~[2] -[4] of 3" : "changes +[2] ~[] -[4] of 3",
    ]);
  }
});
