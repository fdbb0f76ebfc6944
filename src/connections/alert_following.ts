// What connections follow of alerts: keeps the interest of the feed, the tenant's group and each connection's
// subscription in step, and starts the catching up of those that ask for what changed or missed some of it.
import type { Feeds } from "../feed/feed_registry.ts";
import type { InterestChange } from "../feed/seam.ts";
import type { Log } from "../observe/log.ts";
import type { Resume } from "../protocol/server_messages.ts";
import { recoverAlerts, resumeAlerts } from "./alert_catch_up.ts";
import type { CatchUpDeps } from "./catch_up.ts";
import { type AlertOptions, AlertSubscription, CORE_ALERTS, kindOf } from "./alert_subscription.ts";
import type { Connection } from "./connection.ts";
import { guardHistory } from "./guard_history.ts";
import type { Begin } from "./progress.ts";

export interface AlertRequest {
  readonly options?: AlertOptions;
  /** Where the client was when it knew everything last; null where it begins now. */
  readonly start?: {
    /** Instant with nine digits. */
    readonly since: string;
    /** Called once, before the list. */
    readonly answered: (resume: Resume) => void;
  } | null;
}

export interface AlertFollowingOptions {
  readonly feeds: Feeds;
  readonly log: Log;
  readonly catchUp: CatchUpDeps;
  readonly begin: Begin;
}

export class AlertFollowing {
  readonly #options: AlertFollowingOptions;

  constructor(options: AlertFollowingOptions) {
    this.#options = options;
  }

  /** Follows the alerts; following them again starts anew, in the way that is asked for now. */
  subscribe(connection: Connection, { options = CORE_ALERTS, start = null }: AlertRequest): void {
    const { group, alerts: before } = connection;
    const kind = kindOf(options);
    group.followAlerts(kind);
    // A list that was read for others is not enough for who needs more than it.
    const isKnown = kind === "core" || group.alerts?.whole != null;
    const progress = this.#options.begin(connection, isKnown ? group.alerts : null);
    const subscription = new AlertSubscription(group, { options, progress });
    connection.alerts = subscription;
    const added = interestOf(subscription, 1);
    const gone = before === null ? { alerts: 0, alertChanges: 0 } : interestOf(before, -1);
    this.#options.feeds.change({
      tenantId: group.tenantId,
      alerts: added.alerts + gone.alerts,
      alertChanges: added.alertChanges + gone.alertChanges,
      first: { devices: [], alerts: progress.isOwed },
    });
    if (before !== null) letGo(connection, before);
    if (start === null) return;
    const { catchUp } = this.#options;
    void this.#fetch(
      connection,
      (signal) => resumeAlerts({ connection, subscription, signal, ...start }, catchUp),
    );
  }

  unsubscribe(connection: Connection): void {
    const { alerts: before, group } = connection;
    if (before === null) return;
    const released = this.release(connection);
    this.#options.feeds.change({ tenantId: group.tenantId, ...released });
  }

  /** Takes back everything and returns the interest that goes with it. */
  release(connection: Connection): Pick<InterestChange, "alerts" | "alertChanges"> {
    const { alerts: before } = connection;
    if (before === null) return {};
    connection.alerts = null;
    letGo(connection, before);
    return interestOf(before, -1);
  }

  /** Fetches what a subscription missed; until then nothing of the alerts is pushed. */
  recover(connection: Connection, subscription: AlertSubscription): void {
    const { catchUp } = this.#options;
    void this.#fetch(
      connection,
      (signal) => recoverAlerts({ connection, subscription, signal }, catchUp),
    );
  }

  async #fetch(
    connection: Connection,
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { alerts: subscription } = connection;
    if (subscription === null) return;
    const life = new AbortController();
    const end = () => life.abort();
    subscription.isHeld = true;
    subscription.fetching = life;
    connection.signal.addEventListener("abort", end, { once: true });
    const { signal } = life;
    await guardHistory(connection, { log: this.#options.log, signal }, () => work(signal));
    connection.signal.removeEventListener("abort", end);
    subscription.fetching = null;
  }
}

function letGo({ group }: Connection, { fetching, kind }: AlertSubscription): void {
  fetching?.abort();
  group.unfollowAlerts(kind);
}

/** Who follows changes, or some devices' alerts, needs the whole list; all others the core protocol's. */
function interestOf(
  { kind }: AlertSubscription,
  count: 1 | -1,
): Required<Pick<InterestChange, "alerts" | "alertChanges">> {
  return kind === "whole" ? { alerts: 0, alertChanges: count } : { alerts: count, alertChanges: 0 };
}
