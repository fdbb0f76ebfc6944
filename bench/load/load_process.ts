// One process of the load client: opens WebSockets, says what they follow and counts what comes, all in one loop around
// epoll. It is told what to do by lines of stdin and answers each with a line of stdout; it ends with its stdin.
import { Buffer } from "node:buffer";
import { deviceName, tenantName } from "./names.ts";
import { answersTo, type Dialect, requestsOf } from "./dialect.ts";
import { type Counts, FrameScan } from "./frame_scan.ts";
import { EPOLLIN, EPOLLOUT, Libc } from "./libc.ts";

export interface LoadOptions {
  readonly maxSockets: number;
  /** Sockets of one tenant are those with the same remainder. */
  readonly tenants: number;
  /** Number of the tenant of the first of them; 0 where nothing is said. */
  readonly firstTenant?: number;
  readonly devicesPerSocket: number;
  readonly devicesOfTenant: number;
  readonly isEvery: boolean;
  readonly isAlwaysNew?: boolean;
  readonly openAlerts?: number;
  readonly mayLackValues?: boolean;
  /** Whose words are spoken; ours by default. */
  readonly dialect?: Dialect;
}

export interface ConnectOrder {
  readonly port: number;
  /** Path and query without the token. */
  readonly path: string;
  /** Used in turn; an empty one where the server wants none. */
  readonly tokens: readonly string[];
  readonly count: number;
  /** Handshakes under way at once. */
  readonly inFlight: number;
  /** Said by each as soon as it is open. */
  readonly follow?: FollowOrder;
  /** Whether one is only done when its answers are there; by default it is. */
  readonly isAnswerAwaited?: boolean;
  /** Whether what came on an earlier connection is forgotten. */
  readonly isAnew?: boolean;
  /** Whether each is closed once it is open and its answers are there, until so many have been. */
  readonly isChurn?: boolean;
}

export interface FollowOrder {
  readonly devices: boolean;
  readonly alerts: boolean;
  readonly hello?: readonly string[];
  readonly options?: Readonly<Record<string, unknown>>;
  /** Added to each device's number: to follow what does not exist. */
  readonly deviceOffset?: number;
  /** Number of the sample that each history must begin with. */
  readonly historyFrom?: number;
  /** One socket of so many; all by default. */
  readonly everyNth?: number;
}

export interface ProbeOrder {
  readonly times: number;
  readonly everyMs: number;
  /** The first of the devices that nobody else follows. */
  readonly firstDevice: number;
  readonly devices: number;
}

export type Order =
  | { readonly do: "connect"; readonly order: ConnectOrder }
  | { readonly do: "follow"; readonly order: FollowOrder }
  | { readonly do: "probe"; readonly order: ProbeOrder }
  | { readonly do: "cut"; readonly count: number }
  | { readonly do: "read" }
  | { readonly do: "close" };

export interface Reading extends Omit<Counts, "ages"> {
  /** Milliseconds since the counts were last read. */
  readonly ms: number;
  /** Pairs of an age in milliseconds and how many fresh updates had it. */
  readonly ages: ReadonlyArray<readonly [number, number]>;
  /** Updates of the sockets with the fewest and the most. */
  readonly fewest: number;
  readonly most: number;
  /** Devices that have a newer sample than then, those of each socket for themselves. */
  readonly renewed: number;
  readonly open: number;
}

