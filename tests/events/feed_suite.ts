// What every client of a feed may rely on, whichever way it comes: one suite for WebSocket and server-sent events, on both
// engines, against a whole service over databases in memory.
import assert from "node:assert/strict";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import type { Sources } from "../../src/sources/open_sources.ts";
import type { Message } from "../support/client.ts";
import { type FakeSources, fakeSources, outage } from "../support/fake_sources.ts";
import { alertOf, sampleAt } from "../support/samples.ts";
import { startService, type TestService } from "../support/service.ts";
import { until } from "../support/until.ts";
import { type Asked, type FeedTransport, overWebSocket } from "./feed_transport.ts";

export type EngineName = "ws" | "deno";

export function testFeed(transport: FeedTransport, engine: EngineName): void {
  const test = (behaviour: string, run: (stage: Stage) => Promise<void>, settings = {}) =>
    Deno.test(`${transport.name} (${engine}): ${behaviour}`, async () => {
      await using stage = await Stage.open({ transport, engine, settings });
      await run(stage);
    });

  test("a client is greeted, answered, and sent the first value, in this order", async (stage) => {
    const sample = stage.put("dev-1", { temp_c: 21.5, fw: "é" });
    await using client = await stage.connect({ device_id: ["dev-1"] });
    await client.next(({ type }) => type === "telemetry");
    const [hello, subscribed, telemetry] = client.messages;
    assert.equal(hello?.type, "hello");
    assert.deepEqual(hello?.features, ["notices"]);
    assert.deepEqual(subscribed, {
      type: "subscribed",
      channel: "device",
      device_ids: ["dev-1"],
    });
    assert.deepEqual(telemetry, { type: "telemetry", device_id: "dev-1", data: sample });
  });

  test("every tick brings the newest sample, whether it is new or not", async (stage) => {
    stage.put("dev-1", { n: 1 });
    await using client = await stage.connect({ device_id: ["dev-1"] });
    await until(() => samplesOf(client.messages).length >= 3);
    stage.put("dev-1", { n: 2 });
    await client.next(({ data }) => data?.metrics.n === 2);
    assert.deepEqual(
      [...new Set(samplesOf(client.messages).map(({ data }) => data.metrics.n))],
      [1, 2],
    );
  });

  test("several devices are followed at once, and each by itself", async (stage) => {
    for (const id of ["dev-1", "dev-2", "dev-3"]) stage.put(id, { id });
    await using client = await stage.connect({ device_id: ["dev-1", "dev-3", "nobody"] });
    await client.next(({ device_id }) => device_id === "dev-1");
    await client.next(({ device_id }) => device_id === "dev-3");
    for (const { device_id, data } of samplesOf(client.messages)) {
      assert.notEqual(device_id, "dev-2");
      assert.equal(data.metrics.id, device_id);
    }
  });

  test("only the metrics that were asked for are sent", async (stage) => {
    stage.put("dev-1", { temp_c: 1, rpm: 2, "a,b": 3 });
    stage.put("dev-2", { rpm: 2 });
    await using client = await stage.connect({
      device_id: ["dev-1", "dev-2"],
      metrics: ["temp_c", "a,b"],
    });
    await until(() => samplesOf(client.messages).length >= 2);
    for (const { device_id, data } of samplesOf(client.messages)) {
      assert.equal(device_id, "dev-1");
      assert.deepEqual(data.metrics, { temp_c: 1, "a,b": 3 });
    }
  });

  test("in mode every each stored sample comes once and in order", async (stage) => {
    stage.put("dev-1", { n: 0 });
    await using client = await stage.connect({ device_id: ["dev-1"], mode: "every" });
    await client.next(({ type }) => type === "subscribed");
    await stage.untilRead();
    for (let n = 1; n <= 20; n++) stage.put("dev-1", { n });
    await client.next(({ data }) => data?.metrics.n === 20);
    const got = samplesOf(client.messages).map(({ data }) => data.metrics.n);
    assert.deepEqual(got, Array.from({ length: 20 }, (_, index) => index + 1));
  });

  test("with changes_only nothing is repeated", async (stage) => {
    stage.put("dev-1", { n: 1 });
    stage.sources.setAlerts("acme", [alertOf(1)]);
    await using client = await stage.connect({
      device_id: ["dev-1"],
      changes_only: true,
      alerts: "list",
    });
    await client.next(({ type }) => type === "telemetry");
    await client.next(({ type }) => type === "alerts");
    await stage.untilRead({ times: 3 });
    stage.put("dev-1", { n: 2 });
    stage.sources.setAlerts("acme", [alertOf(2), alertOf(1)]);
    await client.next(({ data }) => data?.metrics.n === 2);
    await client.next(({ alerts }) => alerts?.length === 2);
    assert.equal(samplesOf(client.messages).length, 2);
    assert.equal(client.messages.filter(({ type }) => type === "alerts").length, 2);
  });

  test("the list of open alerts comes whole", async (stage) => {
    const alerts = [alertOf(2), alertOf(1, { summary: "zu heiß\nund laut" })];
    stage.sources.setAlerts("acme", alerts);
    await using client = await stage.connect({ alerts: "list" });
    const list = await client.next(({ type }) => type === "alerts");
    assert.deepEqual(list, { type: "alerts", alerts });
  });

  test("alerts come as changes: the list, then what opened and closed", async (stage) => {
    stage.sources.setAlerts("acme", [alertOf(1)]);
    await using client = await stage.connect({ alerts: "changes" });
    const list = await client.next(({ type }) => type === "alerts");
    assert.deepEqual(list.alerts, [alertOf(1)]);
    stage.sources.setAlerts("acme", [
      alertOf(2),
      { ...alertOf(1), status: "CLOSED", closed_at: stage.now().slice(0, 26) + "Z" },
    ]);
    const changes = await client.next(({ type }) => type === "alert_changes");
    assert.deepEqual(changes.opened, [alertOf(2)]);
    assert.deepEqual(changes.closed, [1]);
  });

  test("the fleet is counted", async (stage) => {
    stage.put("dev-1", { n: 1 });
    stage.put("old", { n: 1 }, { secondsAgo: 4_000 });
    stage.sources.setAlerts("acme", [alertOf(1, { severity: 4 })]);
    await using client = await stage.connect({ fleet: true });
    const fleet = await client.next(({ type }) => type === "fleet");
    assert.deepEqual(fleet.devices, { total: 2, online: 1, stale: 1 });
    assert.deepEqual(fleet.alerts, { open: 1, by_severity: { "4": 1 } });
  });

  test("* follows every device, and each that reports later", async (stage) => {
    stage.put("dev-1", { n: 1 });
    await using client = await stage.connect({ device_id: "*" });
    await client.next(({ device_id, type }) => type === "telemetry" && device_id === "dev-1");
    stage.put("late", { n: 1 });
    await client.next(({ device_id, type }) => type === "telemetry" && device_id === "late");
  });

  test("history comes in pages and goes on live, without a gap and without a sample twice", async (stage) => {
    for (let n = 0; n < 10; n++) stage.put("dev-1", { n }, { secondsAgo: 60 - n });
    await using client = await stage.connect({
      device_id: ["dev-1"],
      mode: "every",
      history_seconds: 600,
    });
    await client.next(({ type, done }) => type === "history" && done);
    for (let n = 10; n < 15; n++) stage.put("dev-1", { n });
    await client.next(({ type, data }) => type === "telemetry" && data.metrics.n === 14);
    const subscribed = client.messages.find(({ type }) => type === "subscribed");
    assert.equal(subscribed?.resume["dev-1"].complete, true);
    const seen = client.messages.flatMap(({ type, samples, data }) =>
      type === "history" ? samples : type === "telemetry" ? [data] : []
    );
    assert.deepEqual(
      seen.map(({ metrics }) => metrics.n),
      Array.from({ length: 15 }, (_, n) => n),
    );
  });

  test("a source that fails is told of, and so is its recovery; the other goes on", async (stage) => {
    stage.put("dev-1", { n: 1 });
    stage.sources.setAlerts("acme", [alertOf(1)]);
    stage.breakTelemetry();
    await using client = await stage.connect({ device_id: ["dev-1"], alerts: "list" });
    const degraded = await client.next(({ type }) => type === "status");
    assert.equal(degraded.source, "telemetry");
    assert.equal(degraded.state, "degraded");
    await client.next(({ type }) => type === "alerts", { from: client.messages.length });
    assert.deepEqual(samplesOf(client.messages), []);
    stage.mendTelemetry();
    await client.next(({ state }) => state === "ok");
    await client.next(({ type }) => type === "telemetry");
  });

  test("a device that falls silent is told of once", async (stage) => {
    const { timestamp } = stage.put("dev-1", { n: 1 }, { secondsAgo: 4_000 });
    await using client = await stage.connect({ device_id: ["dev-1"] });
    const stale = await client.next(({ type }) => type === "stale");
    assert.deepEqual(stale, { type: "stale", device_id: "dev-1", last: timestamp });
    await until(() => samplesOf(client.messages).length >= 3);
    assert.equal(client.messages.filter(({ type }) => type === "stale").length, 1);
  });

  test("it ends with its token, and gives everything back", async (stage) => {
    stage.put("dev-1", { n: 1 });
    const exp = Math.floor(Date.now() / 1_000) + 2;
    await using client = await stage.connect({ device_id: ["dev-1"] }, { exp });
    await client.next(({ type }) => type === "token_expiring");
    await client.next(({ type }) => type === "telemetry");
    assert.equal(await client.ending(), 4001);
    await stage.untilAlone();
  }, { JWT_CLOCK_TOLERANCE_SECONDS: "0" });

  test("a slow reader misses pushes and goes on with the newest state", async (stage) => {
    let seq = stage.putBig(1);
    await using slow = await stage.openStuck({ device_id: ["big"], metrics: ["seq", "filling"] });
    await until(() => stage.missedPushes() >= 3 || (stage.putBig(++seq), false), {
      withinMs: 30_000,
      what: "Missed pushes",
    });
    const seqs = await slow.readSeqs((read) => read === seq);
    assert.equal(seqs.at(-1), seq);
    assert.deepEqual(seqs, seqs.toSorted((one, other) => one - other));
  }, { SLOW_CLIENT_SECONDS: "3600" });

  test("a stuck reader is ended, and gives back its seat and its interest", async (stage) => {
    let seq = stage.putBig(1);
    await using stuck = await stage.openStuck({ device_id: ["big"] });
    await until(
      () => stage.service.log.of("slow_client").length === 1 || (stage.putBig(++seq), false),
      {
        withinMs: 30_000,
        what: "A slow client",
      },
    );
    const { manager } = stage.service.app;
    await until(() => manager.connectionCount === 0, { withinMs: 15_000, what: "Interest's end" });
    // The one engine holds the seat as long as the connection lasts that it can't end.
    if (engine === "deno" && transport === overWebSocket) await stuck[Symbol.asyncDispose]();
    else assert.equal(await stuck.isEnded(), true);
    await stage.untilAlone();
  }, { SLOW_CLIENT_SECONDS: "1" });

  test("a client that leaves is forgotten at once", async (stage) => {
    stage.put("dev-1", { n: 1 });
    const client = await stage.connect({ device_id: ["dev-1"], alerts: "list" });
    await client.next(({ type }) => type === "telemetry");
    assert.equal(stage.service.app.seats.taken, 1);
    await client.leave();
    await stage.untilAlone();
  });

  test("a client that leaves a quiet feed is forgotten, too", async (stage) => {
    const client = await stage.connect({ device_id: ["nobody"], mode: "every" });
    await client.next(({ type }) => type === "subscribed");
    await client.leave();
    await stage.untilAlone();
  }, { WS_POLL_SECONDS: "600", PING_SECONDS: "600" });

  test("a service that leaves says when to come back, and ends the client with 1012", async (stage) => {
    stage.put("dev-1", { n: 1 });
    await using client = await stage.connect({ device_id: ["dev-1"] });
    await client.next(({ type }) => type === "telemetry");
    const stopped = stage.service.stop();
    const { after_ms } = await client.next(({ type }) => type === "reconnect");
    assert.equal(typeof after_ms, "number");
    assert.equal(await client.ending(), 1012);
    await stopped;
    assert.equal(stage.service.app.seats.taken, 0);
  });

  test("a tenant's client gets nothing of another tenant", async (stage) => {
    for (const tenant of ["acme", "globex"]) {
      stage.sources.put(tenant, "dev-1", sampleAt(1, { of: tenant }));
      stage.sources.put(tenant, `only-${tenant}`, sampleAt(1, { of: tenant }));
      stage.sources.setAlerts(tenant, [alertOf(1, { tenant_id: tenant, summary: tenant })]);
    }
    await using other = await stage.connect({ device_id: "*", alerts: "list", fleet: true });
    await using client = await stage.connect(
      { device_id: "*", alerts: "list", fleet: true },
      { tenant_id: "globex", sub: "user-2" },
    );
    await client.next(({ device_id }) => device_id === "only-globex");
    await client.next(({ type }) => type === "alerts");
    const { devices } = await client.next(({ type }) => type === "fleet");
    assert.equal(devices.total, 2);
    await other.next(({ device_id }) => device_id === "only-acme");
    assert.doesNotMatch(JSON.stringify(client.messages), /acme/);
    assert.doesNotMatch(JSON.stringify(other.messages), /globex/);
  });

  test("many clients cost the databases what one does", async (stage) => {
    for (const id of ["dev-1", "dev-2"]) stage.put(id, { n: 1 });
    stage.sources.setAlerts("acme", [alertOf(1)]);
    const asked: Asked = { device_id: ["dev-1", "dev-2"], alerts: "list" };
    const clients = await Promise.all(Array.from({ length: 5 }, () => stage.connect(asked)));
    for (const { next } of clients) await next(({ type }) => type === "alerts");
    const [first] = clients;
    const { telemetryReads, alertReads } = stage.sources;
    const from = first?.messages.length ?? 0;
    telemetryReads.length = alertReads.length = 0;
    const pushes = () =>
      first?.messages.slice(from).filter(({ type }) => type === "alerts").length ?? 0;
    await until(() => pushes() >= 10, { withinMs: 30_000 });
    // A tick may lie between a read and its push, at either end.
    assert(alertReads.length <= pushes() + 2, `${alertReads.length} reads, ${pushes()} ticks`);
    assert(telemetryReads.length <= pushes() + 2, `${telemetryReads.length} reads`);
    for (const { deviceIds } of telemetryReads) {
      assert.deepEqual([...deviceIds].toSorted(), ["dev-1", "dev-2"]);
    }
    for (const client of clients) await client.leave();
  });
}

