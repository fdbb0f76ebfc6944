// The schemas of what a client may send: the code decodes with them and nothing else says what is allowed.
import * as z from "zod";
import { MESSAGE_ERRORS } from "../errors.ts";
import {
  ALL_DEVICES,
  ChangesOnly,
  DeviceIdOrAll,
  DeviceIds,
  HistorySeconds,
  kindOf,
  Metrics,
  mode,
  refuseField,
  ResolutionSeconds,
  shown,
  Since,
  SinceInstant,
} from "./message_fields.ts";

/** Characters of the longest message id. */
export const MAX_MESSAGE_ID_LENGTH = 64;
/** Features that one `hello` may name: more than there will ever be. */
const MAX_FEATURES = 32;

/** What a client may give a message, to know its answer by. */
export const MessageId = z.union([z.int(), z.string().max(MAX_MESSAGE_ID_LENGTH)]);
export const INVALID_MESSAGE_ID =
  `id must be an integer or a string of at most ${MAX_MESSAGE_ID_LENGTH} characters`;

export const ACTIONS = ["subscribe", "unsubscribe", "ping", "hello", "auth"] as const;
export const CHANNELS = ["device", "alerts", "fleet"] as const;
/** What a connection may ask for beyond the core protocol. */
export const FEATURES = ["notices", "batch", "as_of"] as const;

/** Which devices a message is about, in the way that its answer repeats; one of them may be `*`, alone. */
export type DeviceTarget = { readonly device_id: string } | {
  readonly device_ids: readonly string[];
};

/** In JSON Schema: one of the two fields, which `targetOf` holds. */
const ONE_TARGET = {
  anyOf: [
    {
      required: ["device_id"],
      properties: { device_id: { type: "string" } },
      not: { required: ["device_ids"] },
    },
    { required: ["device_ids"], properties: { device_id: { type: "null" } } },
  ],
};
/** In JSON Schema: not both ways to name a start, and windows only of a history. */
const HISTORY_FIELDS = [
  { not: { required: ["since", "history_seconds"] } },
  {
    anyOf: [
      { not: { required: ["resolution_seconds"] } },
      { required: ["since"] },
      { required: ["history_seconds"] },
    ],
  },
];

interface DeviceTargetFields {
  readonly device_id?: string | null | undefined;
  readonly device_ids?: readonly string[] | undefined;
}

const deviceTarget = {
  device_id: DeviceIdOrAll.nullish(),
  device_ids: DeviceIds.optional(),
};

const SubscribeDevice = z.object({
  action: z.literal("subscribe"),
  type: z.literal("device"),
  ...deviceTarget,
  metrics: Metrics.optional(),
  changes_only: ChangesOnly,
  mode: mode(["latest", "every"]),
  since: Since.optional(),
  history_seconds: HistorySeconds.optional(),
  resolution_seconds: ResolutionSeconds.optional(),
}).transform(({ device_id, device_ids, ...options }, context) => {
  const target = targetOf({ device_id, device_ids }, context);
  const { since, history_seconds, resolution_seconds } = options;
  if (since !== undefined && history_seconds !== undefined) {
    return refuseField(context, { message: "Send either since or history_seconds, not both" });
  }
  const isWithHistory = since !== undefined || history_seconds !== undefined;
  if (resolution_seconds !== undefined && !isWithHistory) {
    const message = "resolution_seconds must come with since or history_seconds";
    return refuseField(context, { message });
  }
  if (typeof since === "object") {
    const followed = new Set(devicesOf(target));
    for (const deviceId of since.keys()) {
      if (followed.has(deviceId) || followed.has(ALL_DEVICES)) continue;
      const message = `since must name devices of this message, not ${shown(deviceId)}`;
      return refuseField(context, { message });
    }
  }
  return { ...options, ...target };
}).meta({ allOf: [ONE_TARGET, ...HISTORY_FIELDS] });

