// The table of commands and what is made of it: parsing, help, completion; and the words of others on a terminal.
import assert from "node:assert/strict";
import { COMMANDS, GENERAL_FLAGS, SHELLS } from "../../src/cli/command_table.ts";
import { completionScript } from "../../src/cli/completion_script.ts";
import { durationMs } from "../../src/cli/duration.ts";
import { helpText } from "../../src/cli/help_text.ts";
import { parseCommand } from "../../src/cli/parse_command.ts";
import { printable } from "../../src/cli/printable.ts";
import { type OwnAddress, tailOptionsOf } from "../../src/cli/tail_options.ts";
import { createTerminal } from "../../src/cli/terminal.ts";
import { UsageError } from "../../src/cli/usage_error.ts";
import { VERSION } from "../../src/version.ts";
import { CliProcess } from "./cli_process.ts";

const OWN = { host: "127.0.0.1", port: 8000 };

function refusal(args: readonly string[]): string {
  try {
    tailOptionsOf(parseCommand(args).flags, OWN);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  assert.fail(`${args.join(" ")} was taken`);
}

Deno.test("Without a command it serves, and flags may be written in every usual way", () => {
  assert.equal(parseCommand([]).command, "serve");
  assert.equal(parseCommand(["-h"]).command, "serve");
  const { command, flags } = parseCommand(["tail", "-d", "a", "--device=b", "-a", "--device", "*"]);
  assert.equal(command, "tail");
  assert.deepEqual(flags.texts("device"), ["a", "b", "*"]);
  assert.equal(flags.has("alerts"), true);
  assert.equal(flags.has("fleet"), false);
  assert.equal(flags.text("url"), undefined);
  assert.equal(parseCommand(["check", "--tenant", "a", "--tenant", "b"]).flags.text("tenant"), "b");
  assert.equal(parseCommand(["completion", "zsh"]).argument, "zsh");
  assert.equal(parseCommand(["completion", "--help"]).argument, null);
});

Deno.test("What the table does not name is refused with the reason", () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ["watch", /^Command watch is not known, there are serve, check/],
    ["tail --colour", /^Unknown option '--colour'/],
    ["tail --device", /^Option '-d, --device <value>' argument missing/],
    ["tail --json=1 -a", /^Option '--json' does not take an argument/],
    ["tail -a surplus", /^Command tail takes no argument, 1 were given/],
    ["check --tenant a/b", /^Flag --tenant must be 1 to 64 letters.*not "a\/b"/],
    ["check --tenant=", /^Flag --tenant needs a value that is not empty/],
    ["tail -d x --mode all", /^Flag --mode must be latest or every, not "all"/],
    ["token --ttl soon", /^Flag --ttl must be a duration such as/],
    ["completion", /^Command completion needs one of bash, zsh, fish/],
    ["completion tcsh", /^Command completion takes one of bash, zsh, fish/],
    ["completion bash zsh", /^Command completion takes one argument, 2 were given/],
    ["tail", /^There is nothing to follow/],
    ["tail --alerts --mode every", /^Flag --mode needs --device/],
    ["tail --alerts --since 5m", /^Flag --since needs --device/],
    ["tail -d x --since 2026-13-45T00:00:00Z", /^Flag --since must be/],
    ["tail -d x --since 0s", /^Flag --since must be/],
    ["tail -a --url pulse.example.com", /^Flag --url must be an address/],
    ["tail -a --url ftp://pulse.example.com", /^Flag --url must be an address/],
    ["tail -a --url http://me:hunter2@pulse", /^Flag --url must hold no credentials/],
    ["tail -a --url http://pulse/?token=hunter2", /^Flag --url must hold no credentials/],
  ];
  for (const [words, reason] of refused) {
    const said = refusal(words.split(" "));
    assert.match(said, reason);
    assert.doesNotMatch(said, /hunter2/);
  }
});

