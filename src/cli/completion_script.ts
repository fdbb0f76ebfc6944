// Writes a shell's completion out of the table of commands; nothing in a script may run this program.
import {
  type Command,
  COMMANDS,
  type Flag,
  GENERAL_FLAGS,
  PROGRAM,
  type Shell,
} from "./command_table.ts";

const WRITERS: Readonly<Record<Shell, () => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export function completionScript(shell: Shell): string {
  return WRITERS[shell]();
}

const names = COMMANDS.map(({ name }) => name);

function flagsOf(command: Command): readonly Flag[] {
  return [...command.flags, ...GENERAL_FLAGS];
}

/** A flag that takes a path: its value is completed as one. */
function isPath({ value }: Flag): boolean {
  return value === "PATH";
}

function bashScript(): string {
  const words = (flags: readonly Flag[]) => flags.map(({ name }) => `--${name}`).join(" ");
  const cases = COMMANDS.flatMap((command) => {
    const { name, flags, argument } = command;
    const valued = flags.filter(({ value }) => value !== null).map((flag) => {
      const found = isPath(flag)
        ? '$(compgen -f -- "$current")'
        : flag.choices === undefined
        ? ""
        : `$(compgen -W '${flag.choices.join(" ")}' -- "$current")`;
      const forms = [`--${flag.name}`, ...(flag.short === undefined ? [] : [`-${flag.short}`])];
      return `        ${name}:${forms.join(`|${name}:`)}) COMPREPLY=(${found}); return ;;`;
    });
    const all = [...(argument?.choices ?? []), words(flagsOf(command))].join(" ");
    return [...valued, `        ${name}:*) words='${all}' ;;`];
  });
  return `# bash completion of ${PROGRAM}: source <(${PROGRAM} completion bash)
_${PROGRAM}() {
    local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command=serve words
    if (( COMP_CWORD > 1 )) && [[ \${COMP_WORDS[1]} != -* ]]; then command=\${COMP_WORDS[1]}; fi
    if (( COMP_CWORD == 1 )); then
        COMPREPLY=($(compgen -W '${names.join(" ")} ${words(GENERAL_FLAGS)}' -- "$current"))
        return
    fi
    case "$command:$previous" in
${cases.join("\n")}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _${PROGRAM} ${PROGRAM}
`;
}

function zshScript(): string {
  const specs = (flags: readonly Flag[]) =>
    flags.flatMap((flag) => {
      const { name, short, value, choices, isRepeatable, summary } = flag;
      const action = isPath(flag)
        ? "_files"
        : choices === undefined
        ? " "
        : `(${choices.join(" ")})`;
      const tail = value === null ? "" : `:${value}:${action}`;
      const star = isRepeatable === true ? "*" : "";
      const text = summary.replaceAll(/[[\]:\\]/g, "\\$&");
      const equals = value === null ? "" : "=";
      return [
        quoted(`${star}--${name}${equals}[${text}]${tail}`),
        ...(short === undefined ? [] : [quoted(`${star}-${short}[${text}]${tail}`)]),
      ];
    });
  const cases = COMMANDS.map((command) => {
    const { name, argument } = command;
    const place = argument === undefined
      ? []
      : [quoted(`1:${argument.name}:(${argument.choices.join(" ")})`)];
    return `        ${name}) _arguments ${[...specs(flagsOf(command)), ...place].join(" ")} ;;`;
  });
  const described = COMMANDS.map(({ name, summary }) => quoted(`${name}:${summary}`));
  return `#compdef ${PROGRAM}
# zsh completion of ${PROGRAM}
_${PROGRAM}() {
    local -a commands=(${described.join(" ")})
    if (( CURRENT == 2 )) && [[ \${words[2]} != -* ]]; then
        _describe command commands
        return
    fi
    local command=serve
    if [[ \${words[2]} != -* ]]; then command=\${words[2]}; shift words; (( CURRENT-- )); fi
    case $command in
${cases.join("\n")}
    esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _${PROGRAM} "$@"; else compdef _${PROGRAM} ${PROGRAM}; fi
`;
}

function fishScript(): string {
  const line = (condition: string, rest: string) =>
    `complete -c ${PROGRAM} -n ${quoted(condition)} ${rest}`;
  const isNone = `not __fish_seen_subcommand_from ${names.join(" ")}`;
  const flagLine = (condition: string, flag: Flag) => {
    const { name, short, value, choices, summary } = flag;
    const letter = short === undefined ? "" : ` -s ${short}`;
    const values = choices === undefined ? "" : ` -a ${quoted(choices.join(" "))}`;
    const needs = value === null ? "" : isPath(flag) ? " -r -F" : ` -x${values}`;
    return line(condition, `-l ${name}${letter}${needs} -d ${quoted(summary)}`);
  };
  return [
    `# fish completion of ${PROGRAM}`,
    `complete -c ${PROGRAM} -f`,
    ...COMMANDS.map(({ name, summary }) => line(isNone, `-a ${name} -d ${quoted(summary)}`)),
    ...GENERAL_FLAGS.map((flag) => flagLine(isNone, flag)),
    ...COMMANDS.flatMap((command) => {
      const { name, argument } = command;
      const condition = `__fish_seen_subcommand_from ${name}`;
      return [
        ...(argument === undefined
          ? []
          : [line(condition, `-a ${quoted(argument.choices.join(" "))}`)]),
        ...flagsOf(command).map((flag) => flagLine(condition, flag)),
      ];
    }),
    "",
  ].join("\n");
}

/** One word, in each of the three shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
