// Samples that come late: within LATE_SECONDS they are live, once; beyond it they are in the database only.
import assert from "node:assert/strict";
import { systemClock } from "../../src/clock.ts";
import { instantOfNanos } from "../../src/protocol/nano_instant.ts";
import { openSources } from "../../src/sources/open_sources.ts";
import type { TestClient } from "../support/client.ts";
import { openPostgres } from "../support/postgres.ts";
import { startService } from "../support/service.ts";
import { pause } from "../support/until.ts";
import { IMPLEMENTATIONS } from "./implementations.ts";
import type { NumberedSample } from "./numbered_sample.ts";

const POLL_MS = 250;
const WAIT = { timeoutMs: 30_000 } as const;

for (const { name, missing, open } of IMPLEMENTATIONS) {
  Deno.test({
    name:
      `A sample that is late by less than LATE_SECONDS comes live once, a later one is history only, on ${name}${
        missing === null ? "" : ` (left out: ${missing})`
      }`,
    ignore: missing !== null,
    async fn() {
      await using postgres = await openPostgres();
      await using store = await open(postgres);
      const now = BigInt(Date.now()) * 1_000_000n;
      const sample = (n: number, secondsAgo: number, deviceId = "dev-1"): NumberedSample => ({
        deviceId,
        timestamp: instantOfNanos(now - BigInt(secondsAgo) * 1_000_000_000n),
        n,
      });
      // A device that fell silent holds the bound of the shared read back.
      await store.write([sample(1, 30), sample(1, 300, "dev-2")]);
      await using service = await startService({
        settings: {
          DATABASE_URL: postgres.appUrl,
          ...store.settings,
          WS_POLL_SECONDS: String(POLL_MS / 1_000),
          LATE_SECONDS: "6",
        },
        sources: (config, log) => openSources(config, { clock: systemClock, log }),
      });
      await using client = await service.connect();
      const since = sample(0, 600).timestamp;
      await follow(client, since);
      const newest = sample(2, 0);
      await store.write([newest]);
      await arrived(client, newest);
      const late = sample(3, 5);
      const tooLate = sample(4, 60);
      await store.write([late, tooLate]);
      await arrived(client, late);
      const next = { ...sample(5, 0), timestamp: instantOfNanos(now + 1_000n) };
      await store.write([next]);
      await arrived(client, next);
      await pause(4 * POLL_MS);
      assert.deepEqual(numbers(client, "telemetry"), [2, 3, 5]);

      await using later = await service.connect();
      await follow(later, since);
      assert.deepEqual(numbers(later, "history"), [4, 1, 3, 2, 5]);
    },
  });
}

/** Follows both devices from an instant on; resolves when their histories are here. */
async function follow(client: TestClient, since: string): Promise<void> {
  client.send({
    action: "subscribe",
    type: "device",
    device_ids: ["dev-1", "dev-2"],
    mode: "every",
    since,
  });
  for (const deviceId of ["dev-1", "dev-2"]) {
    await client.next(
      ({ type, device_id, done }) => type === "history" && device_id === deviceId && done,
      WAIT,
    );
  }
}

async function arrived(client: TestClient, { n }: NumberedSample): Promise<void> {
  await client.next(({ type, data }) => type === "telemetry" && data.metrics.n === n, WAIT);
}

/** Of the first device, in the order of their arrival. */
function numbers(client: TestClient, type: "history" | "telemetry"): readonly number[] {
  return client.messages
    .filter((message) => message.type === type && message.device_id === "dev-1")
    .flatMap(({ data, samples }) => type === "history" ? samples : [data])
    .map(({ metrics }) => metrics.n);
}
