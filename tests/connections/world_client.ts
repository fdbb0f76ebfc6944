// One client as the model knows it: what it follows, and what each message that it is sent must be beside that.
import type { Frame } from "../../src/protocol/frame.ts";
import type { ServerMessage } from "../../src/protocol/server_messages.ts";
import type { TestConnection } from "./connections_fixture.ts";

export type Mode = "latest" | "every";
export type AlertMode = "list" | "changes";

/** What was asked of one device, or is because of what was asked of all. */
export class FollowedModel {
  readonly id: number;
  readonly mode: Mode;
  /** Instant after which history was asked for; null where none was. */
  readonly since: string | null;
  /** Timestamps in the order in which they came. */
  readonly received: string[] = [];
  /** So many of the stored samples may be left out where no history was asked for; Infinity while that is open. */
  skipped = Infinity;

  constructor({ id, mode, since }: Pick<FollowedModel, "id" | "mode" | "since">) {
    this.id = id;
    this.mode = mode;
    this.since = since;
  }
}

export interface AlertsModel {
  readonly id: number;
  readonly mode: AlertMode;
  /** The alerts that the client takes to be open; null before the first list. */
  open: Set<number> | null;
  /** Alerts that were told to have come. */
  readonly opened: Set<number>;
}

export type Violated = (rule: string) => void;

export class Client {
  readonly tenantId: string;
  readonly real: TestConnection;
  isConnected = true;
  readonly devices = new Map<string, FollowedModel>();
  /** What was asked of all devices, and of each as it came up. */
  all: FollowedModel | null = null;
  implied = new Map<string, FollowedModel>();
  alerts: AlertsModel | null = null;
  followsFleet = false;
  /** Messages that must be answered, once each. */
  readonly unanswered = new Set<number>();
  #fleet = "";
  readonly #violated: Violated;

  constructor(
    { tenantId, real, violated }: {
      readonly tenantId: string;
      readonly real: TestConnection;
      readonly violated: Violated;
    },
  ) {
    this.tenantId = tenantId;
    this.real = real;
    this.#violated = violated;
    real.socket.watch = (frames) => this.#watch(frames);
  }

  /** What counts for a device. */
  modelOf(deviceId: string): FollowedModel | undefined {
    const named = this.devices.get(deviceId);
    if (named !== undefined || this.all === null) return named;
    let implied = this.implied.get(deviceId);
    if (implied === undefined) {
      implied = new FollowedModel(this.all);
      this.implied.set(deviceId, implied);
    }
    return implied;
  }

  follows(deviceId: string): boolean {
    return this.all !== null || this.devices.has(deviceId);
  }

  forgetFleet(): void {
    this.followsFleet = false;
    this.#fleet = "";
  }

  /** Takes back everything, as a disconnect does. */
  leave(): void {
    this.isConnected = false;
    this.devices.clear();
    this.all = null;
    this.implied.clear();
    this.alerts = null;
    this.forgetFleet();
    this.unanswered.clear();
  }

  #watch(frames: readonly Frame[]): void {
    this.#require(this.isConnected, "a frame for one that left");
    for (const { message } of frames) {
      if (message.type === "batch") { for (const one of message.messages) this.#take(one); }
      else this.#take(message);
    }
  }

  #take(message: ServerMessage): void {
    switch (message.type) {
      case "subscribed":
        if (typeof message.id !== "number") return;
        this.#require(this.unanswered.delete(message.id), "an answer to what was answered");
        return;
      case "telemetry": {
        const { device_id, data } = message;
        this.#require(data.metrics.tenant === this.tenantId, "another tenant's sample");
        this.#sample(device_id, data.timestamp);
        return;
      }
      case "history": {
        const { device_id, samples, id } = message;
        this.#require(this.modelOf(device_id)?.id === id, "a page of another message");
        for (const { timestamp } of samples) this.#sample(device_id, timestamp);
        return;
      }
      case "alerts":
        this.#list(message.alerts.map(({ alert_id }) => alert_id));
        this.#require(
          message.alerts.every(({ tenant_id }) => tenant_id === this.tenantId),
          "another tenant's alerts",
        );
        return;
      case "alert_changes":
        this.#changes(message);
        return;
      case "fleet": {
        this.#require(this.followsFleet, "a fleet for one that follows none");
        const text = JSON.stringify([message.devices, message.alerts]);
        this.#require(text !== this.#fleet, "a fleet that did not change");
        this.#fleet = text;
        return;
      }
      case "error":
        this.#violated("an error for a message that is right");
    }
  }

  #sample(deviceId: string, timestamp: string): void {
    const model = this.modelOf(deviceId);
    if (model === undefined) {
      this.#violated("a sample of a device that is not followed");
      return;
    }
    this.#require(!this.unanswered.has(model.id), "a sample before the answer");
    const { mode, since, received } = model;
    const last = received.at(-1) ?? "";
    if (mode === "every") {
      this.#require(timestamp > last, "a sample twice, or out of order");
      this.#require(timestamp > (since ?? ""), "a sample from before the history");
    } else this.#require(timestamp >= last, "a sample older than the last one");
    received.push(timestamp);
  }

  #list(ids: readonly number[]): void {
    const { alerts } = this;
    if (alerts === null) {
      this.#violated("alerts for one that follows none");
      return;
    }
    this.#require(!this.unanswered.has(alerts.id), "alerts before the answer");
    this.#require(alerts.mode === "list" || alerts.open === null, "the whole list twice");
    alerts.open = new Set(ids);
    for (const id of ids) alerts.opened.add(id);
  }

  #changes(
    { opened, closed }: {
      readonly opened: readonly { readonly alert_id: number }[];
      readonly closed: readonly number[];
    },
  ): void {
    const { alerts } = this;
    if (alerts === null || alerts.open === null || alerts.mode !== "changes") {
      this.#violated("changes for one that does not follow them, or before the list");
      return;
    }
    for (const { alert_id } of opened) {
      this.#require(!alerts.opened.has(alert_id), "an alert that is opened twice");
      alerts.opened.add(alert_id);
      alerts.open.add(alert_id);
    }
    for (const alertId of closed) {
      const isKnown = alerts.open.delete(alertId);
      this.#require(isKnown || !alerts.opened.has(alertId), "an alert that is closed twice");
    }
  }

  #require(holds: boolean, rule: string): void {
    if (!holds) this.#violated(`${rule} (${this.tenantId}, ${this.real.connection.id})`);
  }
}
