// One connection that comes back, and when: what every close means, what a person may hurry, what a sleep changes.
import assert from "node:assert/strict";
import { PulsewireClient } from "../../src/client/pulsewire_client.ts";
import type { WakeTarget } from "../../src/client/wake_signals.ts";
import { clientWorld, type World } from "./client_fixture.ts";

const states = (world: World) => world.states.map(([state]) => state);

/** Opened and live, following one device. */
async function liveWorld(options: Parameters<typeof clientWorld>[0] = {}) {
  const world = clientWorld(options);
  world.client.device("d", () => {});
  await world.greet();
  return world;
}

Deno.test("nothing is connected until somebody listens", async () => {
  using world = clientWorld();
  await world.clock.advance(60_000);
  assert.equal(world.sockets.length, 0);
  assert.equal(world.client.state, "offline");
  world.client.fleet(() => {});
  await world.settle();
  assert.equal(world.sockets.length, 1);
  assert.equal(world.client.state, "connecting");
});

Deno.test("the token stands in the subprotocol and nowhere else", async () => {
  using world = await liveWorld({ token: () => Promise.resolve("head.body.sign") });
  assert.deepEqual(world.socket().protocols, ["pulsewire", "bearer.head.body.sign"]);
  assert.equal(world.socket().url, "wss://pulse.example/api/v2/ws");
});

Deno.test("a token in the query and a ticket stand where they are asked to, and only there", async () => {
  using query = await liveWorld({ token: "head.body.sign", sendTokenAs: "query" });
  assert.equal(query.socket().url, "wss://pulse.example/api/v2/ws?token=head.body.sign");
  assert.deepEqual(query.socket().protocols, ["pulsewire"]);
  let tickets = 0;
  using ticket = await liveWorld({ ticket: () => `ticket-${++tickets}` });
  assert.equal(ticket.socket().url, "wss://pulse.example/api/v2/ws?ticket=ticket-1");
  ticket.socket().end(1006);
  await ticket.clock.advance(1_000);
  assert.equal(ticket.socket().url, "wss://pulse.example/api/v2/ws?ticket=ticket-2");
});

Deno.test("it is live when the service has greeted it, and asks for what it uses", async () => {
  using world = clientWorld();
  world.client.connect();
  await world.settle();
  world.socket().open();
  assert.deepEqual(world.socket().sent, [
    { action: "hello", features: ["notices", "batch", "as_of"] },
  ]);
  assert.equal(world.client.state, "connecting");
  await world.greet();
  assert.deepEqual(states(world), ["connecting", "live"]);
});

Deno.test("each connect has a token of its own", async () => {
  let asked = 0;
  using world = await liveWorld({ token: () => `token.number.${++asked}` });
  world.socket().end(1011);
  await world.clock.advance(1_000);
  assert.deepEqual(world.sockets.map(({ protocols }) => protocols[1]), [
    "bearer.token.number.1",
    "bearer.token.number.2",
  ]);
});

Deno.test("sockets that fail at once are tried ever more rarely, and never in a hot loop", async () => {
  using world = clientWorld({ random: () => 0 });
  world.client.connect();
  let failed = 0;
  for (let step = 0; step < 600; step++) {
    await world.clock.advance(100);
    if (world.sockets.length > failed) {
      failed = world.sockets.length;
      world.socket().end(1006);
    }
  }
  // The shortest wait is a quarter of a second.
  assert.ok(failed <= 241, `${failed} attempts in a minute`);
  using patient = clientWorld({ random: () => 0.999 });
  patient.client.connect();
  failed = 0;
  for (let step = 0; step < 600; step++) {
    await patient.clock.advance(100);
    if (patient.sockets.length > failed) {
      failed = patient.sockets.length;
      patient.socket().end(1006);
    }
  }
  assert.equal(failed, 6);
});

