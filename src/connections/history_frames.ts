// Makes the messages of one subscription's history as its client asked for them.
import { type Frame, frameOf } from "../protocol/frame.ts";
import type { MessageId } from "../protocol/client_messages.ts";
import type { Sample } from "../protocol/server_messages.ts";
import type { CatchUpRequest } from "./catch_up.ts";
import type { Connection } from "./connection.ts";
import { chosenMetrics, type MetricsFilter } from "./message_views.ts";

/** Samples that hold none of the chosen metrics are left out. */
export function historyFrames(
  connection: Connection,
  { metrics, id }: { readonly metrics: MetricsFilter | null; readonly id: MessageId | null },
): CatchUpRequest["frames"] {
  const chosen = (sample: Sample): Sample | null => {
    if (metrics === null) return sample;
    const left = chosenMetrics(sample.metrics, metrics);
    return left === null ? null : { ...sample, metrics: left };
  };
  const asOf = (readAt: number) =>
    connection.has("as_of") ? { as_of: new Date(readAt).toISOString() } : {};
  return {
    history(deviceId, samples, { isDone, readAt }): Frame {
      return frameOf({
        type: "history",
        device_id: deviceId,
        samples: samples.map(chosen).filter((sample) => sample !== null),
        done: isDone,
        ...(id === null ? {} : { id }),
        ...asOf(readAt),
      });
    },
    telemetry(deviceId, sample, readAt): Frame | null {
      const data = chosen(sample);
      if (data === null) return null;
      return frameOf({ type: "telemetry", device_id: deviceId, data, ...asOf(readAt) });
    },
  };
}
