// How many TCP connections a listener may accept, so that descriptors last for everything else; it opens none itself.
import type { Config } from "./config.ts";
import type { Log } from "./observe/log.ts";
import { openFileLimit } from "./observe/open_file_limit.ts";

/** Descriptors beside those of clients: databases, the issuer, files, and what the runtime itself needs. */
const RESERVED_DESCRIPTORS = 128;

/**
 * The sockets and the refused, and a tenth as many again for plain HTTP; fewer where there are not descriptors enough.
 * Of several listeners each may get nearly all that come.
 */
export async function maxSockets(
  config: Config,
  { log, listeners = 1 }: { readonly log: Log; readonly listeners?: number },
): Promise<number> {
  const { MAX_CONNECTIONS, MAX_REFUSED_SOCKETS } = config;
  const wanted = MAX_CONNECTIONS + Math.ceil(MAX_CONNECTIONS / 10) + MAX_REFUSED_SOCKETS;
  const needed = (wanted + burstOf(wanted)) * listeners + RESERVED_DESCRIPTORS;
  const limit = await openFileLimit();
  if (limit === null) {
    log.info("descriptors_unknown", { needed });
    return wanted;
  }
  if (needed <= limit) return wanted;
  log.warning("descriptors_too_few", {
    limit,
    needed,
    cure: "raise the limit of open files, or lower MAX_CONNECTIONS",
  });
  const left = Math.floor((limit - RESERVED_DESCRIPTORS) / listeners);
  return Math.max(1, Math.min(wanted, left - burstOf(left)));
}

/** Descriptors that connections take for a moment before those beyond the most are dropped: those of a full backlog. */
function burstOf(sockets: number): number {
  return Math.min(511, Math.ceil(Math.max(0, sockets) / 4));
}
