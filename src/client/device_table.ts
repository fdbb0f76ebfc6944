// All subscriptions to devices on one connection: says what is wanted in as few messages as the service takes, and brings
// to each what comes for it. It must never ask for more devices than the service allows.
import type { Clock, TimerHandle } from "../clock.ts";
import type {
  AnswerMessage,
  ErrorMessage,
  HelloMessage,
  HistoryMessage,
  TelemetryMessage,
} from "../protocol/server_messages.ts";
import { type Stop, stopOf } from "./client_events.ts";
import {
  devicesMessage,
  EVERY_DEVICE,
  groupKey,
  messageParts,
  type Planned,
  subscribeMessage,
} from "./device_messages.ts";
import { DeviceSubscription } from "./device_subscription.ts";
import type { Follower } from "./follower.ts";
import { nineDigits } from "./instants.ts";
import { PulsewireError } from "./pulsewire_error.ts";
import type { Requests } from "./requests.ts";
import { retryDelayOf } from "./retry_delay.ts";
import type { ServerClock } from "./server_clock.ts";

export interface DeviceTableOptions {
  readonly clock: Clock;
  readonly serverClock: ServerClock;
  readonly onError: (error: PulsewireError) => void;
}

interface Link {
  readonly requests: Requests;
  readonly maxDevices: number;
  readonly messageBytes: number;
}

export class DeviceTable implements Disposable {
  readonly #options: DeviceTableOptions;
  readonly #subscriptions = new Map<string, DeviceSubscription>();
  readonly #dirty = new Set<DeviceSubscription>();
  readonly #withoutRoom = new Set<DeviceSubscription>();
  /** What was refused together with others is asked for alone, to know which it was. */
  readonly #alone = new Set<DeviceSubscription>();
  readonly #ofFrame = new Set<DeviceSubscription>();
  readonly #retries = new Set<TimerHandle>();
  #link: Link | null = null;
  #isPlanning = false;

  constructor(options: DeviceTableOptions) {
    this.#options = options;
  }

  follow(deviceId: string, follower: Follower): Stop {
    let subscription = this.#subscriptions.get(deviceId);
    if (subscription === undefined) {
      subscription = new DeviceSubscription(deviceId);
      this.#subscriptions.set(deviceId, subscription);
    }
    subscription.followers.add(follower);
    this.#withoutRoom.delete(subscription);
    subscription.retry();
    this.#changed(deviceId);
    return stopOf(() => {
      follower.leave();
      this.#subscriptions.get(deviceId)?.followers.delete(follower);
      this.#changed(deviceId);
    });
  }

  /** A listener that had stopped to take can take again. */
  resumed(deviceId: string): void {
    this.#changed(deviceId);
  }

  connected(requests: Requests, { limits }: HelloMessage): void {
    this.#link = {
      requests,
      maxDevices: limits.subscriptions ?? Number.POSITIVE_INFINITY,
      messageBytes: limits.message_bytes ?? 65_536,
    };
    for (const subscription of this.#subscriptions.values()) this.#dirty.add(subscription);
    this.#planSoon();
  }

