// Bytes that no sound peer sends: handshakes and WebSocket frames with everything in them wrong that can be, from a
// seed. It must make nothing longer than some 100 KB; floods are for the stress.
import { upgradeRequest } from "../sockets/raw_peer.ts";
import { joined } from "./mutation.ts";
import type { Random } from "./seeded.ts";

const CLOSE_CODES = [
  0,
  999,
  1000,
  1001,
  1004,
  1005,
  1006,
  1015,
  1016,
  2999,
  3000,
  4999,
  5000,
  65535,
];

/** Some frames in a row, cut at random into the pieces that are written. */
export function hostileFrames(random: Random): readonly Uint8Array<ArrayBuffer>[] {
  const frames = Array.from({ length: random.integer(1, 12) }, () => anyFrame(random));
  let stream = joined(...frames);
  if (random.chance(0.3)) stream = stream.slice(0, random.integer(0, stream.length));
  if (random.chance(0.2)) {
    for (let nth = random.integer(1, 8); nth > 0 && stream.length > 0; nth--) {
      stream[random.integer(0, stream.length - 1)] = random.integer(0, 255);
    }
  }
  return pieces(stream, random);
}

/** An upgrade with bytes and lines changed, left out, doubled or without an end. */
export function hostileHandshake(
  random: Random,
  { path, headers = [] }: { readonly path: string; readonly headers?: readonly string[] },
): readonly Uint8Array<ArrayBuffer>[] {
  const encoder = new TextEncoder();
  let lines = upgradeRequest(path, { headers }).split("\r\n").slice(0, -2);
  for (let nth = random.integer(0, 4); nth > 0; nth--) {
    const at = random.integer(0, lines.length - 1);
    const line = lines[at]!;
    lines = lines.toSpliced(
      at,
      1,
      ...random.pick([
        [],
        [line, line],
        [line.toUpperCase()],
        [line.replace(":", "")],
        [` ${line}`],
        [`${line}\0`],
        [`${line}, x`],
        [line.slice(0, random.integer(0, line.length))],
        ["Content-Length: 5", line],
        ["Content-Length: 99999999999999999999", line],
        ["Transfer-Encoding: chunked", line],
        ["Expect: 100-continue", line],
        ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", line],
        ["Sec-WebSocket-Protocol: pulsewire, bearer.x", line],
        [`X: ${"x".repeat(random.integer(0, 70_000))}`, line],
        [...Array(200).fill("X: y"), line],
      ]),
    );
  }
  const end = random.pick([
    "\r\n\r\n",
    "\r\n\r\n",
    "\n\n",
    "\r\n",
    "",
    "\r\n\r\nGET / HTTP/1.1\r\n",
  ]);
  const request = encoder.encode(lines.join("\r\n") + end);
  if (random.chance(0.3)) {
    for (let nth = random.integer(1, 6); nth > 0; nth--) {
      request[random.integer(0, request.length - 1)] = random.integer(0, 255);
    }
  }
  return pieces(random.chance(0.1) ? random.bytes(random.integer(1, 2_000)) : request, random);
}

function anyFrame(random: Random): Uint8Array<ArrayBuffer> {
  const opcode = random.chance(0.7) ? random.pick([0, 1, 1, 2, 8, 9, 10]) : random.integer(0, 15);
  const payload = payloadOf(opcode, random);
  return joined(header({ opcode, payload, random }), payload);
}

function payloadOf(opcode: number, random: Random): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  if (opcode === 8) {
    const code = random.pick(CLOSE_CODES);
    return random.pick([
      new Uint8Array(),
      random.bytes(1),
      joined(Uint8Array.of(code >> 8, code & 255), random.bytes(random.integer(0, 130))),
      joined(Uint8Array.of(code >> 8, code & 255), encoder.encode("bye")),
    ]);
  }
  return random.pick([
    new Uint8Array(),
    encoder.encode("hä😀"),
    encoder.encode('{"action":"ping"}'),
    // Half of a character: what follows decides whether it is one.
    Uint8Array.of(0xf0, 0x9f),
    Uint8Array.of(0xed, 0xa0, 0x80),
    random.bytes(random.integer(0, 200)),
    random.bytes(random.pick([125, 126, 127, 128, 4_095, 4_096, 4_097])),
    new Uint8Array(random.pick([65_535, 65_536, 70_000])),
  ]);
}

/** Two bytes, a length that may lie or be longer than it need be, and a mask that may be missing. */
function header(
  { opcode, payload, random }: { opcode: number; payload: Uint8Array; random: Random },
): Uint8Array<ArrayBuffer> {
  const isFinal = random.chance(0.75);
  const reserved = random.chance(0.08) ? random.integer(1, 7) << 4 : 0;
  const isMasked = random.chance(0.93);
  const length = random.chance(0.08) ? lie(random) : BigInt(payload.length);
  const width = random.chance(0.08)
    ? random.pick([2, 8] as const)
    : length < 126n
    ? 0
    : length < 65_536n
    ? 2
    : 8;
  const extended = new Uint8Array(width);
  const view = new DataView(extended.buffer);
  if (width === 2) view.setUint16(0, Number(length & 0xffffn));
  if (width === 8) view.setBigUint64(0, length & 0xffff_ffff_ffff_ffffn);
  const short = width === 0 ? Number(length & 127n) : width === 2 ? 126 : 127;
  const mask = random.bytes(isMasked ? 4 : 0);
  if (isMasked) {
    for (let index = 0; index < payload.length; index++) payload[index]! ^= mask[index & 3]!;
  }
  return joined(
    Uint8Array.of((isFinal ? 0x80 : 0) | reserved | opcode, (isMasked ? 0x80 : 0) | short),
    extended,
    mask,
  );
}

function lie(random: Random): bigint {
  return random.pick([
    0n,
    1n,
    125n,
    126n,
    65_535n,
    2n ** 26n - 1n,
    2n ** 31n,
    2n ** 32n,
    2n ** 53n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 64n - 1n,
  ]);
}

function pieces(
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
): readonly Uint8Array<ArrayBuffer>[] {
  const cuts = Array.from(
    { length: random.pick([0, 0, 1, 3, 10]) },
    () => random.integer(0, bytes.length),
  ).sort((a, b) => a - b);
  return [0, ...cuts].map((from, index) => bytes.slice(from, cuts[index] ?? bytes.length));
}
