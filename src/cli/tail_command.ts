// Follows a service in a terminal until somebody ends it; it must not outlive its reader, and never show the token.
import {
  type ClientState,
  PulsewireClient,
  PulsewireError,
  type StateDetails,
} from "../client/pulsewire_client.ts";
import { readClientSettings } from "../config.ts";
import type { Flags } from "./parse_command.ts";
import { JSON_LINES, type TailLine, TEXT_LINES } from "./tail_lines.ts";
import { type TailOptions, tailOptionsOf } from "./tail_options.ts";
import { tailToken } from "./tail_token.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage_error.ts";

/** The close code after which no token of the same person helps. */
const NOT_ALLOWED = 4003;
/** The runtime's close code for a socket that broke, or never was. */
const NO_CODE = 0;

/** 0 when it was ended, 1 when the service ended it for good. Throws UsageError. */
export async function tailCommand(flags: Flags, terminal: Terminal): Promise<number> {
  const options = tailOptionsOf(flags, readClientSettings());
  const { source: token, canChange } = await tailToken(flags);
  using client = new PulsewireClient(options.url, { token });
  const ended = Promise.withResolvers<void>();
  const over = new AbortController();
  const signals = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"] as const
    : ["SIGINT", "SIGTERM"] as const;
  const end = () => ended.resolve();
  for (const signal of signals) Deno.addSignalListener(signal, end);
  try {
    await Promise.race([
      ended.promise,
      follow(client, { options, terminal, canChange, over: over.signal }),
    ]);
    return 0;
  } catch (error) {
    over.abort();
    // Whoever read it has what they wanted.
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    if (error instanceof UsageError) throw error;
    if (!(error instanceof PulsewireError)) throw error;
    await say(
      terminal,
      (options.isJson ? JSON_LINES : TEXT_LINES).error(error.code, error.message),
    );
    return 1;
  } finally {
    over.abort();
    for (const signal of signals) Deno.removeSignalListener(signal, end);
  }
}

/** Never resolves; rejects with what ends it. */
function follow(
  client: PulsewireClient,
  { options, terminal, canChange, over }: {
    readonly options: TailOptions;
    readonly terminal: Terminal;
    readonly canChange: boolean;
    /** Nothing is told any more, not even that the client was closed. */
    readonly over: AbortSignal;
  },
): Promise<never> {
  const lines = options.isJson ? JSON_LINES : TEXT_LINES;
  const { promise, reject } = Promise.withResolvers<never>();
  const tell = (told: readonly TailLine[]) => {
    if (!over.aborted) say(terminal, told).catch(reject);
  };
  let last: Told = { state: "offline", reason: null };
  client.on("state", (state, details) => {
    const reason = reasonAfter(last, { state, details, url: options.url });
    last = { state, reason };
    tell(lines.state(state, { ...details, reason }));
    if (isFinal(state, details, canChange)) {
      reject(new PulsewireError(state === "offline" ? "refused" : state, reasonOf(details)));
    }
  });
  client.on("gap", (gap) => tell(lines.gap(gap)));
  client.on("stale", (device) => tell(lines.stale(device)));
  client.on("error", ({ code, message, cause }) => {
    // A file that is gone, or that may not be read: the client asks for it again.
    const why = cause instanceof UsageError ? `${message}: ${cause.message}` : message;
    tell(lines.error(code, why));
  });
  for (const deviceId of options.deviceIds) {
    const each = async () => {
      // Awaited one by one, so that a reader that is slow makes the client keep less, and not more.
      for await (const sample of client.samples(deviceId, options.device)) {
        await say(terminal, lines.sample(sample));
      }
    };
    each().catch(reject);
  }
  if (options.hasAlerts) client.alerts((open, change) => tell(lines.alerts(open, change)));
  if (options.hasFleet) client.fleet((fleet) => tell(lines.fleet(fleet)));
  return promise;
}

async function say(terminal: Terminal, told: readonly TailLine[]): Promise<void> {
  for (const { text, isAside } of told) {
    await (isAside ? terminal.complain(text) : terminal.print(text));
  }
}

/** What was last said of the connection. */
interface Told {
  readonly state: ClientState;
  readonly reason: string | null;
}

/** Of an attempt that reached nobody the client knows neither a code nor a reason; it says the same of a lost socket. */
function reasonAfter(
  last: Told,
  { state, details: { closeCode, reason }, url }: {
    readonly state: ClientState;
    readonly details: StateDetails;
    readonly url: URL;
  },
): string | null {
  if (closeCode !== NO_CODE) return reason;
  // The next attempt begins with why the last one failed.
  if (state === "connecting") return last.reason;
  return last.state === "connecting" ? `Could not connect to ${url.href}` : reason;
}

function reasonOf({ reason }: StateDetails): string {
  return reason ?? "The service ended the connection";
}

/** Whether the client will not come back by itself. While another token is asked for, no attempt is due either. */
function isFinal(
  state: ClientState,
  { retryAt, closeCode }: StateDetails,
  canChange: boolean,
): boolean {
  if (retryAt !== null) return false;
  if (state === "offline") return true;
  return state === "unauthorized" && (!canChange || closeCode === NOT_ALLOWED);
}
