// What a person must know before they trust anything below it: a source that fails, no connection, a token that ends.
import type { Dashboard } from "./dashboard.ts";
import { formatInstant } from "./format_time.ts";
import { bannerWords } from "./link_words.ts";
import type { LiveTenant } from "./live_tenant.ts";
import { text } from "./strings.ts";

const ENDS_SOON_MS = 300_000;

export function Banner(
  { live, dashboard }: { readonly live: LiveTenant; readonly dashboard: Dashboard },
) {
  const link = live.link.value;
  const nowMs = dashboard.nowMs.value;
  const words = bannerWords(link, nowMs);
  const endsMs = dashboard.endsMs.value;
  const endsSoon = endsMs !== null && endsMs - nowMs < ENDS_SOON_MS;
  return (
    <>
      {words !== null && <p class="banner" data-state={link.state}>{words}</p>}
      {endsSoon && (
        <p class="banner" data-state="expiring">
          {text.banner.expiring(formatInstant(endsMs, nowMs))}
          <button type="button" onClick={() => dashboard.signOut()}>
            {text.banner.signInAgain}
          </button>
        </p>
      )}
    </>
  );
}
