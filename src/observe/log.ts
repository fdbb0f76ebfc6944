// The logger that rooms are handed: an event's stable name and its fields; never a token, never a secret.
import {
  configureSync,
  getConsoleSink,
  getJsonLinesFormatter,
  getLogger,
  getTextFormatter,
} from "@logtape/logtape";
import { throttledLog } from "./throttled_log.ts";
import { traceIds } from "./traces.ts";

export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

export type Log = Readonly<Record<LogLevel, (event: string, fields?: LogFields) => void>>;

export interface LogOptions {
  readonly level: LogLevel;
  /** `json` is one object a line; `text` is for a person at a terminal. */
  readonly format: "json" | "text";
}

/** Of one event's warnings or errors, this many a window are written as they come. */
const BURST = 10;
const WINDOW_MS = 60_000;

/** Configures the process's log and returns it; called once, by the entry point. */
export function createLog({ level, format }: LogOptions): Log {
  const formatter = format === "json"
    ? getJsonLinesFormatter({ properties: "flatten", message: "template" })
    : getTextFormatter({
      timestamp: "time",
      format: ({ timestamp, level, message, record }) =>
        `${timestamp} ${level} ${message}${fieldsText(record.properties)}`,
    });
  configureSync({
    reset: true,
    sinks: { console: getConsoleSink({ formatter: (record) => formatter(record).trimEnd() }) },
    loggers: [
      { category: "pulsewire", lowestLevel: level, sinks: ["console"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["console"] },
    ],
  });
  const logger = getLogger("pulsewire");
  const log = throttledLog({
    debug: (event, fields = {}) => logger.debug(event, plain(fields)),
    info: (event, fields = {}) => logger.info(event, plain(fields)),
    warning: (event, fields = {}) => logger.warning(event, plain(fields)),
    error: (event, fields = {}) => logger.error(event, plain(fields)),
  }, {
    burst: BURST,
    windowMs: WINDOW_MS,
    now: () => performance.now(),
    // What was left out must not keep a process alive that is done; it is written when that ends.
    after: (delayMs, act) => Deno.unrefTimer(setTimeout(act, delayMs)),
  });
  globalThis.addEventListener("unload", () => log.flush());
  return log;
}

/** Errors become their message and the messages of their causes: a stack is noise where an operator reads. */
function plain(fields: LogFields): Record<string, unknown> {
  return {
    ...Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        name,
        value instanceof Error ? errorText(value) : value,
      ]),
    ),
    ...traceIds(),
  };
}

function errorText(error: Error): string {
  const own = error.message || error.name;
  return error.cause instanceof Error ? `${own}: ${errorText(error.cause)}` : own;
}

function fieldsText(fields: LogFields): string {
  const words = Object.entries(fields).map(([name, value]) =>
    ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`
  );
  return words.join("");
}
