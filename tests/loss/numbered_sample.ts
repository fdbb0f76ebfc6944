// One sample of the loss suite: a number that rises with the device's time. It must hold all that tells two samples apart.

export interface NumberedSample {
  readonly deviceId: string;
  /** UTC with nine fractional digits and `Z`. */
  readonly timestamp: string;
  /** The sample's only metric: 1, 2, 3 … a device, in the order of the timestamps. */
  readonly n: number;
}

/** What a sample is known by: the database holds one of a device at an instant. */
export function keyOf(
  { deviceId, timestamp }: Pick<NumberedSample, "deviceId" | "timestamp">,
): string {
  return `${deviceId} at ${timestamp}`;
}
