// What the simulated devices measure and what can go wrong with them; only facts, nothing moves here.
import type { SignalShape } from "./signal.ts";

/** A fault pulls one signal across a limit; its alert is open while the measured value is beyond that. */
export interface Fault {
  readonly type: string;
  /** 1 is a notice, 5 the worst. */
  readonly severity: number;
  readonly metric: string;
  readonly shift: number;
  readonly limit: number;
  readonly says: (value: number) => string;
}

/** What a device's state is made from, beside its signals. */
export interface Moment {
  readonly nowMs: number;
  readonly uptimeSeconds: number;
  readonly signals: Readonly<Record<string, number>>;
  /** The type of the fault that acts on the device. */
  readonly fault: string | null;
}

export interface DeviceKind {
  readonly reportSeconds: number;
  readonly signals: Readonly<Record<string, SignalShape>>;
  /** Metrics that follow from the signals, the time and the fault. */
  readonly state: (moment: Moment) => Readonly<Record<string, number | string | boolean>>;
  readonly faults: readonly Fault[];
}

const DEFROST_EVERY_MS = 900_000;
const DEFROST_MS = 90_000;

function signal(
  [mid, spread]: readonly [mid: number, spread: number],
  [min, max]: readonly [min: number, max: number],
  rest: Partial<SignalShape> = {},
): SignalShape {
  return { mid, spread, min, max, settleSeconds: 25, decimals: 1, ...rest };
}

const isDefrosting = (nowMs: number) => nowMs % DEFROST_EVERY_MS < DEFROST_MS;

