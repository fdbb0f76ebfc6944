// A token is renewed on the living socket before it ends, by the service's clock, and never in a loop.
import assert from "node:assert/strict";
import { clientWorld, sample, START_MS, telemetry, type World } from "./client_fixture.ts";

const isoIn = (world: World, seconds: number) =>
  new Date(world.clock.now() + seconds * 1_000).toISOString();

/** Keeps the socket alive for so long. */
async function live(world: World, seconds: number) {
  for (let second = 0; second < seconds; second += 5) {
    await world.clock.advance(5_000);
    world.socket().say({ type: "pong" });
  }
}

function tokens() {
  const given: string[] = [];
  return {
    given,
    token: () => (given.push(`token.number.${given.length + 1}`), given.at(-1) ?? ""),
  };
}

Deno.test("a token is renewed in place a minute before it ends, and again before the new one does", async () => {
  const { given, token } = tokens();
  using world = clientWorld({ token });
  world.client.connect();
  const socket = await world.greet({
    token_expires_at: new Date(START_MS + 300_000).toISOString(),
  });
  await live(world, 235);
  assert.deepEqual(socket.asked("auth"), []);
  await live(world, 10);
  assert.equal(socket.last("auth").token, "token.number.2");
  socket.say({ type: "authenticated", expires_at: isoIn(world, 300), id: socket.last("auth").id });
  await live(world, 230);
  assert.equal(socket.asked("auth").length, 1);
  await live(world, 15);
  assert.equal(socket.last("auth").token, "token.number.3");
  assert.equal(given.length, 3);
  assert.equal(world.sockets.length, 1);
});

Deno.test("the service's notice renews at once, whatever this machine's clock says", async () => {
  using world = clientWorld({ token: tokens().token });
  world.client.connect();
  const socket = await world.greet();
  for (let told = 0; told < 3; told++) {
    socket.say({ type: "token_expiring", expires_at: isoIn(world, 3_600) });
    await world.settle();
  }
  assert.equal(socket.asked("auth").length, 1);
});

Deno.test("the end of a token is counted by the service's clock once it is known", async () => {
  using world = clientWorld({ token: tokens().token });
  world.client.device("d", () => {});
  const ahead = 7_200;
  const end = new Date(START_MS + (ahead + 120) * 1_000).toISOString();
  const socket = await world.greet({ token_expires_at: end });
  socket.batch(ahead, [telemetry("d", sample(ahead))]);
  socket.say({ type: "token_expiring", expires_at: end });
  await world.settle();
  const next = new Date(START_MS + (ahead + 300) * 1_000).toISOString();
  socket.say({ type: "authenticated", expires_at: next, id: socket.last("auth").id });
  await live(world, 235);
  assert.equal(socket.asked("auth").length, 1);
  await live(world, 10);
  assert.equal(socket.asked("auth").length, 2);
});

Deno.test("a clock that is hours wrong does not make a loop of renewals", async () => {
  const { given, token } = tokens();
  using world = clientWorld({ token });
  world.client.connect();
  const past = new Date(START_MS - 7_200_000).toISOString();
  const socket = await world.greet({ token_expires_at: past });
  for (let second = 0; second < 300; second++) {
    await world.clock.advance(1_000);
    socket.say({ type: "pong" });
    const { id } = socket.sent.at(-1)?.action === "auth" ? socket.last("auth") : {} as { id?: 0 };
    if (id !== undefined) socket.say({ type: "authenticated", expires_at: past, id });
  }
  assert.ok(given.length > 5 && given.length <= 13, `${given.length} tokens in five minutes`);
});

Deno.test("a token that is refused in place, or is still the same, is asked for again with patience", async () => {
  const answers = ["first.token.x", "first.token.x", "second.token.x", "third.token.x"];
  let asked = 0;
  using world = clientWorld({
    token: () => answers[Math.min(asked++, answers.length - 1)] ?? null,
  });
  world.client.connect();
  const socket = await world.greet();
  socket.say({ type: "token_expiring", expires_at: isoIn(world, 60) });
  await world.settle();
  assert.equal(socket.asked("auth").length, 0);
  await world.clock.advance(1_000);
  assert.equal(socket.last("auth").token, "second.token.x");
  const { id } = socket.last("auth");
  socket.say({ type: "error", code: "invalid_token", message: "Invalid or expired token", id });
  assert.deepEqual(world.errors.map(({ code }) => code), ["invalid_token"]);
  assert.equal(world.client.state, "live");
  await world.clock.advance(2_000);
  assert.equal(socket.last("auth").token, "third.token.x");
  assert.doesNotMatch(JSON.stringify([world.errors, world.states]), /\.token\.x/);
});

Deno.test("keys that can't be reached are waited for as long as the service says", async () => {
  using world = clientWorld({ token: tokens().token });
  world.client.connect();
  const socket = await world.greet();
  socket.say({ type: "token_expiring", expires_at: isoIn(world, 60) });
  await world.settle();
  const { id } = socket.last("auth");
  const error = { type: "error", code: "source_unavailable", message: "Not now" };
  socket.say({ ...error, retry_after_ms: 10_000, id });
  await world.clock.advance(9_999);
  assert.equal(socket.asked("auth").length, 1);
  await world.clock.advance(1_001);
  assert.equal(socket.asked("auth").length, 2);
});

Deno.test("a renewal that is under way when the socket ends concerns nobody", async () => {
  const waiting: ((token: string) => void)[] = [];
  let asked = 0;
  using world = clientWorld({
    token: () =>
      ++asked === 2 ? new Promise((resolve) => waiting.push(resolve)) : `token.${asked}.x`,
  });
  world.client.connect();
  const socket = await world.greet();
  socket.say({ type: "token_expiring", expires_at: isoIn(world, 60) });
  await world.settle();
  socket.end(1006);
  waiting[0]?.("late.token.x");
  await world.clock.advance(1_000);
  const second = await world.greet();
  await world.clock.advance(1_000);
  assert.deepEqual([socket.asked("auth").length, second.asked("auth").length], [0, 0]);
  assert.deepEqual(second.protocols[1], "bearer.token.3.x");
  assert.deepEqual(world.errors, []);
});

Deno.test("a token that can't change is not renewed", async () => {
  using world = clientWorld({ token: "only.this.one" });
  world.client.connect();
  const socket = await world.greet({ token_expires_at: new Date(START_MS + 90_000).toISOString() });
  socket.say({ type: "token_expiring", expires_at: isoIn(world, 60) });
  await live(world, 120);
  assert.deepEqual(socket.asked("auth"), []);
  // Nothing waits but the look at the socket.
  assert.equal(world.clock.timerCount, 1);
});
