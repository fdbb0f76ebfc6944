// Whatever is written while clients catch up, lag and catch up again: each sample that is theirs reaches them once.
import assert from "node:assert/strict";
import fc from "fast-check";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import { DEVICES, FUTURE_MS, World } from "./catch_up_world.ts";

const device = fc.constantFrom(...DEVICES);
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      act: fc.constant("write"),
      deviceId: device,
      n: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant("late"),
      deviceId: device,
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant("ahead"),
      deviceId: device,
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ act: fc.constant("pass"), ms: fc.integer({ min: 1, max: 4_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant("block"),
      client: fc.nat(3),
      ms: fc.integer({ min: 1, max: 30_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant("join"),
      backMs: fc.option(fc.integer({ min: 0, max: 40_000 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom("fail", "heal", "spoil") }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const options = fc.record({
  pollMs: fc.constantFrom(500, 1_000, 5_000),
  feedReadMs: fc.constantFrom(0, 20, 700),
  historyReadMs: fc.constantFrom(0, 30, 400, 900),
  pageSamples: fc.constantFrom(2, 5, 20, 100),
});

Deno.test("Each stored sample later than a client's instant reaches it once, whatever happens meanwhile", async () => {
  const seed = Deno.env.get("PROPERTY_SEED");
  await fc.assert(
    fc.asyncProperty(
      options,
      fc.array(step, { minLength: 5, maxLength: 60, size: "max" }),
      async (worldOptions, steps) => {
        const world = new World(worldOptions);
        const feed = world.feed();
        try {
          for (const next of steps) await take(world, next);
          world.isDown = false;
          await world.settle();
          check(world);
        } finally {
          world.end();
          await feed;
        }
      },
    ),
    // The seed of a failure is in its message; PROPERTY_SEED plays it again.
    { numRuns: 300, ...(seed === undefined ? {} : { seed: Number(seed) }) },
  );
});

async function take(world: World, next: Step): Promise<void> {
  const now = world.clock.now();
  switch (next.act) {
    case "write":
      for (let n = 0; n < next.n; n++) world.write(next.deviceId, now);
      return;
    case "late": {
      const oldest = world.oldestLate(next.deviceId);
      world.write(next.deviceId, oldest + (now - oldest) * next.part);
      return;
    }
    case "ahead":
      world.write(next.deviceId, now + (FUTURE_MS - 1_000) * next.part);
      return;
    case "pass":
      return await world.clock.advance(next.ms);
    case "block":
      world.clients[next.client]?.block(next.ms);
      return;
    case "join":
      if (world.clients.length === 4) return;
      world.join({ after: next.backMs === null ? null : instantOfMs(now - next.backMs) });
      return;
    case "spoil":
      world.partialFaults = 2;
      return;
    default:
      world.isDown = next.act === "fail";
  }
}

function check(world: World): void {
  for (const client of world.clients) {
    assert.ok(client.isSettled, "A client has not caught up");
    for (const deviceId of DEVICES) {
      const received = client.received.get(deviceId) ?? [];
      const { after } = client;
      const stored = [...world.stored(deviceId)].sort();
      const got = [...received].sort();
      if (after === null) {
        // What was stored just before it came may come when it lags; nothing later is missing, and nothing comes twice.
        assert.deepEqual(got, [...new Set(got)]);
        const seen = new Set(got);
        const missing = stored.filter((timestamp) => !seen.has(timestamp));
        assert.deepEqual(missing.filter((timestamp) => client.isOwed(deviceId, timestamp)), []);
      } else {
        assert.deepEqual(got, stored.filter((timestamp) => timestamp > after));
      }
    }
  }
}
