// Reads what one process' sockets receive: finds the frames, knows each message by a few bytes at known places, and
// notes what is wrong. It never builds a message: that would cost more than a service's sending it.
import { Buffer } from "node:buffer";
import { BEFORE_NAME, BEFORE_STAMP, NAME_LENGTH, tenantMark } from "./names.ts";
import { Needle } from "./needle.ts";
import { contentFault } from "./content_fault.ts";

/** What the messages of a socket are held against. */
export interface Expectations {
  /** Devices that each socket follows; sample numbers are kept for so many. */
  readonly devicesPerSocket: number;
  /** Devices of a tenant; a socket's are consecutive, from its first on, and begin anew after the last. */
  readonly devicesOfTenant: number;
  /** Whether each sample must be the next after the one before it. */
  readonly isEvery: boolean;
  /** Whether each sample must be a newer one than the one before it; otherwise one may come again. */
  readonly isAlwaysNew?: boolean;
  /** Whether a sample may lack some of its values: InfluxDB shows those of one point one after the other. */
  readonly mayLackValues?: boolean;
  /** Open alerts of a tenant, in each list of them. */
  readonly openAlerts?: number;
  /** Whether a frame holds lines of Centrifugo's, a push or an answer each, rather than one message of ours. */
  readonly isLines: boolean;
}

/** What was counted since it was last taken. */
export interface Counts {
  updates: number;
  /** Updates that were not sent before, whose age is in `ages`. */
  fresh: number;
  frames: number;
  bytes: number;
  alerts: number;
  answers: number;
  historySamples: number;
  historyEnds: number;
  /** Fresh updates by age in milliseconds; the last one holds all that were older. */
  ages: Uint32Array;
}

const MAX_AGE_MS = 30_000;
const DAY_MS = 86_400_000;
const NAME_AT = BEFORE_NAME.length;
const MARK_LENGTH = tenantMark(0).length;
/** Behind the mark and what parts it from the number. */
const NUMBER_AT = MARK_LENGTH + 1;
const NUMBER_LENGTH = NAME_LENGTH - NUMBER_AT;
const STAMP_AT = BEFORE_NAME.length + NAME_LENGTH + BEFORE_STAMP.length;
const STAMP_LENGTH = 30;
/** Bytes of a message that must be there before it is looked at. */
const LOOK_BYTES = STAMP_AT + STAMP_LENGTH;
const TYPE_AT = '{"type":"'.length;
const STAMP_NAME = '"timestamp":"';
/** What stands behind the samples of a history is shorter. */
const HISTORY_TAIL_BYTES = 256;
const HISTORY_NAME_AT = '{"type":"history","device_id":"'.length;
const letter = (text: string) => text.charCodeAt(0);
const [A, B, F, H, I, P, R, S, T, U] = [..."abfhiprstu"].map(letter) as number[];
const LINE_END = letter("\n");
const SHOWN_BYTES = 200;
/** Of so many frames one is read as a whole: a prime, or it would be one device's each time. */
const LOOK_EVERY = 997;

export class FrameScan {
  readonly counts: Counts = {
    updates: 0,
    fresh: 0,
    frames: 0,
    bytes: 0,
    alerts: 0,
    answers: 0,
    historySamples: 0,
    historyEnds: 0,
    ages: new Uint32Array(MAX_AGE_MS + 1),
  };
  /** Updates of each socket. */
  readonly updatesOf: Uint32Array;
  /** Number of the newest sample by socket and device; -1 before the first. */
  readonly newestOf: Int32Array;
  /** Number of the sample that each history must begin with; null where it may be any. */
  historyFrom: number | null = null;
  /** The device with which each socket begins. */
  readonly firstOf: Int32Array;
  readonly answersOf: Uint32Array;
  /** What the names of a socket's devices begin with. */
  readonly #markOf: string[];
  /** Code and reason of the last close frame. */
  lastClose = "";
  /** The first thing that was wrong. */
  fault: string | null = null;
  readonly #expected: Expectations;
  #unread = LOOK_EVERY;
  /** What `newestOf` was when it was last asked how much of it is new. */
  readonly #knownOf: Int32Array;
  readonly #skipOf: Int32Array;
  readonly #restOf: Array<Uint8Array<ArrayBuffer> | null>;

  constructor(maxSockets: number, expected: Expectations) {
    this.#expected = expected;
    this.updatesOf = new Uint32Array(maxSockets);
    this.firstOf = new Int32Array(maxSockets);
    this.answersOf = new Uint32Array(maxSockets);
    this.#markOf = new Array(maxSockets).fill(tenantMark(0));
    this.newestOf = new Int32Array(maxSockets * expected.devicesPerSocket).fill(-1);
    this.#knownOf = this.newestOf.slice();
    this.#skipOf = new Int32Array(maxSockets);
    this.#restOf = new Array(maxSockets).fill(null);
  }

  /** Bytes of a frame whose beginning came before; they stand at the buffer's beginning when it is scanned. */
  restOf(socket: number): Uint8Array<ArrayBuffer> | null {
    return this.#restOf[socket] ?? null;
  }

