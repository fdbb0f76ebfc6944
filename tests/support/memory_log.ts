// A log that keeps what it was told, so that tests can look for events and for what must never stand in them.
import type { Log, LogFields, LogLevel } from "../../src/observe/log.ts";
import { keepLog } from "./kept_logs.ts";

export interface LogRecord {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

export interface MemoryLog extends Log {
  readonly records: readonly LogRecord[];
  of(event: string): readonly LogRecord[];
}

export function memoryLog(): MemoryLog {
  const records: LogRecord[] = [];
  const write = (level: LogLevel) => (event: string, fields: LogFields = {}) => {
    records.push({ level, event, fields });
    keepLog(`${level} ${event} ${Deno.inspect(fields, { depth: 8, strAbbreviateSize: Infinity })}`);
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warning: write("warning"),
    error: write("error"),
    records,
    of: (event) => records.filter((record) => record.event === event),
  };
}
