// The schemas of what the service sends, in the order of the wire and held to the types by the compiler: documents are
// made from them, and tests check what they receive. Nothing that runs in the service may import this file.
import * as z from "zod";
import { type ClosingName, CLOSINGS, MESSAGE_ERRORS, type MessageErrorCode } from "../errors.ts";
import { type LimitName, LIMITS } from "../limits/limits.ts";
import { FEATURES, MessageId } from "./client_messages.ts";
import type * as message from "./server_messages.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;
/** A type as plain data: whether it may be written to says nothing about the wire. */
type Plain<T> = T extends ReadonlyArray<infer Item> ? Array<Plain<Item>>
  : T extends object ? { -readonly [Key in keyof T]: Plain<T[Key]> }
  : T;
type Typed<Message, Type extends string> = Message extends { readonly type: string }
  ? Message & { readonly type: Type }
  : never;
type Without<T, Key extends string> = T extends unknown ? Omit<T, Key> : never;

/** Takes a schema that says exactly what the type says; any other does not compile. */
function held<Type>() {
  return <Schema extends z.ZodType>(
    schema: Same<Plain<z.infer<Schema>>, Plain<Type>> extends true ? Schema : never,
  ): Schema => schema;
}

/** An instant in UTC with so many fractional digits. */
function instant(digits: 3 | 6 | 9, description: string) {
  const pattern = String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{${digits}}Z$`;
  return z.string().regex(new RegExp(pattern)).meta({ format: "date-time", description });
}

const namesOf = <Name extends string>(table: Readonly<Record<Name, unknown>>) =>
  Object.keys(table) as [Name, ...Name[]];

const SampleInstant = instant(9, "Nine digits always: comparing as strings compares instants");
const AlertInstant = instant(6, "When the alert was created");
const ServiceInstant = instant(3, "By the service's clock");
const LimitNames = z.enum(namesOf<LimitName>(LIMITS));
const Id = MessageId.meta({ description: "The id of the message that is answered" });
const id = { id: Id.exactOptional() };
const asOf = {
  as_of: instant(3, "When the read began; only with the feature `as_of`").exactOptional(),
};
const truncation = {
  truncated: z.literal(true).exactOptional(),
  total: z.int().exactOptional(),
};

export const MetricValue = held<message.MetricValue>()(
  z.union([
    z.string(),
    z.number(),
    z.boolean(),
    z.array(z.unknown()),
    z.record(z.string(), z.unknown()),
  ]).meta({ description: "An integer beyond ±(2^53 − 1) is a decimal string" }),
);

export const Sample = held<message.Sample>()(
  z.object({ timestamp: SampleInstant, metrics: z.record(z.string(), MetricValue) }),
);

export const Alert = held<message.Alert>()(
  z.object({
    alert_id: z.number(),
    tenant_id: z.string(),
    device_id: z.string().nullable(),
    site_id: z.string().nullable(),
    alert_type: z.string().nullable(),
    severity: z.number().nullable(),
    confidence: z.number().nullable(),
    summary: z.string().nullable(),
    status: z.string(),
    created_at: AlertInstant,
  }),
);

export const Resume = held<message.Resume>()(
  z.object({
    from: SampleInstant,
    complete: z.boolean(),
    reason: z.enum(["too_old", "too_many", "in_future", "source_unavailable", "replaced"])
      .exactOptional(),
  }),
);

const telemetry = held<message.TelemetryMessage>()(
  z.object({ type: z.literal("telemetry"), device_id: z.string(), data: Sample, ...asOf }),
);

const alerts = held<message.AlertsMessage>()(
  z.object({ type: z.literal("alerts"), alerts: z.array(Alert), ...truncation, ...asOf }),
);

const alert_changes = held<message.AlertChangesMessage>()(
  z.object({
    type: z.literal("alert_changes"),
    opened: z.array(Alert),
    updated: z.array(Alert),
    closed: z.array(z.number()),
    ...truncation,
    ...asOf,
  }),
);

const fleet = held<message.FleetMessage>()(
  z.object({
    type: z.literal("fleet"),
    devices: z.object({ total: z.int(), online: z.int(), stale: z.int() }).nullable(),
    alerts: z.object({ open: z.int(), by_severity: z.record(z.string(), z.int()) }).nullable(),
    ...asOf,
  }),
);

const history = held<message.HistoryMessage>()(
  z.object({
    type: z.literal("history"),
    device_id: z.string(),
    samples: z.array(Sample),
    done: z.boolean().meta({ description: "Whether this is the device's last page" }),
    id: Id.meta({ description: "The id of the subscribe that asked" }).exactOptional(),
    ...asOf,
  }),
);

const stale = held<Typed<message.NoticeMessage, "stale">>()(
  z.object({
    type: z.literal("stale"),
    device_id: z.string(),
    last: SampleInstant.nullable().meta({ description: "Null when no sample is known" }),
  }),
);

const Batched = z.discriminatedUnion("type", [telemetry, alerts, alert_changes, fleet, stale]);
const batch = held<
  Without<message.BatchMessage, "messages"> & { readonly messages: readonly Batched[] }
>()(
  z.object({ type: z.literal("batch"), as_of: ServiceInstant, messages: z.array(Batched) }),
);

const token_expiring = held<Typed<message.NoticeMessage, "token_expiring">>()(
  z.object({ type: z.literal("token_expiring"), expires_at: ServiceInstant }),
);

const reconnect = held<Typed<message.NoticeMessage, "reconnect">>()(
  z.object({ type: z.literal("reconnect"), after_ms: z.number() }),
);

const status = held<Typed<message.NoticeMessage, "status">>()(
  z.object({
    type: z.literal("status"),
    source: z.enum(["telemetry", "alerts"]),
    state: z.enum(["ok", "degraded"]),
    since: ServiceInstant,
    retry_in_ms: z.number().exactOptional(),
  }),
);

const subscribedType = z.literal("subscribed");
const resumes = { resume: z.record(z.string(), Resume).exactOptional() };
const subscribed = held<
  Typed<message.SubscriptionAnswer, "subscribed"> & Pick<message.AnswerMessage, "id">
>()(
  z.union([
    z.object({
      type: subscribedType,
      channel: z.literal("device"),
      device_id: z.string(),
      ...resumes,
      ...id,
    }),
    z.object({
      type: subscribedType,
      channel: z.literal("device"),
      device_ids: z.array(z.string()),
      ...resumes,
      ...id,
    }),
    z.object({
      type: subscribedType,
      channel: z.literal("alerts"),
      resume: Resume.exactOptional(),
      ...id,
    }),
    z.object({ type: subscribedType, channel: z.literal("fleet"), ...id }),
  ]),
);

const unsubscribedType = z.literal("unsubscribed");
const unsubscribed = held<
  & Without<Typed<message.SubscriptionAnswer, "unsubscribed">, "resume">
  & Pick<message.AnswerMessage, "id">
>()(
  z.union([
    z.object({
      type: unsubscribedType,
      channel: z.literal("device"),
      device_id: z.string(),
      ...id,
    }),
    z.object({
      type: unsubscribedType,
      channel: z.literal("device"),
      device_ids: z.array(z.string()),
      ...id,
    }),
    z.object({ type: unsubscribedType, channel: z.literal("alerts"), ...id }),
    z.object({ type: unsubscribedType, channel: z.literal("fleet"), ...id }),
  ]),
);

const pong = held<message.PongMessage & Pick<message.AnswerMessage, "id">>()(
  z.object({ type: z.literal("pong"), ...id }),
);

const hello = held<message.HelloMessage & Pick<message.AnswerMessage, "id">>()(
  z.object({
    type: z.literal("hello"),
    server: z.string().meta({ description: "`pulsewire/<version>`" }),
    poll_seconds: z.number(),
    features: z.array(z.enum(FEATURES)),
    limits: z.partialRecord(LimitNames, z.number()),
    token_expires_at: ServiceInstant,
    ...id,
  }),
);

const authenticated = held<message.AuthenticatedMessage & Pick<message.AnswerMessage, "id">>()(
  z.object({ type: z.literal("authenticated"), expires_at: ServiceInstant, ...id }),
);

const codes = [
  ...new Set<MessageErrorCode | ClosingName>([...namesOf(MESSAGE_ERRORS), ...namesOf(CLOSINGS)]),
] as [MessageErrorCode | ClosingName];

const error = held<message.ErrorMessage & Pick<message.AnswerMessage, "id">>()(
  z.object({
    type: z.literal("error"),
    message: z.string().meta({ description: "A sentence for people, which may change" }),
    code: z.enum(codes).meta({ description: "For programs; stable" }),
    limit: LimitNames.exactOptional(),
    value: z.number().exactOptional(),
    retry_after_ms: z.number().exactOptional(),
    ...id,
  }),
);

/** What the service sends, by its `type`. */
export const SERVER_SCHEMAS = {
  subscribed,
  unsubscribed,
  pong,
  hello,
  authenticated,
  error,
  telemetry,
  alerts,
  alert_changes,
  fleet,
  history,
  batch,
  token_expiring,
  reconnect,
  status,
  stale,
} as const satisfies Record<message.ServerMessage["type"], z.ZodType>;

type Batched = z.infer<typeof Batched>;
