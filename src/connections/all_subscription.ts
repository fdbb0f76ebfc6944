// One connection's subscription to every device of its tenant: how each is followed that is met, and whether it must wait
// for what is asked of the past. It follows nothing itself, and is answered once.
import type { Resume } from "../protocol/server_messages.ts";
import type { DeviceStart } from "./device_request.ts";
import type { DeviceOptions, DeviceSubscription } from "./device_subscription.ts";

export interface MetDevice {
  readonly deviceId: string;
  /** Whether the feed must count it by its name, because it does not find it among all. */
  readonly isNamed: boolean;
}

export interface AllSubscriptionOptions {
  readonly options: DeviceOptions;
  readonly start: DeviceStart | null;
  /** Where it was asked to begin, as far as one instant can say that. */
  readonly from: string;
  /** Whether the feed has read all devices since it began: one that is met later has no past that it was not met with. */
  readonly isCovered: () => boolean;
  /** Fetches the past of devices that the list of all did not name. */
  readonly fetch: (subscriptions: readonly DeviceSubscription[]) => void;
  /** Follows a device that has just been met. */
  readonly imply: (device: MetDevice) => DeviceSubscription;
  /** Ends it with the connection. */
  readonly parent: AbortSignal;
}

export class AllSubscription {
  readonly options: DeviceOptions;
  readonly #start: DeviceStart | null;
  readonly #from: string;
  readonly #imply: AllSubscriptionOptions["imply"];
  readonly #isCovered: () => boolean;
  readonly #fetch: AllSubscriptionOptions["fetch"];
  readonly #parent: AbortSignal;
  readonly #life = new AbortController();
  readonly #end = () => this.#life.abort();
  /** `listing`: who is met waits to be fetched with all others; `answering`: who is met waits for their answer. */
  #phase: "listing" | "answering" | "live";
  #waiting: DeviceSubscription[] = [];
  /** Whether those that wait are about to be fetched. */
  #isFetching = false;
  #isAnswered: boolean;

  constructor({ options, start, from, parent, ...calls }: AllSubscriptionOptions) {
    this.options = options;
    this.#start = start;
    this.#from = from;
    this.#parent = parent;
    this.#imply = calls.imply;
    this.#isCovered = calls.isCovered;
    this.#fetch = calls.fetch;
    this.#phase = start === null ? "live" : "listing";
    this.#isAnswered = start === null;
    parent.addEventListener("abort", this.#end, { once: true });
    if (parent.aborted) this.#end();
  }

  /** Aborts when it is replaced or ended. */
  get signal(): AbortSignal {
    return this.#life.signal;
  }

  /** Whether it is not known yet which devices' history is to be sent, or from where. */
  isHeld(): boolean {
    return this.#phase !== "live" || this.#waiting.length > 0;
  }

  /** Takes a device that this connection has not met. */
  meet(device: MetDevice): DeviceSubscription {
    const subscription = this.#imply(device);
    if (this.#phase !== "live" || this.#hasPast()) this.#hold(subscription);
    if (this.#phase === "live") this.#fetchSoon();
    return subscription;
  }

  /** Takes a device back that had a subscription of its own: it goes on from now. */
  takeBack(deviceId: string): void {
    const subscription = this.#imply({ deviceId, isNamed: false });
    if (this.#phase !== "live") this.#hold(subscription);
  }

  /** All devices are known: returns the subscriptions that have waited for their past. */
  listed(): readonly DeviceSubscription[] {
    this.#phase = "answering";
    return this.#waiting.splice(0);
  }

  /** The devices can't be found out now. */
  unlisted(): void {
    this.#say({ "*": { from: this.#from, complete: false, reason: "source_unavailable" } });
  }

  /** Says where each device begins; those that waited for it are fetched, or go on live. */
  answer(resumes: Readonly<Record<string, Resume>>): void {
    this.#say(resumes);
    this.#phase = "live";
    if (typeof this.#start?.after === "string") this.#fetchSoon();
    else for (const subscription of this.#waiting.splice(0)) subscription.resume(null);
  }

  /** Ends it; one that was not answered is answered now. */
  leave(): void {
    this.#parent.removeEventListener("abort", this.#end);
    this.#end();
    this.#say({ "*": { from: this.#from, complete: false, reason: "replaced" } });
  }

  #hold(subscription: DeviceSubscription): void {
    subscription.isHeld = true;
    this.#waiting.push(subscription);
  }

  /** What was stored after the devices were listed and before the feed read all is told by neither. */
  #hasPast(): boolean {
    return typeof this.#start?.after === "string" && !this.#isCovered();
  }

  /** Together with all that are met by the same read. */
  #fetchSoon(): void {
    if (this.#isFetching || this.#waiting.length === 0) return;
    this.#isFetching = true;
    queueMicrotask(() => {
      this.#isFetching = false;
      if (!this.signal.aborted) this.#fetch(this.#waiting.splice(0));
    });
  }

  #say(resumes: Readonly<Record<string, Resume>>): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    if (!this.#parent.aborted) this.#start?.answered(resumes);
  }
}
