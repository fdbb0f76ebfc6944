// A service in a few lines that keeps the protocol's promises about `every` and history, on sockets that a test cuts: what a
// client makes of it can be held against what was stored. It must stay simple enough to be seen to be right.
import type { Message } from "../support/client.ts";
import { asOf, at, type FakeSocket, telemetry } from "./client_fixture.ts";

export interface Stored {
  readonly timestamp: string;
  readonly n: number;
}

interface Followed {
  readonly from: string;
  readonly id: unknown;
  readonly sent: Set<string>;
  isCatchingUp: boolean;
  /** The second of the read before. */
  readAt: number;
}

const LATE_SECONDS = 10;

export class ModelService {
  readonly stored: Stored[] = [];
  readonly #second: () => number;
  #socket: FakeSocket | null = null;
  #answered = 0;
  #followed: Followed | null = null;

  constructor({ second }: { readonly second: () => number }) {
    this.#second = second;
  }

  /** Goes on with another socket; what was followed on the one before is gone. */
  accept(socket: FakeSocket): void {
    this.#socket = socket;
    this.#answered = 0;
    this.#followed = null;
  }

  /** Stores a sample so many seconds before or after now. */
  store(shiftSeconds: number): void {
    const n = this.stored.length + 1;
    const timestamp = at(this.#second() + shiftSeconds, String(n).padStart(9, "0"));
    this.stored.push({ timestamp, n });
  }

  /** Answers what was asked since. */
  answer(): void {
    const socket = this.#socket;
    if (socket === null) return;
    const asked = socket.sent.filter(({ type }) => type === "device").slice(this.#answered);
    this.#answered += asked.length;
    for (const message of asked) this.#take(socket, message);
  }

  /** Sends at most so many samples of the history that is still to come. */
  page(atMost: number): void {
    if (this.#followed?.isCatchingUp !== true) return;
    const { now, due } = this.#due();
    this.#followed.readAt = now;
    const page = due.slice(0, atMost);
    const done = page.length === due.length;
    this.#followed.isCatchingUp = !done;
    for (const { timestamp } of page) this.#followed.sent.add(timestamp);
    const samples = page.map(toSample);
    const { id } = this.#followed;
    this.#socket?.say({ type: "history", device_id: "d", samples, done, id, as_of: asOf(now) });
  }

  /** Pushes what was stored since. */
  tick(): void {
    if (this.#followed === null || this.#followed.isCatchingUp) return;
    const { now, due } = this.#due();
    const floor = at(this.#followed.readAt - LATE_SECONDS);
    this.#followed.readAt = now;
    const fresh = due.filter(({ timestamp }) => timestamp > floor);
    for (const { timestamp } of fresh) this.#followed.sent.add(timestamp);
    if (fresh.length > 0) {
      this.#socket?.batch(now, fresh.map((one) => telemetry("d", toSample(one))));
    }
  }

  #due(): { readonly now: number; readonly due: readonly Stored[] } {
    const { from = "", sent = new Set() } = this.#followed ?? {};
    const due = this.stored.filter(({ timestamp }) => timestamp > from && !sent.has(timestamp))
      .sort((one, other) => one.timestamp < other.timestamp ? -1 : 1);
    return { now: this.#second(), due };
  }

  #take(socket: FakeSocket, { action, id, since, history_seconds: seconds }: Message): void {
    if (action === "unsubscribe") {
      this.#followed = null;
      socket.say({ type: "unsubscribed", channel: "device", device_id: "d", id });
      return;
    }
    const hasHistory = since !== undefined || seconds !== undefined;
    const from = since?.d ?? (hasHistory ? at(this.#second() - seconds) : "");
    const known = hasHistory ? [] : this.stored.map(({ timestamp }) => timestamp);
    const readAt = this.#second();
    this.#followed = { from, id, sent: new Set(known), isCatchingUp: hasHistory, readAt };
    const resume = hasHistory ? { resume: { d: { from, complete: true } } } : {};
    socket.say({ type: "subscribed", channel: "device", device_id: "d", ...resume, id });
  }
}

function toSample({ timestamp, n }: Stored) {
  return { timestamp, metrics: { n } };
}
