// The last net under the process: an exception that nobody could catch is logged and the process goes on. It must never
// be what correct code relies on, so each one is an error in the log.
import type { Log } from "./log.ts";

export interface GuardProcessOptions {
  readonly log: Log;
  /** Called after logging, to count them. */
  readonly onFault?: () => void;
}

/** Guards until disposed. */
export function guardProcess({ log, onFault }: GuardProcessOptions): Disposable {
  const survive = (event: Event, cause: unknown) => {
    event.preventDefault();
    log.error("uncaught_exception", {
      kind: event.type,
      cause: cause instanceof Error ? cause.stack ?? cause.message : String(cause),
    });
    onFault?.();
  };
  const onError = (event: ErrorEvent) => survive(event, event.error);
  const onRejection = (event: PromiseRejectionEvent) => survive(event, event.reason);
  globalThis.addEventListener("error", onError);
  globalThis.addEventListener("unhandledrejection", onRejection);
  return {
    [Symbol.dispose]() {
      globalThis.removeEventListener("error", onError);
      globalThis.removeEventListener("unhandledrejection", onRejection);
    },
  };
}
