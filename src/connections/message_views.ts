// The forms in which clients asked for messages: with some metrics only, dated, or a tick's in one. Each form is made
// once, on first use, and shared by all who asked for it; the message itself is never changed.
import { areSameFrames, type Frame, frameOf, frameOfParts } from "../protocol/frame.ts";
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

/** What those batches have in common that were read at one time, and some of them. */
interface Batches {
  readonly readAt: number;
  readonly as_of: string;
  readonly frames: Frame[];
  made: number;
}

/** Batches of one tick that are kept for others; connections that follow the same come again within so many. */
const KEPT_BATCHES = 16;
/**
 * Forms with some metrics only that are kept of a tenant's messages: five choices of a whole fleet. A silent device's
 * message stays for hours, and clients may choose anew all the time; each form takes about a kilobyte.
 */
const KEPT_VIEWS = 50_000;

export class MessageViews {
  #filtered = new WeakMap<Frame, Map<string, Frame | null>>();
  /** How many were made since none was kept; those whose message is gone are among them. */
  #filteredCount = 0;
  readonly #dated = new WeakMap<Frame, Dated>();
  /** Of the newest read only. */
  #batches: Batches | null = null;

  /** The telemetry message with the chosen metrics; null when it holds none of them. */
  filtered(frame: Frame, filter: MetricsFilter): Frame | null {
    const known = this.#filtered.get(frame)?.get(filter.key);
    if (known !== undefined) return known;
    const view = filteredFrame(frame.message, filter);
    if (this.#filteredCount++ === KEPT_VIEWS) {
      this.#filtered = new WeakMap();
      this.#filteredCount = 1;
    }
    let views = this.#filtered.get(frame);
    if (views === undefined) this.#filtered.set(frame, views = new Map());
    views.set(filter.key, view);
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

  /** One message for all of them, the same for everybody who has the same due from the same read. */
  batch(frames: readonly Frame[], readAt: number): Frame {
    if (this.#batches?.readAt !== readAt) {
      this.#batches = { readAt, as_of: new Date(readAt).toISOString(), frames: [], made: 0 };
    }
    const { as_of, frames: batches } = this.#batches;
    const known = batches.find(({ parts }) =>
      parts !== null && areSameFrames(parts.frames, frames)
    );
    if (known !== undefined) return known;
    const batch = batchFrame(frames, as_of);
    batches[this.#batches.made++ % KEPT_BATCHES] = batch;
    return batch;
  }
}

function batchFrame(frames: readonly Frame[], as_of: string): Frame {
  const messages = frames.map(({ message }) => message);
  return frameOfParts({ type: "batch", as_of, messages }, {
    head: `{"type":"batch","as_of":"${as_of}","messages":[`,
    frames,
    tail: "]}",
  });
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
