// How many TCP connections a listener may accept and how many clients are let in, so that descriptors last for everything
// else; it opens none itself.
import type { Config } from "./config.ts";
import type { Log } from "./observe/log.ts";
import { openFileLimit } from "./observe/open_file_limit.ts";

/** Descriptors beside those of clients: databases, the issuer, files, and what the runtime itself needs. */
const RESERVED_DESCRIPTORS = 128;

export interface Room {
  /** TCP connections that each listener accepts. */
  readonly maxSockets: number;
  /** Clients that all listeners together let in: MAX_CONNECTIONS, or fewer. */
  readonly maxClients: number;
}

/**
 * The sockets and the refused, and a tenth as many again for plain HTTP; fewer where there are not descriptors enough.
 * Of several listeners each may get nearly all that come.
 */
export async function roomFor(
  config: Config,
  { log, listeners = 1 }: { readonly log: Log; readonly listeners?: number },
): Promise<Room> {
  const { MAX_CONNECTIONS, MAX_REFUSED_SOCKETS } = config;
  const wanted = MAX_CONNECTIONS + Math.ceil(MAX_CONNECTIONS / 10) + MAX_REFUSED_SOCKETS;
  const needed = (wanted + burstOf(wanted)) * listeners + RESERVED_DESCRIPTORS;
  const limit = await openFileLimit();
  if (limit === null) log.info("descriptors_unknown", { needed });
  if (limit === null || needed <= limit) {
    return { maxSockets: wanted, maxClients: MAX_CONNECTIONS };
  }
  const left = Math.floor((limit - RESERVED_DESCRIPTORS) / listeners);
  const maxSockets = Math.max(1, Math.min(wanted, left - burstOf(left)));
  // Whoever asks over HTTP, or has to be refused, needs a connection when all seats are taken.
  const seats = Math.max(1, Math.floor(maxSockets / 1.1));
  const maxClients = Math.min(MAX_CONNECTIONS, listeners === 1 ? seats : spread(seats) * listeners);
  log.warning("descriptors_too_few", {
    limit,
    needed,
    clients: maxClients,
    cure: "raise the limit of open files, or lower MAX_CONNECTIONS",
  });
  return { maxSockets, maxClients };
}

/** Descriptors that connections take for a moment before those beyond the most are dropped: those of a full backlog. */
function burstOf(sockets: number): number {
  return Math.min(511, Math.ceil(Math.max(0, sockets) / 4));
}

/** How many each listener may get on average, so that by chance one has more than `most` once in a thousand times. */
function spread(most: number): number {
  // The mean that lies three standard deviations below.
  return Math.max(1, Math.floor(((Math.sqrt(9 + 4 * most) - 3) / 2) ** 2));
}
