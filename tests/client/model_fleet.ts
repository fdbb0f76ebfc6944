// A service of several devices in a few lines that keeps the protocol's promises about mode `every`, `*` and history, on
// sockets that a test cuts: what a client makes of it can be held against what was stored. It sends each device to one
// subscription only, answers and pages when a test says so, and must stay simple enough to be seen to be right.
import type { Message } from "../support/client.ts";
import { asOf, at, type FakeSocket, telemetry } from "./client_fixture.ts";
import { ModelFollowing, type Stored } from "./model_following.ts";
import { ModelPast } from "./model_past.ts";

/** How every device is followed. */
interface All {
  readonly past: ModelPast | null;
  readonly from: string | null;
}

export class ModelFleet {
  readonly #stored = new Map<string, Stored[]>();
  readonly #second: () => number;
  #count = 0;
  #socket: FakeSocket | null = null;
  #taken = 0;
  #all: All | null = null;
  readonly #own = new Map<string, ModelFollowing>();
  /** Devices that are followed because all are. */
  readonly #implied = new Map<string, ModelFollowing>();
  /** What reads have found of each device. */
  readonly #read = new Map<string, ReadonlySet<string>>();

  constructor({ second }: { readonly second: () => number }) {
    this.#second = second;
  }

  /** Those that have samples. */
  get deviceIds(): readonly string[] {
    return [...this.#stored].filter(([, { length }]) => length > 0).map(([deviceId]) => deviceId);
  }

  stored(deviceId: string): readonly Stored[] {
    return this.#storedOf(deviceId);
  }

  /** Goes on with another socket; what was followed on the one before is gone. */
  accept(socket: FakeSocket): void {
    this.#socket = socket;
    this.#taken = 0;
    this.#all = null;
    this.#own.clear();
    this.#implied.clear();
    this.#read.clear();
  }

  /** Stores a sample so many seconds ago. */
  store(deviceId: string, agoSeconds: number): void {
    const n = ++this.#count;
    const timestamp = at(this.#second() - agoSeconds, String(n).padStart(9, "0"));
    this.#storedOf(deviceId).push({ timestamp, n, isLate: agoSeconds > 0 });
  }

  /** Takes what was sent since; what asks for a past is answered later. */
  take(): void {
    const asked = this.#socket?.sent.filter(({ type }) => type === "device") ?? [];
    for (const message of asked.slice(this.#taken)) {
      if (message.action === "unsubscribe") this.#unsubscribe(message);
      else this.#subscribe(message);
    }
    this.#taken = asked.length;
  }

  /** Answers one of the subscribes that wait; false where none does. */
  answer(pick: number): boolean {
    const followed = [this.#all, ...this.#own.values()];
    const pasts = followed.flatMap((one) => one?.past?.isAnswered === false ? [one.past] : []);
    const waiting = [...new Set(pasts)];
    const past = waiting[pick % waiting.length];
    if (past === undefined) return false;
    if (past === this.#all?.past) this.#meet((deviceId) => this.#found(deviceId));
    const found = [...this.#implied].filter(([, following]) => following.past === past);
    past.answer(found.map(([deviceId]) => deviceId));
    return true;
  }

  /** Sends at most so many samples of a past that is still to come; false where there is none. */
  page(pick: number, atMost: number): boolean {
    const paging = [...this.#own, ...this.#implied].filter(([, following]) => following.isPaging);
    const [deviceId, following] = paging[pick % paging.length] ?? [];
    if (deviceId === undefined || following === undefined) return false;
    const second = this.#second();
    const page = following.page(atMost, second);
    const { id } = following.past ?? {};
    if (page.done) this.#read.set(deviceId, this.#timestamps(deviceId));
    this.#socket?.say({ type: "history", device_id: deviceId, ...page, id, as_of: asOf(second) });
    return true;
  }

  /** Pushes what was stored since. */
  tick(): void {
    if (this.#all !== null) this.#meet((deviceId) => this.#found(deviceId));
    const second = this.#second();
    const live = [...this.#own, ...this.#implied].filter(([, following]) => following.isLive);
    const pushes = live.flatMap(([deviceId, following]) =>
      following.push(second).map((sample) => telemetry(deviceId, sample))
    );
    for (const deviceId of this.deviceIds) this.#read.set(deviceId, this.#timestamps(deviceId));
    if (pushes.length > 0) this.#socket?.batch(second, pushes);
  }

  #subscribe(message: Message): void {
    const deviceIds: readonly string[] = message.device_ids ?? [message.device_id];
    const past = this.#past(message, deviceIds);
    if (deviceIds[0] === "*") {
      this.#all?.past?.leave("*");
      this.#all = { past, from: past?.from.get("*") ?? null };
      this.#implied.clear();
      this.#meet((deviceId) => this.#following(deviceId, past, "*"));
    } else {
      for (const deviceId of deviceIds) {
        this.#own.get(deviceId)?.past?.leave(deviceId);
        this.#implied.delete(deviceId);
        this.#own.set(deviceId, this.#following(deviceId, past, deviceId));
      }
    }
    if (past === null) this.#confirm("subscribed", message);
  }

  #unsubscribe(message: Message): void {
    const deviceIds: readonly string[] = message.device_ids ?? [message.device_id];
    for (const deviceId of deviceIds) {
      if (deviceId === "*") {
        this.#all?.past?.leave("*");
        this.#all = null;
        this.#implied.clear();
        continue;
      }
      const before = this.#own.get(deviceId);
      before?.past?.leave(deviceId);
      this.#own.delete(deviceId);
      if (before !== undefined) this.#takeBack(deviceId, before);
    }
    this.#confirm("unsubscribed", message);
  }

  /** Who still follows every device follows this one as all: with their past, or from now on. */
  #takeBack(deviceId: string, before: ModelFollowing): void {
    if (this.#all === null) return;
    const { past } = this.#all;
    if (past?.isAnswered === false) {
      this.#implied.set(deviceId, this.#following(deviceId, past, "*"));
      return;
    }
    const stored = this.#storedOf(deviceId);
    const read = this.#read.get(deviceId) ?? new Set<string>();
    const known = before.isLive ? read : this.#timestamps(deviceId);
    const readAt = this.#second();
    const following = new ModelFollowing({ stored, past: null, from: null, known, readAt });
    this.#implied.set(deviceId, following);
  }

  /** Follows the devices that are not followed yet, as all. */
  #meet(follow: (deviceId: string) => ModelFollowing): void {
    for (const deviceId of this.deviceIds) {
      const isFollowed = this.#own.has(deviceId) || this.#implied.has(deviceId);
      if (!isFollowed) this.#implied.set(deviceId, follow(deviceId));
    }
  }

  #following(deviceId: string, past: ModelPast | null, key: string): ModelFollowing {
    const stored = this.#storedOf(deviceId);
    const from = past?.from.get(key) ?? null;
    const known = past === null ? this.#timestamps(deviceId) : new Set<string>();
    return new ModelFollowing({ stored, past, from, known, readAt: this.#second() });
  }

  /** A device that was not there when all were asked for. */
  #found(deviceId: string): ModelFollowing {
    const { past = null, from = null } = this.#all ?? {};
    if (past?.isAnswered === false) return this.#following(deviceId, past, "*");
    const stored = this.#storedOf(deviceId);
    return new ModelFollowing({ stored, past: null, from, known: new Set(), readAt: null });
  }

  #past(message: Message, deviceIds: readonly string[]): ModelPast | null {
    const { id, since, history_seconds: seconds } = message;
    if (since === undefined && seconds === undefined) return null;
    const from = new Map<string, string>();
    for (const deviceId of deviceIds) {
      const instant = typeof since === "string" ? since : since?.[deviceId];
      from.set(deviceId, instant ?? at(this.#second() - seconds));
    }
    const socket = this.#socket;
    return new ModelPast({ id, from, say: (answer) => socket?.say(answer) });
  }

  #confirm(type: string, { device_id, device_ids, id }: Message): void {
    const named = device_ids === undefined ? { device_id } : { device_ids };
    this.#socket?.say({ type, channel: "device", ...named, id });
  }

  #timestamps(deviceId: string): ReadonlySet<string> {
    return new Set(this.#storedOf(deviceId).map(({ timestamp }) => timestamp));
  }

  #storedOf(deviceId: string): Stored[] {
    const known = this.#stored.get(deviceId) ?? [];
    this.#stored.set(deviceId, known);
    return known;
  }
}
