// Names of tenants and devices and stamps of samples as every bench writes them: of fixed width where the load client finds
// them by place. A stamp's last six digits number the device's samples.

export function tenantName(nth: number): string {
  return `t${nth}`;
}

/** `d-0007` */
export function deviceName(nth: number): string {
  return `d-${String(nth).padStart(4, "0")}`;
}

/** The instant in milliseconds, and the sample's number in the digits below. */
export function stamp(ms: number, n: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}${String(n % 1_000_000).padStart(6, "0")}Z`;
}

/** What stands before a device's name in the message of a sample, and between that and its stamp. */
export const BEFORE_NAME = '{"type":"telemetry","device_id":"';
export const BEFORE_STAMP = '","data":{"timestamp":"';
export const NAME_LENGTH = deviceName(0).length;
