// The schemas of what a client may send: the code decodes with them and nothing else says what is allowed.
import * as z from "zod";
import { MESSAGE_ERRORS } from "../errors.ts";

/** UTF-8 bytes of the longest device id: no longer than what a URL or a log line bears comfortably. */
export const MAX_DEVICE_ID_BYTES = 128;
/** Characters of the longest message id. */
export const MAX_MESSAGE_ID_LENGTH = 64;
/** Features that one `hello` may name: more than there will ever be. */
const MAX_FEATURES = 32;

const encoder = new TextEncoder();

/** What may name a device. `*` is reserved, control characters and lone surrogates name nothing. */
export const DeviceId = z
  .string({ error: (issue) => `device_id must be a string, not ${kindOf(issue.input)}` })
  .refine((id) => id.isWellFormed(), "device_id must be well-formed Unicode")
  .refine(
    (id) => id.length <= MAX_DEVICE_ID_BYTES && encoder.encode(id).length <= MAX_DEVICE_ID_BYTES,
    `device_id must be at most ${MAX_DEVICE_ID_BYTES} bytes of UTF-8`,
  )
  .refine((id) => !/\p{Cc}/u.test(id), "device_id must not contain control characters")
  .refine((id) => id !== "*", 'device_id "*" is reserved');

/** What a client may give a message, to know its answer by. */
export const MessageId = z.union([z.int(), z.string().max(MAX_MESSAGE_ID_LENGTH)]);
export const INVALID_MESSAGE_ID =
  `id must be an integer or a string of at most ${MAX_MESSAGE_ID_LENGTH} characters`;

export const ACTIONS = ["subscribe", "unsubscribe", "ping", "hello", "auth"] as const;
export const CHANNELS = ["device", "alerts"] as const;
/** What a connection may ask for beyond the core protocol. */
export const FEATURES = ["notices"] as const;

/** Fields that a schema does not name are ignored, so that newer clients can talk to older servers. */
export const SUBSCRIPTION_SCHEMAS = {
  subscribe: {
    device: z.object({
      action: z.literal("subscribe"),
      type: z.literal("device"),
      device_id: DeviceId,
    }),
    alerts: z.object({ action: z.literal("subscribe"), type: z.literal("alerts") }),
  },
  unsubscribe: {
    device: z.object({
      action: z.literal("unsubscribe"),
      type: z.literal("device"),
      device_id: DeviceId,
    }),
    alerts: z.object({ action: z.literal("unsubscribe"), type: z.literal("alerts") }),
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

export type Action = (typeof ACTIONS)[number];
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

export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