  lost(): void {
    this.#link = null;
    this.#withoutRoom.clear();
    this.#alone.clear();
    const companions = this.#subscriptions.get(EVERY_DEVICE)?.followers ?? [];
    const serverNow = this.#options.serverClock.now();
    for (const subscription of this.#subscriptions.values()) subscription.lost();
    for (const [deviceId, { followers }] of this.#subscriptions) {
      if (followers.size > 0) continue;
      this.#subscriptions.delete(deviceId);
      for (const follower of companions) follower.reclaim(deviceId, serverNow);
    }
  }

  telemetry({ device_id: deviceId, data: sample }: TelemetryMessage, asOf: string | null): void {
    const readAt = asOf === null ? null : nineDigits(asOf);
    const own = this.#subscriptions.get(deviceId);
    const all = this.#subscriptions.get(EVERY_DEVICE);
    const isEvery = own?.isOnWire === true ? own.isEvery : all?.isEvery === true;
    for (const subscription of [own, all]) {
      // What comes before the answer belongs to the subscription before, and its history brings it again.
      if (subscription === undefined || (subscription === all && own?.isAwaiting === true)) {
        continue;
      }
      const isCompanion = subscription === all && own?.isOnWire === true;
      subscription.fan.live(deviceId, { sample, readAt, isEvery, isCompanion });
      this.#ofFrame.add(subscription);
    }
  }

  history(message: HistoryMessage): void {
    const readAt = message.as_of === undefined ? null : nineDigits(message.as_of);
    for (const key of [message.device_id, EVERY_DEVICE]) {
      const subscription = this.#subscriptions.get(key);
      if (subscription?.history(message, readAt) === true) this.#changed(key);
    }
    const { done, device_id: deviceId } = message;
    const own = this.#subscriptions.get(deviceId);
    // It took the device's place among all, whose own pages of it come no more.
    if (!done || own?.isOnWire !== true || own.isAwaiting) return;
    const all = this.#subscriptions.get(EVERY_DEVICE);
    if (all === undefined) return;
    const newest = own.newestFor(all);
    if (newest !== null) all.fan.show(deviceId, { ...newest, isCompanion: true });
    if (all.arrived(deviceId)) this.#changed(EVERY_DEVICE);
  }

  frameEnd(): void {
    for (const subscription of this.#ofFrame) subscription.fan.frameEnd();
    this.#ofFrame.clear();
  }

  [Symbol.dispose](): void {
    this.#clearRetries();
    this.#link = null;
    for (const { followers } of this.#subscriptions.values()) {
      for (const follower of followers) follower.leave();
    }
    this.#subscriptions.clear();
    this.#dirty.clear();
  }

  #changed(deviceId: string): void {
    const subscription = this.#subscriptions.get(deviceId);
    if (subscription === undefined) return;
    this.#dirty.add(subscription);
    // Who listens to all listens to each of them.
    if (deviceId === EVERY_DEVICE) {
      for (const each of this.#subscriptions.values()) this.#dirty.add(each);
    }
    this.#planSoon();
  }

  /** Once for all that is asked for in one go. */
  #planSoon(): void {
    if (this.#isPlanning) return;
    this.#isPlanning = true;
    queueMicrotask(() => {
      this.#isPlanning = false;
      this.#plan();
    });
  }

  #plan(): void {
    if (this.#link === null) return;
    const { maxDevices, messageBytes } = this.#link;
    const companions = [...this.#subscriptions.get(EVERY_DEVICE)?.followers ?? []];
    const serverNow = this.#options.serverClock.now();
    const leaving: Planned[] = [];
    const groups = new Map<string, Planned[]>();
    for (const subscription of this.#dirty) {
      const isAll = subscription.deviceId === EVERY_DEVICE;
      const isNew = !subscription.isOnWire;
      if (isNew && this.#withoutRoom.has(subscription)) continue;
      const plan = subscription.plan({ serverNow, companions: isAll ? [] : companions });
      if (plan === null) {
        if (isNew && subscription.followers.size === 0) {
          this.#subscriptions.delete(subscription.deviceId);
        }
      } else if (plan.name === "unsubscribe") {
        leaving.push({ subscription, plan });
      } else {
        const isAlone = isAll || this.#alone.has(subscription);
        const key = `${isAlone ? subscription.deviceId : ""} ${groupKey(plan)}`;
        groups.set(key, [...groups.get(key) ?? [], { subscription, plan }]);
      }
    }
    this.#dirty.clear();
    // Those that leave make room for those that come.
    for (const part of messageParts(leaving, messageBytes)) this.#unsubscribe(part);
    if (leaving.length > 0) this.#roomWasMade();
    let followed = [...this.#subscriptions.values()].filter(({ isOnWire }) => isOnWire).length;
    for (const group of groups.values()) {
      const fitting = group.filter(({ subscription }) => {
        if (subscription.isOnWire || followed++ < maxDevices) return true;
        this.#refuseRoom(subscription, maxDevices);
        return false;
      });
      for (const part of messageParts(fitting, messageBytes)) this.#subscribe(part);
    }
  }

  #unsubscribe(part: readonly Planned[]): void {
    const message = { action: "unsubscribe", type: "device", ...devicesMessage(part) };
    this.#link?.requests.ask(message, () => {});
    for (const { subscription, plan } of part) {
      subscription.sent(plan, 0);
      this.#subscriptions.delete(subscription.deviceId);
    }
  }

  #roomWasMade(): void {
    for (const subscription of this.#withoutRoom) {
      this.#withoutRoom.delete(subscription);
      subscription.retry();
      this.#changed(subscription.deviceId);
    }
  }

  #subscribe(part: readonly Planned[]): void {
    const message = subscribeMessage(part);
    // The answer can't come before this function has ended.
    const id = this.#link?.requests.ask(message, (answer) => this.#answered(part, answer));
    for (const { subscription, plan } of part) {
      this.#alone.delete(subscription);
      if (id !== undefined) subscription.sent(plan, id);
    }
  }

  #answered(part: readonly Planned[], answer: AnswerMessage): void {
    if (answer.type === "error") this.#refused(part, answer);
    if (answer.type !== "subscribed" || answer.channel !== "device" || answer.id === undefined) {
      return;
    }
    const { resume = {}, id } = answer;
    for (const { subscription } of part) {
      const { deviceId } = subscription;
      const own = Object.hasOwn(resume, deviceId) ? resume[deviceId] : undefined;
      const resumes = deviceId === EVERY_DEVICE
        ? resume
        : own === undefined
        ? {}
        : { [deviceId]: own };
      if (subscription.answered(id, resumes)) this.#changed(deviceId);
    }
  }

  #refused(part: readonly Planned[], answer: ErrorMessage): void {
    const { clock, onError } = this.#options;
    const { code, message } = answer;
    const subscriptions = part.map(({ subscription }) => subscription);
    if (code.endsWith("device_id") && subscriptions.length > 1) {
      for (const subscription of subscriptions) {
        this.#alone.add(subscription);
        subscription.abandon();
        this.#changed(subscription.deviceId);
      }
      return;
    }
    const deviceIds = subscriptions.map(({ deviceId }) => deviceId);
    const error = new PulsewireError(code, message, { deviceIds });
    onError(error);
    const retryMs = retryDelayOf(answer);
    if (retryMs === null) {
      for (const subscription of subscriptions) {
        if (code === "limit_exceeded") this.#withoutRoom.add(subscription);
        if (subscription.refused(error)) this.#changed(subscription.deviceId);
      }
      return;
    }
    for (const subscription of subscriptions) subscription.abandon();
    const timer = clock.setTimeout(() => {
      this.#retries.delete(timer);
      for (const deviceId of deviceIds) this.#changed(deviceId);
    }, retryMs);
    this.#retries.add(timer);
  }

  #refuseRoom(subscription: DeviceSubscription, maxDevices: number): void {
    const error = new PulsewireError(
      "limit_exceeded",
      `Device is not followed: the service allows ${maxDevices} a connection`,
      { deviceIds: [subscription.deviceId] },
    );
    this.#options.onError(error);
    this.#withoutRoom.add(subscription);
    subscription.refused(error);
  }

  #clearRetries(): void {
    for (const timer of this.#retries) this.#options.clock.clearTimeout(timer);
    this.#retries.clear();
  }
}
