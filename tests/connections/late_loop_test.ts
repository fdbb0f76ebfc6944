// A push that others keep waiting: what it is woken for must not count as too old because its turn came late.
import assert from "node:assert/strict";
import { AlertSubscription, CORE_ALERTS } from "../../src/connections/alert_subscription.ts";
import { Connection } from "../../src/connections/connection.ts";
import { PushTurns } from "../../src/connections/push_turns.ts";
import { TenantGroup } from "../../src/connections/tenant_group.ts";
import { frameOf } from "../../src/protocol/frame.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { EMPTY_SNAPSHOT } from "../support/empty_snapshot.ts";
import { HIGH_WATER_BYTES, POLL_MS, scopeOf } from "./connections_fixture.ts";
import { FakeSocket } from "./fake_socket.ts";

Deno.test("A connection whose turn comes after an interval's worth of sending still gets its push", async () => {
  let now = 1_000;
  const clock = {
    now: () => now,
    monotonicNow: () => now,
    setTimeout: (callback: () => void) => setTimeout(callback, 0),
    clearTimeout: () => {},
  };
  const turns = new PushTurns(clock);
  const group = new TenantGroup("acme");
  group.followAlerts();
  const connect = (socket: Socket) => {
    const connection = new Connection({ id: "c1", scope: scopeOf("acme"), socket, group }, {
      highWaterBytes: HIGH_WATER_BYTES,
      missed: () => {},
      behind: () => {},
      failed: (_, error) => assert.fail(String(error)),
      lateMs: 0,
      maxAgeMs: POLL_MS,
      clock,
      turns,
    });
    connection.alerts = new AlertSubscription(group, {
      options: CORE_ALERTS,
      progress: { seq: 0, isOwed: true },
    });
    group.connections.add(connection);
    return connection;
  };
  const slow = new FakeSocket();
  const last = new FakeSocket();
  const send = slow.send.bind(slow);
  slow.send = (...sent) => {
    now += 2 * POLL_MS;
    send(...sent);
  };
  connect(slow);
  connect(last);
  group.deliver({
    ...EMPTY_SNAPSHOT,
    alerts: {
      seq: 1,
      readAt: now,
      version: 1,
      frame: frameOf({ type: "alerts", alerts: [] }),
      whole: null,
    },
  }, now);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(slow.writes.length, 1);
  assert.equal(last.writes.length, 1);
});
