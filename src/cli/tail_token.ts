// Finds the token that a terminal client shows; it must never print it, nor the path where a person put it by mistake.
import type { TokenSource } from "../client/pulsewire_client.ts";
import { readClientSettings } from "../config.ts";
import type { Flags } from "./parse_command.ts";
import { UsageError } from "./usage_error.ts";

export interface TailToken {
  readonly source: TokenSource;
  /** Whether another one may be there the next time. */
  readonly canChange: boolean;
}

/** By flag, by file, by the environment, in this order. Throws UsageError. */
export async function tailToken(flags: Flags): Promise<TailToken> {
  const [given, path] = [flags.text("token"), flags.text("token-file")];
  if (given !== undefined && path !== undefined) {
    throw new UsageError("Flags --token and --token-file exclude each other");
  }
  if (given !== undefined) return { source: given.trim(), canChange: false };
  if (path === "-") {
    return { source: tokenIn(await new Response(Deno.stdin.readable).text()), canChange: false };
  }
  if (path !== undefined) {
    // Once at the start, so that a file that can't be read is told at once.
    await readFile(path);
    return { source: () => readFile(path), canChange: true };
  }
  const { token } = readClientSettings();
  if (token === null) {
    throw new UsageError("Token is missing: give --token-file, or set PULSEWIRE_TOKEN");
  }
  return { source: token, canChange: false };
}

async function readFile(path: string): Promise<string> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotCapable
      ? "this process may only read /run/secrets; redirect the file and give - instead"
      : error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : (error as Error).name;
    throw new UsageError(`Flag --token-file can't be read: ${reason}`);
  }
  return tokenIn(text);
}

function tokenIn(text: string): string {
  const token = text.trim();
  if (token !== "") return token;
  throw new UsageError("Token is empty");
}
