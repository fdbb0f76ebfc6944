// A token over its socket's life: warned of, ended in time, renewed in place, and no timer left behind.
import assert from "node:assert/strict";
import { AuthError, type AuthErrorCode } from "../../src/auth/auth_error.ts";
import type { Scope } from "../../src/auth/scope.ts";
import { Deadlines } from "../../src/connections/deadlines.ts";
import { TokenLife } from "../../src/connections/token_life.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { assertNoToken } from "../http/handshake_fixture.ts";
import { connectionsFixture, scopeOf, type TestConnection } from "./connections_fixture.ts";

const MINUTE_MS = 60_000;
const EXPIRED = { code: 4001, reason: "Invalid or expired token" };
const UNAUTHORIZED = { code: 4003, reason: "Unauthorized" };
const HELLO = '{"action":"hello","features":["notices"]}';
const SECRET_TOKEN = "header-of-the-token.claims-of-the-token.signature-of-the-token";
const AUTH = `{"action":"auth","token":"${SECRET_TOKEN}","id":1}`;

/** A client whose token ends after two minutes, and what its next `auth` is answered by. */
function watched() {
  const answers: Array<Promise<Scope>> = [];
  const service = connectionsFixture({
    verify: (token) => {
      assert.equal(token, SECRET_TOKEN);
      return answers.shift() ?? Promise.reject(new AuthError("invalid_token", "Bad"));
    },
  });
  const start = service.clock.now();
  const client = service.connect("acme", { expiresAt: start + 2 * MINUTE_MS });
  return {
    service,
    client,
    answers,
    /** What a token of the same user says that ends so much after the start. */
    until: (ms: number, other: Partial<Scope> = {}) =>
      Promise.resolve({ ...scopeOf("acme"), expiresAt: start + ms, ...other }),
    [Symbol.dispose]: () => service[Symbol.dispose](),
  };
}

const textsOf = (client: TestConnection) =>
  client.texts().filter((text) => !text.startsWith('{"type":"hello"'));

Deno.test("60 s before its end a token is told to be expiring, at its end the socket is closed with 4001", async () => {
  using world = watched();
  const { service, client } = world;
  client.say(HELLO);
  await service.clock.advance(MINUTE_MS - 1);
  assert.deepEqual(textsOf(client), []);
  await service.clock.advance(1);
  assert.deepEqual(textsOf(client), [
    '{"type":"token_expiring","expires_at":"2026-11-18T11:02:00.000Z"}',
  ]);
  await service.clock.advance(MINUTE_MS - 1);
  assert.deepEqual(client.socket.closings, []);
  await service.clock.advance(1);
  assert.deepEqual(client.socket.closings, [EXPIRED]);
  assert.deepEqual(textsOf(client), [], "told once");
});

Deno.test("Without notices nobody is told, and the socket ends all the same", async () => {
  using world = watched();
  await world.service.clock.advance(2 * MINUTE_MS);
  assert.deepEqual(world.client.take(), []);
  assert.deepEqual(world.client.socket.closings, [EXPIRED]);
});

Deno.test("A token is renewed in place: answered with its end, and lived to it", async () => {
  using world = watched();
  const { service, client, answers } = world;
  client.say(HELLO);
  client.follow("dev-1");
  await service.clock.advance(MINUTE_MS);
  client.take();
  answers.push(world.until(5 * MINUTE_MS));
  client.say(AUTH);
  await service.clock.advance(0);
  assert.deepEqual(client.texts().filter((text) => text.includes("authenticated")), [
    '{"type":"authenticated","expires_at":"2026-11-18T11:05:00.000Z","id":1}',
  ]);
  await service.clock.advance(2 * MINUTE_MS);
  assert.deepEqual(client.socket.closings, []);
  assert.equal(client.connection.devices.size, 1, "subscriptions stay");
  client.take();
  await service.clock.advance(MINUTE_MS);
  assert.equal(client.take().filter(({ type }) => type === "token_expiring").length, 1);
  await service.clock.advance(MINUTE_MS);
  assert.deepEqual(client.socket.closings, [EXPIRED]);
});

