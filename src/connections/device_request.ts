// What a client asks of the samples of devices: which, how, and from when. Pure.
import type { MessageId } from "../protocol/client_messages.ts";
import type { Resume } from "../protocol/server_messages.ts";
import type { DeviceOptions } from "./device_subscription.ts";

/** Where a subscription begins when it does not begin now. */
export interface DeviceStart {
  /** One instant with nine digits for all devices, or one for each that has a past to be sent. */
  readonly after: string | ReadonlyMap<string, string>;
  readonly resolutionSeconds: number | null;
  /** The id of the message that asked. */
  readonly id: MessageId | null;
  /** Called once, before the first page and the first push. */
  readonly answered: (resumes: Readonly<Record<string, Resume>>) => void;
}

export interface DeviceRequest {
  readonly deviceIds: readonly string[] | "all";
  readonly options?: DeviceOptions;
  readonly start?: DeviceStart | null;
}
