// Runs the test-suite and closes with what was left out, why, and one line that machines can read. It must pass its
// arguments on as they are, and never call a run green that left real servers out where CI=true. Where no tests are
// named it runs all of them as two processes side by side: much of the suite waits for databases to fail and recover.
//
// Usage: deno run … tests/run.ts [arguments of deno test]
import { findInfluxd } from "./support/influxd.ts";
import { KEPT_LOGS_VARIABLE, lookThrough } from "./support/kept_logs.ts";
import { findPostgres } from "./support/postgres.ts";

const PLAIN = /\x1b\[[0-9;]*m/g;
const SUMMARY =
  /^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed(?: \(\d+ steps?\))?(?: \| (\d+) ignored(?: \(\d+ steps?\))?)?/;
/** The line above a file's tests. */
const FILE_BEGINS = /^(?:\x1b\[[0-9;]*m)*running \d+ tests? from/gm;
const IGNORED = /^(.*) \.\.\. ignored/;

/** They spend their time waiting for outages, servers and browsers: about half of the whole. */
const WAITING = ["faults", "loss", "events", "dashboard", "service", "cli", "http"];

interface Outcome {
  passed: number;
  failed: number;
  skipped: number;
  ignored: string[];
  hasSummary: boolean;
}

/** Takes in one line of `deno test`. */
function read(outcome: Outcome, line: string): void {
  const text = line.replace(PLAIN, "");
  const summary = SUMMARY.exec(text);
  if (summary !== null) {
    outcome.passed = Number(summary[1]);
    outcome.failed = Number(summary[2]);
    outcome.skipped = Number(summary[3] ?? 0);
    outcome.hasSummary = true;
  }
  const name = IGNORED.exec(text)?.[1];
  if (name !== undefined) outcome.ignored.push(name.trim());
}

interface Lane {
  readonly args: readonly string[];
  readonly keptLogs: string;
  readonly print: (chunk: string) => void;
}

async function runTests({ args, keptLogs, print }: Lane): Promise<Outcome> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", ...args],
    env: { [KEPT_LOGS_VARIABLE]: keptLogs },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const outcome: Outcome = { passed: 0, failed: 0, skipped: 0, ignored: [], hasSummary: false };
  let rest = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    print(chunk);
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) read(outcome, line);
  }
  read(outcome, rest);
  const { code } = await child.status;
  if (outcome.failed === 0 && (code !== 0 || !outcome.hasSummary)) {
    const why = outcome.hasSummary ? "" : " and without a summary";
    print(`deno test ended with ${code}${why}\n`);
    outcome.failed = 1;
  }
  return outcome;
}

/** Both halves at once; each prints what a file of tests said when the file is through. */
async function runAll(args: readonly string[], keptLogs: string): Promise<Outcome> {
  const folder = new URL("./", import.meta.url);
  const isTest = ({ name, isDirectory }: Deno.DirEntry) => isDirectory || /_test\.tsx?$/.test(name);
  const names = [...Deno.readDirSync(folder)].filter(isTest).map(({ name }) => name).sort();
  const others = names.filter((name) => !WAITING.includes(name));
  const lanes = await Promise.all([others, WAITING].map(async (chosen) => {
    const paths = chosen.map((name) => `tests/${name}`);
    let held = "";
    const print = (chunk: string) => {
      held += chunk;
      const end = [...held.matchAll(FILE_BEGINS)].at(-1)?.index ?? 0;
      write(held.slice(0, end));
      held = held.slice(end);
    };
    const outcome = await runTests({ args: [...args, ...paths], keptLogs, print });
    write(held);
    return outcome;
  }));
  return {
    passed: sum(lanes.map(({ passed }) => passed)),
    failed: sum(lanes.map(({ failed }) => failed)),
    skipped: sum(lanes.map(({ skipped }) => skipped)),
    ignored: lanes.flatMap(({ ignored }) => ignored),
    hasSummary: lanes.every(({ hasSummary }) => hasSummary),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** At once and whole, so that what two say is not mixed. */
function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
}

/** What no suite could run on, and what that means; CI installs these, so that there it is a failure. */
function missingServers(): readonly string[] {
  return [
    ...(findPostgres() === null
      ? ["PostgreSQL is not installed: PGlite stood in, restarts and outages were left out"]
      : []),
    ...(findInfluxd() === null
      ? ["influxd is not installed: recordings stood in, everything live was left out"]
      : []),
  ];
}

/** Says what of everything that was logged should not have been, and how often. */
function secretsIn(keptLogs: string): number {
  const { bytes, found } = lookThrough(keptLogs);
  console.log(`${Math.ceil(bytes / 1_024)} KiB of logs hold ${found.length} secrets`);
  for (const { kind, line } of found.slice(0, 20)) console.log(`  ${kind}: ${line}`);
  return found.length;
}

const keptLogs = await Deno.makeTempDir({ prefix: "pulsewire_logs_" });
const isNamed = Deno.args.some((arg) => !arg.startsWith("-"));
const { passed, skipped, ignored, ...outcome } = isNamed
  ? await runTests({ args: Deno.args, keptLogs, print: write })
  : await runAll(Deno.args, keptLogs);
let { failed } = outcome;
const missing = missingServers();
console.log(missing.length + ignored.length === 0 ? "\nNothing was left out." : "\nLeft out:");
for (const name of [...missing, ...ignored]) console.log(`  ${name}`);
if (Deno.env.get("CI") === "true" && missing.length > 0) {
  console.log("In CI the suites must run on real servers");
  failed += missing.length;
}
failed += secretsIn(keptLogs);
await Deno.remove(keptLogs, { recursive: true });
console.log(`${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`);
Deno.exit(failed === 0 ? 0 : 1);
