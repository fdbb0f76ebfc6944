// The two ways to a feed, WebSocket and server-sent events, as one suite sees them: what is asked for is said once, and
// what comes is compared by the same words.
import { type ClosingName, CLOSINGS } from "../../src/errors.ts";
import { type Message, TestClient } from "../support/client.ts";
import type { TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { OPCODE, RawPeer } from "../sockets/raw_peer.ts";
import { EventClient } from "./event_client.ts";

/** What a client follows, in the words of the query. */
export interface Asked {
  readonly device_id?: readonly string[] | "*";
  readonly metrics?: readonly string[];
  readonly mode?: "latest" | "every";
  readonly changes_only?: boolean;
  readonly since?: string;
  readonly history_seconds?: number;
  readonly alerts?: "list" | "changes";
  readonly fleet?: boolean;
}

export interface FeedClient extends AsyncDisposable {
  readonly messages: readonly Message[];
  next(fits: (message: Message) => boolean, options?: { from?: number }): Promise<Message>;
  /** The code that a WebSocket is closed with, whatever says so; 1006 where nobody did. */
  ending(): Promise<number>;
  /** Is gone without a word. */
  leave(): Promise<void>;
}

/** A client that takes nothing until it is told to. */
export interface StuckClient extends AsyncDisposable {
  /** Reads on; the `seq` of each sample, until the stream ends or `isEnough`. */
  readSeqs(isEnough: (seq: number) => boolean): Promise<readonly number[]>;
  /** Whether the service ends its connection; forgets what comes before. */
  isEnded(): Promise<boolean>;
}

export interface FeedTransport {
  readonly name: string;
  open(
    service: TestService,
    asked: Asked,
    claims?: Readonly<Record<string, unknown>>,
  ): Promise<FeedClient>;
  openStuck(service: TestService, asked: Asked): Promise<StuckClient>;
}

const END_MS = 15_000;

export const overWebSocket: FeedTransport = {
  name: "WebSocket",
  async open(service, asked, claims) {
    const client = await TestClient.connect(service.socketUrl(await signToken(claims)));
    for (const message of messagesOf(asked)) client.send(message);
    return {
      messages: client.messages,
      next: (fits, options) => client.next(fits, options),
      ending: async () => (await client.closed).code,
      leave: async () => void await client.close(),
      [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
    };
  },
  async openStuck(service, asked) {
    const { pathname, search } = new URL(service.socketUrl(await signToken()));
    const peer = await RawPeer.upgrade(service.port, pathname + search);
    for (const message of messagesOf(asked)) await peer.send(OPCODE.text, JSON.stringify(message));
    return {
      async readSeqs(isEnough) {
        const seqs: number[] = [];
        while (seqs.length === 0 || !isEnough(seqs.at(-1) ?? 0)) {
          const frame = await peer.read();
          if (frame === null || frame.opcode === OPCODE.close) return seqs;
          if (frame.opcode !== OPCODE.text) continue;
          const message = JSON.parse(new TextDecoder().decode(frame.payload));
          if (message.type === "telemetry") seqs.push(message.data.metrics.seq);
        }
        return seqs;
      },
      isEnded: () => peer.endsWithin(END_MS),
      [Symbol.asyncDispose]: () => Promise.resolve(peer.vanish()),
    };
  },
};

export const overEvents: FeedTransport = {
  name: "server-sent events",
  async open(service, asked, claims) {
    const authorization = `Bearer ${await signToken(claims)}`;
    const client = await EventClient.open(eventsUrl(service, asked), {
      headers: { authorization },
    });
    return {
      messages: client.messages,
      next: (fits, options) => client.next(fits, options),
      ending: async () => closeCodeOf((await client.ending())?.code),
      leave: () => client.leave(),
      [Symbol.asyncDispose]: () => client.leave(),
    };
  },
  async openStuck(service, asked) {
    const authorization = `Bearer ${await signToken()}`;
    const headers = { authorization };
    const client = await EventClient.open(eventsUrl(service, asked), { headers, isWaiting: true });
    const seqs = () =>
      client.messages.filter(({ type }) => type === "telemetry").map(({ data }) =>
        data.metrics.seq
      );
    return {
      async readSeqs(isEnough) {
        client.read();
        await until(() => client.isEnded || seqs().some(isEnough), { withinMs: END_MS });
        return seqs();
      },
      async isEnded() {
        client.read();
        await until(() => client.isEnded, { withinMs: END_MS });
        return true;
      },
      [Symbol.asyncDispose]: () => client.leave(),
    };
  },
};

/** The address of the stream that brings what is asked for. */
export function eventsUrl({ origin }: Pick<TestService, "origin">, asked: Asked): string {
  const { device_id: devices = [], alerts, ...rest } = asked;
  const query = new URLSearchParams();
  for (const id of typeof devices === "string" ? [devices] : devices) query.append("device_id", id);
  for (const metric of rest.metrics ?? []) query.append("metrics", metric);
  for (const name of ["mode", "since", "history_seconds"] as const) {
    if (rest[name] !== undefined) query.set(name, String(rest[name]));
  }
  if (alerts !== undefined) query.set("alerts", "1");
  if (alerts === "changes") query.set("alerts_mode", "changes");
  for (const name of ["changes_only", "fleet"] as const) if (rest[name]) query.set(name, "1");
  return `${origin}/api/v2/events?${query}`;
}

function messagesOf(asked: Asked): readonly object[] {
  const { device_id: devices, alerts, fleet, changes_only, ...options } = asked;
  const changesOnly = changes_only === undefined ? {} : { changes_only };
  const target = typeof devices === "string" ? { device_id: devices } : { device_ids: devices };
  return [
    { action: "hello", features: ["notices"] },
    ...(devices === undefined
      ? []
      : [{ action: "subscribe", type: "device", ...target, ...options, ...changesOnly }]),
    ...(alerts === undefined
      ? []
      : [{ action: "subscribe", type: "alerts", mode: alerts, ...changesOnly }]),
    ...(fleet ? [{ action: "subscribe", type: "fleet" }] : []),
  ];
}

function closeCodeOf(code: unknown): number {
  return CLOSINGS[code as ClosingName]?.closeCode ?? 1006;
}
