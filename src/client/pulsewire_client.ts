// The client of a Pulsewire service: one connection that comes back, and what an application listens to on it. The only
// file that applications import; it composes and must hold no rule of its own.
import type { Clock } from "../clock.ts";
import { AlertChannel, type AlertListener } from "./alert_channel.ts";
import {
  type ClientEvents,
  type ClientState,
  EventHub,
  type Gap,
  type StateDetails,
  type Stop,
} from "./client_events.ts";
import { Connection, type Ending, type Phase, type WebSocketConstructor } from "./connection.ts";
import { ConnectionState } from "./connection_state.ts";
import { type CredentialOptions, Credentials } from "./credentials.ts";
import {
  type DeviceOptions,
  type SampleListener,
  type SamplesOptions,
  wishOf,
} from "./device_options.ts";
import { DeviceTable } from "./device_table.ts";
import { Dispatch } from "./dispatch.ts";
import { FleetChannel, type FleetListener } from "./fleet_channel.ts";
import { type DeviceSample, Follower } from "./follower.ts";
import { PulsewireError } from "./pulsewire_error.ts";
import { SampleBuffer } from "./sample_buffer.ts";
import { ServerClock } from "./server_clock.ts";
import { DEFAULT_TIMINGS, type Timings } from "./timings.ts";
import { onWake, type WakeTarget } from "./wake_signals.ts";

export type { AlertListener } from "./alert_channel.ts";
export type {
  ClientEvents,
  ClientState,
  DegradedSource,
  Gap,
  StaleDevice,
  StateDetails,
  Stop,
} from "./client_events.ts";
export type { WebSocketConstructor } from "./connection.ts";
export type { CredentialOptions, TicketSource, TokenSource } from "./credentials.ts";
export type { DeviceOptions, SampleListener, SamplesOptions } from "./device_options.ts";
export type { Fleet, FleetListener } from "./fleet_channel.ts";
export type { DeviceSample } from "./follower.ts";
export type { Timings } from "./timings.ts";
export type { Alert, AlertChanges, MetricValue, Sample } from "../protocol/server_messages.ts";
export { PulsewireError } from "./pulsewire_error.ts";

export interface ClientOptions extends CredentialOptions {
  /** Where the platform has none, or a test wants another. */
  readonly WebSocket?: WebSocketConstructor;
  readonly timings?: Partial<Timings>;
  readonly clock?: Clock;
  /** From 0 to less than 1. */
  readonly random?: () => number;
  /** Where to hear that the machine woke. Default: the window, where there is one. */
  readonly wakeTarget?: WakeTarget;
}

const PLATFORM_CLOCK: Clock = {
  now: () => Date.now(),
  monotonicNow: () => performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (handle) => clearTimeout(handle as number),
};
const DEFAULT_BUFFER_SIZE = 1_000;

/** Connects with the first listener, or with `connect`. */
export class PulsewireClient implements Disposable {
  readonly #hub = new EventHub();
  readonly #clock: Clock;
  readonly #timings: Timings;
  readonly #connection: Connection;
  readonly #dispatch: Dispatch;
  readonly #state: ConnectionState;
  readonly #devices: DeviceTable;
  readonly #alerts: AlertChannel;
  readonly #fleet: FleetChannel;
  readonly #streams = new Set<SampleBuffer>();
  readonly #stopWaking: Stop;

