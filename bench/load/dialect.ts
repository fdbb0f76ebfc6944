// What the load client says to follow devices, and how many answers are due to it, in the words of each server that is
// measured. It must never make one of them work for more, or for less, than the devices that are followed.
import { createHash, createHmac } from "node:crypto";

/** `shared poll` is Centrifugo's, too: one channel for each tenant, whose devices are keys. */
export type Dialect = "pulsewire" | "centrifugo" | "shared poll";

/** What one socket follows. */
export interface Wish {
  readonly tenant: string;
  readonly deviceIds: readonly string[];
  readonly devices: boolean;
  readonly alerts: boolean;
  readonly hello?: readonly string[];
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Centrifugo takes a client's word for its keys only when somebody who knows this has signed them. */
export const SHARED_POLL_SECRET = "only-for-benches";
/** Its number of that kind of subscription, and of a request to track keys. */
const [SHARED_POLL, TRACK] = [4, 1];

/** Each is one message. */
export function requestsOf(dialect: Dialect, wish: Wish): readonly string[] {
  switch (dialect) {
    case "pulsewire":
      return pulsewire(wish).map((request) => JSON.stringify(request));
    case "centrifugo":
    case "shared poll":
      return [
        (dialect === "centrifugo" ? channels(wish) : keys(wish)).map((request, nth) =>
          JSON.stringify({ id: nth + 1, ...request })
        ).join("\n"),
      ];
  }
}

/** A server of ours answers each request, Centrifugo each command of it. */
export function answersTo(
  dialect: Dialect,
  { devices, alerts, hello, deviceCount }: Pick<Wish, "devices" | "alerts" | "hello"> & {
    readonly deviceCount: number;
  },
): number {
  switch (dialect) {
    case "pulsewire":
      return Number(devices) + Number(alerts) + Number(hello !== undefined);
    case "centrifugo":
      return 1 + deviceCount;
    case "shared poll":
      return 3;
  }
}

export function channelOf(of: { readonly tenant: string; readonly deviceId: string }): string {
  return `${of.tenant}-${of.deviceId}`;
}

export function pollChannelOf(tenant: string): string {
  return `poll:${tenant}`;
}

function pulsewire({ deviceIds, devices, alerts, hello, options }: Wish): unknown[] {
  const requests: unknown[] = [];
  if (hello !== undefined) requests.push({ action: "hello", features: hello });
  if (alerts) requests.push({ action: "subscribe", type: "alerts" });
  if (devices) {
    requests.push({ action: "subscribe", type: "device", device_ids: deviceIds, ...options });
  }
  return requests;
}

function channels({ tenant, deviceIds }: Wish): readonly object[] {
  return [
    { connect: {} },
    ...deviceIds.map((deviceId) => ({ subscribe: { channel: channelOf({ tenant, deviceId }) } })),
  ];
}

function keys({ tenant, deviceIds }: Wish): readonly object[] {
  const channel = pollChannelOf(tenant);
  const items = deviceIds.map((key) => ({ key, version: 0 }));
  const track = [{ signature: signatureOf(channel, deviceIds), items }];
  return [
    { connect: {} },
    { subscribe: { channel, type: SHARED_POLL } },
    { sub_refresh: { channel, type: TRACK, track } },
  ];
}

/** As its documentation has it, of a user without a name. */
function signatureOf(channel: string, deviceIds: readonly string[]): string {
  const issuedAt = Math.floor(Date.now() / 1_000);
  const expiresAt = issuedAt + 3_600;
  const hash = createHash("sha256").update(deviceIds.join("\0")).digest("hex");
  const mac = createHmac("sha256", SHARED_POLL_SECRET)
    .update([issuedAt, expiresAt, "", channel, hash].join("\0"))
    .digest("hex");
  return `${issuedAt}:${expiresAt}:${mac}`;
}
