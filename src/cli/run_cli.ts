// Runs the command that the arguments name and says how the process is to end; it must print no secret and no stack for
// what an operator can mend.
import { ConfigError } from "../config.ts";
import { ListenError } from "../sockets/listen_error.ts";
import { VERSION } from "../version.ts";
import { type CommandName, commandOf, PROGRAM, type Shell } from "./command_table.ts";
import { completionScript } from "./completion_script.ts";
import { helpText } from "./help_text.ts";
import { type Invocation, parseCommand } from "./parse_command.ts";
import { createTerminal, type Terminal } from "./terminal.ts";
import { UsageError } from "./usage_error.ts";

/** The exit code; null where the process goes on by itself. */
type Ending = number | null;
type Run = (invocation: Invocation, terminal: Terminal) => Promise<Ending>;

/** A command's rooms are loaded when it is run: whoever asks for help waits for no database driver. */
const RUNS: Readonly<Record<CommandName, Run>> = {
  serve: async () => await (await import("./serve_command.ts")).serveCommand(),
  check: async ({ flags }, terminal) =>
    await (await import("./check_command.ts")).checkCommand(flags, terminal),
  token: async ({ flags }, terminal) =>
    await (await import("./token_command.ts")).tokenCommand(flags, terminal),
  tail: async ({ flags }, terminal) =>
    await (await import("./tail_command.ts")).tailCommand(flags, terminal),
  completion: async ({ argument }, terminal) => {
    await terminal.print(completionScript(argument as Shell));
    return 0;
  },
  help: async ({ argument }, terminal) => {
    await terminal.print(helpText(argument === null ? null : commandOf(argument as CommandName)));
    return 0;
  },
};

export async function runCli(
  args: readonly string[],
  terminal: Terminal = createTerminal(),
): Promise<Ending> {
  try {
    const invocation = parseCommand(args);
    const { command, flags } = invocation;
    if (flags.has("help")) {
      const isNamed = args[0] === command;
      await terminal.print(helpText(isNamed ? commandOf(command) : null));
      return 0;
    }
    if (flags.has("version")) {
      await terminal.print(`${PROGRAM} ${VERSION}`);
      return 0;
    }
    return await RUNS[command](invocation, terminal);
  } catch (error) {
    return await explain(error, terminal);
  }
}

async function explain(error: unknown, terminal: Terminal): Promise<number> {
  // Nobody is there to be told.
  if (error instanceof Deno.errors.BrokenPipe) return 1;
  if (error instanceof UsageError) {
    await terminal.complain(`${error.message}\n${PROGRAM} --help says how it is used`);
    return 2;
  }
  const isPlain = error instanceof ConfigError || error instanceof ListenError;
  await terminal.complain(isPlain ? error.message : Deno.inspect(error));
  return error instanceof ConfigError ? 2 : 1;
}
