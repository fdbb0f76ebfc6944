// A frame's bytes on a WebSocket, made once whoever sends it first; for engines that can write bytes as they are.
import { type Frame, frameText } from "../protocol/frame.ts";

const encoder = new TextEncoder();

/** The unmasked text frame (RFC 6455, section 5.2) of a message. */
export function wireOf(frame: Frame): Uint8Array {
  return frame.wire ??= encode(frameText(frame));
}

function encode(text: string): Uint8Array {
  const payload = encoder.encode(text);
  const { length } = payload;
  const headerBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const wire = new Uint8Array(headerBytes + length);
  const view = new DataView(wire.buffer);
  wire[0] = 0x81;
  if (headerBytes === 2) {
    wire[1] = length;
  } else if (headerBytes === 4) {
    wire[1] = 126;
    view.setUint16(2, length);
  } else {
    wire[1] = 127;
    view.setBigUint64(2, BigInt(length));
  }
  wire.set(payload, headerBytes);
  return wire;
}
