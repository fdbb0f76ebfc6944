// What stands behind Centrifugo: publishes every device's sample by its batch API, or answers its shared poll. As fast as
// they go, a listener of its own says how far its sockets are, so that it is not sent more than it can pass on. What it
// costs is not counted as Centrifugo's.
import { answerAsked } from "../child.ts";
import { channelOf, pollChannelOf, requestsOf } from "../load/dialect.ts";
import { deviceName, tenantName } from "../load/names.ts";
import { sampleOf } from "../load/samples.ts";
import { CENTRIFUGO_PATH } from "./centrifugo.ts";

export interface FeedOptions {
  readonly by: "centrifugo" | "shared poll";
  readonly tenants: number;
  readonly devices: number;
  /** 0 for as fast as they go. */
  readonly everyMs: number;
}

/** Ticks that are under way at once. */
const AHEAD = 4;
const HELD_POLL_MS = 200;

const { by, tenants, devices, everyMs } = JSON.parse(Deno.args[0] ?? "{}") as FeedOptions;
const deviceIdsOf = (tenant: number): readonly string[] =>
  Array.from({ length: devices }, (_, nth) => deviceName(nth, tenant));
/** The first tenant's, which is the only one that is polled for or listened to. */
const deviceIds = deviceIdsOf(0);
let isRunning = false;
let ticks = 0;
/** Samples that were sent, and those of them that the listener has. */
let sent = 0;
let heard = 0;
let moved = Promise.withResolvers<void>();

const pollServer = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  async (request) => {
    const { items } = await request.json() as { items: ReadonlyArray<{ readonly key: string }> };
    if (isRunning) await caughtUp();
    else await new Promise((resolve) => setTimeout(resolve, HELD_POLL_MS));
    const n = isRunning ? ticks++ : ticks;
    const ms = isRunning ? Date.now() : 0;
    if (isRunning) sent += items.length;
    return Response.json({
      result: {
        items: items.map(({ key }) => ({
          key,
          data: messageOf(key, { ms, n, device: deviceIds.indexOf(key) }),
        })),
      },
    });
  },
);

function messageOf(
  deviceId: string,
  of: { readonly ms: number; readonly n: number; readonly device: number },
) {
  return { type: "telemetry", device_id: deviceId, data: sampleOf(of) };
}

/** Until what was sent has come, but for a few ticks. */
async function caughtUp(): Promise<void> {
  while (isRunning && sent - heard > AHEAD * devices) await moved.promise;
}

function listen(port: number): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${CENTRIFUGO_PATH}`);
  const wish = { tenant: tenantName(0), deviceIds, devices: true, alerts: false };
  const open = Promise.withResolvers<void>();
  socket.onopen = () => {
    for (const request of requestsOf(by, wish)) socket.send(request);
    open.resolve();
  };
  socket.onclose = ({ code, reason }) =>
    open.reject(new Error(`The listener was closed: ${code} ${reason}`));
  socket.onmessage = ({ data }: MessageEvent<string>) => {
    heard += data.split('{"push":').length - 1;
    moved.resolve();
    moved = Promise.withResolvers();
  };
  return open.promise;
}

/** The devices of each tenant by one request. */
async function publish(url: string): Promise<void> {
  const n = ticks++;
  sent += devices;
  await Promise.all(Array.from({ length: tenants }, async (_, nth) => {
    const ms = Date.now();
    const tenant = tenantName(nth);
    const response = await fetch(url, {
      method: "POST",
      body: JSON.stringify({
        commands: deviceIdsOf(nth).map((deviceId, device) => ({
          publish: {
            channel: channelOf({ tenant, deviceId }),
            data: messageOf(deviceId, { ms, n, device }),
          },
        })),
      }),
    });
    const answer = await response.text();
    if (!response.ok || answer.includes('"error"')) {
      throw new Error(`Cannot publish: ${response.status} ${answer.slice(0, 200)}`);
    }
  }));
}

async function publishAll(port: number): Promise<void> {
  const url = `http://127.0.0.1:${port}/api/batch`;
  let dueAt = performance.now();
  while (isRunning) {
    await publish(url);
    if (everyMs === 0) await caughtUp();
    else {
      dueAt = Math.max(dueAt + everyMs, performance.now());
      await new Promise((resolve) => setTimeout(resolve, dueAt - performance.now()));
    }
  }
}

let centrifugoPort = 0;

await answerAsked({
  port: () => ({ port: pollServer.addr.port, channel: pollChannelOf(tenantName(0)) }),
  listen: async (port) => {
    centrifugoPort = port as number;
    if (everyMs === 0) await listen(centrifugoPort);
  },
  hold: () => {
    isRunning = false;
    moved.resolve();
  },
  run: () => {
    isRunning = true;
    [sent, heard] = [0, 0];
    if (by === "centrifugo") void publishAll(centrifugoPort);
  },
});