const SubscribeAlerts = z.object({
  action: z.literal("subscribe"),
  type: z.literal("alerts"),
  mode: mode(["list", "changes"]),
  changes_only: ChangesOnly,
  device_ids: DeviceIds.optional(),
  since: SinceInstant.optional(),
}).transform((message, context) => {
  if (message.mode === "changes") return { ...message, changes_only: true };
  if (message.since === undefined) return message;
  return refuseField(context, { message: 'since of alerts must come with mode "changes"' });
}).meta({
  anyOf: [
    { not: { required: ["since"] } },
    { required: ["mode"], properties: { mode: { const: "changes" } } },
  ],
});

/** Fields that a schema does not name are ignored, so that newer clients can talk to older servers. */
export const SUBSCRIPTION_SCHEMAS = {
  subscribe: {
    device: SubscribeDevice,
    alerts: SubscribeAlerts,
    fleet: z.object({ action: z.literal("subscribe"), type: z.literal("fleet") }),
  },
  unsubscribe: {
    device: z.object({
      action: z.literal("unsubscribe"),
      type: z.literal("device"),
      ...deviceTarget,
    }).transform(({ device_id, device_ids, ...message }, context) => ({
      ...message,
      ...targetOf({ device_id, device_ids }, context),
    })).meta(ONE_TARGET),
    alerts: z.object({ action: z.literal("unsubscribe"), type: z.literal("alerts") }),
    fleet: z.object({ action: z.literal("unsubscribe"), type: z.literal("fleet") }),
  },
} as const;

export const CONNECTION_SCHEMAS = {
  ping: z.object({ action: z.literal("ping") }),
  hello: z.object({
    action: z.literal("hello"),
    features: z.array(z.string(), "features must be a list of strings").max(
      MAX_FEATURES,
      `features must be at most ${MAX_FEATURES}`,
    ).default([]),
  }),
  auth: z.object({
    action: z.literal("auth"),
    token: z.string({ error: (issue) => `token must be a string, not ${kindOf(issue.input)}` }),
  }),
} as const;

export type SubscriptionAction = keyof typeof SUBSCRIPTION_SCHEMAS;
export type Channel = (typeof CHANNELS)[number];
export type Feature = (typeof FEATURES)[number];
export type MessageId = z.infer<typeof MessageId>;

type SubscriptionMessage = {
  [A in SubscriptionAction]: {
    [C in Channel]: z.infer<(typeof SUBSCRIPTION_SCHEMAS)[A][C]>;
  }[Channel];
}[SubscriptionAction];

type ConnectionMessage = {
  [A in keyof typeof CONNECTION_SCHEMAS]: z.infer<(typeof CONNECTION_SCHEMAS)[A]>;
}[keyof typeof CONNECTION_SCHEMAS];

/** A decoded client message, with the wire's own field names. */
export type ClientMessage = Readonly<SubscriptionMessage | ConnectionMessage>;

export const DEVICE_ID_REQUIRED: Readonly<Record<SubscriptionAction, string>> = {
  subscribe: MESSAGE_ERRORS.device_id_required.sentence,
  unsubscribe: "device_id required for device unsubscription",
};

/** The devices that a message names, each once; `*` stands for every device of the tenant. */
export function devicesOf(target: DeviceTarget): readonly string[] {
  return "device_ids" in target ? target.device_ids : [target.device_id];
}

function targetOf(fields: DeviceTargetFields, context: z.RefinementCtx): DeviceTarget {
  const { device_id, device_ids } = fields;
  if (device_ids === undefined) {
    // Whoever named no device at all was told before the schemas were asked.
    if (typeof device_id === "string") return { device_id };
    return refuseField(context, { message: MESSAGE_ERRORS.device_id_required.sentence });
  }
  if (device_id === undefined || device_id === null) return { device_ids };
  return refuseField(context, { message: "Send either device_id or device_ids, not both" });
}