/** A service on an engine, and the one way to it. */
class Stage implements AsyncDisposable {
  readonly service: TestService;
  readonly sources: FakeSources;
  readonly #transport: FeedTransport;
  readonly #state: { isBroken: boolean };

  private constructor(
    parts: { service: TestService; sources: FakeSources; transport: FeedTransport },
    state: { isBroken: boolean },
  ) {
    this.service = parts.service;
    this.sources = parts.sources;
    this.#transport = parts.transport;
    this.#state = state;
  }

  static async open({ transport, engine, settings }: {
    readonly transport: FeedTransport;
    readonly engine: EngineName;
    readonly settings: Readonly<Record<string, string>>;
  }): Promise<Stage> {
    const sources = fakeSources();
    const state = { isBroken: false };
    const well = sources.state();
    const watched: Sources = {
      ...sources,
      state: () => ({
        ...well,
        ...(state.isBroken
          ? { telemetry: { state: "degraded", since: Date.now(), retryAt: null } as const }
          : {}),
      }),
    };
    const service = await startService({
      sources: watched,
      settings: { WS_ENGINE: engine, ...settings },
    });
    return new Stage({ service, sources, transport }, state);
  }

  connect(asked: Asked, claims?: Readonly<Record<string, unknown>>) {
    return this.#transport.open(this.service, asked, claims);
  }

