// The fields that messages of clients are made of: each is taken whole or refused with one sentence that names it; none
// may repeat at length what a stranger sent.
import { Buffer } from "node:buffer";
import * as z from "zod";
import { INSTANT_PATTERN, parseNanoInstant } from "./nano_instant.ts";

/** UTF-8 bytes of the longest device id: no longer than what a URL or a log line bears comfortably. */
export const MAX_DEVICE_ID_BYTES = 128;
/** What stands for every device of the tenant, and therefore names none. */
export const ALL_DEVICES = "*";
/** Devices that one message may name. */
export const MAX_MESSAGE_DEVICES = 500;
const MAX_METRICS = 100;
const MAX_METRIC_BYTES = 128;
/** A longer time ago is the same as this: older than any history. What is counted with it stays a date. */
const LONG_AGO_SECONDS = 1_000_000_000;
/** A window is no longer than the longest history is by default. */
const MAX_RESOLUTION_SECONDS = 90_000;
const MAX_SHOWN_LENGTH = 24;
const INSTANT_EXAMPLE = "2026-11-18T11:06:42.5Z";

/**
 * The forms below say in JSON Schema what the code beside them takes, for the documents; a test holds the two to each
 * other. `x-max-bytes` bounds UTF-8, which JSON Schema can't count.
 */
const DEVICE_ID_FORM = {
  type: "string",
  minLength: 1,
  maxLength: MAX_DEVICE_ID_BYTES,
  "x-max-bytes": MAX_DEVICE_ID_BYTES,
  pattern: "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
};
const ONE_DEVICE_FORM = { ...DEVICE_ID_FORM, not: { const: ALL_DEVICES } };
const INSTANT_FORM = { type: "string", format: "date-time", pattern: INSTANT_PATTERN };

/** What a fault in a field is answered with. */
export type FieldErrorCode = "invalid_device_id" | "invalid_message";

/** The code for a fault that one of the schemas here found. */
export function codeOf(issue: z.core.$ZodIssue | undefined): FieldErrorCode {
  const isOfId = issue?.code === "custom" && issue.params?.code === "invalid_device_id";
  return isOfId ? "invalid_device_id" : "invalid_message";
}

export function refuseField(
  context: z.RefinementCtx,
  { message, code = "invalid_message" }: { message: string; code?: FieldErrorCode },
): never {
  context.addIssue({ code: "custom", message, params: { code } });
  return z.NEVER;
}

/** What names a device. `*` is reserved, control characters and lone surrogates name nothing. */
export const DeviceId = z.unknown().transform((value, context) => {
  const fault = faultOfDeviceId(value, { name: "device_id" });
  return fault === null ? value as string : refuseId(context, fault);
}).meta({ ...ONE_DEVICE_FORM, description: "Names a device of the tenant" });

/** A device, or `*` for every device of the tenant. */
export const DeviceIdOrAll = z.unknown().transform((value, context) => {
  if (value === ALL_DEVICES) return ALL_DEVICES;
  const fault = faultOfDeviceId(value, { name: "device_id" });
  return fault === null ? value as string : refuseId(context, fault);
}).meta({ ...DEVICE_ID_FORM, description: "A device, or `*` for every device of the tenant" });

/** Devices, each once. */
export const DeviceIds = z.unknown().transform((value, context): readonly string[] => {
  if (!Array.isArray(value)) {
    const message = `device_ids must be a list of device ids, not ${kindOf(value)}`;
    return refuseField(context, { message });
  }
  // Each once before they are looked at, so that what a list costs is bounded by what it may hold.
  const ids = [...new Set<unknown>(value)];
  if (ids.length < 1 || ids.length > MAX_MESSAGE_DEVICES) {
    const message = `device_ids must hold 1 to ${MAX_MESSAGE_DEVICES} devices, not ${ids.length}`;
    return refuseField(context, { message });
  }
  for (const id of ids) {
    const fault = faultOfDeviceId(id, { name: "Each of device_ids" });
    if (fault !== null) return refuseId(context, fault);
  }
  return ids as string[];
}).meta({
  type: "array",
  minItems: 1,
  maxItems: MAX_MESSAGE_DEVICES,
  items: ONE_DEVICE_FORM,
  description: "Devices; one that is named twice counts once",
});

/** Names of metrics, each once. */
export const Metrics = z.unknown().transform((value, context): readonly string[] => {
  if (!Array.isArray(value)) {
    const message = `metrics must be a list of names, not ${kindOf(value)}`;
    return refuseField(context, { message });
  }
  const names = [...new Set<unknown>(value)];
  if (names.length < 1 || names.length > MAX_METRICS) {
    const message = `metrics must hold 1 to ${MAX_METRICS} names, not ${names.length}`;
    return refuseField(context, { message });
  }
  for (const name of names) {
    if (typeof name !== "string") {
      const message = `Each of metrics must be a string, not ${kindOf(name)}`;
      return refuseField(context, { message });
    }
    if (name === "" || isLongerThan(name, MAX_METRIC_BYTES)) {
      const message = `Each of metrics must have 1 to ${MAX_METRIC_BYTES} bytes of UTF-8`;
      return refuseField(context, { message });
    }
  }
  return names as string[];
}).meta({
  type: "array",
  minItems: 1,
  maxItems: MAX_METRICS,
  items: {
    type: "string",
    minLength: 1,
    maxLength: MAX_METRIC_BYTES,
    "x-max-bytes": MAX_METRIC_BYTES,
  },
  description: "Only these metrics; a sample that has none of them is left out",
});

