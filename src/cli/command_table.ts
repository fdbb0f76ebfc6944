// The one table of commands and flags, from which parsing, help and completion are made; it must hold no behaviour.

export const COMMAND_NAMES = ["serve", "check", "token", "tail", "completion", "help"] as const;
export type CommandName = (typeof COMMAND_NAMES)[number];

/** What a value must look like, and how that is said. */
interface Form {
  readonly pattern: RegExp;
  readonly words: string;
}

export interface Flag {
  /** Without its dashes. */
  readonly name: string;
  readonly short?: string;
  /** What stands for the value in help; null for a flag that has none. */
  readonly value: string | null;
  readonly form?: Form;
  readonly choices?: readonly string[];
  readonly isRepeatable?: true;
  readonly summary: string;
}

export interface Command {
  readonly name: CommandName;
  readonly summary: string;
  /** The one word that may follow the command. */
  readonly argument?: {
    readonly name: string;
    readonly choices: readonly string[];
    readonly isRequired: boolean;
  };
  readonly flags: readonly Flag[];
  /** Paragraphs for the command's own help. */
  readonly details: readonly string[];
  readonly examples: readonly string[];
}

export const PROGRAM = "pulsewire";
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

const TENANT: Form = {
  pattern: /^[A-Za-z0-9_-]{1,64}$/,
  words: "1 to 64 letters, digits, _ or -",
};
const DURATION: Form = {
  pattern: /^\d{1,6}(\.\d{1,3})?[smhd]$/,
  words: "a duration such as 90s, 30m, 6h or 2d",
};
const MOMENT: Form = {
  pattern: /^(\d{1,6}(\.\d{1,3})?[smhd]|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z)$/,
  words: "a duration such as 15m, or an instant such as 2026-01-31T08:00:00Z",
};

/** Understood behind every command, and without one. */
export const GENERAL_FLAGS: readonly Flag[] = [
  { name: "help", short: "h", value: null, summary: "Say how a command is used" },
  { name: "version", short: "V", value: null, summary: "Say which version this is" },
];

export const COMMANDS: readonly Command[] = [
  {
    name: "serve",
    summary: "Run the service (what happens without a command)",
    flags: [],
    details: ["Reads its settings from the environment and runs until SIGINT or SIGTERM."],
    examples: ["pulsewire", "pulsewire serve"],
  },
  {
    name: "check",
    summary: "Find out whether the settings, the databases and the issuer are right",
    flags: [
      {
        name: "tenant",
        value: "TENANT",
        form: TENANT,
        summary: "Read as this tenant, too, once in each way",
      },
      {
        name: "other-tenant",
        value: "TENANT",
        form: TENANT,
        summary: "A second tenant that has rows, which the first must not see",
      },
    ],
    details: [
      "Takes the settings of serve, reaches what they name, and prints one verdict a line: ok, failed or skipped, with " +
      "the cure. It writes to no table; where ALERT_NOTIFY_CHANNEL is set, it sends one notification that names the tenant.",
    ],
    examples: ["pulsewire check --tenant acme --other-tenant globex"],
  },
  {
    name: "token",
    summary: "Print a development token, signed with JWT_SECRET",
    flags: [
      { name: "tenant", value: "TENANT", form: TENANT, summary: "The tenant it is for (required)" },
      { name: "role", value: "ROLE", summary: "Its role; the first of ALLOWED_ROLES by default" },
      { name: "user", value: "USER", summary: "Its user; developer by default" },
      {
        name: "ttl",
        value: "DURATION",
        form: DURATION,
        summary: "How long it lives; 1h by default",
      },
    ],
    details: ["Refuses where JWKS_URL or OIDC_ISSUER is set: then tokens come from the issuer."],
    examples: ["pulsewire token --tenant acme --ttl 8h"],
  },
  {
    name: "tail",
    summary: "Follow devices, alerts or the fleet in a terminal",
    flags: [
      {
        name: "url",
        value: "URL",
        summary: "The service's address; by HOST and PORT by default",
      },
      {
        name: "token",
        value: "TOKEN",
        summary: "The token itself, which other users of the machine can see",
      },
      {
        name: "token-file",
        value: "PATH",
        summary: "A file that holds the token, read anew for each connection; - for standard input",
      },
      {
        name: "device",
        short: "d",
        value: "DEVICE",
        isRepeatable: true,
        summary: "A device to follow, or '*' for all; may be repeated",
      },
      { name: "alerts", short: "a", value: null, summary: "Follow the open alerts" },
      { name: "fleet", value: null, summary: "Follow the counts of devices and alerts" },
      {
        name: "mode",
        value: "MODE",
        choices: ["latest", "every"],
        summary: "The newest sample at each read (default), or each stored sample",
      },
      {
        name: "since",
        value: "MOMENT",
        form: MOMENT,
        summary: "First what was stored since: 15m, or 2026-01-31T08:00:00Z",
      },
      { name: "json", value: null, summary: "Print one JSON message a line" },
    ],
    details: [
      "Comes back when the connection is lost and resumes where it was. Without --token and --token-file the token is " +
      "taken from PULSEWIRE_TOKEN. Ends with 0 at SIGINT, SIGTERM or when nobody reads its output any more.",
    ],
    examples: [
      "pulsewire tail --token-file /run/secrets/token --device dev-0001 --mode every --since 15m",
      "pulsewire token --tenant acme | pulsewire tail --token-file - --device '*' --alerts --json",
    ],
  },
  {
    name: "completion",
    summary: "Print a shell's completion of commands and flags",
    argument: { name: "SHELL", choices: SHELLS, isRequired: true },
    flags: [],
    details: [],
    examples: [
      "source <(pulsewire completion bash)",
      "pulsewire completion zsh > ~/.zfunc/_pulsewire",
      "pulsewire completion fish > ~/.config/fish/completions/pulsewire.fish",
    ],
  },
  {
    name: "help",
    summary: "Say how a command is used",
    argument: { name: "COMMAND", choices: COMMAND_NAMES, isRequired: false },
    flags: [],
    details: [],
    examples: [],
  },
];

export const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [0, "done, or ended as it was asked to"],
  [1, "failed"],
  [2, "the command line or the settings can't be used"],
  [130, "ended at once by a second signal"],
];

export function commandOf(name: CommandName): Command {
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) throw new Error(`Command "${name}" is not in the table`);
  return command;
}