Deno.test("A token that is renewed in time is not warned of", async () => {
  using world = watched();
  const { service, client, answers } = world;
  client.say(HELLO);
  answers.push(world.until(10 * MINUTE_MS));
  client.say(AUTH);
  await service.clock.advance(8 * MINUTE_MS);
  assert.deepEqual(textsOf(client).filter((text) => text.includes("expiring")), []);
});

Deno.test("A shorter token ends the socket sooner", async () => {
  using world = watched();
  const { service, client, answers } = world;
  answers.push(world.until(30_000));
  client.say(AUTH);
  await service.clock.advance(29_999);
  assert.deepEqual(client.socket.closings, []);
  await service.clock.advance(1);
  assert.deepEqual(client.socket.closings, [EXPIRED]);
});

const FAILED: Readonly<Partial<Record<AuthErrorCode, string>>> = {
  invalid_token:
    '{"type":"error","message":"Invalid or expired token","code":"invalid_token","id":1}',
  token_missing:
    '{"type":"error","message":"Invalid or expired token","code":"invalid_token","id":1}',
  keys_unavailable: '{"type":"error","message":"Token can\'t be verified now",' +
    '"code":"source_unavailable","retry_after_ms":5000,"id":1}',
};
for (const [code, answer] of Object.entries(FAILED)) {
  Deno.test(`After an auth that fails with ${code} the old token goes on to its end`, async () => {
    using world = watched();
    const { service, client, answers } = world;
    answers.push(Promise.reject(new AuthError(code as AuthErrorCode, "No")));
    client.say(AUTH);
    await service.clock.advance(2 * MINUTE_MS - 1);
    assert.deepEqual(client.texts(), [answer]);
    assert.deepEqual(client.socket.closings, []);
    await service.clock.advance(1);
    assert.deepEqual(client.socket.closings, [EXPIRED]);
  });
}

Deno.test("A verifier that breaks is our own fault: internal, logged, and the old token goes on", async () => {
  using world = watched();
  const { service, client, answers } = world;
  answers.push(Promise.reject(new TypeError("broken")));
  client.say(AUTH);
  await service.clock.advance(0);
  assert.deepEqual(client.texts(), [
    '{"type":"error","message":"Internal error","code":"internal","id":1}',
  ]);
  assert.equal(service.log.of("auth_failed").length, 1);
});

for (
  const [whose, other] of [
    ["another tenant's", { tenantId: "globex" }],
    ["another user's", { userId: "somebody else" }],
  ] as const
) {
  Deno.test(`Renewing with ${whose} token closes with 4003 and changes nothing`, async () => {
    using world = watched();
    const { service, client, answers } = world;
    answers.push(world.until(10 * MINUTE_MS, other));
    client.say(AUTH);
    await service.clock.advance(0);
    assert.deepEqual(client.take(), []);
    assert.deepEqual(client.socket.closings, [UNAUTHORIZED]);
    assert.equal(client.connection.scope.tenantId, "acme");
  });
}

Deno.test("Renewing with a token of a role that is not allowed closes with 4003", async () => {
  using world = watched();
  const { service, client, answers } = world;
  answers.push(Promise.reject(new AuthError("not_allowed", "No allowed role")));
  client.say(AUTH);
  await service.clock.advance(0);
  assert.deepEqual(client.socket.closings, [UNAUTHORIZED]);
});

Deno.test("Of two auths at once the second is refused and the first counts", async () => {
  using world = watched();
  const { service, client, answers } = world;
  const first = Promise.withResolvers<Scope>();
  answers.push(first.promise);
  client.say(AUTH);
  client.say(AUTH.replace('"id":1', '"id":2'));
  assert.deepEqual(client.texts(), [
    '{"type":"error","message":"Another auth is still being verified","code":"invalid_message","id":2}',
  ]);
  first.resolve(await world.until(10 * MINUTE_MS));
  await service.clock.advance(0);
  assert.match(client.texts().join(), /"authenticated".*"id":1/);
  answers.push(world.until(11 * MINUTE_MS));
  client.say(AUTH);
  await service.clock.advance(0);
  assert.match(client.texts().join(), /"authenticated"/, "the next one is free again");
});

