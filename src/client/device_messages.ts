// How plans for many devices become few messages: those that ask for the same share one, as far as one bears. Pure.
import type { Plan } from "./device_pass.ts";
import type { DeviceSubscription } from "./device_subscription.ts";

export interface Planned {
  readonly subscription: DeviceSubscription;
  readonly plan: Plan;
}

export const EVERY_DEVICE = "*";

/** What one message may name. */
const MAX_DEVICE_IDS = 500;
/** Of the longest message; what is counted are ids, and the rest is small. */
const MESSAGE_SHARE = 0.75;
/** Around each device id and its instant. */
const ENTRY_BYTES = 48;

const encoder = new TextEncoder();

/** Plans with the same key fit into one message: each device has its own instant, and everything else is shared. */
export function groupKey(plan: Plan): string {
  if (plan.name === "unsubscribe") return plan.name;
  const { needs, start, resolutionSeconds } = plan;
  return JSON.stringify([
    needs,
    start.kind === "back" ? start.seconds : start.kind,
    resolutionSeconds,
  ]);
}

/** As many to a message as it bears. */
export function messageParts(
  all: readonly Planned[],
  messageBytes: number,
): readonly (readonly Planned[])[] {
  const parts: Planned[][] = [];
  let part: Planned[] = [];
  let bytes = 0;
  for (const one of all) {
    const idBytes = encoder.encode(JSON.stringify(one.subscription.deviceId)).length;
    // Once as a name and once with its instant.
    const size = 2 * idBytes + ENTRY_BYTES;
    const isAlone = one.subscription.deviceId === EVERY_DEVICE;
    const isFull = part.length >= MAX_DEVICE_IDS || bytes + size > messageBytes * MESSAGE_SHARE;
    if (part.length > 0 && (isFull || isAlone)) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(one);
    bytes = isAlone ? Number.POSITIVE_INFINITY : bytes + size;
  }
  return part.length > 0 ? [...parts, part] : parts;
}

/** The fields that name the devices. */
export function devicesMessage(part: readonly Planned[]): object {
  const ids = part.map(({ subscription }) => subscription.deviceId);
  return ids.length === 1 ? { device_id: ids[0] } : { device_ids: ids };
}

/** One subscribe for plans with the same key. */
export function subscribeMessage(part: readonly Planned[]): object {
  const plan = part[0]?.plan;
  if (plan === undefined || plan.name === "unsubscribe") return {};
  const { needs: { mode, metrics, changesOnly }, start, resolutionSeconds } = plan;
  return {
    action: "subscribe",
    type: "device",
    ...devicesMessage(part),
    ...(mode === "every" ? { mode } : {}),
    ...(metrics === null ? {} : { metrics }),
    ...(changesOnly && mode === "latest" ? { changes_only: true } : {}),
    ...(start.kind === "after" ? { since: sinceOf(part) } : {}),
    ...(start.kind === "back" ? { history_seconds: start.seconds } : {}),
    ...(resolutionSeconds === null || start.kind === "now"
      ? {}
      : { resolution_seconds: resolutionSeconds }),
  };
}

/** For all devices one instant, for named ones each its own. */
function sinceOf(part: readonly Planned[]): unknown {
  const instants = part.map(({ subscription: { deviceId }, plan }) => {
    const isAfter = plan.name === "subscribe" && plan.start.kind === "after";
    return [deviceId, isAfter ? plan.start.instant : ""] as const;
  });
  return instants[0]?.[0] === EVERY_DEVICE ? instants[0][1] : Object.fromEntries(instants);
}
