// Whatever happens between a client and a service that keeps its promises: each listener is given each sample once.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { DeviceSample, Stop } from "../../src/client/pulsewire_client.ts";
import { clientWorld, START_MS } from "./client_fixture.ts";
import { ModelService } from "./model_service.ts";

interface Listening {
  readonly given: DeviceSample[];
  /** What is stored later, or is not older than `from`, is its due. */
  readonly from: string;
  readonly stop: Stop;
}

const act = fc.oneof(
  { weight: 6, arbitrary: fc.record({ name: fc.constant("store"), by: fc.constant(0) }) },
  {
    weight: 2,
    arbitrary: fc.record({ name: fc.constant("store"), by: fc.integer({ min: -9, max: -1 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ name: fc.constant("store"), by: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 4, arbitrary: fc.record({ name: fc.constant("tick"), by: fc.constant(0) }) },
  {
    weight: 4,
    arbitrary: fc.record({ name: fc.constant("page"), by: fc.integer({ min: 0, max: 6 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ name: fc.constant("wait"), by: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ name: fc.constant("cut"), by: fc.integer({ min: 0, max: 40 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ name: fc.constant("join"), by: fc.integer({ min: 0, max: 60 }) }),
  },
  { weight: 1, arbitrary: fc.record({ name: fc.constant("leave"), by: fc.nat(9) }) },
);

Deno.test("over any mixture of writes, cuts, sleeps, joins and leaves, each listener has each sample once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 80, size: "max" }), async (acts) => {
      using world = clientWorld();
      const second = () => Math.floor((world.clock.now() - START_MS) / 1_000);
      const service = new ModelService({ second });
      const listening: Listening[] = [];
      const settle = async (atMost: number) => {
        await world.settle();
        service.answer();
        service.page(atMost);
        await world.settle();
      };
      const join = async (seconds: number) => {
        const given: DeviceSample[] = [];
        const options = seconds === 0 ? {} : { historySeconds: seconds };
        const stop = world.client.device("d", { mode: "every", ...options }, (sample) => {
          given.push(sample);
        });
        // Without history its due begins when the service has taken it in.
        if (seconds === 0) { for (let pass = 0; pass < 4; pass++) await settle(1_000); }
        const begin = new Date(world.clock.now() - seconds * 1_000 + 1_000).toISOString();
        const newest = service.stored.map(({ timestamp }) => timestamp).sort().at(-1) ?? "";
        listening.push({ given, from: seconds === 0 && newest > begin ? newest : begin, stop });
      };
      const connect = async () => {
        for (let wait = 0; world.socket().readyState !== 0; wait++) {
          assert.ok(wait < 60, "it did not come back");
          await world.clock.advance(1_000);
        }
        service.accept(await world.greet());
        service.answer();
      };
      world.client.connect();
      await world.settle();
      await connect();
      await join(0);
      for (const { name, by } of acts) {
        await world.settle();
        service.answer();
        if (name === "store") service.store(by);
        else if (name === "tick") service.tick();
        else if (name === "page") await settle(by);
        else if (name === "join") await join(by);
        else if (name === "leave") listening.splice(1 + by, 1)[0]?.stop();
        else if (name === "wait") {
          await world.clock.advance(by * 1_000);
          world.socket().say({ type: "pong" });
          // A service that is there reads its database all the time.
          service.tick();
        } else {
          world.socket().end(1006);
          for (let n = 0; n < by; n += 10) service.store(-(n % 7));
          await world.clock.advance(by * 10);
          await connect();
        }
      }
      for (let pass = 0; pass < 8; pass++) await settle(1_000);
      service.tick();
      for (const { given, from } of listening) {
        const timestamps = given.map(({ timestamp }) => timestamp);
        assert.equal(new Set(timestamps).size, timestamps.length, "a sample was given twice");
        const due = service.stored.filter(({ timestamp }) => timestamp > from);
        const missing = due.filter(({ timestamp }) => !timestamps.includes(timestamp));
        assert.deepEqual(missing, [], "a sample was not given");
      }
    }),
    { numRuns: 500 },
  );
});
