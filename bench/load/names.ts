// Names of tenants and devices and stamps of samples as every bench writes them: of fixed width where the load client finds
// them by place. A stamp's last six digits number the device's samples.

export function tenantName(nth: number): string {
  return `t${nth}`;
}

export function tenantNumber(name: string): number {
  return Number(name.slice(1));
}

/** What stands first in the names of a tenant's devices, so that no two tenants have one of the same name. */
export function tenantMark(nth: number): string {
  return nth.toString(36).padStart(2, "0");
}

/** `0a-007`, of the eleventh tenant. */
export function deviceName(nth: number, tenant = 0): string {
  return `${tenantMark(tenant)}-${String(nth).padStart(3, "0")}`;
}

/** The instant in milliseconds, and the sample's number in the digits below. */
export function stamp(ms: number, n: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}${String(n % 1_000_000).padStart(6, "0")}Z`;
}

/** What stands before a device's name in the message of a sample, and between that and its stamp. */
export const BEFORE_NAME = '{"type":"telemetry","device_id":"';
export const BEFORE_STAMP = '","data":{"timestamp":"';
export const NAME_LENGTH = deviceName(0).length;
