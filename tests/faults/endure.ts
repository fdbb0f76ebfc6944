// Breaks a source under many tenants, looks at what the service does meanwhile, mends it and looks again; the same
// demands for every fault.
import assert from "node:assert/strict";
import type { SourceError } from "../../src/sources/source_error.ts";
import { pause, until } from "../support/until.ts";
import type { FaultRig, SourceName } from "./fault_rig.ts";
import { maxProbes } from "./max_probes.ts";

export interface Fault {
  readonly source: SourceName;
  readonly breaks: () => void | Promise<void>;
  readonly mends: () => void | Promise<void>;
  /** What the one line about it must say. */
  readonly says: RegExp;
}

/** Where attempts are counted. */
export interface AttemptCounter {
  readonly attempts: number;
  resetCounts(): void;
}

/** An outage is looked at for so long once it is known. */
const OUTAGE_MS = 1_500;
/** Attempts that were under way when it became known are counted to those that found out. */
const COUNTED_MS = 200;
/** An answer that was under way then is still one, until its time-out. */
const UNDER_WAY_MS = 1_600;
/** Three failures in a row, with eight under way, each of which may try once more on a new connection. */
const MAX_ATTEMPTS_TO_KNOW = 24;
/** Attempts after the mending: one may have begun too early, and on a busy machine one or two may be too late. */
const MAX_RETRIES = 4;

export async function endure(
  rig: FaultRig,
  { fault, counter }: { readonly fault: Fault; readonly counter: AttemptCounter },
): Promise<void> {
  const { source } = fault;
  const other: SourceName = source === "telemetry" ? "alerts" : "telemetry";
  const start = performance.now();
  await until(() => rig.everyoneHas(source, start) && rig.everyoneHas(other, start), {
    what: "pushes of both kinds to everybody",
  });
  const lines = rig.log.records.length;
  let isMended = false;
  const mend = async () => {
    if (!isMended) await fault.mends();
    isMended = true;
  };
  // The next fault is not to find this one.
  await using _mended = { [Symbol.asyncDispose]: mend };
  await fault.breaks();
  counter.resetCounts();
  await until(() => rig.sources.state()[source].state === "degraded", {
    what: `${source} to be known as degraded`,
  });
  const { since } = rig.sources.state()[source];
  const allowed = () => maxProbes(Date.now() - since, { baseMs: rig.pollMs });
  await pause(COUNTED_MS);
  const toKnow = counter.attempts;
  const allowedToKnow = MAX_ATTEMPTS_TO_KNOW + allowed();
  await pause(UNDER_WAY_MS - COUNTED_MS);
  await until(() => rig.pushesOf(source, performance.now() - UNDER_WAY_MS).length === 0, {
    what: `the last answer of ${source}`,
  });
  counter.resetCounts();
  const knownAt = performance.now();
  await Promise.all([pause(OUTAGE_MS), rig.goesOn(other)]);
  const probes = counter.attempts;
  const allowedProbes = allowed();

  assert.ok(toKnow <= allowedToKnow, `${toKnow} attempts before it was known`);
  assert.ok(probes <= allowedProbes, `${probes} attempts, ${allowedProbes} are allowed`);
  assert.deepEqual(rig.pushesOf(source, knownAt), [], "pushes of a source that is down");
  assert.equal(rig.sources.state()[other].state, "ok");

  // On a busy machine some answers come too late to say it, but none speaks instead of all.
  await until(() => tellings(rig, lines).some((error) => fault.says.test(messagesOf(error))), {
    what: `${fault.says} among ${tellings(rig, lines).map(messagesOf)}`,
  });
  await mend();
  await recovers(rig, source);
  const mendedAt = performance.now();
  await until(() => rig.everyoneHas(source, mendedAt) && rig.everyoneHas(other, mendedAt), {
    what: "pushes of both kinds to everybody once more",
  });
  checkLines(rig, { from: lines, source });
  rig.checkHonest();
}

/** By the attempts that were due anyway, and soon: nothing waits longer than it told. */
async function recovers(rig: FaultRig, source: SourceName): Promise<void> {
  for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
    const { retryAt } = rig.sources.state()[source];
    if (retryAt === null) return;
    await until(() => rig.sources.state()[source].retryAt !== retryAt, {
      what: `the next attempt at ${source}`,
    });
  }
  assert.equal(rig.sources.state()[source].state, "ok", `not well after ${MAX_RETRIES} attempts`);
}

function checkLines(
  rig: FaultRig,
  { from, source }: { readonly from: number; readonly source: SourceName },
): void {
  const lines = rig.linesSince(from);
  const told = lines.filter(({ event }) => event === "source_degraded");
  // Connections that are lost first and a login that is refused then are two things to know.
  const kinds = tellings(rig, from).map(({ kind }) => kind);
  assert.equal(new Set(kinds).size, kinds.length, `told more than once: ${kinds}`);
  assert.ok(told.every(({ fields }) => fields.source === source));
  assert.equal(lines.filter(({ event }) => event === "source_recovered").length, 1);
  const rest = lines.filter(({ event }) =>
    event !== "source_degraded" && event !== "source_recovered"
  );
  // Until the breaker knows that everybody is hit, each of eight reads under way may speak for its tenant, and take it back.
  assert.ok(rest.length <= 16, `${rest.length} more lines: ${JSON.stringify(rest.slice(0, 8))}`);
}

/** What the lines about a source that is down told of. */
function tellings(rig: FaultRig, from: number): readonly SourceError[] {
  return rig.linesSince(from).filter(({ event }) => event === "source_degraded").map((
    { fields },
  ) => fields.error as SourceError);
}

function messagesOf(error: unknown): string {
  return error instanceof Error ? `${error.message} ${messagesOf(error.cause)}` : "";
}