  /** Says whose devices a socket follows, and with which of them it begins. */
  expect(socket: number, { tenant, first }: { tenant: number; first: number }): void {
    this.#markOf[socket] = tenantMark(tenant);
    this.firstOf[socket] = first;
  }

  /** Forgets a connection; what its device's numbers were stays, unless it starts anew. */
  reset(socket: number, { isAnew }: { readonly isAnew: boolean }): void {
    this.#skipOf[socket] = 0;
    this.#restOf[socket] = null;
    this.answersOf[socket] = 0;
    if (!isAnew) return;
    const { devicesPerSocket } = this.#expected;
    this.newestOf.fill(-1, socket * devicesPerSocket, (socket + 1) * devicesPerSocket);
  }

  /** How many of a socket's devices have a newer sample than when this was asked last. */
  takeRenewed(socket: number): number {
    const { devicesPerSocket } = this.#expected;
    const from = socket * devicesPerSocket;
    let renewed = 0;
    for (let slot = from; slot < from + devicesPerSocket; slot++) {
      const newest = this.newestOf[slot] as number;
      if (newest !== -1 && newest !== this.#knownOf[slot]) renewed++;
      this.#knownOf[slot] = newest;
    }
    return renewed;
  }

  /** Takes what a socket received. Returns false when the peer has closed. */
  take(socket: number, bytes: Buffer, { length, now }: { length: number; now: number }): boolean {
    const { isLines } = this.#expected;
    let at = this.#skipOf[socket] as number;
    this.counts.bytes += length;
    if (at > length) {
      this.#skipOf[socket] = at - length;
      return true;
    }
    this.#skipOf[socket] = 0;
    this.#restOf[socket] = null;
    while (at < length) {
      const left = length - at;
      const short = left < 2 ? 0 : (bytes[at + 1] as number) & 0x7f;
      const header = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (left < header) return this.#keep(socket, bytes, { at, length });
      const size = short < 126
        ? short
        : short === 126
        ? ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
        : bytes.readUInt32BE(at + 6);
      const first = bytes[at] as number;
      if (first === 0x89) {
        at += header + size;
        continue;
      }
      if (first !== 0x81) {
        const from = at + header;
        if (first !== 0x88) this.#wrong(`A frame begins with ${first}`);
        else this.lastClose = size < 2 ? "" : closeOf(bytes, { from, to: from + size });
        return false;
      }
      const from = at + header;
      const type = from + TYPE_AT < length ? bytes[from + TYPE_AT] as number : 0;
      const isWhole = isLines || type === B || type === H;
      const needed = isWhole ? size : Math.min(size, LOOK_BYTES);
      if (left < header + needed) return this.#keep(socket, bytes, { at, length });
      this.counts.frames++;
      if (isLines) this.#lines(socket, bytes, { from, to: from + size, now });
      else this.#message(socket, bytes, { from, to: from + size, type, now });
      at = from + size;
      if (++this.#unread >= LOOK_EVERY && at <= length) this.#read(socket, bytes, { from, to: at });
    }
    this.#skipOf[socket] = at - length;
    return true;
  }

  #message(
    socket: number,
    bytes: Buffer,
    { from, to, type, now }: { from: number; to: number; type: number; now: number },
  ): void {
    const { counts } = this;
    switch (type) {
      case T:
        this.#sample(socket, bytes, { from, now });
        return;
      case B:
        for (let at = ONE_SAMPLE.findIn(bytes, { from, to }); at !== -1;) {
          this.#sample(socket, bytes, { from: at, now });
          at = ONE_SAMPLE.findIn(bytes, { from: at + LOOK_BYTES, to });
        }
        return;
      case A:
        counts.alerts++;
        return;
      case H:
        if (bytes[from + TYPE_AT + 1] === letter("i")) this.#history(socket, bytes, { from, to });
        else this.#answer(socket);
        return;
      case S:
      case U:
      case P:
        this.#answer(socket);
        return;
      case F:
      case R:
        return;
      default:
        this.#wrong(`Unexpected message ${text(bytes, { from, to })}`);
    }
  }

  #lines(
    socket: number,
    bytes: Buffer,
    { from, to, now }: { readonly from: number; readonly to: number; readonly now: number },
  ): void {
    for (let at = from; at < to;) {
      if (bytes[at + 2] === P) {
        const sample = ONE_SAMPLE.findIn(bytes, { from: at, to });
        if (sample === -1) this.#wrong(`Unexpected push ${text(bytes, { from: at, to })}`);
        else this.#sample(socket, bytes, { from: sample, now });
        at = (sample === -1 ? at : sample) + 1;
      } else if (bytes[at + 2] === I) {
        this.#answer(socket);
        const answer = text(bytes, { from: at, to });
        if (answer.includes('"error"')) this.#wrong(`A request was answered with ${answer}`);
      }
      const end = bytes.indexOf(LINE_END, at);
      at = end === -1 || end >= to ? to : end + 1;
    }
  }

