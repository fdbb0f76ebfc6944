// What of single devices is due to one who listens to all and can come from their own subscriptions only, because the
// service sends each device to one subscription. It must not forget what is due before that is here.
import type { Clock } from "../clock.ts";
import type { Start } from "./device_needs.ts";

interface Owed {
  readonly start: Start;
  /** By this machine's clock. */
  readonly at: number;
  /** A subscribe is on its way that brings it. */
  isComing: boolean;
}

export class OwedPasts {
  readonly #clock: Clock;
  readonly #owed = new Map<string, Owed>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether it has to be asked for; until then nothing of the device is taken. */
  isDue(deviceId: string): boolean {
    return this.#owed.get(deviceId)?.isComing === false;
  }

  /** Where it begins; null where nothing is owed. */
  startOf(deviceId: string): Start | null {
    const owed = this.#owed.get(deviceId);
    if (owed?.start.kind !== "back") return owed?.start ?? null;
    const elapsed = Math.max(0, this.#clock.now() - owed.at);
    return { kind: "back", seconds: owed.start.seconds + Math.ceil(elapsed / 1_000) };
  }

  owe(deviceId: string, start: Start): void {
    if (start.kind === "now" || this.isDue(deviceId)) return;
    this.#owed.set(deviceId, { start, at: this.#clock.now(), isComing: false });
  }

  coming(deviceId: string, start: Start): void {
    this.owe(deviceId, start);
    const owed = this.#owed.get(deviceId);
    if (owed !== undefined) owed.isComing = true;
  }

  /** All of it is here. */
  came(deviceId: string): void {
    this.#owed.delete(deviceId);
  }

  clear(): void {
    this.#owed.clear();
  }
}
