// From where a client of a resumable socket is told to come back: never later than what is stored and was not sent.
import assert from "node:assert/strict";
import type { Frame } from "../../src/protocol/frame.ts";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import { outage } from "../support/fake_sources.ts";
import {
  type ConnectionsFixture,
  connectionsFixture,
  type TestConnection,
} from "./connections_fixture.ts";

/** What a client was told and had been sent by then. */
interface Told {
  readonly id: string;
  readonly sent: ReadonlySet<string>;
}

/** Makes the client's socket a resumable one. */
function resumable(
  { socket }: TestConnection,
): { readonly told: Told[]; readonly sent: Set<string> } {
  const told: Told[] = [];
  const sent = new Set<string>();
  Object.assign(socket, {
    isResumable: true,
    send(frames: readonly Frame[], resumeFrom: string | null = null) {
      for (const { message } of frames) {
        if (message.type === "telemetry") sent.add(message.data.timestamp);
        if (message.type !== "history") continue;
        for (const { timestamp } of message.samples) sent.add(timestamp);
      }
      if (resumeFrom !== null) told.push({ id: resumeFrom, sent: new Set(sent) });
    },
  });
  return { told, sent };
}

/** Stores a sample taken so long ago; returns its timestamp. */
function store(
  { clock, sources }: ConnectionsFixture,
  deviceId: string,
  { ageMs }: { readonly ageMs: number },
): string {
  const timestamp = instantOfMs(clock.now() - ageMs);
  sources.put("acme", deviceId, { timestamp, metrics: {} });
  return timestamp;
}

function assertNoneLost(stored: readonly string[], told: readonly Told[]): void {
  assert.ok(told.length > 0);
  for (const { id, sent } of told) {
    const lost = stored.filter((timestamp) => timestamp <= id && !sent.has(timestamp));
    assert.deepEqual(lost, [], `who comes back with ${id}`);
  }
}

Deno.test("While a device's samples are read in parts nobody is told to come back later than those to come", async () => {
  using service = connectionsFixture();
  store(service, "dev-1", { ageMs: 1_000 });
  const client = service.connect();
  const { told, sent } = resumable(client);
  client.subscribe("dev-1", { mode: "every" });
  await service.clock.advance(60_000);
  // It had no network for a minute, and sends what it has kept: more than one read brings.
  const stored: string[] = [];
  for (let ageMs = 60_000; ageMs > 0; ageMs -= 5) stored.push(store(service, "dev-1", { ageMs }));
  const before = told.length;
  await service.clock.advance(10_000);
  assert.deepEqual(stored.filter((timestamp) => !sent.has(timestamp)), []);
  assertNoneLost(stored, told.slice(before));
});

Deno.test("... nor when what they are of is old", async () => {
  using service = connectionsFixture();
  store(service, "dev-1", { ageMs: 3_600_000 });
  const client = service.connect();
  const { told, sent } = resumable(client);
  client.subscribe("dev-1", { mode: "every" });
  await service.clock.advance(3_600_000);
  // Another one's sample goes out with each tick, and what is told with it.
  client.subscribe("dev-2");
  await service.clock.advance(1_000);
  const stored: string[] = [];
  for (let ageMs = 600_000; ageMs > 60_000; ageMs -= 50) {
    stored.push(store(service, "dev-1", { ageMs }));
  }
  const before = told.length;
  for (let tick = 0; tick < 10; tick++) {
    store(service, "dev-2", { ageMs: 0 });
    await service.clock.advance(1_000);
  }
  assert.deepEqual(stored.filter((timestamp) => !sent.has(timestamp)), []);
  assertNoneLost(stored, told.slice(before));
});

Deno.test("What is told with one device's sample is not later than what another's read has still to bring", async () => {
  using service = connectionsFixture();
  for (const deviceId of ["far", "near"]) store(service, deviceId, { ageMs: 1_000 });
  const client = service.connect();
  const { told } = resumable(client);
  client.subscribe(["far", "near"], { mode: "every" });
  for (let second = 0; second < 60; second++) {
    store(service, "near", { ageMs: -400 });
    await service.clock.advance(1_000);
  }
  const stored: string[] = [];
  for (let ageMs = 60_000; ageMs > 0; ageMs -= 1_000) stored.push(store(service, "far", { ageMs }));
  store(service, "near", { ageMs: -100 });
  const before = told.length;
  // The tick's first range is that of the near one; the far one's can't be read.
  let ranges = 0;
  service.sources.historyFault = () => ++ranges === 1 ? null : new Error("too slow");
  await service.clock.advance(1_000);
  assertNoneLost(stored, told.slice(before));
});

Deno.test("Who follows alerts alone is told where to come back, though telemetry can't be read", async () => {
  const degraded = { state: "degraded", since: 0, retryAt: 1 } as const;
  using service = connectionsFixture({
    states: () => ({ telemetry: degraded, alerts: { state: "ok", since: 0, retryAt: null } }),
  });
  const other = service.connect();
  other.follow("dev-1");
  service.sources.telemetryFault = outage;
  await service.tick();
  const client = service.connect();
  const { told } = resumable(client);
  client.followAlerts();
  await service.tick();
  assert.ok(told.length > 0);
});

Deno.test("A device that is silent holds nobody back, whether its history came or not", async () => {
  for (
    const fields of [{}, { history_seconds: 900 }, { history_seconds: 900, resolution_seconds: 60 }]
  ) {
    using service = connectionsFixture();
    store(service, "silent", { ageMs: 2_000 });
    store(service, "far", { ageMs: 3 * 3_600_000 });
    const client = service.connect();
    const { told } = resumable(client);
    client.subscribe(["silent", "far"], { mode: "every", ...fields });
    client.subscribe("busy", { mode: "every" });
    for (let second = 0; second < 600; second++) {
      store(service, "busy", { ageMs: 0 });
      await service.clock.advance(1_000);
    }
    const ageMs = service.clock.now() - Date.parse(told.at(-1)?.id ?? "");
    assert.ok(ageMs < 60_000, `${JSON.stringify(fields)}: told to come back ${ageMs} ms ago`);
  }
});

Deno.test("While a device's first range hangs nobody is told to come back later than it was asked for", async () => {
  using service = connectionsFixture();
  const { clock, sources } = service;
  for (const deviceId of ["dev-1", "busy"]) store(service, deviceId, { ageMs: 0 });
  const client = service.connect();
  const { told, sent } = resumable(client);
  await clock.advance(100);
  sources.historyFault = () =>
    new Promise<never>((_, reject) =>
      void clock.setTimeout(() => reject(new Error("too slow")), 28_000)
    );
  client.subscribe("busy");
  client.subscribe("dev-1", { mode: "every" });
  const stored: string[] = [];
  for (let second = 0; second < 26; second++) {
    await clock.advance(1_000);
    store(service, "busy", { ageMs: 0 });
    stored.push(store(service, "dev-1", { ageMs: 0 }));
  }
  sources.historyFault = null;
  await clock.advance(26_000);
  assert.deepEqual(stored.filter((timestamp) => !sent.has(timestamp)), []);
  assertNoneLost(stored, told);
});
