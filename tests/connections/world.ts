// A model of who follows what, beside the real connections and feeds: every read, snapshot and write is held against
// it. It must never learn anything from the code under test.
import assert from "node:assert/strict";
import type { Snapshot } from "../../src/feed/seam.ts";
import type { Frame } from "../../src/protocol/frame.ts";
import type { SourceError } from "../../src/sources/source_error.ts";
import type { AlertSource } from "../../src/sources/alert_source.ts";
import type { TelemetrySource } from "../../src/sources/telemetry_source.ts";
import type { FakeSources } from "../support/fake_sources.ts";
import { alertOf, sampleAt } from "../support/samples.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  HIGH_WATER_BYTES,
  LINGER_MS,
  POLL_MS,
  type TestConnection,
} from "./connections_fixture.ts";

export type SourceName = "telemetry" | "alerts";

/** A client as the model knows it. */
export interface Client {
  readonly tenantId: string;
  readonly real: TestConnection;
  isConnected: boolean;
  /** Followed devices, each with the newest timestamp that was sent under this subscription. */
  readonly devices: Map<string, string>;
  followsAlerts: boolean;
  /** The newest alert that was sent under this subscription. */
  newestAlert: number;
}

export class World {
  readonly clients: Client[] = [];
  readonly #service: ConnectionsFixture;
  readonly #stored = new Map<string, number>();
  readonly #newest = new Map<string, { version: number; seq: number }>();
  readonly #faults = new Map<string, SourceError>();
  readonly #holds = new Map<SourceName, PromiseWithResolvers<void>>();
  #heldMs = 0;
  #lastAlert = 0;
  /** Broken rules that were noticed where a throw would be taken for a source's failure. */
  readonly #broken: string[] = [];

