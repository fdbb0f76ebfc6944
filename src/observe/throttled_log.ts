// Keeps a log readable while one fault repeats itself: of warnings and errors with one event's name only the first few a
// minute are written, and the last of the others with their number. It must never change what a line says, nor hold
// back what comes seldom.
import type { Log, LogFields } from "./log.ts";

export interface ThrottledLogOptions {
  /** Lines of one event that are written in a window before the others are left out. */
  readonly burst: number;
  readonly windowMs: number;
  /** On the monotonic clock. */
  readonly now: () => number;
  readonly after: (delayMs: number, act: () => void) => void;
}

export interface ThrottledLog extends Log {
  /** Writes at once what was left out so far: for who is about to end. */
  flush(): void;
}

interface Window {
  readonly endsAt: number;
  written: number;
  leftOut: number;
  /** Writes the last line that was left out. */
  tell: ((repeated: number) => void) | null;
}

export function throttledLog(log: Log, options: ThrottledLogOptions): ThrottledLog {
  const { burst, windowMs, now, after } = options;
  const windows = new Map<string, Window>();

  const close = (event: string, window: Window) => {
    if (windows.get(event) !== window) return;
    windows.delete(event);
    window.tell?.(window.leftOut);
  };

  const open = (event: string): Window => {
    const before = windows.get(event);
    if (before !== undefined && now() < before.endsAt) return before;
    if (before !== undefined) close(event, before);
    const window: Window = { endsAt: now() + windowMs, written: 0, leftOut: 0, tell: null };
    windows.set(event, window);
    return window;
  };

  const throttled = (level: "warning" | "error") => (event: string, fields: LogFields = {}) => {
    const window = open(event);
    if (window.written < burst) {
      window.written++;
      log[level](event, fields);
      return;
    }
    if (window.leftOut === 0) after(window.endsAt - now(), () => close(event, window));
    window.leftOut++;
    window.tell = (repeated) => log[level](event, { ...fields, repeated });
  };

  return {
    debug: log.debug,
    info: log.info,
    warning: throttled("warning"),
    error: throttled("error"),
    flush() {
      for (const [event, window] of [...windows]) close(event, window);
    },
  };
}
