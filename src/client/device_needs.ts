// What listeners need of one device, and the one subscription that serves them all. Pure: it must never look at a clock.
//
// One device has one subscription, whoever listens. It asks for `every` if one listener does, for the union of their
// metrics (all, if one wants all), and for repeats only if one wants them. A listener is then given what it asked for and
// no more: its own metrics, changes only, and in mode `latest` the newest sample of each frame.
import { earlierBy, instantOf } from "./instants.ts";

/** `latest`: the newest sample at each read. `every`: each stored sample once. */
export type Mode = "latest" | "every";

export interface Needs {
  readonly mode: Mode;
  /** Sorted; null for all. */
  readonly metrics: readonly string[] | null;
  /** Whether a sample that is the same as the one before is left out. */
  readonly changesOnly: boolean;
}

/** Where what a listener needs begins. */
export type Start =
  | { readonly kind: "now" }
  | { readonly kind: "after"; readonly instant: string }
  /** Counted back from now by the service, so that this machine's clock does not matter. */
  | { readonly kind: "back"; readonly seconds: number };

/** How many metrics one subscription may name; beyond it all are asked for. */
const MAX_METRICS = 100;

export function unionOf(all: readonly Needs[]): Needs {
  const named = new Set<string>();
  let isNamed = true;
  for (const { metrics } of all) {
    if (metrics === null) isNamed = false;
    for (const metric of metrics ?? []) named.add(metric);
  }
  return {
    mode: all.some(({ mode }) => mode === "every") ? "every" : "latest",
    metrics: isNamed && named.size <= MAX_METRICS ? [...named].sort() : null,
    changesOnly: all.every(({ changesOnly }) => changesOnly),
  };
}

export function sameNeeds(one: Needs, other: Needs): boolean {
  return one.mode === other.mode && one.changesOnly === other.changesOnly &&
    sameMetrics(one, other);
}

/** Whether samples for the one have what samples for the other have; nothing is the same as none. */
export function sameMetrics(one: Needs | null, other: Needs): boolean {
  return one !== null && JSON.stringify(one.metrics) === JSON.stringify(other.metrics);
}

/** The earliest of them. Where instants and spans meet, the service's clock says which it is. */
export function earliest(starts: readonly Start[], serverNow: number): Start {
  const instants = starts.flatMap((start) => start.kind === "after" ? [start.instant] : []).sort();
  const seconds = Math.max(
    0,
    ...starts.map((start) => start.kind === "back" ? start.seconds : 0),
  );
  const [instant] = instants;
  if (instant === undefined) return seconds === 0 ? { kind: "now" } : { kind: "back", seconds };
  if (seconds === 0) return { kind: "after", instant };
  const back = instantOfStart({ kind: "back", seconds }, serverNow) ?? instant;
  return { kind: "after", instant: back < instant ? back : instant };
}

/** The instant at which it begins; null for now. */
export function instantOfStart(start: Start, serverNow: number): string | null {
  if (start.kind === "now") return null;
  return start.kind === "after"
    ? start.instant
    : earlierBy(instantOf(serverNow), start.seconds * 1_000);
}