  /** `url` is the service's `/api/v2/ws`; `https:` and addresses relative to the page are understood. */
  constructor(url: string | URL, options: ClientOptions) {
    const { clock = PLATFORM_CLOCK, random = Math.random, wakeTarget = globalThis } = options;
    const { WebSocket = globalThis.WebSocket } = options;
    if (WebSocket === undefined) {
      throw new PulsewireError(
        "invalid_options",
        "There is no WebSocket here: give one as an option",
      );
    }
    this.#clock = clock;
    this.#timings = { ...DEFAULT_TIMINGS, ...options.timings };
    const timings = this.#timings;
    const serverClock = new ServerClock(clock);
    const credentials = new Credentials(options, { clock, timeoutMs: timings.tokenMs });
    const onError = (error: PulsewireError) => this.#hub.emit("error", error);
    const call = (listener: () => unknown) => this.#hub.call(listener);
    this.#state = new ConnectionState({
      clock,
      told: (state, details) => this.#hub.emit("state", state, details),
    });
    this.#devices = new DeviceTable({ clock, serverClock, onError });
    this.#alerts = new AlertChannel({
      clock,
      lateMs: timings.lateMs,
      call,
      onGap: (gap) => this.#hub.emit("gap", gap),
      onError,
    });
    this.#fleet = new FleetChannel({ clock, call, onError });
    this.#connection = new Connection({
      url: socketUrl(url),
      credentials,
      WebSocket,
      clock,
      random,
      timings,
      onPhase: (phase) => this.#entered(phase),
      onMessage: (message) => this.#dispatch.receive(message),
      onError,
    });
    this.#dispatch = new Dispatch({
      clock,
      serverClock,
      credentials,
      random,
      timings,
      connection: this.#connection,
      state: this.#state,
      devices: this.#devices,
      alerts: this.#alerts,
      fleet: this.#fleet,
      hub: this.#hub,
    });
    this.#stopWaking = onWake(wakeTarget as WakeTarget, () => this.#connection.wake());
  }

  get state(): ClientState {
    return this.#state.state;
  }

  get details(): StateDetails {
    return this.#state.details;
  }

  /** Connects now; also ends a wait, and tries again after a refusal. For a person to ask, not for a timer. */
  connect(): void {
    this.#connection.connect();
  }

  on<Name extends keyof ClientEvents>(
    name: Name,
    listener: (...args: ClientEvents[Name]) => unknown,
  ): Stop {
    return this.#hub.on(name, listener);
  }

  /** Follows a device, or every device as `*`. */
  device(deviceId: string, listener: SampleListener): Stop;
  device(deviceId: string, options: DeviceOptions, listener: SampleListener): Stop;
  device(
    deviceId: string,
    ...[given, last]: [SampleListener] | [DeviceOptions, SampleListener]
  ): Stop {
    const options = typeof given === "function" ? {} : given;
    const listener = typeof given === "function" ? given : last;
    if (typeof listener !== "function") {
      throw new PulsewireError("invalid_options", "There is no listener");
    }
    return this.#follow(deviceId, options, {
      take: (sample) => {
        this.#hub.call(() => listener(sample));
        return true;
      },
      fail: () => {},
    }).stop;
  }

  /**
   * The samples of a device one by one. A loop that is slow is given the newest in mode `latest`, and in mode `every` each
   * one, later. It ends with its signal or the client, and throws where the service refuses the device or the client.
   */
  samples(
    deviceId: string,
    options: SamplesOptions = {},
  ): AsyncIterableIterator<DeviceSample, undefined> {
    const { signal, bufferSize: capacity = DEFAULT_BUFFER_SIZE, mode = "latest" } = options;
    const leave = () => void buffer.return();
    const buffer: SampleBuffer = new SampleBuffer({
      mode,
      capacity,
      drained: () => {
        following.follower.resume();
        this.#devices.resumed(deviceId);
      },
      left: () => {
        following.stop();
        this.#streams.delete(buffer);
        signal?.removeEventListener("abort", leave);
      },
    });
    const following = this.#follow(deviceId, options, {
      take: (sample) => buffer.put(sample),
      fail: (error) => buffer.end(error),
    });
    this.#streams.add(buffer);
    const { phase } = this.#connection;
    signal?.addEventListener("abort", leave, { once: true });
    if (signal?.aborted === true || phase.name === "closed") leave();
    if (phase.name === "refused") buffer.end(refusalOf(phase.ending));
    return buffer;
  }

  /** The open alerts, newest first, at once and with each change; of some devices where they are named. */
  alerts(
    listener: AlertListener,
    options: { readonly deviceIds?: readonly string[] } = {},
  ): Stop {
    return this.#listening(this.#alerts.listen(listener, options));
  }

  /** The counts of the tenant's devices and alerts, at once and when they change. */
  fleet(listener: FleetListener): Stop {
    return this.#listening(this.#fleet.listen(listener));
  }

  /** Ends everything; nothing is called any more. */
  close(): void {
    if (this.#connection.phase.name === "closed") return;
    this.#connection[Symbol.dispose]();
    this.#stopWaking();
    for (const stream of [...this.#streams]) void stream.return();
    this.#devices[Symbol.dispose]();
    this.#alerts.clear();
    this.#fleet.clear();
    this.#hub.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #follow(
    deviceId: string,
    options: DeviceOptions,
    { take, fail }: {
      readonly take: (sample: DeviceSample) => boolean;
      readonly fail: (error: PulsewireError) => void;
    },
  ): { readonly follower: Follower; readonly stop: Stop } {
    const { needs, history } = wishOf(deviceId, options);
    const { onGap, onCaughtUp } = options;
    const follower = new Follower({
      needs,
      history,
      clock: this.#clock,
      lateMs: this.#timings.lateMs,
      take,
      fail,
      gap: (gap: Gap) => {
        if (onGap !== undefined) this.#hub.call(() => onGap(gap));
        this.#hub.emit("gap", gap);
      },
      caughtUp: () => {
        if (onCaughtUp !== undefined) this.#hub.call(onCaughtUp);
      },
    });
    return { follower, stop: this.#listening(this.#devices.follow(deviceId, follower)) };
  }

  /** The first listener connects. */
  #listening(stop: Stop): Stop {
    if (this.#connection.phase.name === "idle") this.#connection.connect();
    return stop;
  }

  #entered(phase: Phase): void {
    this.#dispatch.lost();
    if (phase.name === "live") this.#dispatch.connected(phase);
    this.#state.enter(phase);
    if (phase.name !== "refused") return;
    for (const stream of [...this.#streams]) stream.end(refusalOf(phase.ending));
  }
}

function refusalOf({ isUnauthorized, reason }: Ending): PulsewireError {
  return new PulsewireError(isUnauthorized ? "unauthorized" : "refused", reason);
}

function socketUrl(url: string | URL): URL {
  const page = (globalThis as { readonly location?: { readonly href: string } }).location?.href;
  const address = new URL(url, page);
  if (address.protocol === "https:") address.protocol = "wss:";
  if (address.protocol === "http:") address.protocol = "ws:";
  return address;
}
