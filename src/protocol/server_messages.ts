// The shapes of what the service sends; the order of fields here is the order on the wire.
import type { LimitName } from "../limits/limits.ts";
import type { Feature, MessageId } from "./client_messages.ts";
import type { MessageErrorCode } from "../errors.ts";

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

export interface TelemetryMessage {
  readonly type: "telemetry";
  readonly device_id: string;
  readonly data: Sample;
}

export interface AlertsMessage {
  readonly type: "alerts";
  readonly alerts: readonly Alert[];
}

export type SubscriptionAnswer =
  | {
    readonly type: "subscribed" | "unsubscribed";
    readonly channel: "device";
    readonly device_id: string;
  }
  | { readonly type: "subscribed" | "unsubscribed"; readonly channel: "alerts" };

export interface ErrorMessage {
  readonly type: "error";
  readonly message: string;
  readonly code: MessageErrorCode;
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

/** Only to connections that asked for `notices`. */
export type NoticeMessage =
  | { readonly type: "token_expiring"; readonly expires_at: string }
  | { readonly type: "reconnect"; readonly after_ms: number };

/** An answer carries back the id of the message that it answers. */
export type AnswerMessage =
  & (SubscriptionAnswer | ErrorMessage | PongMessage | HelloMessage | AuthenticatedMessage)
  & { readonly id?: MessageId };

export type ServerMessage = TelemetryMessage | AlertsMessage | NoticeMessage | AnswerMessage;
