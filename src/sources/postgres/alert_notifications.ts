// Hears from PostgreSQL whose alerts changed, over one connection of its own that is made again whenever it is lost. It
// must never end the process, never believe a silent wire, and never pass over a gap without saying so.
import { type Clock, delay } from "../../clock.ts";
import type { Log } from "../../observe/log.ts";
import type { AlertListener, AlertSignals } from "../alert_signals.ts";
import { SourceError, type SourceErrorKind } from "../source_error.ts";
import { quoteIdentifier } from "./quote_identifier.ts";
import { parseServerAddress } from "./server_address.ts";
import { ServerConnection, type ServerConnectionOptions } from "./server_connection.ts";

export interface AlertNotificationsOptions {
  readonly url: string;
  /** Case included, as `pg_notify` takes it. */
  readonly channel: string;
  readonly connectTimeoutMs: number;
  /** PEM of the authorities that may vouch for the server. */
  readonly caCertificate?: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Told each time the connection is there again after it was lost. */
  readonly restored?: () => void;
  /** A number in [0, 1) that spreads the delays. */
  readonly random?: () => number;
}

const TENANT_ID = /^[A-Za-z0-9_-]{1,64}$/;
/** Between attempts; doubles up to the greatest. */
const RETRY_BASE_MS = 250;
const RETRY_MAX_MS = 30_000;
/** Nobody tells of a wire that was cut: a listener that never asks would hear nothing for ever. */
const KEEP_ALIVE_MS = 30_000;
const ANSWER_TIMEOUT_MS = 5_000;
/** Between two complaints of payloads that are no tenant's id. */
const COMPLAINT_MS = 60_000;

interface Outage {
  /** On the monotonic clock. */
  readonly since: number;
  /** Kinds of faults that the log was told of; what only an operator can mend must not go unsaid. */
  readonly told: Set<SourceErrorKind>;
}

export class AlertNotifications implements AlertSignals {
  readonly #channel: string;
  readonly #random: () => number;
  readonly #toldRestored: () => void;
  readonly #connectionOptions: ServerConnectionOptions;
  readonly #life = new AbortController();
  #listening: Promise<void> | null = null;
  #isHearing = false;
  #failures = 0;
  #outage: Outage | null = null;
  #ignored = 0;
  #nextComplaintAt = -Infinity;

  /** Throws TypeError on a URL or a channel that can't be meant. Connects when first listened to. */
  constructor(options: AlertNotificationsOptions) {
    const { url, channel, random = Math.random, restored = () => {}, ...rest } = options;
    quoteIdentifier(channel);
    this.#channel = channel;
    this.#random = random;
    this.#toldRestored = restored;
    this.#connectionOptions = { ...rest, address: parseServerAddress(url), prepare: false };
  }

  get isHearing(): boolean {
    return this.#isHearing;
  }

  listen(listener: AlertListener): void {
    if (this.#listening !== null) throw new Error("Cannot listen: there is a listener already");
    this.#listening = this.#listenOn(listener);
  }

  /** Nothing is told any more; the connection ends in bounded time. More than once without harm. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort(new SourceError("unavailable", "Listening has ended"));
    await this.#listening;
  }

  /** Never rejects: whatever ends a connection is the reason to make another one. */
  async #listenOn(listener: AlertListener): Promise<void> {
    const { clock } = this.#connectionOptions;
    const { signal } = this.#life;
    while (!signal.aborted) {
      const reason = await this.#listenOnce(listener);
      if (signal.aborted) return;
      const delayMs = this.#nextDelayMs();
      this.#lost(reason, delayMs);
      await delay(clock, delayMs, signal);
    }
  }

