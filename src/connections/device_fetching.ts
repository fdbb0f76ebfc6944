// Fetches what subscriptions to devices ask of the past, or have missed of it; until a device has joined the present
// nothing of it is pushed. It changes no interest.
import type { Clock } from "../clock.ts";
import type { Histories } from "../feed/seam.ts";
import type { Log } from "../observe/log.ts";
import type { Frame } from "../protocol/frame.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { Resume } from "../protocol/server_messages.ts";
import { catchUp, type CatchUpDeps, type CatchUpDevice } from "./catch_up.ts";
import type { Connection } from "./connection.ts";
import type { DeviceStart } from "./device_request.ts";
import { CORE_OPTIONS, type DeviceSubscription } from "./device_subscription.ts";
import { guardHistory } from "./guard_history.ts";
import { historyFrames } from "./history_frames.ts";
import { HistoryStart } from "./history_start.ts";

export interface DeviceFetchingOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly catchUp: CatchUpDeps;
}

interface Fetch {
  readonly subscriptions: readonly DeviceSubscription[];
  readonly start: DeviceStart;
  readonly kind: "resume" | "lag";
}

export class DeviceFetching {
  readonly #options: DeviceFetchingOptions;

  constructor(options: DeviceFetchingOptions) {
    this.#options = options;
  }

  /** Fetches the past of the subscriptions that have one; the others wait with them for the answer. */
  resume(
    connection: Connection,
    { subscriptions, start }: Omit<Fetch, "kind">,
  ): void {
    this.#fetch(connection, { subscriptions, start, kind: "resume" });
  }

  /** Fetches the samples that subscriptions missed, once the socket takes some again. */
  recover(connection: Connection, subscriptions: readonly DeviceSubscription[]): void {
    const now = instantOfMs(this.#options.clock.now());
    const after = new Map<string, string>();
    for (const { device, follow } of subscriptions) {
      after.set(device.deviceId, follow?.cursor ?? device.first?.floor ?? now);
    }
    const start = { after, resolutionSeconds: null, id: null, answered: () => {} };
    this.#fetch(connection, { subscriptions, start, kind: "lag" });
  }

  #fetch(connection: Connection, { subscriptions, start, kind }: Fetch): void {
    const { after } = start;
    const devices: CatchUpDevice[] = [];
    const held = new Map<string, DeviceSubscription>();
    const others: DeviceSubscription[] = [];
    for (const subscription of subscriptions) {
      const { device: { deviceId }, follow } = subscription;
      // Replaced or ended before its history could be asked for.
      if (connection.held.of(deviceId) !== subscription) continue;
      subscription.isHeld = true;
      const from = typeof after === "string" ? after : after.get(deviceId);
      if (from === undefined) {
        others.push(subscription);
        continue;
      }
      devices.push({ deviceId, after: from, follow });
      held.set(deviceId, subscription);
    }
    const answered = (resumes: Readonly<Record<string, Resume>>) => {
      start.answered(resumes);
      for (const subscription of others) subscription.resume(null);
      connection.wake();
    };
    if (devices.length === 0) {
      answered({});
      return;
    }
    const history = new HistoryStart({
      after: new Map(devices.map((device) => [device.deviceId, device.after])),
      answered,
      parent: connection.signal,
    });
    for (const subscription of held.values()) subscription.start = history;
    const { log } = this.#options;
    void guardHistory(
      connection,
      { log, signal: connection.signal },
      () => this.#catchUp(connection, { start, kind, devices, held, history }),
    );
  }

  async #catchUp(
    connection: Connection,
    { start, kind, devices, held, history }: Pick<Fetch, "start" | "kind"> & {
      readonly devices: readonly CatchUpDevice[];
      readonly held: ReadonlyMap<string, DeviceSubscription>;
      readonly history: HistoryStart;
    },
  ): Promise<void> {
    const { clock } = this.#options;
    const { signal } = history;
    const [{ options: { metrics } } = { options: CORE_OPTIONS }] = held.values();
    const isWanted = (deviceId: string) => connection.held.of(deviceId) === held.get(deviceId);
    // Nobody reads for a socket that takes nothing: it may never be sent.
    if (kind === "lag") await connection.offer(nothing, signal);
    await catchUp({
      tenantId: connection.group.tenantId,
      devices,
      resolutionSeconds: start.resolutionSeconds,
      kind,
      frames: historyFrames(connection, { metrics, id: start.id }),
      send: (frames) => {
        // It may have been unsubscribed while this waited for room.
        const due = () => frames.filter(({ message }) => isWanted(deviceOf(message)));
        return connection.offer(due, signal);
      },
      isWanted,
      answered: (resumes) => history.answer(resumes),
      joined: (deviceId, last) => {
        const subscription = held.get(deviceId);
        if (subscription === undefined) return;
        subscription.start = null;
        history.joined(deviceId);
        subscription.resume(last === null ? null : { last, joinedAt: clock.now() });
        connection.wake();
      },
      signal,
    }, { ...this.#options.catchUp, histories: this.#histories(connection) });
  }

  /** Pages are asked for when there is room for them, so that none of them waits long in memory. */
  #histories(connection: Connection): Histories {
    const { histories } = this.#options.catchUp;
    return {
      page: async (question) => {
        await connection.offer(nothing, question.signal);
        return await histories.page(question);
      },
      earliest: (question) => histories.earliest(question),
      alerts: (question) => histories.alerts(question),
    };
  }
}

function nothing(): readonly Frame[] {
  return [];
}

function deviceOf(message: Frame["message"]): string {
  if (message.type === "history" || message.type === "telemetry") return message.device_id;
  throw new TypeError(`"${message.type}" is no message of a device`);
}
