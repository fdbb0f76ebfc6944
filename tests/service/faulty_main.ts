// A service whose every subscription to alerts throws where nobody can catch it; only for the test of what survives.
import { createApp } from "../../src/app.ts";
import { systemClock as clock } from "../../src/clock.ts";
import { readConfig } from "../../src/config.ts";
import { leaveOnSignal } from "../../src/leave_on_signal.ts";
import { guardProcess } from "../../src/observe/guard_process.ts";
import { createLog } from "../../src/observe/log.ts";
import { serve } from "../../src/serve.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { sampleAt } from "../support/samples.ts";

const config = readConfig();
const log = createLog({ level: "info", format: "json" });
guardProcess({ log });
const sources = fakeSources();
sources.put("acme", "dev-1", sampleAt(1));
const app = createApp(config, { sources, clock, log });
app.manager.subscribeAlerts = () => {
  setTimeout(() => {
    throw new Error("thrown in a timer");
  }, 0);
  Promise.reject(new Error("rejected unseen"));
  throw new Error("thrown in a handler");
};
await leaveOnSignal(() => serve(app, { config, log }), { log });
