// The shapes of what the service sends; the order of fields here is the order on the wire.
import type { LimitName } from "../limits/limits.ts";
import type { Feature, MessageId } from "./client_messages.ts";
import type { ClosingName, MessageErrorCode } from "../errors.ts";

/** A metric's value: what JSON can say, integers beyond ±(2^53 − 1) as decimal strings. */
export type MetricValue =
  | string
  | number
  | boolean
  | readonly unknown[]
  | { readonly [key: string]: unknown };

/** One stored sample with every metric it holds. */
export interface Sample {
  /** UTC with exactly nine fractional digits and `Z`, so that comparing strings compares instants. */
  readonly timestamp: string;
  readonly metrics: Readonly<Record<string, MetricValue>>;
}

/** One open alert. */
export interface Alert {
  readonly alert_id: number;
  readonly tenant_id: string;
  readonly device_id: string | null;
  readonly site_id: string | null;
  readonly alert_type: string | null;
  readonly severity: number | null;
  readonly confidence: number | null;
  readonly summary: string | null;
  readonly status: string;
  /** UTC, ISO 8601 with six fractional digits and `Z`. */
  readonly created_at: string;
}

/** When the database was read: the service's clock, UTC, ISO 8601 with milliseconds. */
interface AsOf {
  /** Only for connections that asked for `as_of`; not inside a `batch`. */
  readonly as_of?: string;
}

export interface TelemetryMessage extends AsOf {
  readonly type: "telemetry";
  readonly device_id: string;
  readonly data: Sample;
}

export interface AlertsMessage extends AsOf {
  readonly type: "alerts";
  readonly alerts: readonly Alert[];
  /** Only where more are open than the message holds, and only to those who asked for more than the core list. */
  readonly truncated?: true;
  readonly total?: number;
}

/** What changed in the open alerts since the message before it. */
export interface AlertChanges {
  readonly opened: readonly Alert[];
  readonly updated: readonly Alert[];
  readonly closed: readonly number[];
}

export interface AlertChangesMessage extends AlertChanges, AsOf {
  readonly type: "alert_changes";
  /** Only where more are open than are followed: how many there are in all. */
  readonly truncated?: true;
  readonly total?: number;
}

export interface FleetMessage extends AsOf {
  readonly type: "fleet";
  /** Null until they could be read. */
  readonly devices: {
    readonly total: number;
    readonly online: number;
    readonly stale: number;
  } | null;
  readonly alerts: {
    readonly open: number;
    readonly by_severity: Readonly<Record<string, number>>;
  } | null;
}

export interface HistoryMessage extends AsOf {
  readonly type: "history";
  readonly device_id: string;
  readonly samples: readonly Sample[];
  /** Whether this is the device's last page. */
  readonly done: boolean;
  /** The id of the subscribe that asked. */
  readonly id?: MessageId;
}

/** All that one tick has for one connection. */
export interface BatchMessage {
  readonly type: "batch";
  readonly as_of: string;
  readonly messages: readonly ServerMessage[];
}

/** Why a resume is not complete. */
export type ResumeReason =
  | "too_old"
  | "too_many"
  | "in_future"
  | "source_unavailable"
  /** The client subscribed again, or unsubscribed, before the answer could say more. */
  | "replaced";

/** Where a subscription really starts. */
export interface Resume {
  /** Samples, or changes, later than this instant are sent. */
  readonly from: string;
  readonly complete: boolean;
  readonly reason?: ResumeReason;
}

export type SubscriptionAnswer =
  | {
    readonly type: "subscribed" | "unsubscribed";
    readonly channel: "device";
    readonly device_id: string;
    readonly resume?: Readonly<Record<string, Resume>>;
  }
  | {
    readonly type: "subscribed" | "unsubscribed";
    readonly channel: "device";
    readonly device_ids: readonly string[];
    readonly resume?: Readonly<Record<string, Resume>>;
  }
  | {
    readonly type: "subscribed" | "unsubscribed";
    readonly channel: "alerts";
    readonly resume?: Resume;
  }
  | { readonly type: "subscribed" | "unsubscribed"; readonly channel: "fleet" };

export interface ErrorMessage {
  readonly type: "error";
  readonly message: string;
  /** A closing's name only where a stream of events ends: a socket has close codes for it. */
  readonly code: MessageErrorCode | ClosingName;
  /** The limit that was crossed, and its value. */
  readonly limit?: LimitName;
  readonly value?: number;
  /** Where waiting helps: how long. */
  readonly retry_after_ms?: number;
}

export interface PongMessage {
  readonly type: "pong";
}

export interface HelloMessage {
  readonly type: "hello";
  /** `pulsewire/<version>` */
  readonly server: string;
  readonly poll_seconds: number;
  /** Those asked for that this server has. */
  readonly features: readonly Feature[];
  readonly limits: Readonly<Partial<Record<LimitName, number>>>;
  /** When the socket ends unless its token is renewed: UTC, ISO 8601. */
  readonly token_expires_at: string;
}

export interface AuthenticatedMessage {
  readonly type: "authenticated";
  readonly expires_at: string;
}

/** The two that a client is told of, whatever databases they are. */
export type SourceName = "telemetry" | "alerts";

/** Only to connections that asked for `notices`. */
export type NoticeMessage =
  | { readonly type: "token_expiring"; readonly expires_at: string }
  | { readonly type: "reconnect"; readonly after_ms: number }
  | {
    readonly type: "status";
    readonly source: SourceName;
    readonly state: "ok" | "degraded";
    /** UTC, ISO 8601. */
    readonly since: string;
    /** Only while degraded. */
    readonly retry_in_ms?: number;
  }
  | {
    readonly type: "stale";
    readonly device_id: string;
    /** The newest sample's timestamp; null when none is known. */
    readonly last: string | null;
  };

/** An answer carries back the id of the message that it answers. */
export type AnswerMessage =
  & (SubscriptionAnswer | ErrorMessage | PongMessage | HelloMessage | AuthenticatedMessage)
  & { readonly id?: MessageId };

/** What pushes bring. */
export type PushMessage =
  | TelemetryMessage
  | AlertsMessage
  | AlertChangesMessage
  | FleetMessage
  | HistoryMessage;

export type ServerMessage = PushMessage | BatchMessage | NoticeMessage | AnswerMessage;