  /** What stands behind the bytes that a message is known by must be right as well. */
  #read(socket: number, bytes: Buffer, { from, to }: { from: number; to: number }): void {
    this.#unread = 0;
    const { isLines, openAlerts = 0, mayLackValues = false } = this.#expected;
    const mark = this.#markOf[socket] as string;
    const said = bytes.toString("utf8", from, to);
    for (const line of isLines ? said.split("\n") : [said]) {
      if (line === "") continue;
      const fault = contentFault(line, { mark, openAlerts, mayLackValues });
      if (fault !== null) this.#wrong(fault);
    }
  }

  #answer(socket: number): void {
    this.counts.answers++;
    (this.answersOf[socket] as number)++;
  }

  #sample(socket: number, bytes: Buffer, { from, now }: { from: number; now: number }): void {
    const { counts } = this;
    counts.updates++;
    (this.updatesOf[socket] as number)++;
    const slot = this.#slot(socket, bytes, from + NAME_AT);
    if (slot === -1) return;
    const at = from + STAMP_AT;
    const n = digits(bytes, at + 23, 6);
    const before = this.newestOf[slot] as number;
    const { isEvery, isAlwaysNew = isEvery } = this.#expected;
    if (n === before && !isAlwaysNew) return;
    if (before !== -1 && (isEvery ? n !== before + 1 : n <= before)) {
      this.#wrong(`Sample ${n} of a device came after ${before}`);
    }
    this.newestOf[slot] = n;
    counts.fresh++;
    const age = (now % DAY_MS - timeOfDay(bytes, at) + DAY_MS) % DAY_MS;
    // A stamp may be a part of a millisecond ahead of a clock that is read once a burst.
    counts.ages[age > DAY_MS / 2 ? 0 : Math.min(age, MAX_AGE_MS)] = 1 +
      (counts.ages[age > DAY_MS / 2 ? 0 : Math.min(age, MAX_AGE_MS)] as number);
  }

  #history(socket: number, bytes: Buffer, { from, to }: { from: number; to: number }): void {
    const slot = this.#slot(socket, bytes, from + HISTORY_NAME_AT);
    if (slot === -1) return;
    for (let at = ONE_STAMP.findIn(bytes, { from, to }); at !== -1;) {
      const stamp = at + STAMP_NAME.length;
      const n = digits(bytes, stamp + 23, 6);
      const before = this.newestOf[slot] as number;
      const due = before === -1 ? this.historyFrom : before + 1;
      if (due !== null && n !== due) this.#wrong(`History has ${n} where ${due} was due`);
      this.newestOf[slot] = n;
      this.counts.historySamples++;
      at = ONE_STAMP.findIn(bytes, { from: stamp + STAMP_LENGTH, to });
    }
    const tail = { from: Math.max(from, to - HISTORY_TAIL_BYTES), to };
    if (DONE.findIn(bytes, tail) !== -1) this.counts.historyEnds++;
  }

  /** Where what is known of the device is kept that is named there; -1 where the socket does not follow it. */
  #slot(socket: number, bytes: Buffer, at: number): number {
    const { devicesOfTenant, devicesPerSocket } = this.#expected;
    const mark = this.#markOf[socket] as string;
    const first = this.firstOf[socket] as number;
    const device = digits(bytes, at + NUMBER_AT, NUMBER_LENGTH);
    const place = device < first ? device - first + devicesOfTenant : device - first;
    const isOfTenant = bytes[at] === mark.charCodeAt(0) && bytes[at + 1] === mark.charCodeAt(1) &&
      device >= 0 && device < devicesOfTenant;
    if (isOfTenant && place < devicesPerSocket) return socket * devicesPerSocket + place;
    const name = text(bytes, { from: at, to: at + NAME_LENGTH });
    this.#wrong(
      `Device ${name} came to a socket that follows ${devicesPerSocket} of ${mark} from ${first}`,
    );
    return -1;
  }

  #keep(
    socket: number,
    bytes: Buffer,
    { at, length }: { readonly at: number; readonly length: number },
  ): true {
    this.#restOf[socket] = new Uint8Array(bytes.subarray(at, length));
    this.counts.bytes -= length - at;
    return true;
  }

  #wrong(fault: string): void {
    this.fault ??= fault;
  }
}

function closeOf(
  bytes: Buffer,
  { from, to }: { readonly from: number; readonly to: number },
): string {
  return `${bytes.readUInt16BE(from)} ${text(bytes, { from: from + 2, to })}`;
}

/** As much as a fault shows. */
function text(bytes: Buffer, { from, to }: { readonly from: number; readonly to: number }): string {
  return bytes.toString("utf8", from, Math.min(to, from + SHOWN_BYTES));
}

const ONE_SAMPLE = new Needle(BEFORE_NAME);
const ONE_STAMP = new Needle(STAMP_NAME);
const DONE = new Needle('"done":true');

function digits(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let end = at + count; at < end; at++) value = value * 10 + (bytes[at] as number) - 48;
  return value;
}

function timeOfDay(bytes: Uint8Array, at: number): number {
  return ((digits(bytes, at + 11, 2) * 60 + digits(bytes, at + 14, 2)) * 60 +
        digits(bytes, at + 17, 2)) * 1_000 + digits(bytes, at + 20, 3);
}
