// A model of who follows what, beside the real connections and feeds: every read, snapshot and write is held against
// it. It must never learn anything from the code under test.
import assert from "node:assert/strict";
import type { Snapshot } from "../../src/feed/seam.ts";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import type { SourceError } from "../../src/sources/source_error.ts";
import type { FakeSources, StoredAlert } from "../support/fake_sources.ts";
import { alertOf } from "../support/samples.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  HIGH_WATER_BYTES,
  LINGER_MS,
  POLL_MS,
} from "./connections_fixture.ts";
import { type AlertMode, Client, FollowedModel, type Mode } from "./world_client.ts";
import { type SourceName, WatchedSources } from "./world_sources.ts";

/** How a step wants something followed. */
export interface Wish {
  readonly mode: Mode;
  /** So long ago is where history begins; null for none. */
  readonly backMs: number | null;
}

/** Whatever failed is asked for again within this time. */
const SETTLE_MS = 90_000;

export class World {
  readonly clients: Client[] = [];
  readonly #service: ConnectionsFixture;
  readonly #sources: WatchedSources;
  /** Timestamps of each tenant's devices. */
  readonly #stored = new Map<string, string[]>();
  readonly #alerts = new Map<string, StoredAlert[]>();
  readonly #newest = new Map<string, { version: number; seq: number }>();
  #heldMs = 0;
  #lastSample = 0;
  #lastAlert = 0;
  #lastId = 0;
  /** Broken rules that were noticed where a throw would be taken for a source's failure. */
  readonly #broken: string[] = [];

