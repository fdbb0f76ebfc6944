// Whatever listeners and loops to single devices and to all of them do on one connection, and whenever that is cut: each
// is given each stored sample from where it began, once and in order.
import fc from "fast-check";
import { FleetListeners, type Wish } from "./fleet_listeners.ts";

const DEVICES = ["a", "b"] as const;

/** One thing that happens; what is picked is taken modulo what there is. */
type Act =
  | { readonly act: "store"; readonly deviceId: string; readonly agoSeconds: number }
  | { readonly act: "tick" }
  | { readonly act: "answer"; readonly pick: number }
  | { readonly act: "page" | "take"; readonly pick: number; readonly atMost: number }
  | { readonly act: "wait"; readonly seconds: number }
  | { readonly act: "cut"; readonly writes: readonly string[]; readonly awayMs: number }
  | { readonly act: "join"; readonly wish: Wish }
  | { readonly act: "leave"; readonly pick: number };

const pick = fc.nat(9);
const deviceId = fc.constantFrom(...DEVICES, "a");
const wish: fc.Arbitrary<Wish> = fc.oneof(
  fc.record({
    deviceId: fc.constantFrom(...DEVICES),
    historySeconds: fc.constantFrom(null, null, 20, 60),
    bufferSize: fc.constantFrom(null, null, 2),
  }),
  fc.record({
    deviceId: fc.constant("*"),
    historySeconds: fc.constantFrom(null, null, 20, 60),
    bufferSize: fc.constantFrom(null, 2, 2, 3),
  }),
);

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      act: fc.constant("store" as const),
      deviceId,
      agoSeconds: fc.constantFrom(0, 0, 0, 3, 8),
    }),
  },
  { weight: 5, arbitrary: fc.record({ act: fc.constant("tick" as const) }) },
  { weight: 4, arbitrary: fc.record({ act: fc.constant("answer" as const), pick }) },
  {
    weight: 5,
    arbitrary: fc.record({
      act: fc.constant("page" as const),
      pick,
      atMost: fc.integer({ min: 0, max: 4 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      act: fc.constant("take" as const),
      pick,
      atMost: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant("wait" as const),
      seconds: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant("cut" as const),
      writes: fc.array(deviceId, { maxLength: 4, size: "max" }),
      awayMs: fc.integer({ min: 0, max: 400 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ act: fc.constant("join" as const), wish }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("leave" as const), pick }) },
);

Deno.test("listeners and loops to devices and to all of them have each sample once, over any mixture of cuts, pauses, joins and leaves", async () => {
  const seed = Deno.env.get("PROPERTY_SEED");
  const path = Deno.env.get("PROPERTY_PATH");
  const acts = fc.array(act, { minLength: 5, maxLength: 60, size: "max" });
  await fc.assert(
    fc.asyncProperty(acts, async (acts) => {
      using listeners = new FleetListeners();
      await listeners.connect();
      for (const next of acts) {
        await listeners.settle();
        await take(listeners, next);
        await listeners.settle();
      }
      await listeners.check();
    }),
    // The seed and the path of a failure are in its message; PROPERTY_SEED and PROPERTY_PATH play it again.
    {
      numRuns: 2_000,
      ...(seed === undefined ? {} : { seed: Number(seed) }),
      ...(path === undefined ? {} : { path }),
    },
  );
});

async function take(listeners: FleetListeners, next: Act): Promise<void> {
  const { service } = listeners;
  switch (next.act) {
    case "store":
      return service.store(next.deviceId, next.agoSeconds);
    case "tick":
      return service.tick();
    case "answer":
      return void service.answer(next.pick);
    case "page":
      return void service.page(next.pick, next.atMost);
    case "take":
      return await listeners.take(next.pick, next.atMost);
    case "wait":
      return await listeners.pass(next.seconds * 1_000);
    case "join":
      return await listeners.join(next.wish);
    case "leave":
      return listeners.leave(next.pick);
    case "cut": {
      const write = () =>
        next.writes.forEach((deviceId, n) => service.store(deviceId, (3 * n) % 7));
      return await listeners.cut(write, next.awayMs);
    }
  }
}