Deno.test("an open that did not last does not make the next wait short again", async () => {
  using world = clientWorld({ random: () => 0.999 });
  world.client.connect();
  const waits: number[] = [];
  for (let attempt = 0; attempt < 4; attempt++) {
    await world.greet();
    await world.clock.advance(attempt === 3 ? 5_000 : 4_900);
    world.socket().end(1011);
    const { retryAt } = world.client.details;
    assert.ok(retryAt !== null);
    waits.push(Math.round((retryAt - world.clock.now()) / 1_000));
    await world.clock.advance(retryAt - world.clock.now());
  }
  assert.deepEqual(waits, [1, 2, 4, 1]);
});

Deno.test("1009 and 4003 are the end until a person asks again", async () => {
  for (const [code, state] of [[1009, "offline"], [4003, "unauthorized"]] as const) {
    using world = await liveWorld();
    world.socket().end(code, "No more");
    await world.clock.advance(3_600_000);
    assert.equal(world.sockets.length, 1);
    assert.equal(world.client.state, state);
    assert.deepEqual(
      [world.client.details.reason, world.client.details.closeCode, world.client.details.retryAt],
      ["No more", code, null],
    );
    world.client.connect();
    await world.settle();
    assert.equal(world.sockets.length, 2);
  }
});

Deno.test("after 4001 it comes back only with another token", async () => {
  let token = "old.token.x";
  let asked = 0;
  using world = await liveWorld({ token: () => (asked++, token) });
  world.socket().end(4001, "Invalid or expired token");
  assert.equal(world.client.state, "unauthorized");
  await world.clock.advance(120_000);
  assert.equal(world.sockets.length, 1);
  assert.equal(world.client.state, "unauthorized");
  assert.ok(asked > 3 && asked < 20, `${asked} tokens were asked for`);
  token = "new.token.x";
  for (let second = 0; second < 30 && world.sockets.length === 1; second++) {
    await world.clock.advance(1_000);
  }
  await world.greet();
  assert.equal(world.client.state, "live");
  assert.ok(!states(world).slice(2, -2).includes("connecting"));
});

Deno.test("after 4001 a token that can't change is the end", async () => {
  using world = await liveWorld({ token: "only.this.one" });
  world.socket().end(4001);
  await world.clock.advance(600_000);
  assert.equal(world.sockets.length, 1);
  assert.equal(world.client.state, "unauthorized");
  assert.equal(world.client.details.retryAt, null);
});

Deno.test("without a token nothing is tried, and nobody is asked again", async () => {
  let token: string | null = null;
  let asked = 0;
  using world = clientWorld({ token: () => (asked++, token) });
  world.client.connect();
  await world.clock.advance(600_000);
  assert.deepEqual([world.sockets.length, asked], [0, 1]);
  assert.equal(world.client.state, "unauthorized");
  token = "head.body.sign";
  world.client.connect();
  await world.greet();
  assert.equal(world.client.state, "live");
});

Deno.test("1008 and 1013 wait for what the error before them asked, and some seconds where none did", async () => {
  for (const code of [1008, 1013]) {
    using world = await liveWorld();
    world.socket().say({
      type: "error",
      code: "limit_exceeded",
      message: "x",
      retry_after_ms: 60_000,
    });
    world.socket().end(code);
    await world.clock.advance(60_000);
    assert.equal(world.sockets.length, 1);
    await world.clock.advance(1_000);
    assert.equal(world.sockets.length, 2);
    await world.greet();
    await world.clock.advance(10_000);
    world.socket().end(code);
    await world.clock.advance(5_000);
    assert.equal(world.sockets.length, 2);
    await world.clock.advance(1_000);
    assert.equal(world.sockets.length, 3);
  }
});

Deno.test("1012 waits for the time in reconnect, counted from when it was said, whatever ends the socket", async () => {
  for (const code of [1012, 1006]) {
    using world = await liveWorld();
    world.socket().say({ type: "reconnect", after_ms: 8_000 });
    await world.clock.advance(3_000);
    assert.equal(world.client.state, "live");
    world.socket().end(code);
    await world.clock.advance(4_999);
    assert.equal(world.sockets.length, 1);
    await world.clock.advance(1);
    assert.equal(world.sockets.length, 2);
  }
});

