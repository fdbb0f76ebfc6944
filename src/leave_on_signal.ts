// Ends a serving process in order: the first signal drains it, a second one that is no echo of it ends it at once.
import { systemClock as clock } from "./clock.ts";
import type { Log } from "./observe/log.ts";
import type { Serving } from "./serve.ts";

export interface LeaveOptions {
  readonly log: Log;
  /** Ends what stands around the service, once it has left. */
  readonly leave?: () => Promise<void>;
}

/** Ctrl-C comes from the terminal, and within milliseconds again from a task runner that passes it on. */
const ECHO_MS = 500;

/**
 * Serves, and from before that on drains and ends the process with 0 at SIGINT or SIGTERM, with 130 at a second one that
 * comes half a second later or after.
 * Signals are listened to before anything is accepted: the runtime's first use of them needs a free descriptor.
 */
export function leaveOnSignal(
  serve: () => Promise<Serving>,
  { log, leave }: LeaveOptions,
): Promise<Serving> {
  const started = Promise.withResolvers<Serving>();
  let echoesEndAt: number | null = null;
  const signalled = async (signal: Deno.Signal) => {
    if (echoesEndAt !== null) {
      if (clock.monotonicNow() < echoesEndAt) return;
      Deno.exit(130);
    }
    echoesEndAt = clock.monotonicNow() + ECHO_MS;
    log.info("leaving", { signal });
    try {
      await (await started.promise).leave();
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
  serve().then(started.resolve, started.reject);
  return started.promise;
}
