// The subscription to alerts, shared by all listeners: one subscribe in mode `changes`, resumed with the instant of what
// was told last. Each listener has a book of its own, so that whoever comes later is told the whole list first.
import type { Clock, TimerHandle } from "../clock.ts";
import type {
  Alert,
  AlertChanges,
  AlertChangesMessage,
  AlertsMessage,
  AnswerMessage,
} from "../protocol/server_messages.ts";
import { AlertBook } from "./alert_book.ts";
import { type Gap, type Stop, stopOf } from "./client_events.ts";
import { earlierBy, nineDigits } from "./instants.ts";
import { isDeviceId } from "./is_device_id.ts";
import { PulsewireError } from "./pulsewire_error.ts";
import type { Requests } from "./requests.ts";
import { retryDelayOf } from "./retry_delay.ts";

export interface AlertChannelOptions {
  readonly clock: Clock;
  readonly lateMs: number;
  /** Calls an application's function. */
  readonly call: (listener: () => unknown) => void;
  readonly onGap: (gap: Gap) => void;
  readonly onError: (error: PulsewireError) => void;
}

/** `change` is null with the first list. */
export type AlertListener = (open: readonly Alert[], change: AlertChanges | null) => unknown;

interface Listening {
  readonly listener: AlertListener;
  /** Null for those of all devices, and of none. */
  readonly deviceIds: ReadonlySet<string> | null;
  readonly book: AlertBook;
}

/** What one subscribe may name; for more all are asked for. */
const MAX_DEVICE_IDS = 500;

export class AlertChannel {
  readonly #options: AlertChannelOptions;
  readonly #listening = new Set<Listening>();
  #requests: Requests | null = null;
  /** What the service was asked for on this connection. */
  #asked: readonly string[] | "all" | null = null;
  /** All that the service told since it was asked for it. */
  #whole = new AlertBook();
  #readAt: string | null = null;
  #isPlanning = false;
  #timer: TimerHandle | null = null;

  constructor(options: AlertChannelOptions) {
    this.#options = options;
  }

  listen(
    listener: AlertListener,
    { deviceIds = null }: { readonly deviceIds?: readonly string[] | null } = {},
  ): Stop {
    // One wrong name would have the service refuse what all listeners ask for together.
    const wrong = deviceIds?.find((id) => !isDeviceId(id));
    if (wrong !== undefined || deviceIds?.length === 0) {
      const message = "deviceIds must name at least one device, and devices only, or be left out";
      throw new PulsewireError("invalid_options", message, { deviceIds: deviceIds ?? [] });
    }
    const listening = {
      listener,
      deviceIds: deviceIds === null ? null : new Set(deviceIds),
      book: new AlertBook(),
    };
    this.#listening.add(listening);
    this.#planSoon();
    return stopOf(() => {
      this.#listening.delete(listening);
      this.#planSoon();
    });
  }

  connected(requests: Requests): void {
    this.#requests = requests;
    this.#planSoon();
  }

  lost(): void {
    this.#disconnect();
  }

  receive(message: AlertsMessage | AlertChangesMessage, asOf: string | null): void {
    if (asOf !== null) this.#readAt = nineDigits(asOf);
    this.#apply(this.#whole, message);
    for (const listening of [...this.#listening]) this.#tell(listening, message);
  }

  clear(): void {
    this.#listening.clear();
    this.#disconnect();
  }

  #tell({ listener, deviceIds, book }: Listening, message: AlertsMessage | AlertChangesMessage) {
    const isFirst = !book.isFilled;
    // Changes mean nothing to who has no list to change.
    if (isFirst && message.type === "alert_changes") return;
    const isOwn = ({ device_id: id }: Alert) =>
      deviceIds === null || (id !== null && deviceIds.has(id));
    const change = this.#apply(book, message, isOwn);
    if (isFirst || change !== null) this.#options.call(() => listener(book.open, change));
  }

  #apply(
    book: AlertBook,
    message: AlertsMessage | AlertChangesMessage,
    isOwn: (alert: Alert) => boolean = () => true,
  ): AlertChanges | null {
    if (message.type === "alerts") {
      const cutAfter = message.truncated === true ? message.alerts.at(-1) ?? null : null;
      return book.list(message.alerts.filter(isOwn), { cutAfter });
    }
    const { opened, updated, closed } = message;
    // One that came to another device is none of this listener's any more.
    const left = updated.filter((alert) => !isOwn(alert)).map(({ alert_id: id }) => id);
    return book.changes({
      opened: opened.filter(isOwn),
      updated: updated.filter(isOwn),
      closed: [...closed, ...left],
    });
  }

  #planSoon(): void {
    if (this.#isPlanning) return;
    this.#isPlanning = true;
    queueMicrotask(() => {
      this.#isPlanning = false;
      this.#plan();
    });
  }

  #plan(): void {
    const requests = this.#requests;
    if (requests === null) return;
    if (this.#listening.size === 0) {
      if (this.#asked !== null) requests.ask({ action: "unsubscribe", type: "alerts" }, () => {});
      this.#asked = null;
      this.#readAt = null;
      this.#whole = new AlertBook();
      return;
    }
    const wanted = this.#union();
    if (JSON.stringify(wanted) === JSON.stringify(this.#asked)) this.#serveNewcomers();
    else this.#subscribe(requests, wanted);
  }

  #subscribe(requests: Requests, wanted: readonly string[] | "all"): void {
    const isResumed = this.#readAt !== null && this.#whole.isFilled;
    if (this.#asked !== null) this.#whole = new AlertBook();
    this.#asked = wanted;
    requests.ask({
      action: "subscribe",
      type: "alerts",
      mode: "changes",
      ...(wanted === "all" ? {} : { device_ids: wanted }),
      ...(isResumed && this.#readAt !== null
        ? { since: earlierBy(this.#readAt, this.#options.lateMs) }
        : {}),
    }, (answer) => this.#answered(answer));
  }

  #answered(answer: AnswerMessage): void {
    if (answer.type === "error") {
      this.#options.onError(new PulsewireError(answer.code, answer.message));
      const retryMs = retryDelayOf(answer);
      if (retryMs !== null) this.#retry(retryMs);
      return;
    }
    if (answer.type !== "subscribed" || answer.channel !== "alerts") return;
    const { resume } = answer;
    if (resume === undefined || resume.complete || resume.reason === "replaced") return;
    const { from, reason = null } = resume;
    this.#options.onGap({ channel: "alerts", device_id: null, from, reason });
  }

  #retry(ms: number): void {
    const { clock } = this.#options;
    if (this.#timer !== null) clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => {
      this.#asked = null;
      this.#plan();
    }, ms);
  }

  #disconnect(): void {
    this.#requests = null;
    this.#asked = null;
    if (this.#timer !== null) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** What is known already is told at once; where nothing is, the list is on its way. */
  #serveNewcomers(): void {
    if (!this.#whole.isFilled) return;
    const alerts = this.#whole.open;
    for (const listening of [...this.#listening]) {
      if (!listening.book.isFilled) this.#tell(listening, { type: "alerts", alerts });
    }
  }

  #union(): readonly string[] | "all" {
    const ids = new Set<string>();
    for (const { deviceIds } of this.#listening) {
      if (deviceIds === null) return "all";
      for (const id of deviceIds) ids.add(id);
    }
    return ids.size > MAX_DEVICE_IDS ? "all" : [...ids].sort();
  }
}