Deno.test("1012 without a time waits like any other", async () => {
  using world = await liveWorld();
  world.socket().end(1012);
  await world.clock.advance(1_000);
  assert.equal(world.sockets.length, 2);
});

Deno.test("a token that can't be had is told and tried again, and is never part of what is told", async () => {
  let fails = true;
  using world = clientWorld({
    token: () => fails ? Promise.reject(new Error("no route")) : "head.body.sign",
  });
  world.client.connect();
  await world.settle();
  assert.deepEqual(world.errors.map(({ code }) => code), ["token_failed"]);
  assert.equal(world.client.state, "offline");
  fails = false;
  await world.clock.advance(1_000);
  await world.greet();
  assert.equal(world.client.state, "live");

  using strange = clientWorld({ token: "secret with spaces" });
  strange.client.connect();
  await strange.settle();
  assert.equal(strange.sockets.length, 0);
  assert.deepEqual(strange.errors.map(({ code }) => code), ["token_failed"]);
  assert.doesNotMatch(JSON.stringify([strange.errors.map(String), strange.states]), /secret/);
});

Deno.test("a platform that can't make the socket is told without what it said of the token", async () => {
  using world = clientWorld({
    token: "head.body.sign",
    WebSocket: class {
      constructor(_url: string, [, bearer]: string[]) {
        throw new SyntaxError(`The subprotocol '${bearer}' is invalid`);
      }
    },
  });
  world.client.connect();
  await world.settle();
  const [error] = world.errors;
  assert.equal(error?.code, "socket_failed");
  assert.equal(error.cause, undefined);
  assert.doesNotMatch(`${error.message} ${error.stack}`, /sign/);
  assert.ok(world.client.details.retryAt !== null);
});

Deno.test("what is no string is not shown as a token", async () => {
  for (const wrong of [undefined, 7, { token: "head.body.sign" }]) {
    using world = clientWorld({ token: () => wrong as unknown as string, sendTokenAs: "query" });
    world.client.connect();
    await world.settle();
    assert.equal(world.sockets.length, 0);
    assert.deepEqual(world.errors.map(({ code }) => code), ["token_failed"]);
  }
  using world = clientWorld({ token: "" });
  world.client.connect();
  await world.settle();
  assert.equal(world.client.state, "unauthorized");
  assert.deepEqual(world.errors, []);
});

Deno.test("a token that nobody hands out in time is given up, and its signal says so", async () => {
  let given: AbortSignal | null = null;
  using world = clientWorld({
    token: ({ signal }) => {
      given = signal;
      return new Promise(() => {});
    },
  });
  world.client.connect();
  await world.clock.advance(30_000);
  assert.deepEqual(world.errors.map(({ code }) => code), ["token_failed"]);
  assert.equal((given as AbortSignal | null)?.aborted, true);
});

Deno.test("a handshake that nobody answers is given up after a while", async () => {
  using world = clientWorld();
  world.client.connect();
  await world.settle();
  const [socket] = world.sockets;
  socket?.open();
  await world.clock.advance(14_999);
  assert.equal(world.client.state, "connecting");
  await world.clock.advance(1);
  assert.equal(world.client.state, "offline");
  assert.equal(socket?.closedWith, 1000);
});

Deno.test("a socket that fell silent is asked, given up, and what it still says is not heard", async () => {
  using world = await liveWorld();
  const heard: unknown[] = [];
  world.client.device("d", (sample) => heard.push(sample));
  const socket = world.socket();
  await world.clock.advance(20_000);
  assert.deepEqual(socket.sent.at(-1), { action: "ping" });
  socket.say({ type: "pong" });
  await world.clock.advance(29_999);
  assert.equal(world.client.state, "live");
  await world.clock.advance(1);
  assert.equal(world.client.state, "offline");
  assert.equal(socket.closedWith, 1000);
  socket.say({ type: "telemetry", device_id: "d", data: { timestamp: "x", metrics: {} } });
  assert.deepEqual(heard, []);
});

