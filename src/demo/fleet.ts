// The two tenants of the demo and their devices. Some ids are in both fleets on purpose: what keeps them apart is seen.
import type { DeviceKindName } from "./device_kind.ts";

export interface FleetDevice {
  readonly deviceId: string;
  readonly kind: DeviceKindName;
  /** Means of signals that differ from the kind's. */
  readonly mids?: Readonly<Record<string, number>>;
}

export interface FleetTenant {
  readonly tenantId: string;
  readonly name: string;
  readonly siteId: string;
  readonly devices: readonly FleetDevice[];
}

export const FLEET: readonly FleetTenant[] = [
  {
    tenantId: "cold-chain",
    name: "Cold chain",
    siteId: "rotterdam",
    devices: [
      { deviceId: "cold-room-01", kind: "coldRoom" },
      { deviceId: "cold-room-02", kind: "coldRoom", mids: { temp_c: -22.4, humidity_pct: 64 } },
      { deviceId: "fridge-01", kind: "fridge" },
      { deviceId: "compressor-01", kind: "compressor" },
      { deviceId: "meter-01", kind: "meter" },
      { deviceId: "gateway-01", kind: "gateway" },
      { deviceId: "solar-01", kind: "solar" },
      { deviceId: "weather-01", kind: "weather" },
    ],
  },
  {
    tenantId: "waterworks",
    name: "Waterworks",
    siteId: "bristol",
    devices: [
      { deviceId: "pump-01", kind: "pump" },
      { deviceId: "pump-02", kind: "pump", mids: { flow_m3h: 31, power_kw: 8.6 } },
      { deviceId: "tank-01", kind: "tank" },
      { deviceId: "tank-02", kind: "tank", mids: { level_pct: 48, turbidity_ntu: 0.31 } },
      { deviceId: "fridge-01", kind: "fridge", mids: { temp_c: 4.4, battery_pct: 71 } },
      { deviceId: "meter-01", kind: "meter", mids: { power_kw: 212 } },
      { deviceId: "gateway-01", kind: "gateway", mids: { signal_dbm: -62 } },
      { deviceId: "weather-01", kind: "weather", mids: { temp_c: 11, wind_ms: 8.4 } },
    ],
  },
];
