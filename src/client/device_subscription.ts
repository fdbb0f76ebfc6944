// The one subscription to a device, or to all devices as `*`: who listens, what the service was asked for, and who is
// served by it. It asks for one thing at a time, and must never mix what belongs to two subscribes.
//
// Listeners that need something (history, what was missed) are served together by one subscribe that goes back as far as
// the earliest of them needs. Those that want windows of different lengths are served one after another, and those that
// want samples as they are stored last: a subscribe replaces the one before, and windows would leave a hole for them.
import type { MessageId } from "../protocol/client_messages.ts";
import type { HistoryMessage, Resume } from "../protocol/server_messages.ts";
import { earliest, type Needs, sameMetrics, sameNeeds, unionOf } from "./device_needs.ts";
import { isMissing, limitOf, type Pass, type Plan } from "./device_pass.ts";
import type { Follower } from "./follower.ts";
import type { Newest } from "./newest_samples.ts";
import { PushFan } from "./push_fan.ts";
import type { PulsewireError } from "./pulsewire_error.ts";

export interface PlanContext {
  /** The service's clock as far as it is known, in milliseconds since the epoch. */
  readonly serverNow: number;
  /** Who listens to all devices, while this is one of them: the service sends each device to one subscription only. */
  readonly companions: readonly Follower[];
}

const NOBODY: ReadonlySet<string> = new Set();

export class DeviceSubscription {
  readonly deviceId: string;
  readonly followers = new Set<Follower>();
  /** What it was last asked for on this connection; null when it was not, or no more. */
  #wire: Needs | null = null;
  #pass: Pass | null = null;
  #isRefused = false;
  /** Whether who listens to all devices misses what came while windows were sent. */
  #owesCompanions = false;
  /** Who listens to all devices and was told of this subscription. */
  readonly #met = new WeakSet<Follower>();
  /** What is pushed goes to those who listen through it. */
  readonly fan = new PushFan(this.followers);

  constructor(deviceId: string) {
    this.deviceId = deviceId;
  }

  get isOnWire(): boolean {
    return this.#wire !== null;
  }

  get isEvery(): boolean {
    return this.#wire?.mode === "every";
  }

  /** Whether what is pushed still belongs to the subscription before the one that was asked for. */
  get isAwaiting(): boolean {
    return this.#owesCompanions || (this.#pass !== null && this.#pass.remaining === null);
  }