  openStuck(asked: Asked) {
    return this.#transport.openStuck(this.service, asked);
  }

  now(): string {
    return instantOfMs(Date.now());
  }

  /** Stores a sample of now, unless it is to be older. */
  put(deviceId: string, metrics: Message, { secondsAgo = 0 } = {}) {
    this.#last = Math.max(this.#last + 1, Date.now());
    const timestamp = instantOfMs(this.#last - secondsAgo * 1_000);
    const sample = { timestamp, metrics };
    this.sources.put("acme", deviceId, sample);
    return sample;
  }

  /** Stores a sample that fills a socket's buffers soon. */
  putBig(seq: number): number {
    this.put("big", { seq, filling: "x".repeat(512 * 1_024) });
    return seq;
  }

  missedPushes(): number {
    let missed = 0;
    for (const connection of this.service.app.manager.connections) {
      missed += connection.missedPushes;
    }
    return missed;
  }

  breakTelemetry(): void {
    this.#state.isBroken = true;
    this.sources.telemetryFault = () => outage();
  }

  mendTelemetry(): void {
    this.#state.isBroken = false;
    this.sources.telemetryFault = null;
  }

  /** Waits for reads that begin from now on. */
  async untilRead({ times = 2 } = {}): Promise<void> {
    const reads = () => this.sources.telemetryReads.length + this.sources.historyReads.length;
    const before = reads();
    await until(() => reads() >= before + times, { withinMs: 15_000, what: "Reads" });
  }

  /** Waits until nobody is connected, holds a seat, or is read for. */
  async untilAlone(): Promise<void> {
    const { manager, seats, feeds } = this.service.app;
    await until(() => manager.connectionCount === 0 && seats.taken === 0, {
      withinMs: 15_000,
      what: "An empty house",
    });
    await until(() => feeds.feedCount === 0, { withinMs: 15_000, what: "The feed's end" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service.stop();
  }

  #last = 0;
}

function samplesOf(messages: readonly Message[]): readonly Message[] {
  return messages.filter(({ type }) => type === "telemetry");
}
