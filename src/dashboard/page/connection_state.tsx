// Whether what is shown is live, in the corner of every view. Only a change of state is spoken, never a countdown.
import { useEffect, useState } from "preact/hooks";
import { linkWords } from "./link_words.ts";
import type { LiveTenant } from "./live_tenant.ts";
import { text } from "./strings.ts";

const TICK_MS = 500;

export function ConnectionState({ live }: { readonly live: LiveTenant | null }) {
  const link = live?.link.value ?? null;
  const [nowMs, setNow] = useState(Date.now());
  const isCounting = link?.state === "offline";
  useEffect(() => {
    setNow(Date.now());
    if (!isCounting) return;
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, [isCounting, link]);
  const words = linkWords(link, nowMs);
  return (
    <div class="link" data-tone={words.tone} data-state={link?.state ?? "signed_out"}>
      <span class="dot" aria-hidden="true" />
      <span class="link-text" aria-hidden="true">{words.text}</span>
      <span class="unseen" role="status">{words.spoken}</span>
      {words.canHurry && (
        <button type="button" onClick={() => live?.hurry()}>{text.connection.tryNow}</button>
      )}
    </div>
  );
}
