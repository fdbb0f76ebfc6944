// What an application may ask for of a device, checked before anything is sent: one wrong field must not reach the
// service, where it would refuse what others asked for in the same message.
import type { Mode, Needs } from "./device_needs.ts";
import type { Gap } from "./client_events.ts";
import type { DeviceSample, HistoryWish } from "./follower.ts";
import { instantOf, nineDigits } from "./instants.ts";
import { PulsewireError } from "./pulsewire_error.ts";

export interface DeviceOptions {
  /** `latest` (default): the newest sample at each read. `every`: each stored sample once. */
  readonly mode?: Mode;
  /** Only these metrics; a sample that has none of them is left out. */
  readonly metrics?: readonly string[];
  /** In mode `latest`: false to be given the newest sample at each read, changed or not. Default: true. */
  readonly changesOnly?: boolean;
  /** First what was stored in the last so many seconds. */
  readonly historySeconds?: number;
  /** First what was stored later than this instant. */
  readonly since?: string | Date;
  /** History in windows of so many whole seconds: means of numbers, the last of others. What follows is as it is stored. */
  readonly resolutionSeconds?: number;
  /** Told when the service could not give all that was asked for, or that was missed. */
  readonly onGap?: (gap: Gap) => unknown;
  /** Called when history is complete and what follows is live; again after each time that something was missed. */
  readonly onCaughtUp?: () => unknown;
}

export interface SamplesOptions extends DeviceOptions {
  /** Ends the loop. */
  readonly signal?: AbortSignal;
  /** Samples that wait for the loop at most. Default: 1,000. */
  readonly bufferSize?: number;
}

export type SampleListener = (sample: DeviceSample) => unknown;

export interface DeviceWish {
  readonly needs: Needs;
  readonly history: HistoryWish | null;
}

const MAX_METRIC_BYTES = 128;
const MAX_RESOLUTION_SECONDS = 90_000;

const encoder = new TextEncoder();

/** Throws where the service would refuse. */
export function wishOf(deviceId: string, options: DeviceOptions): DeviceWish {
  const { mode = "latest", metrics, changesOnly = true, historySeconds, since } = options;
  const { resolutionSeconds } = options;
  const refuse = (message: string) => {
    throw new PulsewireError("invalid_options", message, { deviceIds: [String(deviceId)] });
  };
  if (typeof deviceId !== "string" || deviceId === "") refuse("Device id must be a string");
  if (metrics?.length === 0) refuse("metrics must name at least one metric, or be left out");
  if (metrics?.some((name) => !isMetricName(name)) === true) {
    refuse(`metrics must be names of 1 to ${MAX_METRIC_BYTES} bytes`);
  }
  if (historySeconds !== undefined && since !== undefined) {
    refuse("historySeconds and since can't be asked for together");
  }
  const isSpan = historySeconds === undefined ||
    (historySeconds > 0 && Number.isFinite(historySeconds));
  if (!isSpan) {
    refuse(`historySeconds must be a number above 0, not ${historySeconds}`);
  }
  const hasHistory = historySeconds !== undefined || since !== undefined;
  if (resolutionSeconds !== undefined && !hasHistory) {
    refuse("resolutionSeconds needs historySeconds or since");
  }
  const isWindow = resolutionSeconds === undefined ||
    (Number.isInteger(resolutionSeconds) && resolutionSeconds >= 1 &&
      resolutionSeconds <= MAX_RESOLUTION_SECONDS);
  if (!isWindow) {
    refuse(
      `resolutionSeconds must be a whole number from 1 to ${MAX_RESOLUTION_SECONDS}, not ${resolutionSeconds}`,
    );
  }
  return {
    needs: {
      mode,
      metrics: metrics === undefined ? null : [...new Set(metrics)].sort(),
      changesOnly,
    },
    history: hasHistory
      ? {
        seconds: historySeconds === undefined ? null : Math.ceil(historySeconds),
        since: since === undefined ? null : instantOfWish(since),
        resolutionSeconds: resolutionSeconds ?? null,
      }
      : null,
  };
}

function isMetricName(name: unknown): boolean {
  return typeof name === "string" && name !== "" &&
    encoder.encode(name).length <= MAX_METRIC_BYTES;
}

function instantOfWish(since: string | Date): string {
  // As it stands where it can: a Date holds no more than milliseconds.
  if (typeof since === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(since)) {
    return nineDigits(since);
  }
  const ms = new Date(since).getTime();
  if (Number.isNaN(ms)) {
    throw new PulsewireError("invalid_options", `since must be an instant, not ${since}`);
  }
  return instantOf(ms);
}