  /** Resolves with what kept the connection from being made, or with what ended it. */
  async #listenOnce(listener: AlertListener): Promise<unknown> {
    const { clock } = this.#connectionOptions;
    try {
      const connection = await this.#connect(listener);
      const connectedAt = clock.monotonicNow();
      this.#isHearing = true;
      this.#restored(listener);
      const reason = await this.#untilOver(connection);
      // A server that takes every connection and keeps none is not well.
      if (clock.monotonicNow() - connectedAt >= RETRY_MAX_MS) this.#failures = 0;
      return reason;
    } catch (error) {
      return error;
    } finally {
      this.#isHearing = false;
    }
  }

  #connect(listener: AlertListener): Promise<ServerConnection> {
    const notified = (_channel: string, payload: string) => this.#heard(listener, payload);
    return ServerConnection.open({ ...this.#connectionOptions, notified }, {
      signal: this.#life.signal,
      begin: async (connection) => {
        await connection.answerOf(
          connection.driver.unsafe(`LISTEN ${quoteIdentifier(this.#channel)}`),
        );
        return connection;
      },
    });
  }

  /** Asks now and then whether the server is there, until it is not or nobody wants to know. */
  async #untilOver(connection: ServerConnection): Promise<unknown> {
    const { clock } = this.#connectionOptions;
    const lost = new AbortController();
    connection.gone.then((reason) => lost.abort(reason));
    const over = AbortSignal.any([this.#life.signal, lost.signal]);
    // A question under way must not hold up whoever leaves.
    over.addEventListener("abort", () => connection.close(), { once: true });
    while (!over.aborted) {
      await delay(clock, KEEP_ALIVE_MS, over);
      if (!over.aborted) await this.#ask(connection);
    }
    await connection.close();
    return over.reason;
  }

  async #ask(connection: ServerConnection): Promise<void> {
    const { clock } = this.#connectionOptions;
    const silent = new SourceError(
      "unavailable",
      `PostgreSQL did not answer the listening connection within ${ANSWER_TIMEOUT_MS} ms`,
    );
    const timer = clock.setTimeout(() => connection.destroy(silent), ANSWER_TIMEOUT_MS);
    try {
      await connection.answerOf(connection.driver.unsafe("SELECT 1"));
    } catch (error) {
      connection.destroy(error instanceof Error ? error : new Error(String(error)));
      await connection.gone;
    } finally {
      clock.clearTimeout(timer);
    }
  }

  #heard(listener: AlertListener, payload: string): void {
    if (this.#life.signal.aborted) return;
    if (TENANT_ID.test(payload)) {
      this.#tell(() => listener.notified(payload));
      return;
    }
    this.#ignored++;
    const { clock, log } = this.#connectionOptions;
    const now = clock.monotonicNow();
    if (now < this.#nextComplaintAt) return;
    this.#nextComplaintAt = now + COMPLAINT_MS;
    log.warning("notification_ignored", {
      channel: this.#channel,
      ignored: this.#ignored,
      payload_length: payload.length,
    });
    this.#ignored = 0;
  }

  #nextDelayMs(): number {
    const ceilingMs = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** this.#failures);
    this.#failures++;
    return Math.round(ceilingMs * (0.5 + this.#random() / 2));
  }

  #lost(error: unknown, retryInMs: number): void {
    const { clock, log } = this.#connectionOptions;
    this.#outage ??= { since: clock.monotonicNow(), told: new Set() };
    const kind = error instanceof SourceError ? error.kind : "unavailable";
    if (this.#outage.told.has(kind)) return;
    this.#outage.told.add(kind);
    log.warning("listen_lost", { channel: this.#channel, error, retry_in_ms: retryInMs });
  }

  #restored(listener: AlertListener): void {
    if (this.#outage === null) return;
    const { clock, log } = this.#connectionOptions;
    const lostMs = Math.round(clock.monotonicNow() - this.#outage.since);
    this.#outage = null;
    log.info("listen_restored", { channel: this.#channel, lost_ms: lostMs });
    this.#toldRestored();
    this.#tell(() => listener.missed());
  }

  /** The driver takes whatever is thrown while it reads for a fault of the connection. */
  #tell(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#connectionOptions.log.error("notification_failed", { error });
    }
  }
}
