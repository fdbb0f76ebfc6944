// A WebSocket peer made of plain TCP, that can do what no library lets one do: stop reading, vanish, break the rules.
import assert from "node:assert/strict";

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface RawFrame {
  readonly opcode: number;
  readonly payload: Uint8Array;
}

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

export class RawPeer implements Disposable {
  readonly head: string;
  readonly #connection: Deno.Conn;
  #waiting: Uint8Array<ArrayBuffer>;
  #isClosed = false;

  private constructor(connection: Deno.Conn, head: string, rest: Uint8Array<ArrayBuffer>) {
    this.#connection = connection;
    this.head = head;
    this.#waiting = rest;
  }

  /** Connects and sends text as it stands; the peer has then read the answer's head. */
  static async request(
    port: number,
    text: string,
    { authority }: { authority?: string } = {},
  ): Promise<RawPeer> {
    const connection = await RawPeer.speak(port, text, { authority });
    try {
      return await RawPeer.#listen(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Says nothing, and reads nothing yet. */
  static async silent(port: number): Promise<RawPeer> {
    return new RawPeer(await RawPeer.speak(port, ""), "", new Uint8Array());
  }

  static async #listen(connection: Deno.Conn): Promise<RawPeer> {
    let received: Uint8Array<ArrayBuffer> = new Uint8Array();
    for (;;) {
      const end = new TextDecoder("latin1").decode(received).indexOf("\r\n\r\n");
      if (end >= 0) {
        const head = new TextDecoder().decode(received.subarray(0, end));
        return new RawPeer(connection, head, received.slice(end + 4));
      }
      const chunk = new Uint8Array(4_096);
      const length = await connection.read(chunk);
      if (length === null) return new RawPeer(connection, "", received);
      received = concat(received, chunk.subarray(0, length));
    }
  }

  /** Connects and sends text as it stands, and listens to nothing. */
  static async speak(
    port: number,
    text: string,
    { authority }: { authority?: string | undefined } = {},
  ): Promise<Deno.Conn> {
    const hostname = "127.0.0.1";
    const connection = authority === undefined
      ? await Deno.connect({ hostname, port })
      : await Deno.connectTls({ hostname, port, caCerts: [authority] });
    try {
      if (text !== "") await connection.write(new TextEncoder().encode(text));
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  static async upgrade(port: number, path: string, headers: readonly string[] = []) {
    const peer = await RawPeer.request(port, upgradeRequest(path, { headers }));
    assert.match(peer.head, /^HTTP\/1\.1 101 /);
    return peer;
  }

  get status(): number {
    return Number(this.head.split(" ")[1] ?? 0);
  }

  async send(opcode: number, payload: Uint8Array | string, { fin = true } = {}): Promise<void> {
    await this.write(clientFrame(opcode, payload, { fin }));
  }

  /** Reads on to the close frame and returns its code; null when the connection ended without one. */
  async closeCode(): Promise<number | null> {
    for (;;) {
      const frame = await this.read();
      if (frame === null) return null;
      if (frame.opcode !== OPCODE.close) continue;
      return ((frame.payload[0] ?? 0) << 8) | (frame.payload[1] ?? 0);
    }
  }

  /** Whether the server ends the connection within the time; forgets what comes before. */
  async endsWithin(ms: number): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<false>((resolve) => timer = setTimeout(() => resolve(false), ms));
    const ended = this.#end().then(() => true as const);
    const isEnded = await Promise.race([ended, late]);
    clearTimeout(timer);
    if (!isEnded) {
      this.vanish();
      await ended;
    }
    return isEnded;
  }

  async #end(): Promise<void> {
    const chunk = new Uint8Array(1 << 16);
    try {
      while ((await this.#connection.read(chunk)) !== null);
    } catch {
      // Reset by the server, or taken away by who did not want to wait any longer.
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#connection.write(bytes.subarray(sent));
    }
  }

  /** The next frame, or null when the connection has ended. */
  async read(): Promise<RawFrame | null> {
    if (!(await this.#has(2))) return null;
    const [first, second] = this.#waiting as unknown as [number, number];
    let offset = 2;
    let length = second & 127;
    if (length >= 126) {
      const more = length === 126 ? 2 : 8;
      if (!(await this.#has(2 + more))) return null;
      length = 0;
      for (const byte of this.#waiting.subarray(2, 2 + more)) length = length * 256 + byte;
      offset += more;
    }
    if (!(await this.#has(offset + length))) return null;
    const payload = this.#waiting.slice(offset, offset + length);
    this.#waiting = this.#waiting.slice(offset + length);
    return { opcode: first & 15, payload };
  }

  /** Reads on until what has come since the last call ends with `end`, or the connection does; returns it. */
  async readText(end: string): Promise<string> {
    const text = () => new TextDecoder().decode(this.#waiting);
    while (!text().endsWith(end)) if (!(await this.#has(this.#waiting.length + 1))) break;
    const read = text();
    this.#waiting = new Uint8Array();
    return read;
  }

  /** Reads and forgets until `bytes` have come or the connection ends; fast, for peers that catch up. */
  async drain(isDone: () => boolean): Promise<void> {
    const chunk = new Uint8Array(1 << 20);
    while (!isDone()) if ((await this.#connection.read(chunk)) === null) return;
  }

  /** Ends the TCP connection without a word. */
  vanish(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.vanish();
  }

  async #has(length: number): Promise<boolean> {
    const chunk = new Uint8Array(65_536);
    while (this.#waiting.length < length) {
      let read: number | null;
      try {
        read = await this.#connection.read(chunk);
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
        read = null;
      }
      if (read === null) return false;
      this.#waiting = concat(this.#waiting, chunk.subarray(0, read));
    }
    return true;
  }
}

/** A masked frame as a client sends it. */
export function clientFrame(
  opcode: number,
  payload: Uint8Array | string,
  { fin = true }: { fin?: boolean } = {},
): Uint8Array {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  assert(bytes.length < 1 << 24);
  const length = bytes.length < 126
    ? [0x80 | bytes.length]
    : bytes.length < 65_536
    ? [0x80 | 126, bytes.length >> 8, bytes.length & 255]
    : [
      0x80 | 127,
      0,
      0,
      0,
      0,
      0,
      bytes.length >> 16,
      (bytes.length >> 8) & 255,
      bytes.length & 255,
    ];
  const mask = [1, 2, 3, 4];
  const frame = new Uint8Array(1 + length.length + 4 + bytes.length);
  frame.set([(fin ? 0x80 : 0) | opcode, ...length, ...mask]);
  const masked = bytes.map((byte, index) => byte ^ (mask[index % 4] as number));
  frame.set(masked, frame.length - bytes.length);
  return frame;
}

/** An upgrade as a client would write it, with lines added or left out. */
export function upgradeRequest(
  path: string,
  { method = "GET", without = [], headers = [] }: {
    method?: string;
    without?: readonly string[];
    headers?: readonly string[];
  } = {},
): string {
  const lines = [
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${KEY}`,
    "Sec-WebSocket-Version: 13",
  ].filter((line) => !without.some((name) => line.startsWith(`${name}:`)));
  return [`${method} ${path} HTTP/1.1`, ...lines, ...headers, "", ""].join("\r\n");
}

function concat(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
