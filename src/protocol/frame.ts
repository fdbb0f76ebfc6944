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
  /** What the message is put together from; null where its JSON is made of itself. */
  readonly parts: Parts | null;
}

/** A message that others stand in: their JSON as it is, with commas between them, after the head and before the tail. */
export interface Parts {
  /** ASCII. */
  readonly head: string;
  readonly frames: readonly Frame[];
  /** ASCII. */
  readonly tail: string;
}

/** Wraps a message that one or many sockets will be sent. */
export function frameOf(message: ServerMessage): Frame {
  return { message, text: null, wire: null, event: null, bytes: null, parts: null };
}

/** Wraps a message that is put together from others, which are encoded once wherever else they go. */
export function frameOfParts(message: ServerMessage, parts: Parts): Frame {
  return { message, text: null, wire: null, event: null, bytes: null, parts };
}

/** Whether these are the very same frames, in the same order. */
export function areSameFrames(some: readonly Frame[], others: readonly Frame[]): boolean {
  return some.length === others.length && some.every((frame, nth) => frame === others[nth]);
}

/** Bytes of the frame's JSON in UTF-8, counted at the first call only. */
export function frameBytes(frame: Frame): number {
  return frame.bytes ??= frame.parts === null
    ? Buffer.byteLength(frameText(frame))
    : bytesOfParts(frame.parts);
}

/** The frame's JSON text, encoded at the first call only. */
export function frameText(frame: Frame): string {
  return frame.text ??= frame.parts === null
    ? JSON.stringify(frame.message)
    : textOfParts(frame.parts);
}

function bytesOfParts({ head, frames, tail }: Parts): number {
  const commas = Math.max(0, frames.length - 1);
  let bytes = head.length + commas + tail.length;
  for (const frame of frames) bytes += frameBytes(frame);
  return bytes;
}

function textOfParts({ head, frames, tail }: Parts): string {
  return `${head}${frames.map(frameText).join()}${tail}`;
}
