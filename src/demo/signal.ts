// One measured quantity of a simulated device: a walk that is drawn back to a curve of the day, never white noise.

const DAY_MS = 86_400_000;

export interface SignalShape {
  /** The day's mean. */
  readonly mid: number;
  /** How far the day takes it up and down around the mean. Default 0. */
  readonly day?: number;
  /** Hour (UTC) of the day's highest value. Default 15. */
  readonly peakHour?: number;
  /** Standard deviation around the curve. */
  readonly spread: number;
  /** Seconds in which two thirds of a way back to the curve are made. */
  readonly settleSeconds: number;
  readonly min: number;
  readonly max: number;
  /** Digits after the point that the sensor reports. */
  readonly decimals: number;
}

export class Signal {
  readonly #shape: SignalShape;
  readonly #random: () => number;
  #value: number | null = null;

  constructor(shape: SignalShape, random: () => number) {
    this.#shape = shape;
    this.#random = random;
  }

  /** The next value; `shift` is how far a fault pulls the curve. Right for steps of any length. */
  step({ nowMs, elapsedSeconds, shift }: {
    readonly nowMs: number;
    readonly elapsedSeconds: number;
    readonly shift: number;
  }): number {
    const { mid, day = 0, peakHour = 15, spread, settleSeconds, min, max, decimals } = this.#shape;
    const angle = 2 * Math.PI * ((nowMs % DAY_MS) / DAY_MS - peakHour / 24);
    const target = mid + day * Math.cos(angle) + shift;
    const kept = this.#value === null ? 0 : Math.exp(-elapsedSeconds / settleSeconds);
    const walked = target + ((this.#value ?? target) - target) * kept +
      spread * Math.sqrt(1 - kept * kept) * this.#normal();
    this.#value = Math.min(max, Math.max(min, walked));
    return Number(this.#value.toFixed(decimals));
  }

  #normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.#random()));
    return radius * Math.cos(2 * Math.PI * this.#random());
  }
}
