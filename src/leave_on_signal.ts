// Ends a serving process in order: the first signal drains it, a second one ends it at once.
import type { Log } from "./observe/log.ts";
import type { Serving } from "./serve.ts";

/** Milliseconds that leaving may take before the process ends all the same. */
const DRAIN_MS = 2_000;

export interface LeaveOptions {
  readonly log: Log;
  /** Ends what stands around the service, once it has left. */
  readonly leave?: () => Promise<void>;
}

/**
 * Resolves never: SIGINT or SIGTERM drain and end the process with 0, a second one with 130.
 * Signals are listened to before anything is accepted: the runtime's first use of them needs a free descriptor.
 */
export function leaveOnSignal(serving: Serving, { log, leave }: LeaveOptions): void {
  let isLeaving = false;
  const signalled = async (signal: Deno.Signal) => {
    if (isLeaving) Deno.exit(130);
    isLeaving = true;
    log.info("leaving", { signal });
    try {
      await serving.leave(DRAIN_MS);
      await leave?.();
    } catch (error) {
      log.error("leaving_failed", { error });
      Deno.exit(1);
    }
    log.info("left");
    Deno.exit(0);
  };
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, () => void signalled(signal));
}
