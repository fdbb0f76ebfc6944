// The service as main.ts composes it, with a mouth: it answers over stdin and stdout what it holds. It must never be
// anything but a part of the stress, as the product has no such questions.
import { createApp } from "../../src/app.ts";
import { readConfig } from "../../src/config.ts";
import { leaveOnSignal } from "../../src/leave_on_signal.ts";
import { type LimitName, LIMITS } from "../../src/limits/limits.ts";
import { guardProcess } from "../../src/observe/guard_process.ts";
import { createLog } from "../../src/observe/log.ts";
import { serve } from "../../src/serve.ts";
import { openSources } from "../../src/sources/open_sources.ts";
import { answerQuestions } from "../fuzz/subject_process.ts";
import { CountingClock } from "../support/counting_clock.ts";

const collectGarbage = (globalThis as { gc?: () => void }).gc;
if (collectGarbage === undefined) throw new Error("Run it with --v8-flags=--expose-gc");

const config = readConfig();
const log = createLog({ level: config.LOG_LEVEL, format: "json" });
const clock = new CountingClock();
const app = createApp(config, { sources: openSources(config, { clock, log }), clock, log });
let uncaught = 0;
guardProcess({ log, onFault: () => uncaught++ });
const { engine } = await leaveOnSignal(() => serve(app, { config, log }), { log });

await answerQuestions({
  port: () => ({ port: engine.port }),
  counts: () => ({
    connections: app.manager.connectionCount,
    feeds: app.feeds.feedCount,
    seats: app.seats.taken,
    timers: clock.pending.size,
    uncaught,
  }),
  memory: async () => {
    for (let nth = 0; nth < 4; nth++) {
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { heapUsed, external, rss } = Deno.memoryUsage();
    return { heapUsed, external, rss };
  },
  crossings: () =>
    Object.fromEntries(
      (Object.keys(LIMITS) as LimitName[]).map((name) => [name, app.ledger.crossings(name)]),
    ),
});
// Whoever asked has gone: nobody else would end this process.
Deno.exit(0);
