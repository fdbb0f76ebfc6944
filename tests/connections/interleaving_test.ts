// Whatever clients and databases do, in whatever order: counts hold, nobody reads for nobody, tenants never meet, and
// who follows every sample has each of them once.
import fc from "fast-check";
import { SourceError } from "../../src/sources/source_error.ts";
import { type Wish, World } from "./world.ts";
import type { AlertMode, Client, Mode } from "./world_client.ts";
import type { SourceName } from "./world_sources.ts";

const TENANTS = ["acme", "globex", "initech"] as const;
/** The tenant whose reads may also fail for reasons of its own, so that it is paused longer than a test waits. */
const PAUSED_TENANT = "initech";
const SERVED_TENANTS = TENANTS.filter((tenantId) => tenantId !== PAUSED_TENANT);
const DEVICES = ["dev-1", "dev-2", "dev-3"] as const;
const FEATURES = ["batch", "as_of", "notices"] as const;

/** One thing that happens; clients are named by a number that is taken modulo those there are. */
type Step =
  | { readonly act: "connect"; readonly tenantId: string }
  | { readonly act: "store"; readonly tenantId: string; readonly deviceId: string }
  | {
    readonly act: "alert";
    readonly tenantId: string;
    readonly change: "open" | "close" | "pass";
  }
  | { readonly act: ClientAct; readonly client: number; readonly deviceId: string }
  | {
    readonly act: "follow";
    readonly client: number;
    readonly deviceIds: readonly string[];
    readonly wish: Wish;
  }
  | { readonly act: "followAll"; readonly client: number; readonly wish: Wish }
  | {
    readonly act: "followAlerts";
    readonly client: number;
    readonly mode: AlertMode;
    readonly backMs: number | null;
  }
  | { readonly act: "hello"; readonly client: number; readonly features: readonly string[] }
  | { readonly act: "pass"; readonly ms: number }
  | { readonly act: "fail"; readonly source: SourceName; readonly tenantId: string }
  | { readonly act: "hold" | "release"; readonly source: SourceName }
  | { readonly act: "heal" };

const CLIENT_ACTS = [
  "unfollow",
  "unfollowAll",
  "unfollowAlerts",
  "followFleet",
  "unfollowFleet",
  "fill",
  "drain",
  "disconnect",
] as const;
type ClientAct = (typeof CLIENT_ACTS)[number];

const tenantId = fc.constantFrom(...TENANTS);
const deviceId = fc.constantFrom(...DEVICES);
const source = fc.constantFrom<SourceName[]>("telemetry", "alerts");
const client = fc.nat({ max: 11 });
const backMs = fc.option(fc.constantFrom(0, 400, 3_000, 60_000));
const wish: fc.Arbitrary<Wish> = fc.record({
  mode: fc.constantFrom<Mode[]>("latest", "every"),
  backMs,
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ act: fc.constant("connect" as const), tenantId }) },
  { weight: 5, arbitrary: fc.record({ act: fc.constant("store" as const), tenantId, deviceId }) },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant("alert" as const),
      tenantId,
      change: fc.constantFrom("open" as const, "close" as const, "pass" as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      act: fc.constant("follow" as const),
      client,
      deviceIds: fc.subarray([...DEVICES], { minLength: 1 }),
      wish,
    }),
  },
  { weight: 2, arbitrary: fc.record({ act: fc.constant("followAll" as const), client, wish }) },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant("followAlerts" as const),
      client,
      mode: fc.constantFrom<AlertMode[]>("list", "changes"),
      backMs,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant("hello" as const),
      client,
      features: fc.subarray([...FEATURES]),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ act: fc.constantFrom(...CLIENT_ACTS), client, deviceId }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant("pass" as const),
      ms: fc.constantFrom(0, 5, 60, 300, 1_000, 2_500),
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("fail" as const), source, tenantId }) },
  {
    weight: 2,
    arbitrary: fc.record({ act: fc.constantFrom("hold" as const, "release" as const), source }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("heal" as const) }) },
);

Deno.test("No interleaving of clients and failing databases breaks a count, a tenant's bounds or the order of time", () =>
  holds({ workers: 1, numRuns: 1_000 }));

Deno.test("No such interleaving breaks any of it where clients are spread over workers that share the feeds", () =>
  holds({ workers: 2, numRuns: 500 }));

async function holds(
  { workers, numRuns }: { readonly workers: number; readonly numRuns: number },
): Promise<void> {
  const seed = Deno.env.get("PROPERTY_SEED");
  const path = Deno.env.get("PROPERTY_PATH");
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 50, size: "max" }),
      async (steps) => {
        using world = new World({ workers });
        for (const next of steps) {
          await take(world, next);
          world.check();
        }
        await world.heal(SERVED_TENANTS);
        world.check();
        world.checkSettled(SERVED_TENANTS);
        for (const client of world.clients) {
          if (client.isConnected) world.disconnect(client);
        }
        world.check();
        await world.checkEmpty();
        world.check();
      },
    ),
    // The seed and the path of a failure are in its message; PROPERTY_SEED and PROPERTY_PATH play it again.
    {
      numRuns,
      ...(seed === undefined ? {} : { seed: Number(seed) }),
      ...(path === undefined ? {} : { path }),
    },
  );
}

async function take(world: World, step: Step): Promise<void> {
  switch (step.act) {
    case "connect":
      return world.connect(step.tenantId);
    case "store":
      return world.store(step.tenantId, step.deviceId);
    case "alert":
      return world.alert(step.tenantId, step.change);
    case "pass":
      return await world.pass(step.ms);
    case "fail": {
      const kind = step.tenantId === PAUSED_TENANT ? "missing" : "unavailable";
      const error = new SourceError(kind, "No answer");
      return world.fail(step.source, { tenantId: step.tenantId, error });
    }
    case "hold":
    case "release":
      return world[step.act](step.source);
    case "heal":
      return await world.heal(SERVED_TENANTS);
    default: {
      // Those that left are asked as well: what they still say must change nothing.
      const client = world.clients[step.client % Math.max(1, world.clients.length)];
      if (client !== undefined) act(world, client, step);
    }
  }
}

function act(world: World, client: Client, step: Extract<Step, { client: number }>): void {
  switch (step.act) {
    case "follow":
      return world.follow(client, step.deviceIds, step.wish);
    case "followAll":
      return world.followAll(client, step.wish);
    case "followAlerts":
      return world.followAlerts(client, step);
    case "hello":
      return world.hello(client, step.features);
    case "unfollow":
      return world.unfollow(client, step.deviceId);
    case "disconnect":
      return client.isConnected ? world.disconnect(client) : client.real.leave();
    default:
      return world[step.act](client);
  }
}
