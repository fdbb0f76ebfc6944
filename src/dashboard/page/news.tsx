// Says to those who can't see it that alerts opened or closed: gathered, politely, and at most once in some seconds.
import { useEffect, useRef, useState } from "preact/hooks";
import type { LiveTenant } from "./live_tenant.ts";
import { text } from "./strings.ts";

const GATHER_MS = 4_000;

export function News({ live }: { readonly live: LiveTenant }) {
  const news = live.alertNews.value;
  const gathered = useRef({ opened: 0, closed: 0 });
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const [said, say] = useState("");
  useEffect(() => {
    if (news === null) return;
    gathered.current.opened += news.opened;
    gathered.current.closed += news.closed;
    timer.current ??= setTimeout(() => {
      timer.current = null;
      const { opened, closed } = gathered.current;
      gathered.current = { opened: 0, closed: 0 };
      say([
        ...(opened > 0 ? [text.alert.opened(opened)] : []),
        ...(closed > 0 ? [text.alert.closedCount(closed)] : []),
      ].join(", "));
    }, GATHER_MS);
  }, [news]);
  useEffect(() => () => {
    if (timer.current !== null) clearTimeout(timer.current);
  }, []);
  return <p class="unseen" aria-live="polite">{said}</p>;
}