Deno.test("a machine that slept looks at once whether its socket survived, and comes back when it did not", async () => {
  using alive = await liveWorld();
  await alive.clock.sleep(8 * 3_600_000);
  assert.deepEqual(alive.socket().sent.at(-1), { action: "ping" });
  alive.socket().say({ type: "pong" });
  await alive.clock.advance(15_000);
  assert.deepEqual([alive.client.state, alive.sockets.length], ["live", 1]);

  using dead = await liveWorld();
  await dead.clock.sleep(8 * 3_600_000);
  await dead.clock.advance(11_000);
  assert.equal(dead.sockets.length, 2);
});

function wakeTarget() {
  const listeners = new Map<string, () => void>();
  const document = {
    visibilityState: "visible",
    addEventListener: (type: string, listener: () => void) => void listeners.set(type, listener),
    removeEventListener: (type: string) => void listeners.delete(type),
  };
  const target: WakeTarget = {
    addEventListener: (type, listener) => void listeners.set(type, listener),
    removeEventListener: (type) => void listeners.delete(type),
    document,
  };
  return { target, document, listeners };
}

Deno.test("a network that is back, and a tab that is looked at, end a wait or ask a living socket", async () => {
  for (const event of ["online", "pageshow", "visibilitychange"]) {
    const { target, listeners } = wakeTarget();
    using world = await liveWorld({ wakeTarget: target, random: () => 0.999 });
    listeners.get(event)?.();
    assert.deepEqual(world.socket().sent.at(-1), { action: "ping" });
    await world.clock.advance(10_000);
    assert.equal(world.client.state, "offline");
    for (const wait of [1, 2, 4]) {
      await world.clock.advance(wait * 1_000);
      world.socket().end(1006);
    }
    assert.equal(world.sockets.length, 4);
    // The ceiling is eight seconds now.
    await world.clock.advance(2_000);
    assert.equal(world.sockets.length, 4);
    listeners.get(event)?.();
    await world.settle();
    assert.equal(world.sockets.length, 5);
  }
});

Deno.test("a tab that is hidden wakes nobody", async () => {
  const { target, document, listeners } = wakeTarget();
  using world = await liveWorld({ wakeTarget: target });
  const { length } = world.socket().sent;
  document.visibilityState = "hidden";
  listeners.get("visibilitychange")?.();
  assert.equal(world.socket().sent.length, length);
});

Deno.test("a network that flaps makes attempts no denser", async () => {
  const { target, listeners } = wakeTarget();
  using world = clientWorld({ wakeTarget: target, random: () => 0.999 });
  world.client.connect();
  await world.settle();
  world.socket().end(1006);
  await world.clock.advance(1_000);
  world.socket().end(1006);
  const before = world.sockets.length;
  for (let flap = 0; flap < 50; flap++) {
    await world.clock.advance(10);
    listeners.get("online")?.();
    await world.settle();
  }
  assert.equal(world.sockets.length, before);
});

Deno.test("a wait that the service asked for is not hurried by the network, and is by a person", async () => {
  const { target, listeners } = wakeTarget();
  using world = await liveWorld({ wakeTarget: target });
  world.socket().say({ type: "reconnect", after_ms: 20_000 });
  world.socket().end(1012);
  await world.clock.advance(10_000);
  listeners.get("online")?.();
  await world.settle();
  assert.equal(world.sockets.length, 1);
  world.client.connect();
  await world.settle();
  assert.equal(world.sockets.length, 2);
});

Deno.test("a degraded source is a state of its own until it is read again, and ends with the socket", async () => {
  using world = await liveWorld();
  const degraded = { type: "status", source: "telemetry", state: "degraded" };
  const since = "2026-11-18T11:00:00.000Z";
  world.socket().say({ ...degraded, since, retry_in_ms: 4_000 });
  assert.equal(world.client.state, "degraded");
  assert.deepEqual(world.client.details.sources, [
    { source: "telemetry", since, retryAt: world.clock.now() + 4_000 },
  ]);
  world.socket().say({ type: "status", source: "telemetry", state: "ok", since });
  assert.equal(world.client.state, "live");
  world.socket().say({ ...degraded, since });
  world.socket().end(1006);
  assert.deepEqual([world.client.state, world.client.details.sources], ["offline", []]);
});

