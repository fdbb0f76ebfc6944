// The schemas of what a client may send: the code decodes with them and nothing else says what is allowed.
import * as z from "zod";
import { MESSAGE_ERRORS } from "../errors.ts";

/** UTF-8 bytes of the longest device id: no longer than what a URL or a log line bears comfortably. */
export const MAX_DEVICE_ID_BYTES = 128;

const encoder = new TextEncoder();

/** What may name a device. `*` is reserved, control characters and lone surrogates name nothing. */
export const DeviceId = z
  .string({ error: (issue) => `device_id must be a string, not ${kindOf(issue.input)}` })
  .refine((id) => id.isWellFormed(), "device_id must be well-formed Unicode")
  .refine(
    (id) => id.length <= MAX_DEVICE_ID_BYTES && encoder.encode(id).length <= MAX_DEVICE_ID_BYTES,
    `device_id must be at most ${MAX_DEVICE_ID_BYTES} bytes of UTF-8`,
  )
  .refine(
    (id) => !/\p{Cc}/u.test(id),
    "device_id must not contain control characters",
  )
  .refine((id) => id !== "*", 'device_id "*" is reserved');

export const ACTIONS = ["subscribe", "unsubscribe"] as const;
export const CHANNELS = ["device", "alerts"] as const;

/** The schema of each (action, type); fields that it does not name are ignored, so that newer clients can talk to older servers. */
export const SCHEMAS = {
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

export type Action = (typeof ACTIONS)[number];
export type Channel = (typeof CHANNELS)[number];

/** A decoded client message, with the wire's own field names. */
export type ClientMessage = {
  [A in Action]: { [C in Channel]: Readonly<z.infer<(typeof SCHEMAS)[A][C]>> }[Channel];
}[Action];

export const DEVICE_ID_REQUIRED: Readonly<Record<Action, string>> = {
  subscribe: MESSAGE_ERRORS.device_id_required.sentence,
  unsubscribe: "device_id required for device unsubscription",
};

export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
