// Every bound on what clients may take that can be set, in one place: its setting, unit, default and reason. Those that a
// client can cross by itself are shown to it, and each has a test that crosses it. Crossings are counted, of those that
// cut a list at each read.

export interface Limit {
  /** Name of the setting. */
  readonly setting: string;
  readonly unit: string;
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
  /** Why it is bounded, and why there. */
  readonly reason: string;
  /** What a client that crosses it reads, its value put in for `{value}`; null where a client reads nothing. */
  readonly sentence: string | null;
}

export const LIMITS = {
  message_bytes: {
    setting: "MAX_MESSAGE_BYTES",
    unit: "bytes",
    fallback: 64 * 1024,
    min: 256,
    max: 16 * 1024 * 1024,
    reason: "One client message; the largest useful one names 500 devices of 128 bytes",
    sentence: "Message is larger than {value} bytes",
  },
  messages_per_second: {
    setting: "MAX_MESSAGES_PER_SECOND",
    unit: "messages a second and connection, ten times as many in a burst",
    fallback: 50,
    min: 1,
    max: 100_000,
    reason: "A page that follows hundreds of devices one by one is served at once, a loop is not",
    sentence: "More than {value} messages a second",
  },
  subscriptions: {
    setting: "MAX_SUBSCRIPTIONS",
    unit: "devices a connection",
    fallback: 500,
    min: 1,
    max: 100_000,
    reason: "Each costs a look at every tick and a push",
    sentence: "More than {value} device subscriptions",
  },
  device_id_bytes: {
    setting: "MAX_DEVICE_ID_BYTES",
    unit: "bytes of UTF-8",
    fallback: 128,
    min: 1,
    max: 128,
    reason: "No longer than what a URL, a log line and a query of 1,000 devices bear",
    sentence: "device_id must be at most {value} bytes of UTF-8",
  },
  connections: {
    setting: "MAX_CONNECTIONS",
    unit: "sockets in all",
    fallback: 20_000,
    min: 1,
    max: 1_000_000,
    reason: "Each holds a descriptor and memory for as long as it is open",
    sentence: "More than {value} connections",
  },
  connections_per_tenant: {
    setting: "MAX_CONNECTIONS_PER_TENANT",
    unit: "sockets a tenant",
    fallback: 10_000,
    min: 1,
    max: 1_000_000,
    reason: "One tenant must not take the seats of all",
    sentence: "More than {value} connections of this tenant",
  },
  connections_per_user: {
    setting: "MAX_CONNECTIONS_PER_USER",
    unit: "sockets a user of a tenant",
    fallback: 200,
    min: 1,
    max: 1_000_000,
    reason: "Tabs and devices of one person, and wall displays that share a login",
    sentence: "More than {value} connections of this user",
  },
  connections_per_address: {
    setting: "MAX_CONNECTIONS_PER_ADDRESS",
    unit: "sockets an address (an IPv6 network of 64 bits counts as one)",
    fallback: 2_000,
    min: 1,
    max: 1_000_000,
    reason: "An office behind one address, but not one machine that takes every seat",
    sentence: "More than {value} connections from this address",
  },
  handshakes_per_second: {
    setting: "MAX_HANDSHAKES_PER_SECOND",
    unit: "handshakes and tickets a second and address, ten times as many in a burst",
    fallback: 100,
    min: 1,
    max: 1_000_000,
    reason: "Verifying a signature is the dearest thing a stranger can make us do",
    sentence: "More than {value} handshakes a second from this address",
  },
  handshake_seconds: {
    setting: "HANDSHAKE_TIMEOUT_SECONDS",
    unit: "seconds for a request's headers, twice as many for the whole request",
    fallback: 10,
    min: 1,
    max: 600,
    reason: "A connection that never asks anything holds a descriptor",
    sentence: null,
  },
  refused_sockets: {
    setting: "MAX_REFUSED_SOCKETS",
    unit: "refused sockets at once",
    fallback: 64,
    min: 0,
    max: 100_000,
    reason: "They are upgraded only to be told why; beyond it the refused get an HTTP status",
    sentence: null,
  },
  socket_buffer_bytes: {
    setting: "SOCKET_HIGH_WATER_BYTES",
    unit: "bytes waiting in one socket, the next push included",
    fallback: 256 * 1024,
    min: 1024,
    max: 64 * 1024 * 1024,
    reason: "A slow client misses ticks instead of filling memory",
    sentence: null,
  },
  reads: {
    setting: "MAX_READS",
    unit: "reads under way a source",
    fallback: 8,
    min: 1,
    max: 1_000,
    reason: "More only queue up inside the database",
    sentence: null,
  },
  requests_per_second: {
    setting: "MAX_REQUESTS_PER_SECOND",
    unit: "HTTP reads a second and tenant, twice as many in a burst",
    fallback: 50,
    min: 1,
    max: 1_000_000,
    reason: "Each is a read of a database that ticks share among all clients of a tenant",
    sentence: "More than {value} requests a second of this tenant",
  },
  history_seconds: {
    setting: "MAX_HISTORY_SECONDS",
    unit: "seconds back from now",
    fallback: 90_000,
    min: 60,
    max: 31_622_400,
    reason:
      "A day's chart with an hour to spare; older data belongs to reports, not to a live feed",
    sentence: "History goes back at most {value} seconds",
  },
  history_samples: {
    setting: "MAX_HISTORY_SAMPLES",
    unit: "samples of a device in one answer",
    fallback: 10_000,
    min: 1,
    max: 1_000_000,
    reason: "One answer of some megabytes; more than a chart has points",
    sentence: "History has at most {value} samples of a device",
  },
  open_alerts: {
    setting: "MAX_OPEN_ALERTS",
    unit: "open alerts of a tenant that one read brings",
    fallback: 1_000,
    min: 1,
    max: 100_000,
    reason: "More than a person works through; each is read, compared and held at every tick",
    sentence: null,
  },
  fleet_devices: {
    setting: "MAX_FLEET_DEVICES",
    unit: "devices of a tenant that a subscription to all of them, or to the fleet, follows",
    fallback: 10_000,
    min: 1,
    max: 1_000_000,
    reason: "A read of a whole fleet must end within its tick, and its answer is held in memory",
    sentence: null,
  },
} as const satisfies Record<string, Limit>;

export type LimitName = keyof typeof LIMITS;
export type LimitValues = Readonly<Record<LimitName, number>>;

/** Counts crossings; the values never change once clients are let in. */
export class LimitLedger {
  #values: LimitValues;
  readonly #crossings = new Map<LimitName, number>();

  constructor(values: LimitValues) {
    this.#values = values;
  }

  get values(): LimitValues {
    return this.#values;
  }

  /** Before clients are let in: there is not room for as many as were set. */
  lower(name: LimitName, most: number): void {
    this.#values = { ...this.#values, [name]: Math.min(this.#values[name], most) };
  }

  /** What a client may know: the limits that it can cross by itself. */
  shown(): Readonly<Partial<Record<LimitName, number>>> {
    const { message_bytes, messages_per_second, subscriptions, connections_per_user } = this.values;
    return { message_bytes, messages_per_second, subscriptions, connections_per_user };
  }

  crossed(name: LimitName): void {
    this.#crossings.set(name, this.crossings(name) + 1);
  }

  crossings(name: LimitName): number {
    return this.#crossings.get(name) ?? 0;
  }
}

/** What a client that crossed the limit is told. */
export function limitSentence(name: LimitName, values: LimitValues): string {
  return (LIMITS[name].sentence ?? `Limit ${name} crossed`).replace(
    "{value}",
    String(values[name]),
  );
}
