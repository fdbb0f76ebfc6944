// A server message on its way to sockets: its JSON is made once, on first use, whoever uses it first; never per client.
import { Buffer } from "node:buffer";
import type { ServerMessage } from "./server_messages.ts";

/**
 * A message and what has been made of it so far. Plain data, so that it can be cloned to another thread; only
 * `frameText` and the sockets fill the blanks.
 */
export interface Frame {
  readonly message: ServerMessage;
  /** The message's JSON, once somebody asked for it. */
  text: string | null;
  /** The bytes of its WebSocket frame, once an engine asked for them. */
  wire: Uint8Array | null;
  /** The bytes of its server-sent event, once a stream asked for them. */
  event: Uint8Array | null;
  /** The length of that JSON in UTF-8, once somebody asked for it. */
  bytes: number | null;
}

/** Wraps a message that one or many sockets will be sent. */
export function frameOf(message: ServerMessage): Frame {
  return { message, text: null, wire: null, event: null, bytes: null };
}

/** Bytes of the frame's JSON in UTF-8, counted at the first call only. */
export function frameBytes(frame: Frame): number {
  return frame.bytes ??= Buffer.byteLength(frameText(frame));
}

/** The frame's JSON text, encoded at the first call only. */
export function frameText(frame: Frame): string {
  return frame.text ??= JSON.stringify(frame.message);
}
