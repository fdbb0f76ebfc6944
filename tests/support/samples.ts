// Samples and alerts as sources return them.
import type { Alert, MetricValue, Sample } from "../../src/protocol/server_messages.ts";

/** A sample whose timestamp is `second` seconds after a fixed instant. */
export function sampleAt(
  second: number,
  metrics: Record<string, MetricValue> = { temp_c: second },
): Sample {
  const instant = new Date(Date.UTC(2026, 10, 18, 11, 0, second)).toISOString().slice(0, 19);
  return { timestamp: `${instant}.000000000Z`, metrics };
}

export function alertOf(alertId: number, fields: Partial<Alert> = {}): Alert {
  return {
    alert_id: alertId,
    tenant_id: "acme",
    device_id: "dev-1",
    site_id: "plant-a",
    alert_type: "over_temperature",
    severity: 3,
    confidence: 0.9,
    summary: "Too warm",
    status: "OPEN",
    created_at: "2026-11-18T11:00:00.000000Z",
    ...fields,
  };
}