  /** Clients connect to so many workers in turn. */
  constructor({ workers }: { readonly workers: number } = { workers: 1 }) {
    this.#sources = new WatchedSources({
      connected: (tenantId) => this.#connected(tenantId),
      violated: (rule) => void this.#broken.push(rule),
    });
    this.#service = connectionsFixture({
      workers,
      // How the stuck are ended is shown elsewhere; here they stay.
      slowClientMs: Infinity,
      wrap: (sources: FakeSources) => this.#sources.wrap(sources),
      watch: (snapshot) => this.#watchSnapshot(snapshot),
    });
  }

  connect(tenantId: string): void {
    const real = this.#service.connect(tenantId);
    const violated = (rule: string) => void this.#broken.push(rule);
    this.clients.push(new Client({ tenantId, real, violated }));
  }

  disconnect(client: Client): void {
    client.leave();
    this.#forgetUnfollowed(client.tenantId);
    client.real.leave();
  }

  follow(client: Client, deviceIds: readonly string[], wish: Wish): void {
    const model = this.#ask(client, wish);
    if (client.isConnected) {
      for (const deviceId of deviceIds) client.devices.set(deviceId, new FollowedModel(model));
    }
    client.real.subscribe(deviceIds, fieldsOf(model));
  }

  followAll(client: Client, wish: Wish): void {
    const model = this.#ask(client, wish);
    if (client.isConnected) {
      client.all = model;
      client.implied.clear();
    }
    client.real.subscribe("*", fieldsOf(model));
  }

  unfollow(client: Client, deviceId: string): void {
    // It goes on as one of all, from now.
    if (client.devices.delete(deviceId) && client.all !== null) {
      const { id, mode } = client.all;
      client.implied.set(deviceId, new FollowedModel({ id, mode, since: null }));
    }
    this.#forgetUnfollowed(client.tenantId);
    client.real.unfollow(deviceId);
  }

  unfollowAll(client: Client): void {
    client.all = null;
    client.implied.clear();
    this.#forgetUnfollowed(client.tenantId);
    client.real.say('{"action":"unsubscribe","type":"device","device_id":"*"}');
  }

  followAlerts(
    client: Client,
    { mode, backMs }: { readonly mode: AlertMode; readonly backMs: number | null },
  ): void {
    const id = ++this.#lastId;
    if (client.isConnected) {
      client.alerts = { id, mode, open: null, opened: new Set() };
      client.unanswered.add(id);
    }
    const since = backMs === null || mode === "list" ? {} : { since: this.#ago(backMs) };
    client.real.subscribeAlerts({ id, mode, ...since });
  }

  unfollowAlerts(client: Client): void {
    client.alerts = null;
    client.real.unfollowAlerts();
  }

  followFleet(client: Client): void {
    client.forgetFleet();
    client.followsFleet = client.isConnected;
    client.real.followFleet();
  }

  unfollowFleet(client: Client): void {
    client.forgetFleet();
    client.real.unfollowFleet();
  }

  hello(client: Client, features: readonly string[]): void {
    client.real.hello(...features);
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
    const nanos = String(++this.#lastSample).padStart(6, "0");
    const timestamp = `${instantOfMs(this.#service.clock.now()).slice(0, 23)}${nanos}Z`;
    const stored = this.#stored.get(key) ?? [];
    this.#stored.set(key, [...stored, timestamp]);
    const metrics = { tenant: tenantId, count: this.#lastSample };
    this.#service.sources.put(tenantId, deviceId, { timestamp, metrics });
  }

  /** An alert opens, the oldest that is open closes, or one comes and goes. */
  alert(tenantId: string, act: "open" | "close" | "pass"): void {
    const table = this.#alerts.get(tenantId) ?? [];
    const now = `${instantOfMs(this.#service.clock.now()).slice(0, 26)}Z`;
    const closed = { status: "CLOSED", closed_at: now };
    if (act === "close") {
      const index = table.findLastIndex(({ status }) => status === "OPEN");
      const oldest = table[index];
      if (oldest !== undefined) table[index] = { ...oldest, ...closed };
    } else {
      const alert = alertOf(++this.#lastAlert, { tenant_id: tenantId, created_at: now });
      table.unshift(act === "open" ? alert : { ...alert, ...closed });
    }
    this.#alerts.set(tenantId, table);
    this.#service.sources.setAlerts(tenantId, [...table]);
  }

  fail(source: SourceName, { tenantId, error }: { tenantId: string; error: SourceError }): void {
    this.#sources.fail(source, { tenantId, error });
  }

  hold(source: SourceName): void {
    this.#sources.hold(source);
  }

  release(source: SourceName): void {
    this.#sources.release(source);
  }

  async pass(ms: number): Promise<void> {
    if (this.#sources.isHolding) this.#heldMs += ms;
    await this.#service.clock.advance(ms);
  }

  /** Everything is well again, and time enough passes for it to be seen. */
  async heal(tenantIds: readonly string[]): Promise<void> {
    this.#sources.heal();
    for (const client of this.clients) this.drain(client);
    // A read that took long is followed by as long a rest.
    await this.pass(5 * POLL_MS + this.#heldMs);
    this.#heldMs = 0;
    for (let ms = 0; ms < SETTLE_MS && this.#problems(tenantIds).length > 0; ms += POLL_MS) {
      await this.pass(POLL_MS);
    }
    // From here on nothing may be left out of what is stored.
    for (const { tenantId, model, deviceId } of this.#followings(tenantIds)) {
      model.skipped = Math.min(model.skipped, this.#storedOf(tenantId, deviceId).length);
    }
  }

  /** Interest is exactly what the clients follow, and no rule was broken on the way. */
  check(): void {
    assert.deepEqual(this.#broken, []);
    for (const tenantId of new Set(this.clients.map(({ tenantId }) => tenantId))) {
      const clients = this.#connected(tenantId);
      const interest = this.#service.feeds.interestOf(tenantId);
      const devices = new Map<string, number>();
      const every = new Map<string, number>();
      for (const [deviceId, { mode }] of clients.flatMap((client) => [...client.devices])) {
        devices.set(deviceId, (devices.get(deviceId) ?? 0) + 1);
        if (mode === "every") every.set(deviceId, (every.get(deviceId) ?? 0) + 1);
      }
      const counted = interest?.deviceIds.map((id) => [id, interest.followersOf(id)] as const);
      assert.deepEqual(new Map(counted ?? []), devices);
      for (const deviceId of devices.keys()) {
        assert.equal(interest?.everyFollowersOf(deviceId), every.get(deviceId) ?? 0);
      }
      const count = (isOne: (client: Client) => boolean) => clients.filter(isOne).length;
      assert.deepEqual(interest?.all ?? { latest: 0, every: 0 }, {
        latest: count(({ all }) => all?.mode === "latest"),
        every: count(({ all }) => all?.mode === "every"),
      });
      assert.equal(interest?.connections ?? 0, clients.length);
      assert.equal(interest?.alertFollowers ?? 0, count(({ alerts }) => alerts?.mode === "list"));
      assert.equal(
        interest?.alertChangeFollowers ?? 0,
        count(({ alerts }) => alerts?.mode === "changes"),
      );
      assert.equal(interest?.fleetFollowers ?? 0, count(({ followsFleet }) => followsFleet));
    }
    assert.equal(
      this.#service.connectionCount,
      this.clients.filter(({ isConnected }) => isConnected).length,
    );
  }

  /** Every subscription of these tenants was answered and has what is stored. */
  checkSettled(tenantIds: readonly string[]): void {
    assert.deepEqual(this.#problems(tenantIds), []);
  }

  /** After the last has left and the linger is over nothing runs. */
  async checkEmpty(): Promise<void> {
    // Who waited for an answer that came to nobody looks no more often than this.
    await this.pass(LINGER_MS);
    assert.equal(this.#service.feeds.feedCount, 0);
    assert.equal(this.#service.clock.timerCount, 0);
    for (const event of ["push_loop_failed", "history_failed", "message_failed"]) {
      assert.deepEqual(this.#service.log.of(event), []);
    }
  }

  [Symbol.dispose](): void {
    this.#service[Symbol.dispose]();
  }

  /** What is not as it must be once everything has settled. */
  #problems(tenantIds: readonly string[]): string[] {
    const problems: string[] = [];
    for (const client of this.clients.filter(({ tenantId }) => tenantIds.includes(tenantId))) {
      const { alerts, real, tenantId, unanswered } = client;
      const name = `${tenantId}, ${real.connection.id}`;
      if (unanswered.size > 0) problems.push(`${name}: ${[...unanswered]} were not answered`);
      if (alerts === null) continue;
      const open = (this.#alerts.get(tenantId) ?? []).filter(({ status }) => status === "OPEN");
      const ids = open.map(({ alert_id }) => alert_id).slice(0, 100).sort();
      const told = [...alerts.open ?? []].sort();
      if (`${told}` !== `${ids}`) problems.push(`${name}: open are ${ids}, told ${told}`);
    }
    for (const { tenantId, client, deviceId, model } of this.#followings(tenantIds)) {
      const stored = this.#storedOf(tenantId, deviceId);
      const expected = expectedOf(model, stored);
      const received = model.mode === "latest" ? model.received.slice(-1) : model.received;
      if (`${received}` === `${expected}`) continue;
      const name = `${tenantId}, ${client.real.connection.id}, ${deviceId} ${model.mode}`;
      problems.push(`${name} since ${model.since}: stored ${stored}; received ${received}`);
    }
    return problems;
  }

  #followings(tenantIds: readonly string[]) {
    return this.clients.filter(({ tenantId }) => tenantIds.includes(tenantId)).flatMap(
      (client) => {
        const { all, devices, tenantId } = client;
        const ids = new Set(devices.keys());
        if (all !== null) {
          for (const key of this.#stored.keys()) {
            if (key.startsWith(`${tenantId}/`)) ids.add(key.slice(tenantId.length + 1));
          }
        }
        return [...ids].flatMap((deviceId) => {
          const model = client.modelOf(deviceId);
          return model === undefined ? [] : [{ tenantId, client, deviceId, model }];
        });
      },
    );
  }

  #ask(client: Client, { mode, backMs }: Wish): FollowedModel {
    const id = ++this.#lastId;
    if (client.isConnected) client.unanswered.add(id);
    return new FollowedModel({ id, mode, since: backMs === null ? null : this.#ago(backMs) });
  }

  #ago(ms: number): string {
    return instantOfMs(this.#service.clock.now() - ms);
  }

  #storedOf(tenantId: string, deviceId: string): readonly string[] {
    return this.#stored.get(`${tenantId}/${deviceId}`) ?? [];
  }

  #connected(tenantId: string): Client[] {
    return this.clients.filter((client) => client.isConnected && client.tenantId === tenantId);
  }

  #isFollowed(tenantId: string, deviceId: string): boolean {
    return this.#connected(tenantId).some((client) => client.follows(deviceId));
  }

  #forgetUnfollowed(tenantId: string): void {
    for (const key of this.#newest.keys()) {
      const [owner = "", deviceId = ""] = key.split("/");
      if (owner === tenantId && !this.#isFollowed(tenantId, deviceId)) this.#newest.delete(key);
    }
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
      if (!isInOrder) this.#broken.push(`version of ${key} fell`);
    }
  }
}

/** What a client must have received in the end, beside what is stored. */
function expectedOf(model: FollowedModel, stored: readonly string[]): readonly string[] {
  const { mode, since, received, skipped } = model;
  if (mode === "latest") return stored.slice(-1);
  if (since !== null) return stored.filter((timestamp) => timestamp > since);
  const [first] = received;
  const begin = first === undefined ? stored.length : stored.indexOf(first);
  return stored.slice(Math.min(begin, skipped));
}

function fieldsOf({ id, mode, since }: FollowedModel): Readonly<Record<string, unknown>> {
  return { id, mode, ...(since === null ? {} : { since }) };
}
