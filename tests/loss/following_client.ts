// A client that may lose nothing: follows every sample and every change of the alerts, comes back after each close with
// its cursors, and keeps all that each connection brought. It must not put in order or drop what it was sent before the
// comparison has seen it.
import { instantOfNanos, nanosOf, parseNanoInstant } from "../../src/protocol/nano_instant.ts";
import type { Resume, Sample, ServerMessage } from "../../src/protocol/server_messages.ts";
import { pause } from "../support/until.ts";
import { AlertReplay } from "./alert_replay.ts";
import { keyOf } from "./numbered_sample.ts";

export interface Delivery {
  readonly deviceId: string;
  readonly timestamp: string;
  readonly metrics: Sample["metrics"];
  readonly from: "history" | "live";
}

export interface FollowedConnection {
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  closedAt: number | null;
  /** Where each device was asked to start from; exclusive. */
  readonly since: ReadonlyMap<string, string>;
  /** In the order of their arrival. */
  readonly deliveries: Delivery[];
}

export interface FollowingClientOptions {
  /** The address with a credential in it, asked for before each connection. */
  readonly address: () => Promise<string>;
  readonly deviceIds: readonly string[];
  /** Nine digits: where to start from without a cursor. */
  readonly since: string;
  /** How far behind its cursors it asks again, for what arrived late while it was away. */
  readonly overlapMs: number;
}

const DEVICES_ID = 1;
const ALERTS_ID = 2;
const RETURN_MS = 100;

export class FollowingClient implements AsyncDisposable {
  readonly connections: FollowedConnection[] = [];
  readonly alerts = new AlertReplay();
  readonly #options: FollowingClientOptions;
  readonly #faults: string[] = [];
  readonly #got = new Map<string, Delivery>();
  /** The greatest timestamp of each device. */
  readonly #cursors = new Map<string, string>();
  readonly #finished: Promise<void>;
  #socket: WebSocket | null = null;
  #answers = 0;
  #isLeaving = false;

  constructor(options: FollowingClientOptions) {
    this.#options = options;
    this.#finished = this.#live();
  }

  /** Every sample that came on any connection, once each. */
  get got(): ReadonlyMap<string, Delivery> {
    return this.#got;
  }

