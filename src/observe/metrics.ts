// The port that rooms tell what they did, so that it can be counted. It holds plain numbers, costs no look-up where frames
// are sent, and never learns of a user, a device or a token.

export type MeteredSource = "telemetry" | "alerts";

/** What a push handed to a socket. */
export interface Sent {
  readonly frames: number;
  readonly bytes: number;
}

export interface Metrics {
  /** A tick began, so many milliseconds after it was due. */
  ticked(lateMs: number): void;
  /** A read ended; `fault` names what kept it from answering. */
  read(
    source: MeteredSource,
    outcome: { readonly durationMs: number; readonly fault: string | null },
  ): void;
  /** One read brought the newest samples of so many devices. */
  readDevices(count: number): void;
  /** The notifications' connection was lost and made again. */
  listensAgain(): void;
  /** A handshake was judged: `admitted`, or why not. */
  handshake(outcome: string): void;
  /** A connection ended. */
  closed(code: number): void;
  /** A push was left out because the socket was full. */
  missedTick(): void;
  sent(sent: Sent): void;
  /** Messages were made into JSON; all others were shared. */
  encoded(frames: number): void;
  /** A push brought a sample that is so old. */
  freshness(ageMs: number): void;
  /** The event loop came so late to a timer. */
  loopLag(lateMs: number): void;
  /** An exception was caught by nobody but the process's guard. */
  fault(): void;
}

/** Counts nothing: for whoever is not asked for numbers. */
export const NO_METRICS: Metrics = Object.freeze({
  ticked() {},
  read() {},
  readDevices() {},
  listensAgain() {},
  handshake() {},
  closed() {},
  missedTick() {},
  sent() {},
  encoded() {},
  freshness() {},
  loopLag() {},
  fault() {},
});

/** What one tenant's clients take, counted when somebody asks. */
export interface TenantUsage {
  readonly tenantId: string;
  readonly connections: Readonly<Record<Transport, number>>;
  readonly subscriptions: Readonly<Record<SubscriptionKind, number>>;
}

export type Transport = "websocket" | "events";
/** `device` and `all_devices` count what clients asked for, not what follows from it. */
export type SubscriptionKind = "device" | "all_devices" | "alerts" | "fleet";

/** What the feeds are doing, over all tenants. */
export interface FeedUsage {
  readonly feeds: number;
  /** The greatest time since a source was last read for a tenant that wants it, in milliseconds. */
  readonly snapshotAgeMs: Readonly<Record<MeteredSource, number>>;
  /** The greatest factor by which slow reads stretch a tenant's interval; 1 while they don't. */
  readonly stretch: Readonly<Record<MeteredSource, number>>;
}

/** What is looked at when somebody asks for the numbers. */
export interface Measured {
  readonly tenants: () => Iterable<TenantUsage>;
  readonly feeds: () => FeedUsage;
  readonly sources: () => Readonly<Record<MeteredSource, { readonly state: string }>>;
  /** Whether notifications are heard; null where nobody wants to hear any. */
  readonly hearing: () => boolean | null;
  /** How often each limit was crossed. */
  readonly crossings: () => Iterable<readonly [limit: string, count: number]>;
}
