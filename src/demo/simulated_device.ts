// One device of the simulated fleet: steps its signals and reports them when it is due; it knows no tenant.
import { DEVICE_KINDS, type DeviceKind, type Fault } from "./device_kind.ts";
import type { FleetDevice } from "./fleet.ts";
import { Signal } from "./signal.ts";

export type Metrics = Readonly<Record<string, number | string | boolean>>;

export class SimulatedDevice {
  readonly deviceId: string;
  readonly #kind: DeviceKind;
  readonly #signals: ReadonlyMap<string, Signal>;
  readonly #bootedAt: number;
  #steppedAt: number;
  #reportedAt = -Infinity;

  constructor(
    device: FleetDevice,
    { nowMs, random }: { readonly nowMs: number; readonly random: () => number },
  ) {
    this.deviceId = device.deviceId;
    this.#kind = DEVICE_KINDS[device.kind];
    this.#signals = new Map(
      Object.entries(this.#kind.signals).map(([name, shape]) => {
        const mid = device.mids?.[name] ?? shape.mid;
        return [name, new Signal({ ...shape, mid }, random)];
      }),
    );
    this.#steppedAt = nowMs;
    this.#bootedAt = nowMs - Math.floor(random() * 20 * 86_400_000);
  }

  get faults(): readonly Fault[] {
    return this.#kind.faults;
  }

  /** What the device measures now, or null while the next report is not due. */
  step(nowMs: number, fault: Fault | null): Metrics | null {
    const elapsedSeconds = Math.max(0, nowMs - this.#steppedAt) / 1_000;
    this.#steppedAt = nowMs;
    const signals: Record<string, number> = {};
    for (const [name, signal] of this.#signals) {
      const shift = fault?.metric === name ? fault.shift : 0;
      signals[name] = signal.step({ nowMs, elapsedSeconds, shift });
    }
    // Timers come late by some milliseconds, which must not cost a report.
    if (nowMs - this.#reportedAt < this.#kind.reportSeconds * 1_000 - 250) return null;
    this.#reportedAt = nowMs;
    const uptimeSeconds = (nowMs - this.#bootedAt) / 1_000;
    return {
      ...signals,
      ...this.#kind.state({ nowMs, uptimeSeconds, signals, fault: fault?.type ?? null }),
    };
  }
}
