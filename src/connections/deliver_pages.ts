// Gives a client pages of history in parts that its socket can take, each when there is room for it. It reads nothing,
// and a device that is not wanted any more must not join the present.
import type { HistoryPage } from "../feed/seam.ts";
import type { Frame } from "../protocol/frame.ts";
import type { CatchUpRequest } from "./catch_up.ts";
import type { DeviceCatchUp } from "./device_catch_up.ts";
import { PART_BYTES, PART_SAMPLES } from "./history_parts.ts";

export interface Delivery extends Pick<CatchUpRequest, "kind" | "frames" | "isWanted" | "signal"> {
  /** Sends when the socket can take it, and resolves; or the signal aborts. */
  readonly send: CatchUpRequest["send"];
  /** Told of a device whose last sample up to the present was sent. */
  readonly joined: (device: DeviceCatchUp) => void;
}

/** What is ready to be given to the socket of one device. */
interface Parcel {
  readonly device: DeviceCatchUp;
  readonly frames: readonly Frame[];
  readonly isDone: boolean;
  /** Samples in it. */
  readonly size: number;
  readonly bytes: number;
}

/** Resolves when all of them were sent or are not wanted any more, or the signal aborts. */
export async function deliverPages(
  pages: ReadonlyMap<DeviceCatchUp, HistoryPage>,
  delivery: Delivery,
): Promise<void> {
  let parcels: Parcel[] = [];
  let [size, bytes] = [0, 0];
  for (const [device, page] of pages) {
    for (const parcel of parcelsOf(device, page, delivery)) {
      parcels.push(parcel);
      size += parcel.size;
      bytes += parcel.bytes;
      if (size < PART_SAMPLES && bytes < PART_BYTES) continue;
      await deliver(parcels, delivery);
      if (delivery.signal.aborted) return;
      parcels = [];
      [size, bytes] = [0, 0];
    }
  }
  if (parcels.length > 0) await deliver(parcels, delivery);
}

function* parcelsOf(
  device: DeviceCatchUp,
  page: HistoryPage,
  { kind, frames }: Delivery,
): Generator<Parcel> {
  const { deviceId } = device;
  const { readAt } = page;
  const { samples, isDone } = device.take(page);
  for (const part of frames.parts(samples)) {
    const { start, end, bytes } = part;
    const isEnd = isDone && end === samples.length;
    if (start === end && !isEnd) return;
    yield {
      device,
      isDone: isEnd,
      size: end - start,
      bytes,
      frames: kind === "resume"
        ? [frames.history(deviceId, part, { isDone: isEnd, readAt })]
        : samples.slice(start, end)
          .map((sample) => frames.telemetry(deviceId, sample, readAt))
          .filter((frame) => frame !== null),
    };
  }
}

async function deliver(
  parcels: readonly Parcel[],
  { send, signal, isWanted, joined }: Delivery,
): Promise<void> {
  const wanted = parcels.filter(({ device }) => isWanted(device.deviceId));
  const frames = wanted.flatMap((parcel) => parcel.frames);
  if (frames.length > 0) await send(frames);
  for (const { device, isDone } of wanted) {
    if (signal.aborted) return;
    if (isDone && isWanted(device.deviceId)) joined(device);
  }
}
