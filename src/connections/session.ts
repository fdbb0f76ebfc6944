// What a connection does with what its client sends: bound it, decode it, act, answer. A message that can't be taken is
// answered and forgotten; it must never touch the subscriptions or the socket.
import { Buffer } from "node:buffer";
import type { Verifier } from "../auth/verifier.ts";
import type { Clock } from "../clock.ts";
import { type ClosingName, CLOSINGS, MESSAGE_ERRORS, type MessageErrorCode } from "../errors.ts";
import { type LimitLedger, type LimitName, limitSentence } from "../limits/limits.ts";
import { TokenBucket } from "../limits/token_bucket.ts";
import type { Log } from "../observe/log.ts";
import {
  type ClientMessage,
  type Feature,
  FEATURES,
  type MessageId,
} from "../protocol/client_messages.ts";
import { decode } from "../protocol/decode.ts";
import type { AnswerMessage, Resume } from "../protocol/server_messages.ts";
import type { SocketEvents } from "../sockets/socket.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionManager } from "./connection_manager.ts";
import {
  alertAnswer,
  alertRequestOf,
  deviceAnswer,
  deviceRequestOf,
  limitsThatCut,
  targetsOf,
} from "./subscription_requests.ts";
import { renewToken } from "./renew_token.ts";
import { STRIKE_WINDOW_MS, Strikes } from "./strikes.ts";
import { type TokenHolder, TokenLife } from "./token_life.ts";

export interface SessionOptions {
  readonly manager: ConnectionManager;
  readonly verifier: Verifier;
  readonly ledger: LimitLedger;
  /** `pulsewire/<version>`, as `hello` is answered. */
  readonly server: string;
  readonly pollSeconds: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** A burst of messages is this many seconds' worth. */
const BURST_SECONDS = 10;
const KEYS_RETRY_MS = 5_000;

export class Session implements SocketEvents, TokenHolder {
  readonly #connection: Connection;
  readonly #options: SessionOptions;
  readonly #messages: TokenBucket;
  readonly #tokenLife: TokenLife;
  /** Made for who crosses a limit. */
  #strikes: Strikes | null = null;
  #isRenewing = false;

