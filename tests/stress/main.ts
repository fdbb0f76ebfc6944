// A minute of ordinary and adversarial clients against the real service on real databases that break and come back,
// and then the reckoning: nobody's data wrong, nothing left. Exits with 1 on any breach.
//
// Usage: deno task stress   STRESS_SECONDS (60), STRESS_CLIENTS (200) and PROPERTY_SEED may be set
import { Random, SEED } from "../fuzz/seeded.ts";
import { SubjectProcess } from "../fuzz/subject_process.ts";
import { findInfluxd, openInfluxd } from "../support/influxd.ts";
import { findPostgres, openPostgres } from "../support/postgres.ts";
import { TEST_SECRET } from "../support/tokens.ts";
import { pause, until } from "../support/until.ts";
import { ADVERSARIES, attackUntil } from "./adversaries.ts";
import { breakUntil } from "./faults.ts";
import { fillDatabases, TENANTS, writeUntil } from "./fleet.ts";
import { StressLedger } from "./ledger.ts";
import { OrdinaryClient } from "./ordinary_client.ts";

const SECONDS = numberOf("STRESS_SECONDS", 60);
const CLIENTS = numberOf("STRESS_CLIENTS", 200);
const MAX_READS = 8;
/** Both sources keep their connections: as many as reads may be under way, and one to look. */
const SOURCE_DESCRIPTORS = 2 * (MAX_READS + 1) + 4;
const MAX_HEAP_GROWTH_BYTES = 16 * 1024 * 1024;
const MAX_RSS_GROWTH_BYTES = 256 * 1024 * 1024;
/** The longest retry delay, and a tick. */
const RECOVERY_MS = 40_000;

if (findPostgres() === null || findInfluxd() === null) {
  console.error("Cannot run the stress: it needs an installed PostgreSQL and influxd 1.x");
  Deno.exit(2);
}

const random = new Random(SEED);
const ledger = new StressLedger(String(SEED));
console.log(`PROPERTY_SEED=${SEED}, ${SECONDS} s, ${CLIENTS} ordinary clients`);
const startedAt = performance.now();

try {
  await stress();
} catch (error) {
  ledger.breach("The stress itself failed", error instanceof Error ? error.stack! : String(error));
}
console.log(`\n${ledger.table()}\n`);
const verdict = ledger.hasBreach ? "FAILED" : "passed";
const took = ((performance.now() - startedAt) / 1_000).toFixed(0);
console.log(`stress ${verdict} after ${took} s, play it again with PROPERTY_SEED=${SEED}`);
Deno.exit(ledger.hasBreach ? 1 : 0);

async function stress(): Promise<void> {
  await using postgres = await openPostgres();
  await using influxd = await openInfluxd();
  await fillDatabases({ influxd, postgres });
  await using service = await startService({
    DATABASE_URL: postgres.appUrl,
    INFLUXDB_URL: influxd.url,
  });
  const { port } = await service.ask("port") as { port: number };
  const url = `ws://127.0.0.1:${port}/api/v2/ws`;
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const writing = new AbortController();
  const writer = writeUntil(writing.signal, { influxd, ledger, everyMs: 500 });

  const newClient = (nth: number) =>
    new OrdinaryClient({
      url,
      ledger,
      random: random.fork(),
      address: `10.1.${nth >> 7}.${(nth & 127) + 1}`,
    });

  // Whatever is made once is made now, so that what is left at the end can be held against it.
  const short = AbortSignal.timeout(3_000);
  const first = TENANTS.map((_, nth) => newClient(nth));
  await Promise.all(first.map((one) => one.live(short)));
  await Promise.all(first.map((one) => one.leave()));
  await emptied(service, port);
  const base = {
    counts: await service.ask("counts"),
    memory: await service.ask("memory"),
    descriptors: await service.descriptors(),
  };

  const over = AbortSignal.timeout(SECONDS * 1_000);
  const clients = Array.from({ length: CLIENTS }, (_, nth) => newClient(nth));
  const adversaries = Object.keys(ADVERSARIES).flatMap((name) =>
    Array.from(
      { length: 2 },
      () =>
        attackUntil(name, {
          port,
          random: random.fork(),
          ledger,
          client,
          signal: over,
          pauseMs: 400,
        }),
    )
  );
  const faults = breakUntil(over, { influxd, postgres, random: random.fork(), ledger });
  const peak = watchPeak(service, over);
  await Promise.all([faults, peak, ...adversaries, ...clients.map((one) => one.live(over))]);

  const mendedAt = performance.now();
  await until(() => clients.every((one) => one.isFollowing && one.lastPushAt > mendedAt), {
    withinMs: RECOVERY_MS,
    what: "A push to each ordinary client after the last fault",
  }).catch((error) => ledger.breach("Not everybody is served after the last fault", String(error)));
  ledger.count("recovery in ms", Math.round(performance.now() - mendedAt));

  await Promise.all(clients.map((one) => one.leave()));
  await emptied(service, port).catch((error) => ledger.breach("Something is left", String(error)));
  await reckon(service, { port, base });
  if (SECONDS >= 45) checkCoverage();
  writing.abort();
  await writer;

  service.signal("SIGTERM");
  const code = await service.ended(15_000).catch(() => -1);
  if (code !== 0) ledger.breach("The service did not leave in order", `exit ${code}`);
}