Deno.test("A token in the wrong place is not repeated", () => {
  const token = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln";
  for (const args of [[token], ["tail", "-a", token], ["completion", token]]) {
    assert.doesNotMatch(refusal(args), /eyJ|e30/);
  }
});

Deno.test("The service's address leads to its socket, and durations to history", () => {
  const optionsOf = (words: string, own: OwnAddress = OWN) =>
    tailOptionsOf(parseCommand(words.split(" ")).flags, own);
  for (
    const [host, port, url] of [
      ["127.0.0.1", 8000, "http://127.0.0.1:8000/api/v2/ws"],
      ["0.0.0.0", 8001, "http://127.0.0.1:8001/api/v2/ws"],
      ["::", 8001, "http://[::1]:8001/api/v2/ws"],
      ["fd00::2", 80, "http://[fd00::2]/api/v2/ws"],
    ] as const
  ) {
    assert.equal(optionsOf("tail -a", { host, port }).url.href, url);
  }
  for (const own of [{ host: "127.0.0.1", port: null }, { host: "fe80::1%eth0", port: 8000 }]) {
    assert.throws(() => optionsOf("tail -a", own), /^UsageError: HOST and PORT do not say where/);
    assert.equal(optionsOf("tail -a --url http://p", own).url.host, "p");
  }
  assert.equal(optionsOf("tail -a --url wss://p/x/ws").url.href, "wss://p/x/ws");
  assert.deepEqual(optionsOf("tail -d x --since 1.5m").device, { historySeconds: 90 });
  const since = "2026-01-31T08:00:00.000000001Z";
  assert.deepEqual(optionsOf(`tail -d x -d x --mode every --since ${since}`).device, {
    mode: "every",
    since,
  });
  assert.deepEqual(["90s", "30m", "6h", "2d", "0s", "5", "-1s", "1w"].map(durationMs), [
    90_000,
    1_800_000,
    21_600_000,
    172_800_000,
    null,
    null,
    null,
    null,
  ]);
});

Deno.test("Help names every command, every flag and every exit code", () => {
  const overview = helpText(null);
  for (const { name, summary } of COMMANDS) {
    const line = overview.split("\n").find((one) => one.startsWith(`  ${name} `));
    assert.ok(line?.includes(summary.slice(0, 20)), name);
  }
  assert.match(overview, /^ {2}2 +the command line/m);
  for (const command of COMMANDS) {
    const help = helpText(command);
    for (const { name } of [...command.flags, ...GENERAL_FLAGS]) {
      assert.match(help, new RegExp(`--${name}\\b`));
    }
    for (const example of command.examples) assert.ok(help.includes(example));
    const long = help.split("\n").filter((line) =>
      line.length > 80 && !command.examples.includes(line.trim())
    );
    assert.deepEqual(long, []);
  }
});

Deno.test("README's section names every command", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const section = readme.split("\n## Command line\n")[1]?.split("\n## ")[0] ?? "";
  for (const { name } of COMMANDS) {
    assert.match(section, new RegExp(name === "help" ? "--help" : `pulsewire ${name}`), name);
  }
});

Deno.test("Each shell's completion holds every command, flag and choice", () => {
  for (const shell of SHELLS) {
    const script = completionScript(shell);
    for (const { name, flags, argument } of COMMANDS) {
      assert.match(script, new RegExp(`\\b${name}\\b`));
      const words = [
        ...flags.map((flag) => flag.name),
        ...flags.flatMap(({ choices = [] }) => choices),
        ...(argument?.choices ?? []),
      ];
      for (const word of words) {
        assert.match(script, new RegExp(`\\b${word}\\b`), `${shell} ${word}`);
      }
    }
  }
});

