// One subscribe to a device and what comes of it: whom it serves, from where, and what of its history each of them wants.
// Pure.
import type { MessageId } from "../protocol/client_messages.ts";
import type { ResumeReason } from "../protocol/server_messages.ts";
import { instantOfStart, type Needs, type Start } from "./device_needs.ts";
import type { Follower } from "./follower.ts";
import { earlierBy } from "./instants.ts";

export type Plan =
  | {
    readonly name: "subscribe";
    readonly needs: Needs;
    readonly start: Start;
    readonly resolutionSeconds: number | null;
  }
  | { readonly name: "unsubscribe" };

/** One subscribe and what comes of it. */
export interface Pass {
  id: MessageId | null;
  readonly plan: Extract<Plan, { readonly name: "subscribe" }>;
  readonly companions: readonly Follower[];
  /** Where what each is due begins. */
  readonly starts: ReadonlyMap<Follower, Start>;
  readonly serverNow: number;
  /** What the service goes on with if it refuses this. */
  readonly before: Needs | null;
  /** Devices whose history is not complete; null until it was answered. */
  remaining: Set<string> | null;
  /** Whether all devices were asked for and the service could not find out yet which there are. */
  isUnlisted: boolean;
}

/** What a listener does not want of a history that goes back further than its own. */
export function limitOf(
  own: Start,
  { plan: { start: asked, resolutionSeconds }, serverNow }: Pass,
): string | null {
  const isNarrower = own.kind === "back" &&
    (asked.kind !== "back" || asked.seconds > own.seconds);
  if (own.kind !== "after" && !isNarrower) return null;
  const instant = instantOfStart(own, serverNow);
  // A window that began before may hold what came later.
  return instant === null ? null : earlierBy(instant, (resolutionSeconds ?? 0) * 1_000);
}

/** Whether what the service could not give is something that this listener asked for. */
export function isMissing(
  own: Start,
  { pass, from, reason }: {
    readonly pass: Pass;
    readonly from: string;
    readonly reason: ResumeReason | undefined;
  },
): boolean {
  const begin = instantOfStart(own, pass.serverNow) ?? from;
  if (reason === "source_unavailable") return true;
  if (reason === "in_future") return begin > from;
  const { start: asked } = pass.plan;
  // The service counted it back by its own clock, and knows better than an estimate.
  const isWidest = own.kind === "back" && asked.kind === "back" && own.seconds === asked.seconds;
  return isWidest || begin < from;
}