Deno.test("A token that ends while its successor is verified ends the socket, whatever comes of that", async () => {
  for (const isGood of [true, false]) {
    using world = watched();
    const { service, client, answers } = world;
    const verdict = Promise.withResolvers<Scope>();
    answers.push(verdict.promise);
    await service.clock.advance(2 * MINUTE_MS - 1);
    client.say(AUTH);
    await service.clock.advance(1);
    if (isGood) verdict.resolve(await world.until(10 * MINUTE_MS));
    else verdict.reject(new AuthError("not_allowed", "No"));
    await service.clock.advance(0);
    assert.deepEqual(client.socket.closings, [EXPIRED]);
    assert.deepEqual(client.take(), []);
  }
});

Deno.test("An auth that is verified after the socket has gone starts nothing", async () => {
  for (const isGood of [true, false]) {
    using world = watched();
    const { service, client, answers } = world;
    const verdict = Promise.withResolvers<Scope>();
    answers.push(verdict.promise);
    client.say(AUTH);
    client.leave(1001);
    if (isGood) verdict.resolve(await world.until(10 * MINUTE_MS));
    else verdict.reject(new AuthError("not_allowed", "No"));
    await service.clock.advance(1_000);
    assert.equal(service.clock.timerCount, 0);
    assert.deepEqual(client.take(), []);
    assert.deepEqual(client.socket.closings, []);
  }
});

Deno.test("A disconnect leaves no timer, whoever began it", async () => {
  using world = watched();
  const { service, client } = world;
  const other = service.connect();
  client.leave(1001);
  other.connection.close(4008, "Too slow for too long");
  other.leave(1006);
  await service.clock.advance(1_000);
  assert.equal(service.clock.timerCount, 0);
});

Deno.test("No token stands in a log record or in what is sent, whatever becomes of an auth", async () => {
  using world = watched();
  const { service, client, answers } = world;
  answers.push(Promise.reject(new TypeError("broken")), world.until(3 * MINUTE_MS));
  for (const text of [AUTH, AUTH, AUTH, `{"action":"auth","token":{"a":"${SECRET_TOKEN}"}}`]) {
    client.say(text);
    await service.clock.advance(0);
  }
  assert.equal(client.take().length, 4);
  assertNoToken(service.log, [SECRET_TOKEN]);
  for (const { text } of client.socket.writes.flat()) assert(!text?.includes("-of-the-token"));
});

Deno.test("A token that lives longer than a timer can wait is not ended by it", async () => {
  const clock = fakeClock();
  const days = 86_400_000;
  const waits: number[] = [];
  const events: string[] = [];
  const deadlines = new Deadlines({
    ...clock,
    setTimeout: (act, ms) => (waits.push(ms), clock.setTimeout(act, ms)),
  });
  const life = new TokenLife({
    expiresAt: clock.now() + 60 * days,
    clock,
    deadlines,
    holder: {
      tokenExpiring: () => events.push("expiring"),
      tokenExpired: () => events.push("expired"),
    },
  });
  await clock.advance(60 * days - MINUTE_MS - 1);
  assert.deepEqual(events, []);
  assert(waits.every((ms) => ms <= 2 ** 31 - 1), waits.join());
  await clock.advance(1);
  assert.deepEqual(events, ["expiring"]);
  await clock.advance(MINUTE_MS);
  assert.deepEqual(events, ["expiring", "expired"]);
  life[Symbol.dispose]();
  assert.equal(clock.timerCount, 0);
});

Deno.test("A warning that can't be sent does not keep the token from ending", async () => {
  const clock = fakeClock();
  let isOver = false;
  const deadlines = new Deadlines({
    ...clock,
    setTimeout: (act, ms) =>
      clock.setTimeout(() => {
        try {
          act();
        } catch (error) {
          assert.match(String(error), /full/);
        }
      }, ms),
  });
  using _life = new TokenLife({
    expiresAt: clock.now() + MINUTE_MS,
    clock,
    deadlines,
    holder: {
      tokenExpiring: () => {
        throw new Error("full");
      },
      tokenExpired: () => isOver = true,
    },
  });
  await clock.advance(MINUTE_MS);
  assert(isOver);
});
