// Makes the messages of one subscription's history as its client asked for them.
import type { MessageId } from "../protocol/client_messages.ts";
import type { CatchUpRequest } from "./catch_up.ts";
import type { Connection } from "./connection.ts";
import type { MetricsFilter } from "./message_views.ts";

/** Samples that hold none of the chosen metrics are left out. */
export function historyFrames(
  connection: Connection,
  { metrics, id }: { readonly metrics: MetricsFilter | null; readonly id: MessageId | null },
): CatchUpRequest["frames"] {
  const { views, historyViews } = connection.group;
  return {
    parts: (samples) => historyViews.parts(samples),
    history(deviceId, part, { isDone, readAt }) {
      const asOf = connection.has("as_of") ? new Date(readAt).toISOString() : null;
      return historyViews.history(part, { deviceId, isDone, metrics, id, asOf });
    },
    telemetry(deviceId, sample, readAt) {
      const whole = historyViews.telemetry(deviceId, sample);
      const frame = metrics === null ? whole : views.filtered(whole, metrics);
      return frame !== null && connection.has("as_of") ? views.dated(frame, readAt) : frame;
    },
  };
}