export const DEVICE_KINDS = {
  coldRoom: {
    reportSeconds: 1,
    signals: {
      temp_c: signal([-21, 0.45], [-26, -8], { day: 0.5, decimals: 2 }),
      humidity_pct: signal([71, 2.5], [40, 98], { settleSeconds: 60 }),
      compressor_kw: signal([3.4, 0.3], [0, 7], { day: 0.4, decimals: 2 }),
    },
    state: ({ nowMs, fault }) => ({
      door_open: fault === "door_open",
      mode: isDefrosting(nowMs) ? "defrost" : "cooling",
    }),
    faults: [{
      type: "door_open",
      severity: 4,
      metric: "temp_c",
      shift: 7,
      limit: -17,
      says: (value) => `Door open and warming: ${value} °C, limit −17 °C`,
    }],
  },
  fridge: {
    reportSeconds: 1,
    signals: {
      temp_c: signal([3.6, 0.25], [0.5, 14], { day: 0.3, decimals: 2 }),
      humidity_pct: signal([81, 2], [40, 98], { settleSeconds: 60 }),
      battery_pct: signal([88, 0.4], [60, 100], { settleSeconds: 600 }),
    },
    state: ({ fault }) => ({ door_open: fault === "temperature_high" }),
    faults: [{
      type: "temperature_high",
      severity: 3,
      metric: "temp_c",
      shift: 5,
      limit: 6.5,
      says: (value) => `Too warm: ${value} °C, limit 6.5 °C`,
    }],
  },
  compressor: {
    reportSeconds: 1,
    signals: {
      oil_temp_c: signal([71, 1.2], [30, 110], { day: 2 }),
      pressure_bar: signal([7.4, 0.12], [4, 10], { decimals: 2 }),
      speed_rpm: signal([2950, 18], [2500, 3200], { decimals: 0 }),
      vibration_mms: signal([1.7, 0.15], [0.2, 9], { decimals: 2 }),
    },
    state: () => ({ running: true }),
    faults: [{
      type: "oil_temperature_high",
      severity: 3,
      metric: "oil_temp_c",
      shift: 21,
      limit: 84,
      says: (value) => `Oil runs hot: ${value} °C, limit 84 °C`,
    }],
  },
  pump: {
    reportSeconds: 1,
    signals: {
      flow_m3h: signal([42, 1.4], [0, 80], { day: 8, peakHour: 8 }),
      pressure_bar: signal([5.6, 0.14], [1, 9], { decimals: 2 }),
      power_kw: signal([11.2, 0.4], [0, 20], { day: 1.5, peakHour: 8 }),
      speed_rpm: signal([1480, 9], [1200, 1600], { decimals: 0 }),
      vibration_mms: signal([2.1, 0.2], [0.2, 12], { decimals: 2 }),
    },
    state: ({ fault }) => ({ running: true, mode: fault === null ? "auto" : "limited" }),
    faults: [{
      type: "vibration_high",
      severity: 3,
      metric: "vibration_mms",
      shift: 5,
      limit: 5.5,
      says: (value) => `Bearing vibrates: ${value} mm/s, limit 5.5 mm/s`,
    }, {
      type: "pressure_low",
      severity: 5,
      metric: "pressure_bar",
      shift: -2.8,
      limit: 3.8,
      says: (value) => `Discharge pressure is low: ${value} bar, limit 3.8 bar`,
    }],
  },
  tank: {
    reportSeconds: 1,
    signals: {
      level_pct: signal([66, 1.2], [10, 98], { day: 11, peakHour: 4, settleSeconds: 90 }),
      water_temp_c: signal([13.8, 0.15], [4, 25], { day: 0.8, settleSeconds: 90, decimals: 2 }),
      turbidity_ntu: signal([0.42, 0.05], [0.05, 8], { decimals: 2 }),
    },
    state: ({ fault }) => ({ inlet_valve: fault === null ? "open" : "throttled" }),
    faults: [{
      type: "turbidity_high",
      severity: 4,
      metric: "turbidity_ntu",
      shift: 2.6,
      limit: 1.5,
      says: (value) => `Water is turbid: ${value} NTU, limit 1.5 NTU`,
    }],
  },
  meter: {
    reportSeconds: 1,
    signals: {
      power_kw: signal([86, 3], [5, 400], { day: 30, peakHour: 11 }),
      voltage_v: signal([230, 0.9], [200, 250]),
      frequency_hz: signal([50, 0.012], [49.8, 50.2], { decimals: 3 }),
    },
    state: ({ signals, uptimeSeconds }) => ({
      current_a: Number(
        (((signals.power_kw ?? 0) * 1000) / ((signals.voltage_v ?? 230) * 3)).toFixed(1),
      ),
      energy_kwh: Number((184_260 + (uptimeSeconds * 86) / 3600).toFixed(1)),
    }),
    faults: [{
      type: "voltage_low",
      severity: 2,
      metric: "voltage_v",
      shift: -14,
      limit: 219,
      says: (value) => `Voltage sags: ${value} V, limit 219 V`,
    }],
  },
  gateway: {
    reportSeconds: 1,
    signals: {
      signal_dbm: signal([-71, 1.6], [-118, -45], { decimals: 0 }),
      cpu_pct: signal([18, 3], [1, 100]),
      memory_pct: signal([43, 0.8], [10, 100], { settleSeconds: 120 }),
    },
    state: ({ fault, uptimeSeconds }) => ({
      uptime_s: Math.floor(uptimeSeconds),
      link: fault === "signal_weak" ? "edge" : "lte",
    }),
    faults: [{
      type: "signal_weak",
      severity: 2,
      metric: "signal_dbm",
      shift: -28,
      limit: -88,
      says: (value) => `Radio signal is weak: ${value} dBm, limit −88 dBm`,
    }],
  },
  solar: {
    reportSeconds: 2,
    signals: {
      battery_pct: signal([72, 1], [8, 100], { day: 16, settleSeconds: 120 }),
      inverter_temp_c: signal([41, 0.9], [5, 90], { day: 8, peakHour: 13 }),
      irradiance_wm2: signal([240, 22], [0, 1100], { day: 480, peakHour: 12, decimals: 0 }),
      power_kw: signal([5.2, 0.4], [0, 24], { day: 10.5, peakHour: 12, decimals: 2 }),
    },
    state: ({ signals }) => ({
      state: (signals.power_kw ?? 0) > 6 ? "charging" : "discharging",
    }),
    faults: [{
      type: "inverter_hot",
      severity: 3,
      metric: "inverter_temp_c",
      shift: 30,
      limit: 63,
      says: (value) => `Inverter runs hot: ${value} °C, limit 63 °C`,
    }],
  },
  weather: {
    reportSeconds: 5,
    signals: {
      temp_c: signal([14, 0.4], [-20, 40], { day: 5, settleSeconds: 240 }),
      humidity_pct: signal([66, 1.5], [15, 100], { day: -12, settleSeconds: 240 }),
      pressure_hpa: signal([1013, 0.6], [950, 1060], { settleSeconds: 900 }),
      wind_ms: signal([5.1, 1.1], [0, 30], { day: 1.2 }),
    },
    state: ({ nowMs }) => ({ raining: nowMs % 5_400_000 < 1_500_000 }),
    faults: [],
  },
} as const satisfies Record<string, DeviceKind>;

export type DeviceKindName = keyof typeof DEVICE_KINDS;
