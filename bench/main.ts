// Runs the benches, one after the other, prints their tables and writes them to a file. A bench that finds a socket
// dropped or a message wrong has no result, and the run ends with 1.
//
// Usage: deno task bench [name …]   BENCH_ROUNDS (3), BENCH_SCALE (1) and BENCH_JSON (bench/results.json) may be set
import type { Bench } from "./bench.ts";
import { change } from "./benches/change.ts";
import { churn } from "./benches/churn.ts";
import { every } from "./benches/every.ts";
import { fanout } from "./benches/fanout.ts";
import { first } from "./benches/first.ts";
import { fresh } from "./benches/fresh.ts";
import { handshake } from "./benches/handshake.ts";
import { idle } from "./benches/idle.ts";
import { peers } from "./benches/peers.ts";
import { reads } from "./benches/reads.ts";
import { storm } from "./benches/storm.ts";
import { tenants } from "./benches/tenants.ts";
import { workers } from "./benches/workers.ts";
import { describeMachine } from "./machine.ts";
import { headOf, type Result, tableOf } from "./report.ts";
import { Shared } from "./shared.ts";

/** Those that share something stand together. */
const BENCHES: readonly Bench[] = [
  fanout,
  workers,
  reads,
  peers,
  fresh,
  first,
  storm,
  idle,
  handshake,
  churn,
  tenants,
  every,
  change,
];

const names = Deno.args;
for (const name of names) {
  if (BENCHES.some((bench) => bench.name === name)) continue;
  console.error(`No bench "${name}"; there are ${BENCHES.map((bench) => bench.name).join(", ")}`);
  Deno.exit(2);
}
const chosen = BENCHES.filter(({ name }) => names.length === 0 || names.includes(name));
const rounds = numberOf("BENCH_ROUNDS", { fallback: 3, min: 1, max: 100 });
const scale = numberOf("BENCH_SCALE", { fallback: 1, min: 0.001, max: 1 });
const path = Deno.env.get("BENCH_JSON") ?? new URL("results.json", import.meta.url).pathname;
const head = { at: new Date().toISOString(), machine: await describeMachine(), rounds };
console.log(`${headOf(head)}\n`);

const results: Result[] = [];
const beganAt = performance.now();
const shared = new Shared();
let hasFailed = false;
// Whoever ends it early must not leave databases behind; everything else ends with it by itself.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => void keep([]).then(() => Deno.exit(1)));
}
for (const bench of chosen) {
  await keep(bench.shares ?? []);
  const startedAt = performance.now();
  const say = (text: string) => console.error(`${bench.name}: ${text}`);
  try {
    const rows = await bench.run({ scale, rounds, say, shared });
    const seconds = (performance.now() - startedAt) / 1_000;
    const result = { bench: { name: bench.name, work: bench.work }, seconds, rows };
    results.push(result);
    console.log(tableOf(result));
  } catch (error) {
    hasFailed = true;
    console.error(`${bench.name} has no result:`, error);
    await keep([]);
  }
}
await keep([]);
const seconds = (performance.now() - beganAt) / 1_000;
console.log(`All of it took ${seconds.toFixed(0)} s`);
if (results.length > 0) {
  await Deno.writeTextFile(
    path,
    `${JSON.stringify({ ...head, scale, seconds, results }, null, 2)}\n`,
  );
  console.error(`written to ${path}`);
}
Deno.exit(hasFailed ? 1 : 0);

/** What can't be closed in order says that something was wrong; the next bench opens its own. */
async function keep(names: readonly string[]): Promise<void> {
  try {
    await shared.keep(new Set(names));
  } catch (error) {
    hasFailed = true;
    console.error("What benches shared was not left in order:", error);
  }
}

function numberOf(
  name: string,
  { fallback, min, max }: { readonly fallback: number; readonly min: number; readonly max: number },
): number {
  const text = Deno.env.get(name);
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!(value >= min && value <= max)) {
    throw new RangeError(`${name} must be ${min} to ${max}, it is ${text}`);
  }
  return value;
}
