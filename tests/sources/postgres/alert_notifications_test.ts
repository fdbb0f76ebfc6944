// Listening on a real PostgreSQL: how it begins, what it hears and ignores, and that its end leaves nothing behind.
import assert from "node:assert/strict";
import { readConfig } from "../../../src/config.ts";
import { systemClock } from "../../../src/clock.ts";
import { openSources } from "../../../src/sources/open_sources.ts";
import { FaultProxy } from "../../faults/fault_proxy.ts";
import { fakeClock } from "../../support/fake_clock.ts";
import { memoryLog } from "../../support/memory_log.ts";
import { until } from "../../support/until.ts";
import {
  answered,
  connectionCount,
  ears,
  hear,
  heardSince,
  notificationsOf,
  notify,
  untilConnected,
  untilHeard,
} from "./alert_notifications_fixture.ts";
import { postgresSuite } from "./postgres_fixture.ts";

postgresSuite("Listening", {
  async "Nothing connects before somebody listens, and nobody listens twice"(server) {
    await untilConnected(server, 0);
    const signals = notificationsOf(server);
    const first = ears();
    const second = ears();
    assert.equal(await connectionCount(server), 0);
    signals.listen(first);
    assert.throws(() => signals.listen(second), /there is a listener already/);
    await untilHeard(server, first);
    assert.equal(await connectionCount(server), 1);
    assert.equal(first.gaps, 0, "the first connection ends no gap");
    assert.deepEqual(second.heard, []);
    await signals[Symbol.asyncDispose]();
  },

  async "What can't be meant is refused before anything connects"() {
    const appUrl = "postgres://a@127.0.0.1/a";
    for (const channel of ["", "c".repeat(64)]) {
      assert.throws(() => notificationsOf({ appUrl }, { channel }), TypeError);
    }
    assert.throws(() => notificationsOf({ appUrl: "mysql://a@127.0.0.1/a" }), TypeError);
  },

  async "A channel's name is taken as it is written, and no other channel is heard"(server) {
    await using hearing = await hear(server);
    const upper = ears();
    await using signals = notificationsOf(server, { channel: 'Fleet"Alert' });
    signals.listen(upper);
    await until(async () => {
      await server.execute(`SELECT pg_notify('Fleet"Alert', 'upper')`);
      return upper.heard.includes("upper");
    });
    await untilHeard(server, hearing.ears);
    assert.ok(!hearing.ears.heard.includes("upper"));
    assert.ok(upper.heard.every((tenantId) => tenantId === "upper"));
  },

  async "A payload that is no tenant's id is ignored, and the log told once a minute how many"(
    server,
  ) {
    const clock = fakeClock();
    await using hearing = await hear(server, { clock });
    await heardSince(server, hearing.ears);
    const payloads = ["", "two words", "x".repeat(65), "x".repeat(7_000), "é", "a\nb", "'; DROP"];
    for (const payload of payloads) await notify(server, payload);
    assert.deepEqual(await heardSince(server, hearing.ears), []);
    const complaint = { channel: "fleet_alert", ignored: 1, payload_length: 0 };
    const complaints = () => hearing.log.of("notification_ignored").map(({ fields }) => fields);
    assert.deepEqual(complaints(), [complaint]);
    // No further than the next question whether the server is there, which takes its time to be answered.
    await clock.advance(29_000);
    await notify(server, "too soon");
    await untilHeard(server, hearing.ears);
    assert.equal(complaints().length, 1);
    await answered(server, () => clock.advance(1_000));
    await untilHeard(server, hearing.ears);
    await clock.advance(29_000);
    await answered(server, () => clock.advance(1_000));
    await notify(server, "later on");
    await untilHeard(server, hearing.ears);
    assert.deepEqual(complaints(), [
      complaint,
      { channel: "fleet_alert", ignored: payloads.length + 1, payload_length: 8 },
    ]);
    assert.ok(hearing.log.records.every(({ level }) => level !== "error"));
  },

  async "A listener's fault is logged, and costs neither the connection nor the next notification"(
    server,
  ) {
    const log = memoryLog();
    const listener = ears();
    const fault = new Error("Out of order");
    await using signals = notificationsOf(server, { log });
    signals.listen({
      missed: () => listener.missed(),
      notified(tenantId) {
        listener.notified(tenantId);
        if (tenantId === "faulty") throw fault;
      },
    });
    await untilHeard(server, listener);
    await notify(server, "faulty");
    await untilHeard(server, listener);
    assert.deepEqual(log.of("notification_failed").map(({ fields }) => fields), [{ error: fault }]);
    assert.deepEqual(log.of("listen_lost"), []);
  },

  async "Only openSources with a channel listens, at DATABASE_LISTEN_URL where it is set"(server) {
    const open = (values: Readonly<Record<string, string>>) => {
      const settings: Readonly<Record<string, string>> = {
        DATABASE_URL: server.appUrl,
        TELEMETRY_SOURCE: "postgres",
        JWT_SECRET: "x".repeat(32),
        ...values,
      };
      const config = readConfig({ get: (name) => settings[name], readFile: () => "" });
      return openSources(config, { clock: systemClock, log: memoryLog() });
    };
    await using silent = open({});
    assert.equal(silent.signals, null);
    await using direct = open({ ALERT_NOTIFY_CHANNEL: "fleet_alert" });
    await using pooled = open({
      ALERT_NOTIFY_CHANNEL: "fleet_alert",
      DATABASE_URL: "postgres://pooler@127.0.0.1:1/nowhere",
      DATABASE_LISTEN_URL: server.appUrl,
    });
    for (const { signals } of [direct, pooled]) {
      const listener = ears();
      signals?.listen(listener);
      await untilHeard(server, listener);
    }
  },

  async "Leaves no connection and no timer, tells nothing more, and may end twice"(server) {
    const clock = fakeClock();
    const hearing = await hear(server, { clock });
    await Promise.all([
      hearing.signals[Symbol.asyncDispose](),
      hearing.signals[Symbol.asyncDispose](),
    ]);
    assert.equal(clock.timerCount, 0);
    hearing.ears.heard.length = 0;
    await notify(server, "too late");
    await untilConnected(server, 0);
    assert.deepEqual(hearing.ears.heard, []);
    assert.equal(hearing.ears.gaps, 0);
    assert.deepEqual(hearing.log.of("listen_lost"), []);
  },

  async "Tells nothing of what is on its way when it ends"(server) {
    await using proxy = new FaultProxy({ targetPort: server.port, marker: "LISTEN" });
    await using witness = await hear(server);
    const listener = ears();
    const signals = notificationsOf(server, { url: proxy.through(server.appUrl) });
    signals.listen(listener);
    await untilHeard(server, listener);
    listener.heard.length = 0;
    proxy.delayMs = 100;
    await notify(server, "on-its-way");
    await until(() => witness.ears.heard.includes("on-its-way"), { what: "the notification" });
    await signals[Symbol.asyncDispose]();
    assert.deepEqual(listener.heard, []);
  },

  async "Does not wait for the next attempt, nor for one that is under way"(server) {
    const clock = fakeClock();
    await using proxy = new FaultProxy({ targetPort: server.port, marker: "LISTEN" });
    const url = proxy.through(server.appUrl);
    for (const mode of ["refuse", "hang"] as const) {
      proxy.mode = mode;
      proxy.resetCounts();
      const log = memoryLog();
      const signals = notificationsOf(server, { url, clock, log });
      signals.listen(ears());
      await until(() => proxy.connections > 0, { what: "an attempt" });
      if (mode === "refuse") await until(() => log.of("listen_lost").length === 1);
      await signals[Symbol.asyncDispose]();
      assert.equal(clock.timerCount, 0);
      assert.equal(log.of("listen_lost").length, mode === "refuse" ? 1 : 0);
    }
  },

  async "Does not wait for a server that has fallen silent"(server) {
    const clock = fakeClock();
    await using proxy = new FaultProxy({ targetPort: server.port, marker: "SELECT 1" });
    const hearing = await hear(server, { clock, url: proxy.through(server.appUrl) });
    proxy.mode = "hang";
    await clock.advance(30_000);
    await until(() => proxy.requests === 1, { what: "a question that nobody answers" });
    await hearing.signals[Symbol.asyncDispose]();
    assert.equal(clock.timerCount, 0);
    assert.deepEqual(hearing.log.of("listen_lost"), []);
  },

  async "Never begins once it has ended"(server) {
    await untilConnected(server, 0);
    const signals = notificationsOf(server);
    await signals[Symbol.asyncDispose]();
    signals.listen(ears());
    await signals[Symbol.asyncDispose]();
    assert.equal(await connectionCount(server), 0);
  },
}, { real: true });
