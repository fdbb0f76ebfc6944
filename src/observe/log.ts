// The logger that rooms are handed: an event's stable name and its fields; never a token, never a secret.
import {
  configureSync,
  getConsoleSink,
  getJsonLinesFormatter,
  getLogger,
  getTextFormatter,
} from "@logtape/logtape";

export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

export type Log = Readonly<Record<LogLevel, (event: string, fields?: LogFields) => void>>;

export interface LogOptions {
  readonly level: LogLevel;
  /** `json` is one object a line; `text` is for a person at a terminal. */
  readonly format: "json" | "text";
}

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
  return {
    debug: (event, fields = {}) => logger.debug(event, plain(fields)),
    info: (event, fields = {}) => logger.info(event, plain(fields)),
    warning: (event, fields = {}) => logger.warning(event, plain(fields)),
    error: (event, fields = {}) => logger.error(event, plain(fields)),
  };
}

/** Errors become their message and the messages of their causes: a stack is noise where an operator reads. */
function plain(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      value instanceof Error ? errorText(value) : value,
    ]),
  );
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
