// Finds the devices of a tenant for who asks for the past of all of them; a list that could not be read is never empty.
import type { SideAnswer, SideQuery } from "../sources/side_reads.ts";
import type { DevicesResult } from "../sources/telemetry_source.ts";
import { HistoryError } from "./history_error.ts";

export interface DeviceLists {
  devices(query: SideQuery & { readonly limit: number }): Promise<SideAnswer<DevicesResult>>;
}

/** Throws HistoryError while the source can't say, and the signal's reason when that aborts. */
export async function tenantDevices(
  reads: DeviceLists,
  query: SideQuery & { readonly limit: number },
): Promise<readonly string[]> {
  const answer = await reads.devices(query);
  if (answer.ok) return answer.value.devices.map(({ device_id }) => device_id);
  const { refusal, retryAfterMs } = answer;
  throw new HistoryError(`Devices of tenant "${query.tenantId}" can't be read: ${refusal}`, {
    retryAfterMs,
  });
}
