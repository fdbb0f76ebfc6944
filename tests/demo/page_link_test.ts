// The page's link to the real service: it asks for notices, renews its token, and comes back when it is told to.
import assert from "node:assert/strict";
import { Link } from "../../src/dashboard/page_link.js";
import type { Message } from "../support/client.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";

interface Phase {
  readonly name: string;
  readonly retryAt?: number;
  readonly reason?: string;
}

async function follow(
  service: TestService,
  { claims = {}, devices = ["dev-0001"] }: {
    claims?: Record<string, unknown>;
    devices?: readonly string[];
  } = {},
) {
  const phases: Phase[] = [];
  const messages: Message[] = [];
  const link = new Link({
    url: new URL(service.socketUrl()),
    token: await signToken(claims),
    subscriptions: [
      ...devices.map((id) => ({ action: "subscribe", type: "device", device_id: id })),
      { action: "subscribe", type: "alerts" },
    ],
    onPhase: (phase: Phase) => void phases.push(phase),
    onMessage: (message: Message) => void messages.push(message),
  });
  const of = (type: string) => messages.filter((message) => message.type === type);
  return {
    link,
    phases,
    of,
    phase: () => phases.at(-1)?.name,
    // Its close is heard by nobody but the service.
    async [Symbol.asyncDispose]() {
      link.close();
      await until(() => service.app.manager.connectionCount === 0);
    },
  };
}

Deno.test("the page's link renews its token when it is told that it ends", async () => {
  await using service = await startService({
    sources: fakeSources(),
    settings: { JWT_CLOCK_TOLERANCE_SECONDS: "0" },
  });
  const exp = Math.ceil(Date.now() / 1_000) + 61;
  await using page = await follow(service, { claims: { exp } });
  await until(() => page.of("token_expiring").length === 1);
  page.link.renew(await signToken({ exp: exp + 600 }));
  await until(() => page.of("authenticated").length === 1);
  assert.equal(
    page.of("authenticated")[0]?.expires_at,
    new Date((exp + 600) * 1_000).toISOString(),
  );
  assert.deepEqual(page.of("error"), []);
  assert.equal(service.log.of("connected").length, 1);
});

Deno.test("the page's link leaves with the service, waits as long as it was asked to, and follows again", async () => {
  let service = await startService({ sources: fakeSources() });
  const { port } = service;
  const page = await follow(service);
  await until(() => page.of("subscribed").length === 2);
  await service.stop();
  await until(() => page.phase() === "waiting");
  const [told] = page.of("reconnect");
  assert.ok(told !== undefined);
  const asked = page.phases.filter(({ name }) => name === "waiting").map(({ retryAt = 0 }) =>
    retryAt
  );
  assert.ok(asked.length > 1, "the close forgot what the notice asked");
  assert.ok(Math.max(...asked) - Math.min(...asked) < 50, `told ${told.after_ms}: ${asked}`);
  service = await startService({ sources: fakeSources(), settings: { PORT: String(port) } });
  await until(() => page.of("subscribed").length === 4);
  await page[Symbol.asyncDispose]();
  await service.stop();
});

Deno.test("the page's link never sends faster than the service takes, nor more than it follows", async () => {
  await using service = await startService({
    sources: fakeSources(),
    settings: { MAX_MESSAGES_PER_SECOND: "5", MAX_SUBSCRIPTIONS: "50" },
  });
  const devices = Array.from({ length: 60 }, (_, index) => `dev-${index}`);
  await using page = await follow(service, { devices });
  await until(() => page.of("subscribed").length === 51);
  assert.deepEqual(page.of("error").map(({ message }) => message), [
    "Only the first 50 of 60 devices are followed",
  ]);
  assert.equal(service.app.ledger.crossings("messages_per_second"), 0);
});
