// Writes the help out of the table of commands; it must say nothing that the table doesn't hold.
import {
  type Command,
  COMMANDS,
  EXIT_CODES,
  type Flag,
  GENERAL_FLAGS,
  PROGRAM,
} from "./command_table.ts";

/** Columns: the width that terminals have at least. */
const WIDTH = 80;

/** For all commands, where none is given. */
export function helpText(command: Command | null): string {
  return command === null ? overview() : helpOf(command);
}

function overview(): string {
  return [
    "A live feed on the databases a product already has",
    "",
    section("Usage", [`${PROGRAM} [command] [flags]`]),
    section("Commands", rows(COMMANDS.map(({ name, summary }) => [name, summary]))),
    section("Flags of all commands", rows(GENERAL_FLAGS.map(flagRow))),
    section("Exit codes", rows(EXIT_CODES.map(([code, meaning]) => [String(code), meaning]))),
    `${PROGRAM} help COMMAND says more about one. Settings come from the environment.`,
  ].join("\n");
}

function helpOf(command: Command): string {
  const { name, summary, argument, flags, details, examples } = command;
  const argumentWord = argument === undefined
    ? ""
    : argument.isRequired
    ? ` ${argument.name}`
    : ` [${argument.name}]`;
  const choices = argument === undefined
    ? []
    : [section(argument.name, [`one of ${argument.choices.join(", ")}`])];
  const paragraphs = details.flatMap((text) => [...wrapped(text, WIDTH), ""]);
  return [
    summary,
    "",
    section("Usage", [
      `${PROGRAM} ${name}${argumentWord}${flags.length > 0 ? " [flags]" : ""}`,
    ]),
    ...choices,
    ...paragraphs,
    section("Flags", rows([...flags, ...GENERAL_FLAGS].map(flagRow))),
    ...(examples.length > 0 ? [section("Examples", examples)] : []),
  ].join("\n").trimEnd();
}

function section(title: string, lines: readonly string[]): string {
  return `${title}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

function flagRow({ name, short, value, summary }: Flag): readonly [string, string] {
  const letter = short === undefined ? "    " : `-${short}, `;
  return [`${letter}--${name}${value === null ? "" : ` ${value}`}`, summary];
}

function rows(pairs: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...pairs.map(([left]) => left.length)) + 2;
  return pairs.flatMap(([left, right]) =>
    wrapped(right, WIDTH - width - 2).map((line, index) =>
      `${(index === 0 ? left : "").padEnd(width)}${line}`
    )
  );
}

function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}
