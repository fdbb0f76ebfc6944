// Plays every example of docs/asyncapi.yaml against a running service: what clients send is answered as it says, and what
// the service sends can be made to come.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { EXAMPLE_PLANT, EXAMPLE_TOKEN } from "../../tools/api/example_plant.ts";
import type { Message, TestClient } from "../support/client.ts";
import { outage } from "../support/fake_sources.ts";
import { assertDocumented, type Plant, startPlant } from "./example_plant.ts";

interface DocumentedMessage {
  readonly examples: ReadonlyArray<{ readonly name: string; readonly payload: Message }>;
  readonly "x-answers"?: Readonly<Record<string, Message>>;
  readonly "x-sent"?: Readonly<Record<string, string>>;
}

const document = parse(
  readFileSync(new URL("../../docs/asyncapi.yaml", import.meta.url), "utf8"),
);
const messages = Object.entries<DocumentedMessage>(document.components.messages);

/** What comes unasked, or because somebody follows. */
const PUSHES: readonly string[] = document.operations.push.messages.map((
  { $ref }: { $ref: string },
) => $ref.split("/").at(-1));

interface Scene {
  readonly plant: Plant;
  readonly client: TestClient;
  /** The next message of the type that fits. */
  next(type: string, fits?: (message: Message) => boolean): Promise<Message>;
}

const follow = (fields: Message = {}) => ({
  action: "subscribe",
  type: "device",
  device_id: "dev-0001",
  ...fields,
});
const ALERTS = { action: "subscribe", type: "alerts" };
const hello = (...features: string[]) => ({ action: "hello", features });

interface Script {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly play: (scene: Scene) => Promise<Message>;
}

/** How each push is made to come, by its message and the example's name. */
const SCRIPTS: Readonly<Record<string, Script>> = {
  "server_telemetry.newest": {
    play({ client, next }) {
      client.send(follow());
      return next("telemetry");
    },
  },
  "server_telemetry.chosen_and_dated": {
    play({ client, next }) {
      client.send(hello("as_of"));
      client.send(follow({ metrics: ["temp_c"] }));
      return next("telemetry");
    },
  },
  "server_alerts.open": {
    play({ client, next }) {
      client.send(ALERTS);
      return next("alerts");
    },
  },
  "server_alerts.none": {
    play({ plant, client, next }) {
      plant.sources.setAlerts("acme", []);
      client.send(ALERTS);
      return next("alerts");
    },
  },
  "server_alert_changes.opened_and_closed": {
    async play({ plant, client, next }) {
      client.send({ ...ALERTS, mode: "changes" });
      await next("alerts");
      plant.sources.setAlerts("acme", EXAMPLE_PLANT.laterAlerts);
      return await next("alert_changes");
    },
  },
  "server_fleet.counts": {
    play({ client, next }) {
      client.send({ action: "subscribe", type: "fleet" });
      return next("fleet", ({ devices, alerts }) => devices !== null && alerts !== null);
    },
  },
  "server_history.last_page": {
    play({ client, next }) {
      const since = "2026-11-18T11:05:00Z";
      client.send(follow({ mode: "every", metrics: ["temp_c"], since, id: "r1" }));
      return next("history", ({ done }) => done);
    },
  },
  "server_batch.one_tick": {
    play({ client, next }) {
      client.send(hello("batch"));
      client.send(follow());
      return next("batch");
    },
  },
  "server_token_expiring.a_minute_left": {
    claims: { exp: EXAMPLE_PLANT.nowMs / 1_000 + 50 },
    play({ client, next }) {
      client.send(hello("notices"));
      return next("token_expiring");
    },
  },
  "server_reconnect.restart": {
    async play({ plant, client, next }) {
      client.send(hello("notices"));
      await next("hello");
      const left = plant.service.stop();
      const message = await next("reconnect");
      await plant.passing(left);
      return message;
    },
  },
  "server_status.degraded": {
    play({ plant, client, next }) {
      const { sources } = plant;
      const since = EXAMPLE_PLANT.nowMs;
      sources.telemetryFault = outage;
      Object.assign(sources, {
        state: () => ({
          telemetry: { state: "degraded", since, retryAt: since + 60_000 },
          alerts: { state: "ok", since: 0, retryAt: null },
        }),
      });
      client.send(hello("notices"));
      client.send(follow());
      return next("status");
    },
  },
  "server_stale.silent": {
    play({ client, next }) {
      client.send(hello("notices"));
      client.send(follow({ device_id: "dev-0003" }));
      return next("stale");
    },
  },
};

async function withClient(
  claims: Readonly<Record<string, unknown>>,
  act: (scene: Scene) => Promise<void>,
): Promise<void> {
  await using plant = await startPlant();
  const client = await plant.passing(plant.service.connect(await claimsAt(plant, claims)));
  const next: Scene["next"] = (type, fits = () => true) =>
    plant.passing(client.next((message) => message.type === type && fits(message)));
  try {
    await act({ plant, client, next });
  } finally {
    await plant.passing(client.close());
  }
}

/** Claims whose instants are of the plant's time. */
function claimsAt({ clock }: Plant, claims: Readonly<Record<string, unknown>>) {
  const now = Math.floor(clock.now() / 1_000);
  return { iat: now, exp: now + 3_600, ...claims };
}

for (const [name, message] of messages.filter(([name]) => name.startsWith("client_"))) {
  Deno.test(`Every example of ${name} is answered as the document says`, async () => {
    assert.ok(message.examples.length > 0);
    for (const { name: example, payload } of message.examples) {
      await withClient({}, async ({ plant, client }) => {
        client.send(
          payload.token === EXAMPLE_TOKEN ? { ...payload, token: await plant.token() } : payload,
        );
        const answer = await plant.passing(
          client.next(({ type }) => !PUSHES.includes(`server_${type}`)),
        );
        assertDocumented(answer, message["x-answers"]?.[example], example);
      });
    }
  });
}

Deno.test("Every error that the document shows answers what it says was sent", async () => {
  const { examples, "x-sent": sent = {} } = document.components.messages.server_error;
  assert.ok(examples.length > 5);
  for (const { name, payload } of examples as DocumentedMessage["examples"]) {
    await withClient({}, async ({ plant, client }) => {
      if (name === "limit_exceeded") {
        const device_ids = Array.from({ length: 500 }, (_, index) => `other-${index}`);
        client.send({ action: "subscribe", type: "device", device_ids });
      }
      client.send(sent[name] ?? assert.fail(`${name} says nothing of what was sent`));
      const error = await plant.passing(client.next(({ type }) => type === "error"));
      assertDocumented(error, payload, name);
    });
  }
});

Deno.test("Every push and notice that the document shows comes so from a running service", async () => {
  const shown = messages.filter(([name]) => PUSHES.includes(name)).flatMap(([name, { examples }]) =>
    examples.map((example) => ({ key: `${name}.${example.name}`, payload: example.payload }))
  );
  assert.deepEqual(shown.map(({ key }) => key).sort(), Object.keys(SCRIPTS).sort());
  for (const { key, payload } of shown) {
    const { play, claims = {} } = SCRIPTS[key] ?? assert.fail(key);
    await withClient(claims, async (scene) => assertDocumented(await play(scene), payload, key));
  }
});