  constructor() {
    this.#service = connectionsFixture({
      // How the stuck are ended is shown elsewhere; here they stay.
      slowClientMs: Infinity,
      wrap: (sources) => ({
        telemetry: this.#telemetry(sources),
        alerts: this.#alerts(sources),
      }),
      watch: (snapshot) => this.#watchSnapshot(snapshot),
    });
  }

  connect(tenantId: string): void {
    const real = this.#service.connect(tenantId);
    const client: Client = {
      tenantId,
      real,
      isConnected: true,
      devices: new Map(),
      followsAlerts: false,
      newestAlert: 0,
    };
    real.socket.watch = (frames) => this.#watchWrite(client, frames);
    this.clients.push(client);
  }

  disconnect(client: Client): void {
    const left = [...client.devices.keys()];
    client.isConnected = false;
    client.devices.clear();
    client.followsAlerts = false;
    this.#forgetUnfollowed(client.tenantId, left);
    client.real.leave();
  }

  follow(client: Client, deviceId: string): void {
    if (client.isConnected && !client.devices.has(deviceId)) client.devices.set(deviceId, "");
    client.real.follow(deviceId);
  }

  unfollow(client: Client, deviceId: string): void {
    client.devices.delete(deviceId);
    this.#forgetUnfollowed(client.tenantId, [deviceId]);
    client.real.unfollow(deviceId);
  }

  followAlerts(client: Client): void {
    if (client.isConnected && !client.followsAlerts) {
      client.followsAlerts = true;
      client.newestAlert = 0;
    }
    client.real.followAlerts();
  }

  unfollowAlerts(client: Client): void {
    client.followsAlerts = false;
    client.real.unfollowAlerts();
  }

  fill(client: Client): void {
    client.real.socket.bufferedBytes = HIGH_WATER_BYTES;
  }

  drain(client: Client): void {
    client.real.socket.bufferedBytes = 0;
  }

  /** A newer sample, whose metrics say whose it is. */
  store(tenantId: string, deviceId: string): void {
    const key = `${tenantId}/${deviceId}`;
    const count = (this.#stored.get(key) ?? 0) + 1;
    this.#stored.set(key, count);
    this.#service.sources.put(tenantId, deviceId, sampleAt(count, { tenant: tenantId, count }));
    this.#service.sources.setAlerts(tenantId, [
      alertOf(++this.#lastAlert, { tenant_id: tenantId }),
    ]);
  }

  fail(source: SourceName, { tenantId, error }: { tenantId: string; error: SourceError }): void {
    this.#faults.set(`${source}/${tenantId}`, error);
  }

  hold(source: SourceName): void {
    if (!this.#holds.has(source)) this.#holds.set(source, Promise.withResolvers());
  }

  release(source: SourceName): void {
    this.#holds.get(source)?.resolve();
    this.#holds.delete(source);
  }

  async pass(ms: number): Promise<void> {
    if (this.#holds.size > 0) this.#heldMs += ms;
    await this.#service.clock.advance(ms);
  }

  /** Everything is well again, and time enough passes for it to be seen. */
  async heal(): Promise<void> {
    this.#faults.clear();
    this.release("telemetry");
    this.release("alerts");
    for (const client of this.clients) this.drain(client);
    // A read that took long is followed by as long a rest.
    await this.pass(5 * POLL_MS + this.#heldMs);
    this.#heldMs = 0;
  }

  /** Interest is exactly what the clients follow, and no rule was broken on the way. */
  check(): void {
    assert.deepEqual(this.#broken, []);
    for (const tenantId of new Set(this.clients.map(({ tenantId }) => tenantId))) {
      const clients = this.#connected(tenantId);
      const interest = this.#service.feeds.interestOf(tenantId);
      const devices = new Map<string, number>();
      for (const deviceId of clients.flatMap((client) => [...client.devices.keys()])) {
        devices.set(deviceId, (devices.get(deviceId) ?? 0) + 1);
      }
      const counted = interest?.deviceIds.map((id) => [id, interest.followersOf(id)] as const);
      assert.deepEqual(new Map(counted ?? []), devices);
      assert.equal(interest?.connections ?? 0, clients.length);
      assert.equal(
        interest?.alertFollowers ?? 0,
        clients.filter(({ followsAlerts }) => followsAlerts).length,
      );
    }
    assert.equal(
      this.#service.manager.connectionCount,
      this.clients.filter(({ isConnected }) => isConnected).length,
    );
  }

  /** Every subscription of these tenants has the newest sample that is stored. */
  checkNewest(tenantIds: readonly string[]): void {
    for (const { tenantId, devices } of this.clients) {
      if (!tenantIds.includes(tenantId)) continue;
      for (const [deviceId, timestamp] of devices) {
        const count = this.#stored.get(`${tenantId}/${deviceId}`);
        const expected = count === undefined ? "" : sampleAt(count).timestamp;
        assert.equal(timestamp, expected, `${tenantId}/${deviceId}`);
      }
    }
  }

  /** After the last has left and the linger is over nothing runs. */
  async checkEmpty(): Promise<void> {
    await this.pass(LINGER_MS);
    assert.equal(this.#service.feeds.feedCount, 0);
    assert.equal(this.#service.clock.timerCount, 0);
    assert.deepEqual(this.#service.log.of("push_loop_failed"), []);
  }

  [Symbol.dispose](): void {
    this.#service[Symbol.dispose]();
  }

  #connected(tenantId: string): Client[] {
    return this.clients.filter((client) => client.isConnected && client.tenantId === tenantId);
  }

  #isFollowed(tenantId: string, deviceId: string): boolean {
    return this.#connected(tenantId).some(({ devices }) => devices.has(deviceId));
  }

  #forgetUnfollowed(tenantId: string, deviceIds: readonly string[]): void {
    for (const deviceId of deviceIds) {
      if (!this.#isFollowed(tenantId, deviceId)) this.#newest.delete(`${tenantId}/${deviceId}`);
    }
  }

  #require(holds: boolean, rule: string): void {
    if (!holds) this.#broken.push(rule);
  }

  #telemetry({ telemetry }: FakeSources): TelemetrySource {
    return {
      ...telemetry,
      readLatest: async (query) => {
        const { tenantId, deviceIds, signal } = query;
        for (const id of deviceIds) {
          this.#require(this.#isFollowed(tenantId, id), `read of unfollowed ${tenantId}/${id}`);
        }
        this.#require(deviceIds.length > 0, "read of no device");
        // What the database says is settled when the read begins, however late the answer comes.
        const result = await telemetry.readLatest(query);
        await this.#answer("telemetry", { tenantId, signal });
        return result;
      },
    };
  }

  #alerts({ alerts }: FakeSources): AlertSource {
    return {
      ...alerts,
      readOpen: async (query) => {
        const { tenantId, signal } = query;
        const isFollowed = this.#connected(tenantId).some(({ followsAlerts }) => followsAlerts);
        this.#require(isFollowed, `read of unfollowed alerts of ${tenantId}`);
        const result = await alerts.readOpen(query);
        await this.#answer("alerts", { tenantId, signal });
        return result;
      },
    };
  }

  async #answer(
    source: SourceName,
    { tenantId, signal }: { tenantId: string; signal: AbortSignal },
  ): Promise<void> {
    const hold = this.#holds.get(source)?.promise;
    if (hold !== undefined) {
      await Promise.race([
        hold,
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason), { once: true })
        ),
      ]);
    }
    const fault = this.#faults.get(`${source}/${tenantId}`);
    if (fault !== undefined) throw fault;
  }

  #watchSnapshot({ tenantId, devices }: Snapshot): void {
    for (const { deviceId, version, seq } of devices) {
      const key = `${tenantId}/${deviceId}`;
      if (!this.#isFollowed(tenantId, deviceId)) continue;
      const before = this.#newest.get(key);
      // Snapshots of reads that run side by side may cross; versions must agree with the order of the reads.
      if (before === undefined || seq > before.seq) this.#newest.set(key, { version, seq });
      if (before === undefined) continue;
      const isInOrder = seq > before.seq ? version >= before.version : version <= before.version;
      this.#require(isInOrder, `version of ${key} fell`);
    }
  }

  #watchWrite(client: Client, frames: readonly Frame[]): void {
    this.#require(client.isConnected, "a frame for one that left");
    for (const { message } of frames) {
      if (message.type === "alerts") {
        this.#require(client.followsAlerts, "alerts for one that follows none");
        this.#require(
          message.alerts.every(({ tenant_id }) => tenant_id === client.tenantId),
          "another tenant's alerts",
        );
        const newest = message.alerts[0]?.alert_id ?? 0;
        this.#require(newest >= client.newestAlert, "alerts older than the last ones");
        client.newestAlert = newest;
      } else if (message.type === "telemetry") {
        const { device_id, data } = message;
        const before = client.devices.get(device_id);
        this.#require(before !== undefined, "a sample of a device that is not followed");
        this.#require(data.metrics.tenant === client.tenantId, "another tenant's sample");
        this.#require(data.timestamp >= (before ?? ""), "a sample older than the last one");
        if (before !== undefined) client.devices.set(device_id, data.timestamp);
      } else {
        this.#require(message.type !== "error", "an error for a message that is right");
      }
    }
  }
}
