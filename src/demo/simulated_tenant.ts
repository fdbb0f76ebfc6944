// One tenant's devices and what befalls them: faults that come and go, devices that fall silent, the alerts of both.
// Time and chance are handed in; it writes nowhere.
import type { Fault } from "./device_kind.ts";
import type { FleetTenant } from "./fleet.ts";
import { type Metrics, SimulatedDevice } from "./simulated_device.ts";

export interface SimulatedSample {
  readonly tenantId: string;
  readonly deviceId: string;
  readonly siteId: string;
  readonly timeMs: number;
  readonly metrics: Metrics;
}

export interface SimulatedAlert {
  readonly tenantId: string;
  readonly deviceId: string;
  readonly siteId: string;
  readonly type: string;
  readonly severity: number;
  readonly confidence: number;
  readonly summary: string;
  readonly openedMs: number;
  /** The same for an alert's opening and its closing; no two open alerts of a tenant share one. */
  readonly fingerprint: string;
}

export interface Happenings {
  readonly samples: SimulatedSample[];
  readonly opened: SimulatedAlert[];
  readonly closed: SimulatedAlert[];
}

interface Trouble {
  /** Null: the device says nothing. */
  readonly fault: Fault | null;
  readonly startedAt: number;
  readonly endsAt: number;
  alert: SimulatedAlert | null;
}

const MAX_TROUBLES = 3;
const PAUSE_MS = { min: 12_000, max: 30_000 };
const TROUBLE_MS = { min: 40_000, max: 80_000 };
/** Share of troubles in which a device falls silent. */
const SILENT_SHARE = 0.2;
/** Silence after which it is an alert. */
const SILENT_ALERT_MS = 20_000;
const FIRMWARE_ALERT_AGE_MS = 3 * 3_600_000;

export class SimulatedTenant {
  readonly #tenant: FleetTenant;
  readonly #random: () => number;
  readonly #devices: readonly SimulatedDevice[];
  readonly #troubles = new Map<SimulatedDevice, Trouble>();
  #nextTroubleAt: number;
  #hasBegun = false;

  constructor(
    tenant: FleetTenant,
    { nowMs, random }: { readonly nowMs: number; readonly random: () => number },
  ) {
    this.#tenant = tenant;
    this.#random = random;
    this.#devices = tenant.devices.map((device) => new SimulatedDevice(device, { nowMs, random }));
    this.#nextTroubleAt = nowMs;
  }

  /** Moves everything on to `nowMs` and adds what happened. */
  step(nowMs: number, happenings: Happenings): void {
    if (!this.#hasBegun) this.#reportFirmware(nowMs, happenings);
    if (nowMs >= this.#nextTroubleAt) this.#begin(nowMs);
    this.#hasBegun = true;
    for (const device of this.#devices) {
      const trouble = this.#troubles.get(device) ?? null;
      const isEnding = trouble !== null && nowMs >= trouble.endsAt;
      const metrics = device.step(nowMs, isEnding ? null : trouble?.fault ?? null);
      const isSilent = trouble !== null && trouble.fault === null && !isEnding;
      if (metrics !== null && !isSilent) {
        const { tenantId, siteId } = this.#tenant;
        const { deviceId } = device;
        happenings.samples.push({ tenantId, deviceId, siteId, timeMs: nowMs, metrics });
      }
      if (trouble !== null) this.#follow(device, { trouble, metrics, nowMs, happenings });
    }
  }

  #begin(nowMs: number): void {
    this.#nextTroubleAt = nowMs + this.#between(PAUSE_MS);
    // Every device is seen once before one may fall silent.
    const isSilence = this.#hasBegun && this.#random() < SILENT_SHARE;
    const candidates = this.#devices.filter((device) =>
      !this.#troubles.has(device) && (isSilence || device.faults.length > 0)
    );
    const device = pick(candidates, this.#random);
    if (device === undefined || this.#troubles.size >= MAX_TROUBLES) return;
    const fault = isSilence ? null : pick(device.faults, this.#random) ?? null;
    const endsAt = nowMs + this.#between(TROUBLE_MS);
    this.#troubles.set(device, { fault, startedAt: nowMs, endsAt, alert: null });
  }

  /** Opens and closes a trouble's alert by what was measured, and ends the trouble once both are over. */
  #follow(
    device: SimulatedDevice,
    { trouble, metrics, nowMs, happenings }: {
      trouble: Trouble;
      metrics: Metrics | null;
      nowMs: number;
      happenings: Happenings;
    },
  ): void {
    const { fault, startedAt, endsAt } = trouble;
    const isOver = nowMs >= endsAt;
    let isBad = fault === null && !isOver && nowMs - startedAt >= SILENT_ALERT_MS;
    let summary = "No sample for 20 s";
    if (fault !== null) {
      const value = metrics?.[fault.metric];
      if (typeof value !== "number") return;
      isBad = fault.shift > 0 ? value > fault.limit : value < fault.limit;
      summary = fault.says(value).replace(/: -/, ": −");
    }
    // Silence ends with a sample, so its alert may not close before one.
    if (fault === null && isOver && metrics === null) return;
    if (isBad && !isOver && trouble.alert === null) {
      trouble.alert = this.#alert(device.deviceId, {
        type: fault?.type ?? "device_silent",
        severity: fault?.severity ?? 3,
        confidence: Number((0.8 + 0.19 * this.#random()).toFixed(2)),
        summary,
        openedMs: nowMs,
      });
      happenings.opened.push(trouble.alert);
    }
    if (isOver && !isBad) {
      if (trouble.alert !== null) happenings.closed.push(trouble.alert);
      this.#troubles.delete(device);
    }
  }

  /** One alert that has been open for long and stays. */
  #reportFirmware(nowMs: number, happenings: Happenings): void {
    const gateway = this.#tenant.devices.find(({ kind }) => kind === "gateway");
    if (gateway === undefined) return;
    happenings.opened.push(this.#alert(gateway.deviceId, {
      type: "firmware_outdated",
      severity: 1,
      confidence: 1,
      summary: "Firmware 4.2.1 is two releases behind",
      openedMs: nowMs - FIRMWARE_ALERT_AGE_MS,
    }));
  }

  #alert(
    deviceId: string,
    rest: Omit<SimulatedAlert, "tenantId" | "siteId" | "deviceId" | "fingerprint">,
  ): SimulatedAlert {
    const { tenantId, siteId } = this.#tenant;
    return { tenantId, siteId, deviceId, fingerprint: `${deviceId}/${rest.type}`, ...rest };
  }

  #between({ min, max }: { readonly min: number; readonly max: number }): number {
    return min + this.#random() * (max - min);
  }
}

function pick<T>(items: readonly T[], random: () => number): T | undefined {
  return items[Math.floor(random() * items.length)];
}
