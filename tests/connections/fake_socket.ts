// A client's socket in memory: keeps what it was sent, and is as full as a test says.
import { type Frame, frameBytes } from "../../src/protocol/frame.ts";
import type { Socket } from "../../src/sockets/socket.ts";

export class FakeSocket implements Socket {
  bufferedBytes = 0;
  /** Whether what is sent stays in it, until a test takes some out. */
  isFilling = false;
  /** Every write, in order; a write is the frames that were sent together. */
  readonly writes: Array<readonly Frame[]> = [];
  readonly closings: Array<{ readonly code: number; readonly reason: string }> = [];
  isTerminated = false;
  /** What a send throws instead of sending. */
  fault: Error | null = null;
  /** Told of every write as it happens. */
  watch: (frames: readonly Frame[]) => void = () => {};
  #taken = 0;

  send(frames: readonly Frame[]): void {
    if (this.fault !== null) throw this.fault;
    this.watch(frames);
    if (this.isFilling) { for (const frame of frames) this.bufferedBytes += frameBytes(frame); }
    this.writes.push([...frames]);
  }

  close(code: number, reason: string): void {
    this.closings.push({ code, reason });
  }

  terminate(): void {
    this.isTerminated = true;
  }

  /** The frames sent since the last call. */
  take(): Frame[] {
    const fresh = this.writes.slice(this.#taken).flat();
    this.#taken = this.writes.length;
    return fresh;
  }
}