  constructor(connection: Connection, options: SessionOptions) {
    this.#connection = connection;
    this.#options = options;
    const { clock, ledger } = options;
    const ratePerSecond = ledger.values.messages_per_second;
    this.#messages = new TokenBucket({
      ratePerSecond,
      burst: ratePerSecond * BURST_SECONDS,
      clock,
    });
    this.#tokenLife = new TokenLife({
      expiresAt: connection.scope.expiresAt,
      clock,
      deadlines: options.manager.deadlines,
      holder: this,
    });
    connection.accompany(this.#tokenLife);
  }

  text(data: string): void {
    if (this.#connection.isEnded || this.#isTooBig(Buffer.byteLength(data))) return;
    const waitMs = this.#messages.take();
    // Also over the limit, so that the error carries the id: strikes bound how often.
    const decoded = decode(data, {
      maxDeviceIdBytes: this.#options.ledger.values.device_id_bytes,
    });
    if (waitMs > 0) {
      this.#cross("messages_per_second", { code: "rate_limited", id: decoded.id, waitMs });
      return;
    }
    if (!decoded.ok) {
      const { message, code, limit } = decoded.error;
      if (limit !== undefined) {
        this.#cross(limit, { code, id: decoded.id, waitMs: null });
        return;
      }
      this.#answer({ type: "error", message, code }, decoded.id);
      return;
    }
    try {
      this.#act(decoded.message, decoded.id);
    } catch (error) {
      this.#options.log.error("message_failed", { connection: this.#connection.id, error });
      this.#refuse("internal", decoded.id);
    }
  }

  binary(byteLength: number): void {
    if (this.#connection.isEnded || this.#isTooBig(byteLength)) return;
    const waitMs = this.#messages.take();
    if (waitMs > 0) {
      this.#cross("messages_per_second", { code: "rate_limited", id: null, waitMs });
    } else {
      this.#refuse("unsupported_data", null);
    }
  }

  closed(code: number): void {
    this.#options.manager.disconnect(this.#connection, code);
  }

  tokenExpiring(): void {
    this.#warnOfExpiry();
  }

  tokenExpired(): void {
    this.#close("invalid_token");
  }

  /** For the engine that does not know the limit; a message over it is closed with 1009, whatever it says. */
  #isTooBig(byteLength: number): boolean {
    const { ledger } = this.#options;
    if (byteLength <= ledger.values.message_bytes) return false;
    ledger.crossed("message_bytes");
    this.#close("message_too_big");
    return true;
  }

  #act(message: ClientMessage, id: MessageId | null): void {
    switch (message.action) {
      case "subscribe":
        this.#subscribe(message, id);
        return;
      case "unsubscribe":
        this.#unsubscribe(message, id);
        return;
      case "ping":
        this.#answer({ type: "pong" }, id);
        return;
      case "hello":
        this.#greet(message.features, id);
        return;
      case "auth":
        void this.#renew(message.token, id);
        return;
    }
  }

  #subscribe(message: Extract<ClientMessage, { action: "subscribe" }>, id: MessageId | null): void {
    const { manager, clock } = this.#options;
    const connection = this.#connection;
    switch (message.type) {
      case "device": {
        if (!this.#hasRoomFor(targetsOf(message))) {
          this.#cross("subscriptions", { code: "limit_exceeded", id, waitMs: null });
          return;
        }
        const answered = (resumes?: Readonly<Record<string, Resume>>) => {
          this.#countCuts(Object.values(resumes ?? {}), { most: "history_samples" });
          this.#answer(deviceAnswer("subscribed", message, resumes), id);
        };
        const request = deviceRequestOf(message, { id, nowMs: clock.now(), answered });
        manager.subscribeDevices(connection, request);
        // Where it begins in the past, the answer waits until somebody can say where.
        if (request.start === null) answered();
        break;
      }
      case "alerts": {
        const answered = (resume?: Resume) => {
          this.#countCuts([resume], { most: "open_alerts" });
          this.#answer(alertAnswer("subscribed", resume), id);
        };
        const request = alertRequestOf(message, answered);
        manager.subscribeAlerts(connection, request);
        if (request.start === null) answered();
        break;
      }
      case "fleet":
        manager.subscribeFleet(connection);
        this.#answer({ type: "subscribed", channel: "fleet" }, id);
        break;
    }
    // What is told unasked follows the answer, as does what is known already.
    connection.tellStatuses();
    connection.wake();
  }

  #unsubscribe(
    message: Extract<ClientMessage, { action: "unsubscribe" }>,
    id: MessageId | null,
  ): void {
    const { manager } = this.#options;
    switch (message.type) {
      case "device":
        manager.unsubscribeDevices(this.#connection, targetsOf(message));
        this.#answer(deviceAnswer("unsubscribed", message), id);
        break;
      case "alerts":
        manager.unsubscribeAlerts(this.#connection);
        this.#answer(alertAnswer("unsubscribed"), id);
        break;
      case "fleet":
        manager.unsubscribeFleet(this.#connection);
        this.#answer({ type: "unsubscribed", channel: "fleet" }, id);
        break;
    }
  }

  #countCuts(...cuts: Parameters<typeof limitsThatCut>): void {
    for (const limit of limitsThatCut(...cuts)) this.#options.ledger.crossed(limit);
  }

  /** Following all devices counts as one. */
  #hasRoomFor(deviceIds: readonly string[] | "all"): boolean {
    const { devices, all } = this.#connection;
    const followed = devices.size + (all === null ? 0 : 1);
    const added = deviceIds === "all"
      ? (all === null ? 1 : 0)
      : deviceIds.filter((deviceId) => !devices.has(deviceId)).length;
    return followed + added <= this.#options.ledger.values.subscriptions;
  }

  #greet(asked: readonly string[], id: MessageId | null): void {
    const { server, pollSeconds, ledger } = this.#options;
    const features: readonly Feature[] = FEATURES.filter((feature) => asked.includes(feature));
    this.#connection.accept(features);
    this.#answer({
      type: "hello",
      server,
      poll_seconds: pollSeconds,
      features,
      limits: ledger.shown(),
      token_expires_at: this.#expiresAt(),
    }, id);
    this.#connection.tellStatuses();
    // Who asks for notices in the token's last minute has missed the moment, but not the notice.
    if (this.#tokenLife.isExpiring) this.#warnOfExpiry();
  }

  #warnOfExpiry(): void {
    if (!this.#connection.has("notices")) return;
    this.#connection.send({ type: "token_expiring", expires_at: this.#expiresAt() });
  }

  async #renew(token: string, id: MessageId | null): Promise<void> {
    if (this.#isRenewing) {
      this.#refuse("invalid_message", id, "Another auth is still being verified");
      return;
    }
    this.#isRenewing = true;
    const renewal = await renewToken(token, {
      ...this.#options,
      connection: this.#connection,
      tokenLife: this.#tokenLife,
    });
    this.#isRenewing = false;
    if (renewal === "renewed") {
      this.#answer({ type: "authenticated", expires_at: this.#expiresAt() }, id);
    } else if (renewal === "not_allowed") {
      this.#close("not_allowed");
    } else if (renewal === "keys_unavailable") {
      this.#answer({
        type: "error",
        message: CLOSINGS.keys_unavailable.sentence,
        code: "source_unavailable",
        retry_after_ms: KEYS_RETRY_MS,
      }, id);
    } else if (renewal !== "gone") {
      this.#refuse(renewal, id);
    }
  }

  #cross(
    limit: LimitName,
    { code, id, waitMs }: {
      code: MessageErrorCode;
      id: MessageId | null;
      waitMs: number | null;
    },
  ): void {
    const { ledger, clock } = this.#options;
    ledger.crossed(limit);
    this.#strikes ??= new Strikes();
    const isLast = this.#strikes.strike(clock.monotonicNow());
    const retryMs = isLast ? Math.max(STRIKE_WINDOW_MS, waitMs ?? 0) : waitMs;
    this.#answer({
      type: "error",
      message: limitSentence(limit, ledger.values),
      code,
      limit,
      value: ledger.values[limit],
      ...(retryMs === null ? {} : { retry_after_ms: retryMs }),
    }, id);
    if (isLast) this.#close("too_many_crossings");
  }

  #refuse(code: MessageErrorCode, id: MessageId | null, message?: string): void {
    this.#answer({ type: "error", message: message ?? MESSAGE_ERRORS[code].sentence, code }, id);
  }

  #answer(message: AnswerMessage, id: MessageId | null): void {
    this.#connection.send(id === null ? message : { ...message, id });
  }

  #close(closing: ClosingName): void {
    const { closeCode, sentence } = CLOSINGS[closing];
    if (closeCode !== null) this.#connection.close(closeCode, sentence);
  }

  #expiresAt(): string {
    return new Date(this.#tokenLife.expiresAt).toISOString();
  }
}