async function reckon(
  service: SubjectProcess,
  { port, base }: {
    port: number;
    base: {
      counts: Readonly<Record<string, number>>;
      memory: Readonly<Record<string, number>>;
      descriptors: number;
    };
  },
): Promise<void> {
  const counts = await service.ask("counts");
  for (const name of ["connections", "feeds", "seats", "uncaught"]) {
    ledger.count(`left: ${name}`, counts[name]);
    if (counts[name] !== 0) ledger.breach(`${name} left`, String(counts[name]));
  }
  ledger.count("left: timers", counts.timers);
  if (counts.timers! > base.counts.timers!) {
    ledger.breach("Timers left", `${base.counts.timers} before, ${counts.timers} now`);
  }
  const sockets = await service.connectionsOn(port);
  ledger.count("left: sockets of clients", sockets);
  if (sockets !== 0) ledger.breach("Sockets left", String(sockets));
  const descriptors = await service.descriptors();
  ledger.count("descriptors before", base.descriptors);
  ledger.count("descriptors after", descriptors);
  if (descriptors > base.descriptors + SOURCE_DESCRIPTORS) {
    ledger.breach("Descriptors left", `${base.descriptors} before, ${descriptors} now`);
  }
  const memory = await service.ask("memory");
  for (const name of ["heapUsed", "rss"]) {
    ledger.count(`${name} before, KiB`, Math.round(base.memory[name]! / 1_024));
    ledger.count(`${name} after, KiB`, Math.round(memory[name]! / 1_024));
  }
  if (memory.heapUsed! - base.memory.heapUsed! > MAX_HEAP_GROWTH_BYTES) {
    ledger.breach("Memory left", `${memory.heapUsed! - base.memory.heapUsed!} bytes of heap`);
  }
  if (memory.rss! - base.memory.rss! > MAX_RSS_GROWTH_BYTES) {
    ledger.breach("Memory left", `${memory.rss! - base.memory.rss!} bytes resident`);
  }
  for (const [name, crossings] of Object.entries(await service.ask("crossings"))) {
    if (crossings > 0) ledger.count(`limit crossed: ${name}`, crossings);
  }
  for (const line of service.said) {
    if (line.includes("uncaught_exception")) ledger.breach("An exception was uncaught", line);
    if (line.includes("eyJ")) ledger.breach("A token is in the log", line);
    const event = /"message":"(\w+)"/.exec(line)?.[1];
    if (event === "slow_client" || event?.endsWith("_failed")) ledger.count(`log: ${event}`);
  }
}

/** A run of usual length meets everything that the service must defend against; one that did not has shown nothing. */
function checkCoverage(): void {
  const wanted = [
    "log: slow_client",
    "limit crossed: message_bytes",
    "limit crossed: messages_per_second",
    "limit crossed: subscriptions",
    "tickets spent",
    "tokens renewed",
    "alert pushes",
    "faults: InfluxDB frozen",
    "faults: InfluxDB killed",
    "faults: PostgreSQL killed",
    ...Object.keys(ADVERSARIES).map((name) => `attacks: ${name}`),
  ];
  for (const name of wanted) {
    if (ledger.countOf(name) === 0) ledger.breach("Something never came about", name);
  }
}

/** Waits for the last of everything that clients hold. */
async function emptied(service: SubjectProcess, port: number): Promise<void> {
  await until(async () => {
    const { connections, feeds, seats } = await service.ask("counts");
    return connections! + feeds! + seats! + (await service.connectionsOn(port)) === 0;
  }, { withinMs: 30_000, what: "The end of all connections, feeds, seats and sockets" });
  // A read or a look that was under way ends with its time-out.
  await pause(3_000);
}

async function watchPeak(service: SubjectProcess, signal: AbortSignal): Promise<void> {
  let peak = 0;
  while (!signal.aborted) {
    const { connections } = await service.ask("counts");
    peak = Math.max(peak, connections!);
    await pause(500);
  }
  ledger.count("connections at once, at most", peak);
}

async function startService(
  databases: Readonly<Record<string, string>>,
): Promise<SubjectProcess> {
  const { tasks } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  );
  const words = (tasks.start as string).split(" ");
  if (words[0] !== "deno" || words.at(-1) !== "main.ts") {
    throw new Error(`Cannot read the task start: ${tasks.start}`);
  }
  const flags = words.slice(2, -1).filter((word) => word !== "--env-file");
  return SubjectProcess.start({
    args: ["run", "--v8-flags=--expose-gc", ...flags, "tests/stress/service_entry.ts"],
    env: {
      ...databases,
      JWT_SECRET: TEST_SECRET,
      PORT: "0",
      WS_POLL_SECONDS: "1",
      WS_ENGINE: "ws",
      PING_SECONDS: "3",
      HANDSHAKE_TIMEOUT_SECONDS: "3",
      SLOW_CLIENT_SECONDS: "3",
      READ_TIMEOUT_SECONDS: "2",
      DRAIN_SECONDS: "3",
      SOCKET_HIGH_WATER_BYTES: "32768",
      MAX_READS: String(MAX_READS),
      MAX_SUBSCRIPTIONS: "100",
      TRUSTED_PROXIES: "127.0.0.1",
      LOG_LEVEL: "info",
    },
  });
}

function numberOf(name: string, fallback: number): number {
  const text = Deno.env.get(name);
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!(value >= 1 && value <= 3_600)) throw new RangeError(`${name} must be 1 to 3600: ${text}`);
  return value;
}