  /** What no honest service sends. */
  get faults(): readonly string[] {
    return [...this.#faults, ...this.alerts.faults];
  }

  /** Subscriptions that were answered, on all connections. */
  get answers(): number {
    return this.#answers;
  }

  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.#socket?.close();
    await this.#finished;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }

  async #live(): Promise<void> {
    while (!this.#isLeaving) {
      await this.#connect(await this.#options.address());
      if (!this.#isLeaving) await pause(RETURN_MS);
    }
  }

  /** Lives through one connection. */
  async #connect(address: string): Promise<void> {
    const socket = new WebSocket(address);
    this.#socket = socket;
    if (this.#isLeaving) socket.close();
    const closed = Promise.withResolvers<void>();
    let connection: FollowedConnection | null = null;
    const receiver = new Receiver(this.#options.deviceIds);
    socket.onopen = () => {
      const since = this.#start();
      connection = { connectedAt: Date.now(), closedAt: null, since, deliveries: [] };
      this.connections.push(connection);
      this.alerts.connected();
      for (const message of this.#subscriptions(since)) socket.send(JSON.stringify(message));
    };
    socket.onmessage = ({ data }) => {
      if (connection === null || socket.readyState !== WebSocket.OPEN) return;
      if (this.#receive(JSON.parse(data), { connection, receiver }) === "come back") socket.close();
    };
    socket.onerror = (event) => event.preventDefault();
    socket.onclose = () => closed.resolve();
    await closed.promise;
    this.#socket = null;
    if (connection !== null) (connection as FollowedConnection).closedAt = Date.now();
  }

  #start(): ReadonlyMap<string, string> {
    const { deviceIds, since } = this.#options;
    return new Map(deviceIds.map((id) => [id, this.#behind(this.#cursors.get(id) ?? since)]));
  }

  #subscriptions(
    since: ReadonlyMap<string, string>,
  ): readonly Readonly<Record<string, unknown>>[] {
    return [
      {
        action: "subscribe",
        type: "device",
        device_ids: this.#options.deviceIds,
        mode: "every",
        since: Object.fromEntries(since),
        id: DEVICES_ID,
      },
      {
        action: "subscribe",
        type: "alerts",
        mode: "changes",
        since: this.#behind(this.alerts.cursor ?? this.#options.since),
        id: ALERTS_ID,
      },
    ];
  }

  /** The instant to ask from for a cursor. */
  #behind(cursor: string): string {
    const instant = parseNanoInstant(cursor);
    if (instant === null) throw new Error(`Cannot ask from ${cursor}: it is no instant`);
    const { since, overlapMs } = this.#options;
    const behind = instantOfNanos(nanosOf(instant) - BigInt(overlapMs) * 1_000_000n);
    return behind > since ? behind : since;
  }

  #receive(
    message: ServerMessage,
    { connection, receiver }: { connection: FollowedConnection; receiver: Receiver },
  ): "stay" | "come back" {
    switch (message.type) {
      case "subscribed":
        this.#answers++;
        if (message.channel === "device") {
          this.#note(receiver.subscribed("device_ids" in message ? message.device_ids : []));
          return this.#resumed(this.#options.deviceIds.map((id) => message.resume?.[id]));
        }
        if (message.channel === "alerts") return this.#resumed([message.resume]);
        break;
      case "history": {
        const { device_id: deviceId, samples, done, id } = message;
        if (id !== DEVICES_ID) this.#note(`A history page has the id ${id}`);
        this.#note(receiver.history(deviceId, done));
        for (const sample of samples) {
          this.#take(connection, { deviceId, ...sample, from: "history" });
        }
        return "stay";
      }
      case "telemetry": {
        const { device_id: deviceId, data } = message;
        this.#note(receiver.live(deviceId));
        this.#take(connection, { deviceId, ...data, from: "live" });
        return "stay";
      }
      case "alerts":
        if (message.truncated !== undefined) this.#note("A list of alerts was truncated");
        this.alerts.list(message.alerts);
        return "stay";
      case "alert_changes":
        this.alerts.changes(message);
        return "stay";
      case "error":
        // What can't be had now is asked for again.
        if (message.code === "source_unavailable") return "come back";
    }
    this.#note(`An unexpected message: ${JSON.stringify(message)}`);
    return "stay";
  }

  /** An outage hides what was missed; nothing that follows may then move a cursor. */
  #resumed(resumes: readonly (Resume | undefined)[]): "stay" | "come back" {
    const wrong = resumes.find((resume) => resume?.complete !== true);
    if (resumes.length > 0 && resumes.every((resume) => resume?.complete === true)) return "stay";
    if (wrong?.reason === "source_unavailable") return "come back";
    this.#note(`A subscription does not resume: ${JSON.stringify(wrong)}`);
    return "stay";
  }

  #take(connection: FollowedConnection, delivery: Delivery): void {
    connection.deliveries.push(delivery);
    const key = keyOf(delivery);
    if (!this.#got.has(key)) this.#got.set(key, delivery);
    const { deviceId, timestamp } = delivery;
    if (timestamp > (this.#cursors.get(deviceId) ?? "")) this.#cursors.set(deviceId, timestamp);
  }

  #note(fault: string | null): void {
    if (fault !== null) this.#faults.push(fault);
  }
}

/** The order in which one connection may be told of its devices. */
class Receiver {
  readonly #deviceIds: readonly string[];
  readonly #done = new Set<string>();
  #isSubscribed = false;

  constructor(deviceIds: readonly string[]) {
    this.#deviceIds = deviceIds;
  }

  subscribed(deviceIds: readonly string[]): string | null {
    this.#isSubscribed = true;
    const isRight = deviceIds.length === this.#deviceIds.length &&
      this.#deviceIds.every((id) => deviceIds.includes(id));
    return isRight ? null : `A subscription was answered for ${deviceIds.join(", ") || "nothing"}`;
  }

  history(deviceId: string, isDone: boolean): string | null {
    if (!this.#isSubscribed) return `History of ${deviceId} came before the answer`;
    if (this.#done.has(deviceId)) return `History of ${deviceId} went on after its end`;
    if (isDone) this.#done.add(deviceId);
    return null;
  }

  live(deviceId: string): string | null {
    return this.#done.has(deviceId) ? null : `${deviceId} was live before its history's end`;
  }
}
