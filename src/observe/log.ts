// The logger that rooms are handed: an event's stable name and its fields; never a token, never a secret.
import {
  configureSync,
  getConsoleSink,
  getJsonLinesFormatter,
  getLogger,
  getTextFormatter,
  type LogRecord,
} from "@logtape/logtape";
import { type ThrottledLog, throttledLog } from "./throttled_log.ts";
import { traceIds } from "./traces.ts";

export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

export type Log = Readonly<Record<LogLevel, (event: string, fields?: LogFields) => void>>;

export interface LogOptions {
  readonly level: LogLevel;
  /** `json` is one object a line; `text` is for a person at a terminal. */
  readonly format: LogFormat;
  /** Fields of every line. */
  readonly fields?: LogFields;
  /** Takes each line in place of the process's own output. */
  readonly write?: (level: LogLevel, line: string) => void;
}

export type LogFormat = "json" | "text";

/** Of one event's warnings or errors, this many a window are written as they come. */
const BURST = 10;
const WINDOW_MS = 60_000;

/** Configures the log of this thread and returns it; called once, by the entry point. */
export function createLog({ level, format, fields: common = {}, write }: LogOptions): ThrottledLog {
  const formatter = format === "json"
    ? getJsonLinesFormatter({ properties: "flatten", message: "template" })
    : getTextFormatter({
      timestamp: "time",
      format: ({ timestamp, level, message, record }) =>
        `${timestamp} ${level} ${message}${fieldsText(record.properties)}`,
    });
  const line = (record: LogRecord) => formatter(record).trimEnd();
  configureSync({
    reset: true,
    sinks: {
      lines: write === undefined
        ? getConsoleSink({ formatter: line })
        : (record) => write(record.level as LogLevel, line(record)),
    },
    loggers: [
      { category: "pulsewire", lowestLevel: level, sinks: ["lines"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["lines"] },
    ],
  });
  const logger = getLogger("pulsewire");
  const written = LOG_LEVELS.slice(LOG_LEVELS.indexOf(level));
  const writer = (at: LogLevel): Log[LogLevel] =>
    written.includes(at)
      ? (event, fields = {}) => logger[at](event, plain({ ...common, ...fields }))
      : () => {};
  const log = throttledLog({
    debug: writer("debug"),
    info: writer("info"),
    warning: writer("warning"),
    error: writer("error"),
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

/** Writes a line that another thread has made, where the process's own lines of that level go. */
export function writeLine(level: LogLevel, line: string): void {
  const method = level === "warning" ? "warn" : level;
  // deno-lint-ignore no-console -- it is what the log's own lines are written with
  console[method](line);
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
