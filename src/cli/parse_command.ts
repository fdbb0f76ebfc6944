// Turns arguments into a command and its flags, by the table; it must let nothing through that the table doesn't name.
import { parseArgs, type ParseArgsConfig } from "node:util";
import {
  type Command,
  COMMAND_NAMES,
  type CommandName,
  commandOf,
  type Flag,
  GENERAL_FLAGS,
} from "./command_table.ts";
import { UsageError } from "./usage_error.ts";

export interface Flags {
  has(name: string): boolean;
  /** Undefined where it was not given. */
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
}

export interface Invocation {
  readonly command: CommandName;
  readonly flags: Flags;
  readonly argument: string | null;
}

/** Throws UsageError. */
export function parseCommand(args: readonly string[]): Invocation {
  const [first = ""] = args;
  const isNamed = first !== "" && !first.startsWith("-");
  const command = commandOf(isNamed ? commandName(first) : "serve");
  const { values, positionals } = parsed(command, args.slice(isNamed ? 1 : 0));
  const known = [...command.flags, ...GENERAL_FLAGS];
  const texts = (name: string): readonly string[] => {
    const value = values[name];
    return Array.isArray(value) ? value.map(String) : typeof value === "string" ? [value] : [];
  };
  const flags: Flags = {
    has: (name) => values[name] !== undefined,
    text: (name) => texts(name).at(-1),
    texts,
  };
  for (const flag of known) for (const value of texts(flag.name)) checkValue(flag, value);
  const isAsking = flags.has("help") || flags.has("version");
  return {
    command: command.name,
    flags,
    argument: isAsking ? null : argumentOf(command, positionals),
  };
}

function commandName(word: string): CommandName {
  const name = COMMAND_NAMES.find((one) => one === word);
  if (name !== undefined) return name;
  // What has not the form of a command could be anything, a token too.
  const said = /^[a-z-]{1,20}$/.test(word) ? `Command ${word}` : "What is asked for";
  throw new UsageError(`${said} is not known, there are ${COMMAND_NAMES.join(", ")}`);
}

function parsed(command: Command, args: readonly string[]) {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const { name, short, value, isRepeatable = false } of [...command.flags, ...GENERAL_FLAGS]) {
    options[name] = {
      type: value === null ? "boolean" : "string",
      multiple: isRepeatable,
      ...(short === undefined ? {} : { short }),
    };
  }
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    // What else it throws is no matter of the command line.
    if (!isParseError(error)) throw error;
    throw new UsageError(error.message.split("\n")[0]?.replace(/\.$/, ""));
  }
}

function isParseError(error: unknown): error is TypeError {
  return error instanceof TypeError &&
    String((error as { readonly code?: unknown }).code).startsWith("ERR_PARSE_ARGS_");
}

function checkValue({ name, form, choices }: Flag, value: string): void {
  if (value === "") throw new UsageError(`Flag --${name} needs a value that is not empty`);
  if (choices !== undefined && !choices.includes(value)) {
    throw new UsageError(
      `Flag --${name} must be ${choices.join(" or ")}, not ${JSON.stringify(value)}`,
    );
  }
  if (form !== undefined && !form.pattern.test(value)) {
    throw new UsageError(`Flag --${name} must be ${form.words}, not ${JSON.stringify(value)}`);
  }
}

function argumentOf({ name, argument }: Command, positionals: readonly string[]): string | null {
  const [given, surplus] = positionals;
  if ((argument === undefined ? given : surplus) !== undefined) {
    const most = argument === undefined ? "no argument" : "one argument";
    throw new UsageError(`Command ${name} takes ${most}, ${positionals.length} were given`);
  }
  if (argument === undefined) return null;
  const choices = argument.choices.join(", ");
  if (given === undefined) {
    if (!argument.isRequired) return null;
    throw new UsageError(`Command ${name} needs one of ${choices}`);
  }
  if (argument.choices.includes(given)) return given;
  throw new UsageError(`Command ${name} takes one of ${choices}`);
}
