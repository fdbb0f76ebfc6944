// A message's bytes on a WebSocket, made once whoever sends it first; for engines that can write bytes as they are.
import { Buffer } from "node:buffer";
import { type Frame, frameBytes, frameText, type Parts } from "../protocol/frame.ts";

const encoder = new TextEncoder();
const COMMA = 0x2c;

/** The unmasked text frame (RFC 6455, section 5.2) of a message. */
export function wireOf(frame: Frame): Uint8Array {
  return frame.wire ??= frame.parts === null
    ? encode(frameText(frame))
    : assemble(frame.parts, frameBytes(frame));
}

/** The frames of many messages, one after the other. */
export function wiresOf(frames: readonly Frame[]): Uint8Array {
  let length = 0;
  for (const frame of frames) length += wireOf(frame).length;
  const wires = Buffer.allocUnsafe(length);
  let at = 0;
  for (const frame of frames) {
    const wire = wireOf(frame);
    wires.set(wire, at);
    at += wire.length;
  }
  return wires;
}

function encode(text: string): Uint8Array {
  const payload = encoder.encode(text);
  const wire = begin(payload.length);
  wire.set(payload, wire.length - payload.length);
  return wire;
}

/**
 * Copies the bytes that the parts have already. From the last to the first, so that each covers the header with which
 * the one after it was copied, and no part needs a view of its own.
 */
function assemble({ head, frames, tail }: Parts, length: number): Uint8Array {
  const wire = begin(length);
  let at = wire.length - tail.length;
  writeAscii(wire, tail, at);
  for (let nth = frames.length - 1; nth >= 0; nth--) {
    const frame = frames[nth] as Frame;
    const part = wireOf(frame);
    wire.set(part, at - part.length);
    at -= frameBytes(frame);
    if (nth > 0) wire[--at] = COMMA;
  }
  writeAscii(wire, head, at - head.length);
  return wire;
}

function writeAscii(wire: Uint8Array, text: string, at: number): void {
  for (let nth = 0; nth < text.length; nth++) wire[at + nth] = text.charCodeAt(nth);
}

/** Room for a payload, behind the header that announces it. */
function begin(length: number): Buffer {
  const headerBytes = headerBytesOf(length);
  // A stream would wrap any other array once more at each write.
  const wire = Buffer.allocUnsafeSlow(headerBytes + length);
  wire[0] = 0x81;
  if (headerBytes === 2) {
    wire[1] = length;
  } else if (headerBytes === 4) {
    wire[1] = 126;
    wire.writeUInt16BE(length, 2);
  } else {
    wire[1] = 127;
    wire.writeBigUInt64BE(BigInt(length), 2);
  }
  return wire;
}

function headerBytesOf(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}
