// The made-up plant that all examples tell of: what its databases hold, and when. It must stay what the examples say.

/** Where an example shows a token. */
export const EXAMPLE_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2lnbmF0dXJl";

export const OPEN_ALERT = {
  alert_id: 7,
  tenant_id: "acme",
  device_id: "dev-0001",
  site_id: "plant-a",
  alert_type: "over_temperature",
  severity: 3,
  confidence: 0.9,
  summary: "Too warm",
  status: "OPEN",
  created_at: "2026-11-18T11:06:42.123456Z",
} as const;
export const NEW_ALERT = {
  ...OPEN_ALERT,
  alert_id: 8,
  alert_type: "low_battery",
  severity: null,
  confidence: null,
  summary: "Battery at 9 %",
  created_at: "2026-11-18T11:07:03.004211Z",
} as const;
export const EARLIER = { timestamp: "2026-11-18T11:05:02.000000000Z", metrics: { temp_c: 21.5 } };
export const NEWEST = {
  timestamp: "2026-11-18T11:06:42.123456789Z",
  metrics: { temp_c: 22, battery_pct: 88, mode: "auto" },
};
export const SILENT = { timestamp: "2026-11-18T11:01:42.000000000Z", metrics: { temp_c: 4 } };

/** What the databases hold when the examples are played. */
export const EXAMPLE_PLANT = {
  nowMs: Date.UTC(2026, 10, 18, 11, 7, 0),
  samples: { "dev-0001": [EARLIER, NEWEST], "dev-0003": [SILENT] },
  alerts: [OPEN_ALERT],
  /** What they hold when alert 8 was opened and alert 7 closed. */
  laterAlerts: [NEW_ALERT],
} as const;
