// Hears when the machine woke, the network came back or the tab is looked at again, where the platform tells it; where
// it does not, nothing is heard and nothing fails.
import { type Stop, stopOf } from "./client_events.ts";

/** What of a browser's window is used; everything may be missing. */
export interface WakeTarget {
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
  readonly document?: {
    readonly visibilityState: string;
    addEventListener(type: string, listener: () => void): void;
    removeEventListener(type: string, listener: () => void): void;
  };
}

export function onWake(target: WakeTarget, woke: () => void): Stop {
  const { document } = target;
  const looked = () => {
    if (document?.visibilityState === "visible") woke();
  };
  target.addEventListener?.("online", woke);
  target.addEventListener?.("pageshow", woke);
  document?.addEventListener("visibilitychange", looked);
  return stopOf(() => {
    target.removeEventListener?.("online", woke);
    target.removeEventListener?.("pageshow", woke);
    document?.removeEventListener("visibilitychange", looked);
  });
}
