// Cuts what a read brought of one device's past into messages that a slow link takes in good time, however wide the
// device's samples are. It makes no message.
import type { Sample } from "../protocol/server_messages.ts";

/** The samples of one message: some that follow each other in a page's list, which is the same for all who share it. */
export interface HistoryPart {
  readonly page: readonly Sample[];
  readonly start: number;
  readonly end: number;
}

export interface SizedPart extends HistoryPart {
  /** Bytes of JSON, roughly. */
  readonly bytes: number;
}

/** Samples of one `history` message, and of what is given to the socket at once. */
export const PART_SAMPLES = 500;
/** Bytes of the same: nobody counts as stuck who takes one message for as long as it comes, so it must come soon. */
export const PART_BYTES = 128 * 1024;

/** A sample's timestamp and what else is always there. */
const FRAME_BYTES = 64;
/** A number, or what stands in its place. */
const VALUE_BYTES = 16;
/** Quotes, colon and comma. */
const NAME_BYTES = 4;

/** The parts of a page, one after another; of an empty page one that is empty. */
export function historyParts(page: readonly Sample[]): readonly SizedPart[] {
  const parts: SizedPart[] = [];
  let start = 0;
  let bytes = 0;
  for (const [index, sample] of page.entries()) {
    const size = roughBytes(sample);
    const isFull = index - start === PART_SAMPLES || bytes + size > PART_BYTES;
    if (isFull && index > start) {
      parts.push({ page, start, end: index, bytes });
      start = index;
      bytes = 0;
    }
    bytes += size;
  }
  parts.push({ page, start, end: page.length, bytes });
  return parts;
}

/** Without making its JSON, which is made once for each choice of metrics. */
function roughBytes({ metrics }: Sample): number {
  let bytes = FRAME_BYTES;
  for (const [name, value] of Object.entries(metrics)) {
    bytes += NAME_BYTES + name.length;
    if (typeof value === "string") bytes += value.length;
    else bytes += typeof value === "object" ? JSON.stringify(value).length : VALUE_BYTES;
  }
  return bytes;
}