const UPGRADED = Buffer.from("HTTP/1.1 101");
const ACCEPT = Buffer.from("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
const HEAD_END = Buffer.from("\r\n\r\n");
/** What a client that closes in order says, and what it is answered with. */
const CLOSED = "1000";
const CLOSE_FRAME = new Uint8Array([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
const MAX_FD = 1 << 17;
/**
 * What only comes in is looked at so often: a sender on the same machine pays for waking who waits for it, with each
 * write, and no client of a real one does that to it.
 */
const GATHER_MS = 1;

const enum Phase {
  Gone,
  Connecting,
  Greeting,
  Open,
  Closing,
}

class LoadProcess {
  readonly #libc = new Libc();
  readonly #options: LoadOptions;
  readonly #dialect: Dialect;
  readonly #scan: FrameScan;
  readonly #socketOf = new Int32Array(MAX_FD).fill(-1);
  readonly #fdOf: Int32Array;
  readonly #phaseOf: Uint8Array;
  readonly #buffer = Buffer.from(new ArrayBuffer(512 * 1024));
  readonly #bytes = new Uint8Array(this.#buffer.buffer as ArrayBuffer);
  #open = 0;
  #readAt = performance.now();
  #connecting:
    | { order: ConnectOrder; startedAt: number; started: number; done: number }
    | null = null;
  #tokensUsed = 0;
  /** Devices that were asked for by now: none is asked for again while there are others. */
  #probed = 0;
  #awaited: { sockets: number; answersEach: number; startedAt: number } | null = null;
  #answered = 0;
  #probe:
    | {
      order: ProbeOrder;
      done: number;
      /** Number of the device's newest sample before it was asked for. */
      newest: number;
      sentAt: number;
      nextAt: number;
      took: number[];
    }
    | null = null;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#dialect = options.dialect ?? "pulsewire";
    this.#scan = new FrameScan(options.maxSockets, {
      ...options,
      isLines: this.#dialect !== "pulsewire",
    });
    this.#fdOf = new Int32Array(options.maxSockets).fill(-1);
    this.#phaseOf = new Uint8Array(options.maxSockets);
  }

  run(): void {
    this.#libc.watch(0, { events: EPOLLIN, isNew: true });
    const input = new Uint8Array(1 << 20);
    const decoder = new TextDecoder();
    let rest = "";
    while (true) {
      if (!this.#isInHaste) this.#libc.sleep(GATHER_MS);
      const count = this.#libc.wait(this.#probe === null ? 1_000 : 1);
      const now = Date.now();
      for (let nth = 0; nth < count; nth++) {
        const fd = this.#libc.ready(nth);
        if (fd !== 0) {
          this.#ready(fd, now);
          continue;
        }
        const length = this.#libc.readInput(input);
        if (length <= 0) return;
        const lines = (rest + decoder.decode(input.subarray(0, length), { stream: true })).split(
          "\n",
        );
        rest = lines.pop() ?? "";
        for (const line of lines) this.#obey(JSON.parse(line));
      }
      if (this.#probe !== null) this.#ask();
    }
  }

  /** Whether somebody counts the time until its next answer. */
  get #isInHaste(): boolean {
    return this.#connecting !== null || this.#awaited !== null || this.#probe !== null;
  }

  #obey(order: Order): void {
    switch (order.do) {
      case "connect":
        this.#connecting = {
          order: order.order,
          startedAt: performance.now(),
          started: 0,
          done: 0,
        };
        this.#open = order.order.isChurn === true ? 0 : this.#open;
        while (this.#startNext());
        return;
      case "follow":
        this.#followAll(order.order);
        return;
      case "probe":
        this.#probe = { order: order.order, done: 0, newest: -1, sentAt: 0, nextAt: 0, took: [] };
        return;
      case "cut":
        for (let socket = 0; socket < order.count; socket++) this.#end(socket, { isReset: true });
        this.#answer({});
        return;
      case "read":
        this.#answer(this.#read());
        return;
      case "close":
        for (let socket = 0; socket < this.#fdOf.length; socket++) {
          if (this.#phaseOf[socket] !== Phase.Gone) this.#end(socket, { isReset: true });
        }
        this.#answer({});
        return;
    }
  }

  #startNext(): boolean {
    const connecting = this.#connecting;
    if (connecting === null) return false;
    const { order, started, done } = connecting;
    if (started === order.count || started - done >= order.inFlight) return false;
    const socket = order.isChurn === true ? this.#free() : started;
    connecting.started++;
    const fd = this.#libc.connect(order.port, [127, 0, 1, 1 + socket % 200]);
    this.#socketOf[fd] = socket;
    this.#fdOf[socket] = fd;
    this.#phaseOf[socket] = Phase.Connecting;
    this.#scan.reset(socket, { isAnew: order.isAnew ?? true });
    this.#scan.expect(socket, { tenant: this.#tenant(socket), first: this.#firstDevice(socket) });
    this.#libc.watch(fd, { events: EPOLLOUT, isNew: true });
    return true;
  }

  #free(): number {
    return this.#phaseOf.indexOf(Phase.Gone);
  }

  #tenant(socket: number): number {
    const { firstTenant = 0, tenants } = this.#options;
    return firstTenant + socket % tenants;
  }

  /** Sockets of a tenant follow one window of its devices after the other. */
  #firstDevice(socket: number): number {
    const { devicesOfTenant, devicesPerSocket, tenants } = this.#options;
    return (Math.floor(socket / tenants) * devicesPerSocket) % devicesOfTenant;
  }

  #ready(fd: number, now: number): void {
    const socket = this.#socketOf[fd] as number;
    switch (this.#phaseOf[socket]) {
      case Phase.Connecting:
        this.#greet(socket, fd);
        return;
      case Phase.Greeting:
        this.#welcome(socket, fd);
        return;
      case Phase.Open:
      case Phase.Closing:
        this.#receive(socket, { fd, now });
    }
  }

  #greet(socket: number, fd: number): void {
    const { order } = this.#connecting!;
    const nth = order.isChurn === true ? this.#tokensUsed++ : socket;
    const token = order.tokens[nth % order.tokens.length] ?? "";
    this.#libc.send(
      fd,
      new TextEncoder().encode(
        `GET ${order.path}${token} HTTP/1.1\r\nHost: 127.0.0.1:${order.port}\r\nConnection: Upgrade\r\n` +
          "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      ),
    );
    this.#libc.watch(fd, { events: EPOLLIN, isNew: false });
    this.#phaseOf[socket] = Phase.Greeting;
  }

  #welcome(socket: number, fd: number): void {
    const length = this.#libc.receive(fd, this.#bytes);
    if (length === null) return;
    const said = this.#buffer.subarray(0, Math.max(0, length));
    const end = said.indexOf(HEAD_END);
    if (said.indexOf(UPGRADED) !== 0 || said.indexOf(ACCEPT) === -1 || end === -1) {
      this.#fail(`A handshake was answered with "${said.toString("latin1").slice(0, 200)}"`);
      return;
    }
    this.#phaseOf[socket] = Phase.Open;
    this.#open++;
    const left = said.length - end - HEAD_END.length;
    if (left > 0) {
      this.#buffer.copy(this.#buffer, 0, end + HEAD_END.length, said.length);
      this.#taken(socket, { length: left, now: Date.now() });
    }
    const follow = this.#connecting?.order.follow;
    if (follow !== undefined) this.#follow(socket, follow);
    this.#settle(socket);
  }

  /** Counts an opened socket as done once all its answers are there. */
  #settle(socket: number): void {
    const connecting = this.#connecting;
    if (connecting === null || this.#phaseOf[socket] !== Phase.Open) return;
    const { order } = connecting;
    const { follow, isAnswerAwaited = true } = order;
    const expected = follow === undefined || !isAnswerAwaited ? 0 : this.#answersTo(follow);
    if ((this.#scan.answersOf[socket] as number) < expected) return;
    if (order.isChurn === true) {
      this.#phaseOf[socket] = Phase.Closing;
      this.#libc.send(this.#fdOf[socket] as number, CLOSE_FRAME);
      return;
    }
    this.#finishOne();
  }

  #finishOne(): void {
    const connecting = this.#connecting!;
    connecting.done++;
    if (connecting.done === connecting.order.count) {
      this.#connecting = null;
      this.#answer({ ms: performance.now() - connecting.startedAt, open: this.#open });
    } else while (this.#startNext());
  }

  #receive(socket: number, { fd, now }: { readonly fd: number; readonly now: number }): void {
    const rest = this.#scan.restOf(socket);
    if (rest !== null) this.#bytes.set(rest);
    const from = rest?.length ?? 0;
    const into = from === 0 ? this.#bytes : this.#bytes.subarray(from);
    const length = this.#libc.receive(fd, into);
    if (length === null) return;
    if (length <= 0) this.#fail(`A socket was dropped (${length})`);
    this.#taken(socket, { length: from + length, now });
  }

  #taken(socket: number, { length, now }: { readonly length: number; readonly now: number }): void {
    const before = this.#scan.answersOf[socket] as number;
    const isOpen = this.#scan.take(socket, this.#buffer, { length, now });
    if (this.#scan.fault !== null) this.#fail(this.#scan.fault);
    if (!isOpen) {
      const { lastClose } = this.#scan;
      if (this.#phaseOf[socket] !== Phase.Closing || !lastClose.startsWith(CLOSED)) {
        this.#fail(`A socket was closed: ${lastClose}`);
      }
      this.#ended(socket);
      return;
    }
    const after = this.#scan.answersOf[socket] as number;
    if (after === before || this.#phaseOf[socket] !== Phase.Open) return;
    if (this.#connecting?.order.isAnswerAwaited !== false) this.#settle(socket);
    const awaited = this.#awaited;
    if (awaited !== null && after === awaited.answersEach && ++this.#answered === awaited.sockets) {
      this.#awaited = null;
      this.#answer({ ms: performance.now() - awaited.startedAt });
    }
  }

  #ended(socket: number): void {
    this.#end(socket, { isReset: false });
    this.#finishOne();
  }

  #followAll(order: FollowOrder): void {
    this.#answered = 0;
    const { everyNth = 1 } = order;
    const sockets = [...this.#phaseOf.keys()].filter((socket) =>
      this.#phaseOf[socket] === Phase.Open && socket % everyNth === 0
    );
    this.#awaited = {
      sockets: sockets.length,
      answersEach: this.#answersTo(order),
      startedAt: performance.now(),
    };
    for (const socket of sockets) {
      this.#scan.answersOf[socket] = 0;
      this.#follow(socket, order);
    }
  }

  #follow(socket: number, order: FollowOrder): void {
    const { devicesOfTenant, devicesPerSocket } = this.#options;
    const first = this.#firstDevice(socket);
    const tenant = this.#tenant(socket);
    const { deviceOffset = 0 } = order;
    this.#scan.historyFrom = order.historyFrom ?? null;
    const deviceIds = Array.from(
      { length: devicesPerSocket },
      (_, nth) => deviceName((first + nth) % devicesOfTenant + deviceOffset, tenant),
    );
    const wish = { ...order, tenant: tenantName(tenant), deviceIds };
    for (const request of requestsOf(this.#dialect, wish)) this.#sayText(socket, request);
  }

  #answersTo(order: FollowOrder): number {
    return answersTo(this.#dialect, { ...order, deviceCount: this.#options.devicesPerSocket });
  }

  #say(socket: number, message: unknown): void {
    this.#sayText(socket, JSON.stringify(message));
  }

  #sayText(socket: number, text: string): void {
    this.#libc.send(this.#fdOf[socket] as number, maskedText(text));
  }

  /**
   * The first socket follows a device that nobody follows, waits for its first value, and leaves it again. What it was
   * told when it followed it last is no first value.
   */
  #ask(): void {
    const probe = this.#probe!;
    const { order } = probe;
    const now = performance.now();
    const slot = this.#probed % order.devices;
    const device_id = deviceName(order.firstDevice + slot, this.#tenant(0));
    if (probe.sentAt > 0) {
      if (this.#scan.newestOf[slot] === probe.newest) return;
      probe.took.push(now - probe.sentAt);
      probe.sentAt = 0;
      this.#say(0, { action: "unsubscribe", type: "device", device_id });
      this.#probed++;
      probe.done++;
      probe.nextAt = now + order.everyMs;
      if (probe.done === order.times) {
        this.#probe = null;
        this.#answer({ took: probe.took });
      }
      return;
    }
    if (now < probe.nextAt) return;
    this.#scan.firstOf[0] = order.firstDevice;
    probe.newest = this.#scan.newestOf[slot] as number;
    this.#say(0, { action: "subscribe", type: "device", device_id });
    probe.sentAt = performance.now();
  }

  #end(socket: number, { isReset }: { readonly isReset: boolean }): void {
    if (this.#phaseOf[socket] === Phase.Gone) return;
    const fd = this.#fdOf[socket] as number;
    if (this.#phaseOf[socket] !== Phase.Connecting) this.#open--;
    this.#phaseOf[socket] = Phase.Gone;
    this.#socketOf[fd] = -1;
    this.#libc.close(fd, { isReset });
  }

  #read(): Reading {
    const { counts, updatesOf } = this.#scan;
    const now = performance.now();
    let [fewest, most, renewed] = [Infinity, 0, 0];
    for (let socket = 0; socket < this.#phaseOf.length; socket++) {
      if (this.#phaseOf[socket] !== Phase.Open) continue;
      fewest = Math.min(fewest, updatesOf[socket] as number);
      most = Math.max(most, updatesOf[socket] as number);
      renewed += this.#scan.takeRenewed(socket);
    }
    const ages = [...counts.ages.entries()].filter(([, count]) => count > 0);
    const reading = { ...counts, ages, ms: now - this.#readAt, open: this.#open };
    this.#readAt = now;
    counts.ages.fill(0);
    updatesOf.fill(0);
    for (const name of Object.keys(counts) as Array<keyof Counts>) {
      if (name !== "ages") counts[name] = 0;
    }
    return { ...reading, fewest: fewest === Infinity ? 0 : fewest, most, renewed };
  }

  #answer(answer: unknown): void {
    Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(answer)}\n`));
  }

  /** Whatever was measured is worth nothing now. */
  #fail(fault: string): never {
    this.#answer({ fault });
    Deno.exit(1);
  }
}

/** A text frame as clients must send it, with a key that changes nothing. */
function maskedText(text: string): Uint8Array<ArrayBuffer> {
  const payload = new TextEncoder().encode(text);
  const header = payload.length < 126
    ? [0x81, 0x80 | payload.length]
    : [0x81, 0x80 | 126, payload.length >> 8, payload.length & 0xff];
  return new Uint8Array([...header, 0, 0, 0, 0, ...payload]);
}

if (import.meta.main) new LoadProcess(JSON.parse(Deno.args[0] ?? "{}")).run();
