// Puts the connection's state into words, once for the eye and once, without anything that counts, for the ear.
import { formatAge, formatInstant } from "./format_time.ts";
import type { Link } from "./live_tenant.ts";
import { text } from "./strings.ts";

export interface LinkWords {
  readonly tone: "good" | "warning" | "bad" | "neutral";
  readonly text: string;
  readonly spoken: string;
  readonly canHurry: boolean;
}

/** `retryAt` and `since` of a link are this machine's time. */
export function linkWords(link: Link | null, nowMs: number): LinkWords {
  const { connection: words } = text;
  if (link === null) return plain("neutral", words.signedOut);
  if (link.state === "live") return plain("good", words.live);
  if (link.state === "degraded") return plain("warning", degradedWords(link, nowMs));
  if (link.state === "connecting") {
    return plain("neutral", link.lostMs === null ? words.connecting : words.reconnectingNow);
  }
  if (link.retryAt === null && link.state === "offline") {
    return { tone: "bad", text: words.lost, spoken: words.lost, canHurry: true };
  }
  const seconds = Math.max(0, Math.ceil(((link.retryAt ?? nowMs) - nowMs) / 1_000));
  return {
    tone: "bad",
    text: seconds === 0 ? words.reconnectingNow : words.reconnecting(seconds),
    spoken: words.announceReconnecting,
    canHurry: true,
  };
}

/** A sentence for the whole width, or null while all is well; `nowMs` is the service's time. */
export function bannerWords(link: Link, nowMs: number): string | null {
  if (link.state === "degraded") {
    const { names, sinceMs } = degradedOf(link);
    if (sinceMs === null) {
      return text.banner.degraded(names, text.banner.notSaid, formatAge(nowMs - link.since));
    }
    const age = formatAge(Math.max(0, nowMs - sinceMs));
    return text.banner.degraded(names, formatInstant(sinceMs, nowMs), age);
  }
  return link.lostMs === null ? null : text.banner.offline(formatInstant(link.lostMs, Date.now()));
}

function plain(tone: LinkWords["tone"], words: string): LinkWords {
  return { tone, text: words, spoken: words, canHurry: false };
}

function degradedWords(link: Link, nowMs: number): string {
  const { names, sinceMs } = degradedOf(link);
  const since = sinceMs === null ? text.banner.notSaid : formatInstant(sinceMs, nowMs);
  return text.connection.degraded(names, since);
}

function degradedOf({ sources }: Link): { names: string; sinceMs: number | null } {
  const names = sources.map(({ source }) => text.source[source]).join(", ");
  const instants = sources.map(({ since }) => Date.parse(since)).filter((ms) => !Number.isNaN(ms));
  return { names, sinceMs: instants.length === 0 ? null : Math.min(...instants) };
}
