// The forms in which clients asked for one message: with some metrics only, or dated. Each form is made once, on first
// use, and shared by all who asked for it; the message itself is never changed.
import { type Frame, frameOf, frameText } from "../protocol/frame.ts";
import type { MetricValue, PushMessage, ServerMessage } from "../protocol/server_messages.ts";

/** Some metrics' names, and the key by which equal choices are known. */
export interface MetricsFilter {
  readonly key: string;
  readonly names: ReadonlySet<string>;
}

export function metricsFilter(names: readonly string[]): MetricsFilter {
  const distinct = [...new Set(names)].sort();
  return { key: JSON.stringify(distinct), names: new Set(distinct) };
}

interface Dated {
  readonly readAt: number;
  readonly frame: Frame;
}

export class MessageViews {
  readonly #filtered = new WeakMap<Frame, Map<string, Frame | null>>();
  readonly #dated = new WeakMap<Frame, Dated>();

  /** The telemetry message with the chosen metrics; null when it holds none of them. */
  filtered(frame: Frame, filter: MetricsFilter): Frame | null {
    let views = this.#filtered.get(frame);
    if (views === undefined) this.#filtered.set(frame, views = new Map());
    let view = views.get(filter.key);
    if (view === undefined) views.set(filter.key, view = filteredFrame(frame.message, filter));
    return view;
  }

  /** The message with the instant of its read. */
  dated(frame: Frame, readAt: number): Frame {
    const { message } = frame;
    if (!isPush(message)) return frame;
    const known = this.#dated.get(frame);
    if (known?.readAt === readAt) return known.frame;
    const dated = frameOf({ ...message, as_of: new Date(readAt).toISOString() });
    this.#dated.set(frame, { readAt, frame: dated });
    return dated;
  }
}

/** One frame for all of them; the text of each is used as it stands. */
export function batchFrame(frames: readonly Frame[], readAt: number): Frame {
  const as_of = new Date(readAt).toISOString();
  const messages = frames.map(({ message }) => message);
  const text = `{"type":"batch","as_of":"${as_of}","messages":[${frames.map(frameText).join()}]}`;
  return { ...frameOf({ type: "batch", as_of, messages }), text };
}

/** The chosen metrics of a sample; null when it holds none of them. */
export function chosenMetrics(
  metrics: Readonly<Record<string, MetricValue>>,
  { names }: MetricsFilter,
): Readonly<Record<string, MetricValue>> | null {
  const chosen = Object.entries(metrics).filter(([name]) => names.has(name));
  return chosen.length === 0 ? null : Object.fromEntries(chosen);
}

function filteredFrame(message: ServerMessage, filter: MetricsFilter): Frame | null {
  if (message.type !== "telemetry") throw new TypeError(`Metrics of "${message.type}" asked for`);
  const metrics = chosenMetrics(message.data.metrics, filter);
  return metrics === null ? null : frameOf({ ...message, data: { ...message.data, metrics } });
}

function isPush(message: ServerMessage): message is PushMessage {
  switch (message.type) {
    case "telemetry":
    case "alerts":
    case "alert_changes":
    case "fleet":
    case "history":
      return true;
    default:
      return false;
  }
}
