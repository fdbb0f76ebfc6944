// What a subscribe message asks of the connections and how it is answered: its fields as requests, its instants counted from
// now where they were given so. Pure; it must know no connection.
import type { LimitName } from "../limits/limits.ts";
import {
  type ClientMessage,
  devicesOf,
  type DeviceTarget,
  type MessageId,
} from "../protocol/client_messages.ts";
import { ALL_DEVICES } from "../protocol/message_fields.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { Resume, SubscriptionAnswer } from "../protocol/server_messages.ts";
import type { AlertRequest } from "./alert_following.ts";
import type { DeviceRequest } from "./device_request.ts";
import { metricsFilter } from "./message_views.ts";

type Subscribe = Extract<ClientMessage, { action: "subscribe" }>;
export type SubscribeDevices = Extract<Subscribe, { type: "device" }>;
export type SubscribeAlerts = Extract<Subscribe, { type: "alerts" }>;

const MS_PER_SECOND = 1_000;

/** The devices that a message names, or all. */
export function targetsOf(target: DeviceTarget): readonly string[] | "all" {
  const deviceIds = devicesOf(target);
  return deviceIds.length === 1 && deviceIds[0] === ALL_DEVICES ? "all" : deviceIds;
}

export function deviceRequestOf(
  message: SubscribeDevices,
  { id, nowMs, answered }: {
    readonly id: MessageId | null;
    readonly nowMs: number;
    readonly answered: (resumes: Readonly<Record<string, Resume>>) => void;
  },
): DeviceRequest {
  const { mode, metrics, changes_only, since, history_seconds, resolution_seconds } = message;
  const after = since ??
    (history_seconds === undefined ? null : instantOfMs(nowMs - history_seconds * MS_PER_SECOND));
  return {
    deviceIds: targetsOf(message),
    options: {
      mode,
      metrics: metrics === undefined ? null : metricsFilter(metrics),
      changesOnly: changes_only,
    },
    start: after === null
      ? null
      : { after, resolutionSeconds: resolution_seconds ?? null, id, answered },
  };
}

export function alertRequestOf(
  { mode, changes_only, device_ids, since }: SubscribeAlerts,
  answered: (resume: Resume) => void,
): AlertRequest {
  return {
    options: {
      mode,
      changesOnly: changes_only,
      deviceIds: device_ids === undefined ? null : new Set(device_ids),
    },
    start: since === undefined ? null : { since, answered },
  };
}

/** The limits for which histories begin later than they were asked for, each once; `most` is the one on how much is told. */
export function limitsThatCut(
  resumes: readonly (Resume | undefined)[],
  { most }: { readonly most: LimitName },
): ReadonlySet<LimitName> {
  const limits = new Set<LimitName>();
  for (const resume of resumes) {
    if (resume?.reason === "too_old") limits.add("history_seconds");
    if (resume?.reason === "too_many") limits.add(most);
  }
  return limits;
}

/** The answer about devices, which repeats how the message named them. */
export function deviceAnswer(
  type: SubscriptionAnswer["type"],
  target: DeviceTarget,
  resume?: Readonly<Record<string, Resume>>,
): SubscriptionAnswer {
  const named = "device_ids" in target
    ? { device_ids: target.device_ids }
    : { device_id: target.device_id };
  return { type, channel: "device", ...named, ...(resume === undefined ? {} : { resume }) };
}

export function alertAnswer(
  type: SubscriptionAnswer["type"],
  resume?: Resume,
): SubscriptionAnswer {
  return { type, channel: "alerts", ...(resume === undefined ? {} : { resume }) };
}
