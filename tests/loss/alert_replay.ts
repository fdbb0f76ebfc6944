// Follows alerts in mode `changes` as a page would: a list, then what changed. It must know nothing but what it was sent.
import type { Alert, AlertChanges } from "../../src/protocol/server_messages.ts";

export class AlertReplay {
  readonly #open = new Map<number, Alert>();
  readonly #reported = new Set<number>();
  readonly #closed = new Set<number>();
  readonly #faults: string[] = [];
  #hasList = false;
  #openedHere = new Set<number>();
  #closedHere = new Set<number>();
  #greatest: string | null = null;

  /** The alerts that are open as far as was told. */
  get open(): ReadonlyMap<number, Alert> {
    return this.#open;
  }

  /** Every alert that a message held as a whole. */
  get reported(): ReadonlySet<number> {
    return this.#reported;
  }

  /** Every alert that was told to be closed. */
  get closed(): ReadonlySet<number> {
    return this.#closed;
  }

  /** What no honest service sends. */
  get faults(): readonly string[] {
    return this.#faults;
  }

  /** The greatest `created_at` that was seen; null before the first. */
  get cursor(): string | null {
    return this.#greatest;
  }

  /** A connection begins: its list is still to come. */
  connected(): void {
    this.#hasList = false;
    this.#openedHere = new Set();
    this.#closedHere = new Set();
  }

  list(alerts: readonly Alert[]): void {
    if (this.#hasList) this.#faults.push("A connection was sent a second list");
    this.#hasList = true;
    this.#open.clear();
    for (const alert of alerts) this.#take(alert);
    if (this.#open.size < alerts.length) this.#faults.push("A list holds an alert twice");
  }

  changes({ opened, updated, closed }: AlertChanges): void {
    if (!this.#hasList) this.#faults.push("Changes came before the list");
    for (const alert of opened) {
      if (this.#openedHere.has(alert.alert_id)) {
        this.#faults.push(`Alert ${alert.alert_id} was opened twice on one connection`);
      }
      this.#openedHere.add(alert.alert_id);
      this.#take(alert);
    }
    for (const alert of updated) {
      if (!this.#open.has(alert.alert_id)) {
        this.#faults.push(`Alert ${alert.alert_id} was updated and is not open`);
      }
      this.#take(alert);
    }
    for (const alertId of closed) {
      if (this.#closedHere.has(alertId)) {
        this.#faults.push(`Alert ${alertId} was closed twice on one connection`);
      }
      if (!this.#reported.has(alertId)) {
        this.#faults.push(`Alert ${alertId} was closed and never reported`);
      }
      this.#closedHere.add(alertId);
      this.#closed.add(alertId);
      this.#open.delete(alertId);
    }
  }

  #take(alert: Alert): void {
    this.#open.set(alert.alert_id, alert);
    this.#reported.add(alert.alert_id);
    if (this.#greatest === null || alert.created_at > this.#greatest) {
      this.#greatest = alert.created_at;
    }
  }
}
