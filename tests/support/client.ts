// A plain client of the service over a real WebSocket: keeps every message and waits for the next that fits. Whatever
// comes is held to the schemas: a message that they don't know fails the test that received it.
import assert from "node:assert/strict";
import { messageFault } from "./message_fault.ts";

// deno-lint-ignore no-explicit-any
export type Message = Record<string, any>;

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export class TestClient implements AsyncDisposable {
  readonly messages: Message[] = [];
  readonly texts: string[] = [];
  readonly closed: Promise<Closed>;
  readonly #socket: WebSocket;
  readonly #waiting = new Set<() => void>();
  #isClosed = false;
  #fault: string | null = null;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => {
        this.#isClosed = true;
        for (const look of [...this.#waiting]) look();
        resolve({ code, reason });
      };
    });
    socket.onmessage = ({ data }) => {
      this.#fault ??= messageFault(data);
      this.texts.push(data);
      this.messages.push(JSON.parse(data));
      for (const look of [...this.#waiting]) look();
    };
    socket.onerror = (event) => event.preventDefault();
  }

  /** Connects and waits for the socket to open, or to be closed at once. */
  static async connect(url: string | URL, protocols?: string | string[]): Promise<TestClient> {
    const socket = new WebSocket(url, protocols);
    const client = new TestClient(socket);
    await Promise.race([
      new Promise<void>((resolve) => socket.onopen = () => resolve()),
      client.closed,
    ]);
    return client;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get raw(): WebSocket {
    return this.#socket;
  }

  send(message: unknown): void {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** Sends a message and returns the first answer that is no push. */
  async ask(message: unknown): Promise<Message> {
    const from = this.messages.length;
    this.send(message);
    return await this.next((answer) => !PUSHES.has(answer.type), { from });
  }

  async subscribe(deviceId: string): Promise<Message> {
    return await this.ask({ action: "subscribe", type: "device", device_id: deviceId });
  }

  async unsubscribe(deviceId: string): Promise<Message> {
    return await this.ask({ action: "unsubscribe", type: "device", device_id: deviceId });
  }

  /** The first message from position `from` on (default: those already here count) that fits. */
  async next(
    fits: (message: Message) => boolean,
    { from = 0, timeoutMs = 30_000 }: { from?: number; timeoutMs?: number } = {},
  ): Promise<Message> {
    const find = () => {
      this.#assertSound();
      return this.messages.slice(from).find(fits);
    };
    const already = find();
    if (already !== undefined) return already;
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const timer = setTimeout(
      () => reject(new assert.AssertionError({ message: `Nothing fit: ${this.texts.slice(-5)}` })),
      timeoutMs,
    );
    const look = () => {
      try {
        const found = find();
        if (found !== undefined) resolve(found);
        else if (this.#isClosed) assert.fail("Closed before it came");
      } catch (error) {
        reject(error);
      }
    };
    this.#waiting.add(look);
    try {
      look();
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  /** The next push that comes after now. */
  async push(type: string, deviceId?: string): Promise<Message> {
    const from = this.messages.length;
    return await this.next(
      (message) =>
        message.type === type && (deviceId === undefined || message.device_id === deviceId),
      { from },
    );
  }

  async close(): Promise<Closed> {
    if (!this.#isClosed) this.#socket.close();
    const closed = await this.closed;
    this.#assertSound();
    return closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #assertSound(): void {
    if (this.#fault !== null) assert.fail(this.#fault);
  }
}

const PUSHES = new Set(["telemetry", "alerts"]);