  /** Whether what was asked for is not all here. */
  get #isBusy(): boolean {
    return this.#pass !== null && this.#pass.remaining?.size !== 0;
  }

  /** What should be said to the service; null for nothing at present. */
  plan(context: PlanContext): Plan | null {
    const isLeft = this.followers.size === 0;
    const isBusy = this.#isBusy;
    const continuous = context.companions.filter((follower) => follower.isContinuous);
    for (const follower of continuous) this.#meet(follower);
    const owed = continuous.filter((follower) => follower.isOwed(this.deviceId));
    const isOwed = owed.some((follower) => !follower.isPaused);
    if (isLeft) {
      if (this.#wire === null) return null;
      // With all, the device is followed from now on: what this has still to give would come to nobody.
      const isOwing = continuous.length > 0 && (isBusy || this.#owesCompanions || owed.length > 0);
      if (!isOwing || this.#isRefused) return { name: "unsubscribe" };
    }
    if (isBusy || this.#isRefused) return null;
    const all = [...this.followers].filter((follower) => !follower.isRefused);
    if (all.length === 0 && !isLeft) return null;
    const needs = unionOf([...all, ...context.companions].map((follower) => follower.needs));
    const isNew = this.#wire === null || this.#owesCompanions || isOwed ||
      !sameNeeds(this.#wire, needs);
    let due = all.filter((follower) => follower.isDue);
    if (!isNew && due.every((follower) => follower.start().kind === "now")) {
      this.#join(due);
      return null;
    }
    // A subscribe on a living connection replaces the one before: who would see a hole is served again.
    for (const follower of all) if (follower.isContinuous) follower.fallBehind();
    due = all.filter((follower) => follower.isDue);
    const windows = due.map((follower) => follower.resolutionSeconds).filter((one) => one !== null);
    const resolutionSeconds = windows[0] ?? null;
    const serving = due.filter((follower) =>
      follower.start().kind === "now" || follower.resolutionSeconds === resolutionSeconds
    );
    const companions = resolutionSeconds === null ? continuous : [];
    this.#owesCompanions = companions.length < continuous.length;
    const starts = new Map(serving.map((follower) => [follower, follower.start()] as const));
    for (const companion of companions) starts.set(companion, companion.startOf(this.deviceId));
    const { serverNow } = context;
    const start = earliest([...starts.values()], serverNow);
    const plan = { name: "subscribe", needs, start, resolutionSeconds } as const;
    this.#pass = {
      id: null,
      plan,
      companions,
      starts,
      serverNow,
      before: this.#wire,
      remaining: null,
      isUnlisted: false,
    };
    return plan;
  }

  /** The plan was sent. */
  sent(plan: Plan, id: MessageId): void {
    const pass = this.#pass;
    if (plan.name === "unsubscribe" || pass === null) {
      this.lost();
      return;
    }
    pass.id = id;
    this.#wire = pass.plan.needs;
    for (const [follower, start] of pass.starts) {
      const limit = limitOf(start, pass);
      if (pass.companions.includes(follower)) follower.hold(this.deviceId, start, limit);
      else follower.begin(start, limit);
    }
  }

  /** Returns whether there is more to plan. */
  answered(id: MessageId, resumes: Readonly<Record<string, Resume>>): boolean {
    const pass = this.#pass;
    if (pass?.id !== id) return false;
    const devices = new Set(
      Object.keys(resumes).filter((deviceId) => resumes[deviceId]?.reason !== "replaced"),
    );
    // Which devices there are could not be found out, and nothing will say when all have come.
    pass.isUnlisted = devices.delete("*");
    for (const [deviceId, resume] of Object.entries(resumes)) this.#tellGap(pass, deviceId, resume);
    // What was pushed before may lack metrics that are wanted now.
    if (!sameMetrics(pass.before, pass.plan.needs)) this.fan.newest.clear();
    for (const [follower, { kind }] of pass.starts) {
      // They wait for another answer.
      if (pass.companions.includes(follower)) continue;
      follower.answered(pass.isUnlisted ? null : devices);
      // Its first value need not wait for the history of others.
      if (kind === "now" && follower.needs.mode === "latest") this.fan.newest.replay(follower);
    }
    pass.remaining = devices;
    if (devices.size === 0) this.#filled(pass, { hadHistory: false });
    return devices.size === 0;
  }

  /**
   * Those that are new asked for too much, and those that were served before go on without them; returns whether there is
   * more to plan. If that is nobody, none of it is asked for again until `retry`.
   */
  refused(error: PulsewireError): boolean {
    this.abandon();
    const all = [...this.followers];
    const newcomers = all.filter((follower) => follower.isDue && !follower.wasServed);
    const isPartly = newcomers.length > 0 && newcomers.length < all.length;
    this.#isRefused = !isPartly;
    for (const follower of isPartly ? newcomers : all) follower.refuse(error);
    return isPartly;
  }

  retry(): void {
    if (!this.#isRefused) return;
    this.#isRefused = false;
    for (const follower of this.followers) follower.fallBehind();
  }

  /** What the subscribe should have served is due again; the subscription before it stays. */
  abandon(): void {
    const { before = null, companions = [] } = this.#pass ?? {};
    this.#wire = before;
    this.#pass = null;
    for (const follower of this.followers) follower.abandon();
    // What came of the device meanwhile was left to the subscribe.
    for (const follower of companions) follower.owe(this.deviceId);
  }

  lost(): void {
    // What was on its way to them is not any more.
    if (this.#isBusy) { for (const one of this.#pass?.companions ?? []) one.owe(this.deviceId); }
    this.#wire = null;
    this.#pass = null;
    this.#isRefused = this.#owesCompanions = false;
    for (const follower of this.followers) follower.fallBehind();
    this.fan.clear();
  }

  /** A page; returns whether there is more to plan. */
  history(message: HistoryMessage, readAt: string | null): boolean {
    const pass = this.#pass;
    if (pass === null || message.id === undefined || pass.id !== message.id) return false;
    if (pass.isUnlisted) {
      // They can be found out now: asked for again, the answer says whose history comes.
      for (const [follower, { kind }] of pass.starts) if (kind !== "now") follower.fallBehind();
      return true;
    }
    const { device_id: deviceId, samples, done } = message;
    for (const sample of samples) {
      for (const [follower, { kind }] of pass.starts) {
        const isCompanion = pass.companions.includes(follower);
        if (kind !== "now") follower.history(deviceId, sample, { readAt, isCompanion });
      }
    }
    const newest = samples.at(-1);
    if (newest !== undefined && pass.plan.resolutionSeconds === null) {
      this.fan.newest.note(deviceId, { sample: newest, readAt, isCompanion: false });
    }
    if (!done) return false;
    for (const follower of pass.starts.keys()) {
      follower.release(deviceId, { isCompanion: pass.companions.includes(follower) });
    }
    const known = this.fan.newest.of(deviceId);
    if (known !== null) this.fan.show(deviceId, known);
    return this.arrived(deviceId);
  }

  /** The newest sample of its device; null where it may lack metrics that `other` wants. */
  newestFor(other: DeviceSubscription): Newest | null {
    const isWhole = this.#wire?.metrics === null ||
      (other.#wire !== null && sameMetrics(this.#wire, other.#wire));
    return isWhole ? this.fan.newest.of(this.deviceId) : null;
  }

  /** The history of one device is here; returns whether there is more to plan. */
  arrived(deviceId: string): boolean {
    const pass = this.#pass;
    if (pass?.remaining?.delete(deviceId) !== true || pass.remaining.size > 0) return false;
    this.#filled(pass, { hadHistory: true });
    return true;
  }

  #meet(follower: Follower): void {
    if (this.#met.has(follower)) return;
    this.#met.add(follower);
    follower.owe(this.deviceId);
  }

  /** Nothing has to be asked for: the newest sample is known, and the next ones are pushed. */
  #join(followers: readonly Follower[]): void {
    for (const follower of followers) {
      follower.begin({ kind: "now" }, null);
      follower.answered(NOBODY);
      if (follower.needs.mode === "latest") this.fan.newest.replay(follower);
      follower.filled({ hadHistory: false });
    }
  }

  #filled(
    { starts, companions, isUnlisted }: Pass,
    { hadHistory }: { readonly hadHistory: boolean },
  ): void {
    for (const [follower, { kind }] of starts) {
      const hasPast = kind !== "now";
      if (companions.includes(follower) || (isUnlisted && hasPast)) continue;
      follower.filled({ hadHistory: hadHistory && hasPast });
    }
  }

  #tellGap(pass: Pass, deviceId: string, { complete, from, reason }: Resume): void {
    if (complete || reason === "replaced") return;
    for (const [follower, start] of pass.starts) {
      if (start.kind !== "now" && isMissing(start, { pass, from, reason })) {
        follower.gap({ channel: "device", device_id: deviceId, from, reason: reason ?? null });
      }
    }
  }
}
