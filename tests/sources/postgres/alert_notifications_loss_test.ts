// The listening connection to a real PostgreSQL is lost in every way that there is: each loss is noticed, logged once, got
// over, and told as a gap.
import assert from "node:assert/strict";
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
  terminate,
  untilConnected,
  untilHeard,
} from "./alert_notifications_fixture.ts";
import { postgresSuite } from "./postgres_fixture.ts";

postgresSuite("A listening connection that is lost", {
  async "Is made again after pg_terminate_backend, and the gap is told"(server) {
    await using hearing = await hear(server);
    for (let loss = 1; loss <= 3; loss++) {
      await terminate(server);
      await until(() => hearing.ears.gaps === loss, { withinMs: 20_000, what: "the gap" });
      await untilHeard(server, hearing.ears);
      await untilConnected(server, 1);
      assert.equal(hearing.log.of("listen_lost").length, loss);
      assert.equal(hearing.log.of("listen_restored").length, loss);
    }
    const [lost] = hearing.log.of("listen_lost");
    assert.equal(lost?.level, "warning");
    assert.equal(hearing.log.of("listen_restored")[0]?.level, "info");
    // Nothing is listened to twice: each notification is heard once.
    hearing.ears.heard.length = 0;
    await notify(server, "once");
    assert.deepEqual(await heardSince(server, hearing.ears), ["once"]);
  },

  async "Is made again when the server was stopped, which is logged once however long it takes"(
    server,
  ) {
    await using hearing = await hear(server);
    assert.equal(hearing.signals.isHearing, true);
    await server.kill();
    await until(() => hearing.log.of("listen_lost").length === 1, {
      withinMs: 20_000,
      what: "the loss",
    });
    assert.equal(hearing.signals.isHearing, false);
    const stops = [() => server.restart("fast"), () => server.restart("immediate")];
    for (const [before, stopAndStart] of stops.entries()) {
      await stopAndStart();
      await until(() => hearing.ears.gaps > before, { withinMs: 60_000, what: "the gap" });
      await untilHeard(server, hearing.ears);
      await untilConnected(server, 1);
      assert.equal(hearing.ears.gaps, before + 1);
      assert.equal(hearing.signals.isHearing, true);
      assert.equal(hearing.log.of("listen_lost").length, before + 1);
      assert.equal(hearing.log.of("listen_restored").length, before + 1);
    }
  },

  async "Begins to hear when a server that was down at the start comes up, and tells the gap"(
    server,
  ) {
    await server.kill();
    const log = memoryLog();
    const listener = ears();
    await using signals = notificationsOf(server, { log });
    signals.listen(listener);
    await until(() => log.of("listen_lost").length === 1, { what: "the log" });
    assert.equal(listener.gaps, 0);
    assert.equal(signals.isHearing, false);
    await server.restart("fast");
    await until(() => listener.gaps === 1, { withinMs: 60_000, what: "the gap" });
    assert.equal(signals.isHearing, true);
    await untilHeard(server, listener);
  },

  async "Is taken for lost when the server does not answer for 5 s, asked after 30 s of silence"(
    server,
  ) {
    const clock = fakeClock();
    await using proxy = new FaultProxy({ targetPort: server.port, marker: "SELECT 1" });
    const url = proxy.through(server.appUrl);
    await using hearing = await hear(server, { clock, url, random: () => 0 });
    // A server that answers is asked again and again, and never taken for lost.
    for (let question = 0; question < 2; question++) {
      await answered(server, () => clock.advance(30_000));
      await untilHeard(server, hearing.ears);
      await clock.advance(5_000);
      await clock.advance(24_999);
      assert.deepEqual(hearing.log.of("listen_lost"), []);
      await answered(server, () => clock.advance(1));
      await untilHeard(server, hearing.ears);
    }
    proxy.mode = "hang";
    await notify(server, "unheard");
    await clock.advance(30_000);
    await clock.advance(4_999);
    assert.deepEqual(hearing.log.of("listen_lost"), []);
    await clock.advance(1);
    await until(() => hearing.log.of("listen_lost").length === 1, { what: "the loss" });
    assert.match(
      String(hearing.log.of("listen_lost")[0]?.fields.error),
      /did not answer the listening connection within 5000 ms/,
    );
    assert.ok(!hearing.ears.heard.includes("unheard"));
    proxy.mode = "forward";
    await clock.advance(125);
    await until(() => hearing.ears.gaps === 1, { what: "the gap" });
    await untilHeard(server, hearing.ears);
    await untilConnected(server, 1);
  },

  async "Is made again with growing delays while it does not last, and at once when it had"(
    server,
  ) {
    const clock = fakeClock();
    await using hearing = await hear(server, { clock, random: () => 0 });
    const delays = () => hearing.log.of("listen_lost").map(({ fields }) => fields.retry_in_ms);
    const lose = async () => {
      const losses = delays().length;
      await terminate(server);
      await until(() => delays().length > losses, { what: "the loss" });
      await untilConnected(server, 0);
      const { gaps } = hearing.ears;
      const delayMs = Number(delays().at(-1));
      await clock.advance(delayMs - 1);
      assert.equal(await connectionCount(server), 0, "it waits for its time");
      await clock.advance(1);
      await until(() => hearing.ears.gaps > gaps, { what: "the gap" });
      await untilHeard(server, hearing.ears);
    };
    for (let loss = 0; loss < 9; loss++) await lose();
    assert.deepEqual(delays(), [125, 250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    await answered(server, () => clock.advance(30_000));
    await untilHeard(server, hearing.ears);
    await lose();
    assert.equal(delays().at(-1), 125);
  },

  async "Is told again when what keeps it away becomes an operator's matter, without the password"(
    server,
  ) {
    await using hearing = await hear(server);
    await server.execute("ALTER ROLE pulsewire NOLOGIN");
    try {
      await terminate(server);
      await until(() => hearing.log.of("listen_lost").length === 2, {
        withinMs: 20_000,
        what: "both causes",
      });
    } finally {
      await server.execute("ALTER ROLE pulsewire LOGIN");
    }
    await until(() => hearing.ears.gaps === 1, { withinMs: 60_000, what: "the gap" });
    const [, denied] = hearing.log.of("listen_lost");
    assert.match(String(denied?.fields.error), /refused the login/);
    assert.equal(hearing.log.of("listen_restored").length, 1);
    const password = new URL(server.appUrl).password;
    assert.ok(!Deno.inspect(hearing.log.records, { depth: 9 }).includes(password));
  },
}, { real: true });
