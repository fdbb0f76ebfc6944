// A client on a fake clock with sockets that a test answers by hand: what it sends is looked at, what it hears is said.
import FakeTimers from "@sinonjs/fake-timers";
import assert from "node:assert/strict";
import type { Clock } from "../../src/clock.ts";
import type { PulsewireError } from "../../src/client/pulsewire_error.ts";
import {
  type ClientOptions,
  type ClientState,
  type Gap,
  PulsewireClient,
  type StateDetails,
} from "../../src/client/pulsewire_client.ts";
import type { Message } from "../support/client.ts";

export const START_MS = Date.UTC(2026, 10, 18, 11, 0, 0);

export interface SleepyClock extends Clock {
  /** Lets time pass, running timers in order and letting promises settle in between. */
  advance(ms: number): Promise<void>;
  /** Lets time pass as in a machine's sleep: each timer that was due fires once, late. */
  sleep(ms: number): Promise<void>;
  readonly timerCount: number;
}

export function sleepyClock(): SleepyClock {
  const timers = FakeTimers.createClock(START_MS);
  return {
    now: () => timers.now,
    monotonicNow: () => timers.now - START_MS,
    setTimeout: (callback, delayMs) => timers.setTimeout(callback, delayMs),
    clearTimeout: (handle) => timers.clearTimeout(handle as ReturnType<typeof timers.setTimeout>),
    advance: async (ms) => void await timers.tickAsync(ms),
    async sleep(ms) {
      timers.jump(ms);
      await timers.tickAsync(0);
    },
    get timerCount() {
      return timers.countTimers();
    },
  };
}

/** An instant with nine digits so many seconds after the start of the clock. */
export function at(second: number, nanos = "000000000"): string {
  return `${new Date(START_MS + second * 1_000).toISOString().slice(0, 19)}.${nanos}Z`;
}

/** The same as the service writes it beside a push. */
export function asOf(second: number): string {
  return new Date(START_MS + second * 1_000).toISOString();
}

export class FakeSocket {
  readonly url: string;
  readonly protocols: readonly string[];
  readonly sent: Message[] = [];
  readyState = 0;
  /** The code that the client closed it with. */
  closedWith: number | undefined;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(url: string, protocols: readonly string[]) {
    this.url = url;
    this.protocols = protocols;
  }

  send(text: string): void {
    assert.equal(this.readyState, 1, "a message was sent on a socket that is not open");
    this.sent.push(JSON.parse(text));
  }

  close(code?: number): void {
    this.readyState = 3;
    this.closedWith = code;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  say(message: Message | string): void {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  /** Messages of an action, and of a type where one is named. */
  asked(action: string, type?: string): Message[] {
    return this.sent.filter((message) =>
      message.action === action && (type === undefined || message.type === type)
    );
  }

  /** The last message of an action and type. */
  last(action: string, type?: string): Message {
    const message = this.asked(action, type).at(-1);
    assert.ok(message !== undefined, `no ${action} ${type ?? ""} was sent`);
    return message;
  }

  /** Answers the last subscribe to devices, with what it says of each where it asked for history. */
  subscribed(resume?: Message): Message {
    const message = this.last("subscribe", "device");
    const { device_id, device_ids, id } = message;
    const named = device_id === undefined ? { device_ids } : { device_id };
    this.say({
      type: "subscribed",
      channel: "device",
      ...named,
      ...(resume === undefined ? {} : { resume }),
      id,
    });
    return message;
  }

  /** A page of what the last subscribe asked for. */
  page(deviceId: string, samples: readonly object[], { done = true, second = 0 } = {}): void {
    const { id } = this.last("subscribe", "device");
    this.say({ type: "history", device_id: deviceId, samples, done, id, as_of: asOf(second) });
  }

  /** Pushes of one tick. */
  batch(second: number, messages: readonly object[]): void {
    this.say({ type: "batch", as_of: asOf(second), messages });
  }
}

/**
 * Answers every subscribe to devices since its last call, and returns them. Where they asked for a past, one of their device
 * follows, and of `pastOfAll` where it is every device.
 */
export function answerer(socket: FakeSocket, pastOfAll: readonly string[] = []) {
  let answered = 0;
  return () => {
    const asked = socket.asked("subscribe", "device").slice(answered);
    answered += asked.length;
    for (const { device_id, since, history_seconds, id } of asked) {
      const hasPast = since !== undefined || history_seconds !== undefined;
      const devices = device_id === "*" ? pastOfAll : [String(device_id)];
      const past = Object.fromEntries(
        devices.map((one) => [one, { from: at(-60), complete: true }]),
      );
      const resume = hasPast ? { resume: past } : {};
      socket.say({ type: "subscribed", channel: "device", device_id, ...resume, id });
    }
    return asked;
  };
}

export function sample(second: number, metrics: Record<string, unknown> = { n: second }) {
  return { timestamp: at(second), metrics };
}

export function telemetry(deviceId: string, data: object) {
  return { type: "telemetry", device_id: deviceId, data };
}

export interface World extends Disposable {
  readonly clock: SleepyClock;
  readonly client: PulsewireClient;
  readonly sockets: readonly FakeSocket[];
  readonly states: readonly (readonly [ClientState, StateDetails])[];
  readonly errors: readonly PulsewireError[];
  readonly gaps: readonly Gap[];
  /** The newest socket. */
  socket(): FakeSocket;
  /** Opens the newest socket and answers its hello. */
  greet(hello?: Message): Promise<FakeSocket>;
  /** Lets what was begun settle. */
  settle(): Promise<void>;
}

export function clientWorld(options: Partial<ClientOptions> = {}): World {
  const clock = sleepyClock();
  const sockets: FakeSocket[] = [];
  const client = new PulsewireClient("wss://pulse.example/api/v2/ws", {
    ...(options.ticket === undefined ? { token: () => "first.token.x" } : {}),
    WebSocket: class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    },
    clock,
    random: () => 0.5,
    wakeTarget: {},
    ...options,
  });
  const states: [ClientState, StateDetails][] = [];
  const errors: PulsewireError[] = [];
  const gaps: Gap[] = [];
  client.on("state", (state, details) => void states.push([state, details]));
  client.on("error", (error) => void errors.push(error));
  client.on("gap", (gap) => void gaps.push(gap));
  const settle = () => clock.advance(0);
  const socket = () => {
    const newest = sockets.at(-1);
    assert.ok(newest !== undefined, "no socket was made");
    return newest;
  };
  return {
    clock,
    client,
    sockets,
    states,
    errors,
    gaps,
    socket,
    settle,
    async greet(hello = {}) {
      await settle();
      const newest = socket();
      newest.open();
      newest.say({
        type: "hello",
        server: "pulsewire/0.1.0",
        poll_seconds: 5,
        features: ["notices", "batch", "as_of"],
        limits: { message_bytes: 65_536, messages_per_second: 50, subscriptions: 500 },
        token_expires_at: new Date(clock.now() + 3_600_000).toISOString(),
        ...hello,
      });
      await settle();
      return newest;
    },
    [Symbol.dispose]: () => client.close(),
  };
}