/** What bash offers for the last of the words. */
async function bashOffers(words: readonly string[]): Promise<readonly string[]> {
  const asking = `${completionScript("bash")}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pulsewire; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-eu", "-c", asking, "bash", ...words],
    stdin: "null",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).split("\n").filter((word) => word !== "");
}

Deno.test("Bash completes commands, flags, choices and paths", async () => {
  assert.deepEqual(await bashOffers(["pulsewire", "t"]), ["token", "tail"]);
  assert.deepEqual(await bashOffers(["pulsewire", "--v"]), ["--version"]);
  assert.deepEqual(await bashOffers(["pulsewire", "check", "--o"]), ["--other-tenant"]);
  assert.deepEqual(await bashOffers(["pulsewire", "tail", "--mode", ""]), ["latest", "every"]);
  assert.deepEqual(await bashOffers(["pulsewire", "tail", "-d", ""]), []);
  assert.deepEqual(await bashOffers(["pulsewire", "completion", "z"]), ["zsh"]);
  assert.deepEqual(
    await bashOffers(["pulsewire", "tail", "--token-file", "/etc/host"]).then(
      (paths) => paths.every((path) => path.startsWith("/etc/host")),
    ),
    true,
  );
});

for (const shell of ["zsh", "fish"] as const) {
  const isInstalled = ["/bin", "/usr/bin", "/usr/local/bin"].some((folder) => {
    try {
      return Deno.statSync(`${folder}/${shell}`).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });
  Deno.test({
    name: `${shell} can read its completion${
      isInstalled ? "" : ` (left out: it is not installed)`
    }`,
    ignore: !isInstalled,
    async fn() {
      const file = await Deno.makeTempFile();
      await Deno.writeTextFile(file, completionScript(shell));
      const { code } = await new Deno.Command(shell, { args: ["-n", file] }).output();
      await Deno.remove(file);
      assert.equal(code, 0);
    },
  });
}

Deno.test("Words of others can't move a cursor or forge a line, and JSON stays what it was", () => {
  assert.equal(
    printable("a\x1b[31m\n\u009b2J\u202e\u2028ä°€😀"),
    "a\\u001b[31m\\u000a\\u009b2J\\u202e\\u2028ä°€😀",
  );
  assert.equal(printable("\u{e0041}"), "\\udb40\\udc41");
  const value = { text: "\x7f\u009b\u202e\u{e0041} \n ä" };
  assert.deepEqual(JSON.parse(printable(JSON.stringify(value))), value);
});

Deno.test("A terminal writes whole lines in order, however little it takes at once", async () => {
  const taken: number[] = [];
  const out = {
    write: (bytes: Uint8Array) => {
      const part = bytes.subarray(0, 3);
      taken.push(...part);
      return Promise.resolve(part.length);
    },
  };
  const terminal = createTerminal({ out, err: out });
  await Promise.all([terminal.print("first line"), terminal.print("second\n")]);
  assert.equal(new TextDecoder().decode(new Uint8Array(taken)), "first line\nsecond\n");
});

Deno.test("The process says its version and its help with 0, and what it can't do with 2", async () => {
  const runs: readonly (readonly [string, number, RegExp, RegExp])[] = [
    ["--version", 0, new RegExp(`^pulsewire ${VERSION}\n$`), /^$/],
    ["--help", 0, /^ {2}tail /m, /^$/],
    ["tail --help", 0, /--token-file PATH/, /^$/],
    ["help check", 0, /--other-tenant TENANT/, /^$/],
    ["completion fish", 0, /^complete -c pulsewire/m, /^$/],
    ["nope", 2, /^$/, /^Command nope is not known/],
    ["check", 2, /^$/, /^ {2}DATABASE_URL is missing$/m],
    ["tail --alerts", 2, /^$/, /^Token is missing: give --token-file, or set PULSEWIRE_TOKEN$/m],
  ];
  for (const [words, code, stdout, stderr] of runs) {
    await using cli = await CliProcess.run(words.split(" "));
    assert.equal((await cli.status).code, code, cli.said);
    assert.match(cli.stdout, stdout);
    assert.match(cli.stderr, stderr);
  }
});
