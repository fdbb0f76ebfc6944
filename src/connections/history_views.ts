// The messages of history as a tenant's clients asked for them. Each is made once for the samples that a read brought and
// shared by all who asked for it; it is gone with those samples, and the samples are never changed.
import type { MessageId } from "../protocol/client_messages.ts";
import { type Frame, frameOf } from "../protocol/frame.ts";
import type { Sample } from "../protocol/server_messages.ts";
import { type HistoryPart, historyParts, type SizedPart } from "./history_parts.ts";
import { chosenMetrics, type MetricsFilter } from "./message_views.ts";

export interface HistoryForm {
  readonly deviceId: string;
  readonly isDone: boolean;
  /** Null for all metrics. */
  readonly metrics: MetricsFilter | null;
  readonly id: MessageId | null;
  /** When the read began, where the client asked to be told. */
  readonly asOf: string | null;
}

/** What differs between clients stands behind the samples, so that those are written once for all. */
interface Encoded {
  readonly samples: readonly Sample[];
  readonly text: string;
  /** The message that was made last, and for what: clients that came back together count their messages alike. */
  tail: string;
  frame: Frame | null;
}

export class HistoryViews {
  readonly #encoded = new WeakMap<readonly Sample[], Map<string, Encoded>>();
  readonly #telemetry = new WeakMap<Sample, Frame>();
  readonly #parts = new WeakMap<readonly Sample[], readonly SizedPart[]>();

  /** The parts in which the samples are sent. */
  parts(page: readonly Sample[]): readonly SizedPart[] {
    let parts = this.#parts.get(page);
    if (parts === undefined) this.#parts.set(page, parts = historyParts(page));
    return parts;
  }

  /** The `history` message; samples that hold none of the chosen metrics are left out. */
  history(part: HistoryPart, form: HistoryForm): Frame {
    const { deviceId, isDone, id, asOf } = form;
    const encoded = this.#encode(part, form);
    const rest = {
      done: isDone,
      ...(id === null ? {} : { id }),
      ...(asOf === null ? {} : { as_of: asOf }),
    };
    const tail = JSON.stringify(rest).slice(1);
    if (encoded.frame === null || encoded.tail !== tail) {
      const message = { type: "history" as const, device_id: deviceId, samples: encoded.samples };
      encoded.frame = {
        ...frameOf({ ...message, ...rest }),
        text: `{"type":"history","device_id":${JSON.stringify(deviceId)},"samples":` +
          `${encoded.text},${tail}`,
      };
      encoded.tail = tail;
    }
    return encoded.frame;
  }

  /** The `telemetry` message of one sample with all its metrics. */
  telemetry(deviceId: string, sample: Sample): Frame {
    let frame = this.#telemetry.get(sample);
    if (frame === undefined) {
      frame = frameOf({ type: "telemetry", device_id: deviceId, data: sample });
      this.#telemetry.set(sample, frame);
    }
    return frame;
  }

  #encode({ page, start, end }: HistoryPart, { deviceId, metrics }: HistoryForm): Encoded {
    const key = `${start} ${end} ${deviceId} ${metrics?.key ?? ""}`;
    let forms = this.#encoded.get(page);
    if (forms === undefined) this.#encoded.set(page, forms = new Map());
    let encoded = forms.get(key);
    if (encoded === undefined) {
      const part = start === 0 && end === page.length ? page : page.slice(start, end);
      const samples = metrics === null ? part : part.flatMap((sample) => chosen(sample, metrics));
      encoded = { samples, text: JSON.stringify(samples), tail: "", frame: null };
      forms.set(key, encoded);
    }
    return encoded;
  }
}

function chosen(sample: Sample, filter: MetricsFilter): readonly Sample[] {
  const metrics = chosenMetrics(sample.metrics, filter);
  return metrics === null ? [] : [{ ...sample, metrics }];
}
