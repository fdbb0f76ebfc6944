// The few calls of Linux's C library that the load client makes, so that it costs a system call and nothing more. It
// must never be imported by anything that serves.

const AF_INET = 2;
const SOCK_STREAM_NONBLOCK = 1 | 0o4000;
const SOL_SOCKET = 1;
const SO_LINGER = 13;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const MSG_NOSIGNAL = 0x4000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_MOD = 3;
const EINPROGRESS = 115;
const EAGAIN = 11;

export const EPOLLIN = 1;
export const EPOLLOUT = 4;

/** `struct epoll_event` is packed on x86-64 only. */
const EVENT_BYTES = Deno.build.arch === "x86_64" ? 12 : 16;
const EVENT_DATA = EVENT_BYTES - 8;

function open() {
  return Deno.dlopen("libc.so.6", {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    epoll_create1: { parameters: ["i32"], result: "i32" },
    epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
    epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
    poll: { parameters: ["pointer", "usize", "i32"], result: "i32" },
    recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
    send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
    read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
    __errno_location: { parameters: [], result: "pointer" },
  });
}

/** Sockets of this process and the queue that says which are ready; every descriptor is the caller's to close. */
export class Libc {
  readonly #symbols: ReturnType<typeof open>["symbols"];
  readonly #queue: number;
  readonly #events: Uint8Array<ArrayBuffer>;
  readonly #eventView: DataView;
  readonly #oneEvent = new Uint8Array(EVENT_BYTES);
  readonly #maxEvents = 1_024;

  constructor() {
    this.#symbols = open().symbols;
    this.#queue = this.#symbols.epoll_create1(0);
    this.#events = new Uint8Array(EVENT_BYTES * this.#maxEvents);
    this.#eventView = new DataView(this.#events.buffer);
  }

  /** Begins to connect from one loopback address to another; ready for writing once it is connected. */
  connect(port: number, from: readonly [number, number, number, number]): number {
    const { socket, bind, connect, setsockopt } = this.#symbols;
    const fd = socket(AF_INET, SOCK_STREAM_NONBLOCK, 0);
    if (fd < 0) throw this.#error("open a socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, new Uint8Array([1, 0, 0, 0]), 4);
    // The port is chosen when it connects, so that each address has all ports for each peer.
    setsockopt(fd, 0, 24, new Uint8Array([1, 0, 0, 0]), 4);
    if (bind(fd, addressOf(from, 0), 16) < 0) throw this.#error("bind a socket");
    if (connect(fd, addressOf([127, 0, 0, 1], port), 16) < 0 && this.#errno() !== EINPROGRESS) {
      throw this.#error("connect");
    }
    return fd;
  }

  watch(fd: number, { events, isNew }: { readonly events: number; readonly isNew: boolean }): void {
    const view = new DataView(this.#oneEvent.buffer);
    view.setUint32(0, events, true);
    view.setInt32(EVENT_DATA, fd, true);
    const act = isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (this.#symbols.epoll_ctl(this.#queue, act, fd, this.#oneEvent) < 0) {
      throw this.#error("watch a socket");
    }
  }

  /** Waits at most so long and returns how many descriptors are ready; `ready` names them. */
  wait(timeoutMs: number): number {
    // A signal ends a wait early: nothing is ready then.
    return Math.max(
      0,
      this.#symbols.epoll_wait(this.#queue, this.#events, this.#maxEvents, timeoutMs),
    );
  }

  /** Sleeps without watching anything. */
  sleep(ms: number): void {
    this.#symbols.poll(null, 0n, ms);
  }

  /** The nth ready descriptor. */
  ready(nth: number): number {
    return this.#eventView.getInt32(nth * EVENT_BYTES + EVENT_DATA, true);
  }

  /** Bytes that were read; 0 at the peer's end, -1 when it broke, null when there are none now. */
  receive(fd: number, into: Uint8Array<ArrayBuffer>): number | null {
    const count = this.#symbols.recv(fd, into, into.length, 0);
    return count < 0 && this.#errno() === EAGAIN ? null : count;
  }

  /** Throws where the kernel does not take all of it: what a client says is small. */
  send(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#symbols.send(fd, bytes, bytes.length, MSG_NOSIGNAL) !== bytes.length) {
      throw this.#error("send");
    }
  }

  readInput(into: Uint8Array<ArrayBuffer>): number {
    return this.#symbols.read(0, into, into.length);
  }

  /** Closes in order, or with a reset that leaves nothing behind on either side. */
  close(fd: number, { isReset = false }: { readonly isReset?: boolean } = {}): void {
    if (isReset) {
      this.#symbols.setsockopt(
        fd,
        SOL_SOCKET,
        SO_LINGER,
        new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]),
        8,
      );
    }
    this.#symbols.close(fd);
  }

  #errno(): number {
    const place = this.#symbols.__errno_location();
    return place === null ? 0 : new Deno.UnsafePointerView(place).getInt32();
  }

  #error(act: string): Error {
    return new Error(`Cannot ${act}: errno ${this.#errno()}`);
  }
}

function addressOf(address: readonly number[], port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  bytes.set(address, 4);
  return bytes;
}