Deno.test("a message that can't be read, or is of a kind that nobody knows, ends nothing", async () => {
  using world = await liveWorld();
  world.socket().say("{");
  world.socket().say("null");
  world.socket().say({ type: "confetti", of: "a later version" });
  world.socket().say({ type: "alerts" });
  assert.equal(world.client.state, "live");
  assert.deepEqual(world.errors.map(({ code }) => code), [
    "invalid_data",
    "invalid_data",
    "invalid_data",
  ]);
});

Deno.test("a client that is closed, also by using, leaves no timer, no socket and no listener", async () => {
  const { target, listeners } = wakeTarget();
  const world = clientWorld({ wakeTarget: target });
  let heard = 0;
  {
    using client = world.client;
    client.device("d", () => heard++);
    client.alerts(() => heard++);
    await world.greet();
  }
  const socket = world.socket();
  assert.equal(socket.closedWith, 1000);
  assert.equal(world.clock.timerCount, 0);
  assert.equal(listeners.size, 0);
  socket.say({ type: "alerts", alerts: [] });
  world.client.connect();
  world.client.device("d", () => heard++);
  await world.clock.advance(600_000);
  assert.deepEqual([heard, world.sockets.length, world.clock.timerCount], [0, 1, 0]);
});

Deno.test("a client closed in each of its phases stays closed", async () => {
  const phases: readonly ((world: World) => Promise<unknown> | void)[] = [
    () => {},
    (world) => world.client.connect(),
    (world) => (world.client.connect(), world.settle()),
    async (world) => (world.client.connect(), await world.settle(), world.socket().open()),
    (world) => (world.client.connect(), world.greet()),
    async (world) => (world.client.connect(), await world.settle(), world.socket().end(1006)),
    async (world) => (world.client.connect(), await world.settle(), world.socket().end(4003)),
  ];
  for (const reach of phases) {
    const world = clientWorld();
    await reach(world);
    const { length } = world.sockets;
    world.client.close();
    await world.clock.advance(600_000);
    assert.deepEqual([world.sockets.length, world.clock.timerCount], [length, 0]);
    assert.equal(world.client.state, "offline");
  }
});

Deno.test("a client that is closed while it says that it connects asks for no token", async () => {
  let asked = 0;
  using world = clientWorld({ token: () => String(asked++) });
  world.client.on("state", () => world.client.close());
  world.client.connect();
  await world.clock.advance(60_000);
  assert.deepEqual([asked, world.sockets.length], [0, 0]);
});

Deno.test("a listener that throws, or rejects, hurts nobody else and is reported", async () => {
  using world = clientWorld();
  const heard: string[] = [];
  world.client.on("state", () => {
    throw new Error("first");
  });
  world.client.on("state", (state) => heard.push(state));
  world.client.fleet(() => Promise.reject(new Error("second")));
  world.client.fleet(() => heard.push("fleet"));
  await world.greet();
  world.socket().say({ type: "fleet", devices: null, alerts: null });
  await world.settle();
  assert.deepEqual(heard, ["connecting", "live", "fleet"]);
  assert.deepEqual(
    world.errors.map(({ code, cause }) => `${code}: ${(cause as Error).message}`),
    ["listener_failed: first", "listener_failed: first", "listener_failed: second"],
  );
});

Deno.test("an address of a page's own kind is understood", async () => {
  const urls: string[] = [];
  for (const given of ["https://h.example/api/v2/ws", "http://h.example/ws", "wss://h.example/"]) {
    using client = new PulsewireClient(given, {
      token: "a.b.c",
      WebSocket: class {
        constructor(url: string) {
          urls.push(url);
        }
        close() {}
      },
    });
    client.connect();
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert.deepEqual(urls, ["wss://h.example/api/v2/ws", "ws://h.example/ws", "wss://h.example/"]);
});