/** One instant, with nine digits in UTC. */
export const SinceInstant = z.unknown().transform((value, context) => {
  const instant = readInstant(value);
  if (instant !== null) return instant;
  const message = `since must be an instant such as ${INSTANT_EXAMPLE}, not ${shown(value)}`;
  return refuseField(context, { message });
}).meta({ ...INSTANT_FORM, description: "What came later than this instant is sent" });

/** One instant for all devices, or one for each that it names; with nine digits in UTC. */
export const Since = z.unknown().transform(
  (value, context): string | ReadonlyMap<string, string> => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      const instant = readInstant(value);
      if (instant !== null) return instant;
      const message =
        `since must be an instant such as ${INSTANT_EXAMPLE}, or one for each device, not ${
          shown(value)
        }`;
      return refuseField(context, { message });
    }
    const entries = Object.entries(value);
    if (entries.length > MAX_MESSAGE_DEVICES) {
      const message =
        `since must name at most ${MAX_MESSAGE_DEVICES} devices, not ${entries.length}`;
      return refuseField(context, { message });
    }
    const instants = new Map<string, string>();
    for (const [deviceId, written] of entries) {
      const fault = faultOfDeviceId(deviceId, { name: "Each device in since" });
      if (fault !== null) return refuseId(context, fault);
      const instant = readInstant(written);
      if (instant === null) {
        const message = `since of ${
          shown(deviceId)
        } must be an instant such as ${INSTANT_EXAMPLE}, not ${shown(written)}`;
        return refuseField(context, { message });
      }
      instants.set(deviceId, instant);
    }
    return instants;
  },
).meta({
  anyOf: [INSTANT_FORM, {
    type: "object",
    maxProperties: MAX_MESSAGE_DEVICES,
    propertyNames: ONE_DEVICE_FORM,
    additionalProperties: INSTANT_FORM,
  }],
  description:
    "What came later is sent: one instant for all, or one for each device of the message",
});

export const HistorySeconds = z.unknown().transform((value, context) => {
  if (isWhole(value) && value >= 1) return Math.min(value, LONG_AGO_SECONDS);
  const message = `history_seconds must be a whole number of at least 1, not ${shown(value)}`;
  return refuseField(context, { message });
}).meta({ type: "integer", minimum: 1, description: "As `since`, counted back from now" });

export const ResolutionSeconds = z.unknown().transform((value, context) => {
  if (isWhole(value) && value >= 1 && value <= MAX_RESOLUTION_SECONDS) return value;
  const message =
    `resolution_seconds must be a whole number from 1 to ${MAX_RESOLUTION_SECONDS}, not ${
      shown(value)
    }`;
  return refuseField(context, { message });
}).meta({
  type: "integer",
  minimum: 1,
  maximum: MAX_RESOLUTION_SECONDS,
  description: "History is made of windows of so many seconds",
});

/** One of two words, the first where nothing is said. */
export function mode<const First extends string, const Second extends string>(
  words: readonly [First, Second],
) {
  return z.enum(words, {
    error: ({ input }) => `mode must be "${words[0]}" or "${words[1]}", not ${shown(input)}`,
  }).default(words[0] as never);
}

export const ChangesOnly = z.boolean({
  error: ({ input }) => `changes_only must be true or false, not ${shown(input)}`,
}).default(false);

export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** A value as a sentence may repeat it: no longer than a few words, without what is not visible. */
export function shown(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") return kindOf(value);
  const isCut = value.length > MAX_SHOWN_LENGTH;
  const text = value.slice(0, MAX_SHOWN_LENGTH).toWellFormed().replace(/[\p{C}\p{Z}]/gu, " ");
  return isCut ? `"${text}…"` : `"${text}"`;
}

export function isLongerThan(text: string, bytes: number): boolean {
  return text.length > bytes || Buffer.byteLength(text) > bytes;
}

function faultOfDeviceId(id: unknown, { name }: { name: string }): string | null {
  if (typeof id !== "string") return `${name} must be a string, not ${kindOf(id)}`;
  if (id === "") return `${name} must not be empty`;
  if (!id.isWellFormed()) return `${name} must be well-formed Unicode`;
  if (isLongerThan(id, MAX_DEVICE_ID_BYTES)) {
    return `${name} must be at most ${MAX_DEVICE_ID_BYTES} bytes of UTF-8`;
  }
  if (/\p{Cc}/u.test(id)) return `${name} must not contain control characters`;
  return id === ALL_DEVICES ? `${name} must not be "${ALL_DEVICES}", which is reserved` : null;
}

function readInstant(value: unknown): string | null {
  return typeof value === "string" ? parseNanoInstant(value) : null;
}

function refuseId(context: z.RefinementCtx, message: string): never {
  return refuseField(context, { message, code: "invalid_device_id" });
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value);
}
