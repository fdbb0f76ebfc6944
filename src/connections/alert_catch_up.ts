// Brings a client that follows changes of alerts to a state that the feed goes on from: after it was away, or when its
// socket could not take what changed. It must tell nothing twice and leave nothing out that the database still says.
import { isBehindEnd } from "../feed/cut_list.ts";
import type { AlertHistory } from "../feed/seam.ts";
import { instantOfMs } from "../protocol/nano_instant.ts";
import type { Alert, AlertChanges, Resume } from "../protocol/server_messages.ts";
import type { Whole } from "./alert_steps.ts";
import type { AlertNews, AlertSubscription } from "./alert_subscription.ts";
import { idsOf } from "./alert_view.ts";
import type { CatchUpDeps } from "./catch_up.ts";
import type { Connection } from "./connection.ts";
import { untilAnswered } from "./until_answered.ts";

export interface AlertCatchUp {
  readonly connection: Connection;
  readonly subscription: AlertSubscription;
  /** Falls when the subscription is replaced or its connection ends. */
  readonly signal: AbortSignal;
}

/** What was closed after an instant, and the state that was known before it was asked. */
interface Past {
  /** Null where none was known that is young enough. */
  readonly whole: Whole | null;
  readonly history: AlertHistory;
  /** When the answer was there, in milliseconds since the epoch. */
  readonly readAt: number;
}

/** Sends the whole list, and then what came and went since the client was there last. */
export async function resumeAlerts(
  { since, answered, ...catchUp }: AlertCatchUp & {
    readonly since: string;
    readonly answered: (resume: Resume) => void;
  },
  deps: CatchUpDeps,
): Promise<void> {
  const { connection: { group: { alertSteps } }, subscription, signal } = catchUp;
  const start = boundedStart(since, deps);
  let isAnswered = false;
  const answer = (resume: Resume) => {
    if (isAnswered) return;
    isAnswered = true;
    answered(resume);
  };
  const incomplete = (reason: NonNullable<Resume["reason"]>) =>
    answer({ from: start.from, complete: false, reason });
  const replaced = () => incomplete("replaced");
  signal.addEventListener("abort", replaced, { once: true });
  const failed = () => incomplete("source_unavailable");
  // A state that was old when the subscription began must not pretend to be live.
  const newest = () => {
    const whole = alertSteps.newest;
    return whole !== null && whole.seq > subscription.seq ? whole : null;
  };
  const question = { since: start.from, newest, failed, deps };
  let past = await untilRead(catchUp, question);
  if (past?.history.isTruncated === true) incomplete("too_many");
  else if (past !== null) answer(start);
  signal.removeEventListener("abort", replaced);
  while (past !== null && past.whole === null) {
    if (newest() === null) await alertSteps.next(signal);
    // What came and went between the history's read and the list's would be in neither.
    past = await untilRead(catchUp, question);
  }
  if (past === null || past.whole === null) return;
  const { whole, history: { passed, closed }, readAt } = past;
  const open = idsOf(whole.open);
  const opened = passed.filter(({ alert_id }) => !open.has(alert_id));
  const changes = { opened, updated: [], closed };
  await goOn(catchUp, { whole, isAnew: true, changes, readAt });
}

/** Sends what changed between the state that the client was sent last and the newest one. */
export async function recoverAlerts(catchUp: AlertCatchUp, deps: CatchUpDeps): Promise<void> {
  const { connection, subscription, signal } = catchUp;
  await connection.offer(() => [], signal);
  const { place } = subscription;
  if (signal.aborted || place === null) return;
  const since = instantOfMs(place.readAt - deps.lateMs);
  const newest = () => connection.group.alertSteps.newest;
  const past = await untilRead(catchUp, { since, newest, failed: () => {}, deps });
  if (past === null || past.whole === null) return;
  const { whole, history, readAt } = past;
  const { told } = place.view;
  const known = new Map(
    place.open.filter(({ alert_id }) => !told.has(alert_id))
      .map((alert) => [alert.alert_id, alert]),
  );
  const open = idsOf(whole.open);
  const passed = history.passed.filter(({ alert_id }) =>
    !known.has(alert_id) && !open.has(alert_id) && !subscription.wasToldClosed(alert_id)
  );
  const isCut = whole.total > whole.open.length;
  const gone = new Set(history.closed);
  // It may have been told of those before they fell off the end, and ignores the ids of others.
  const last = place.isCut ? place.open.at(-1)?.created_at ?? "" : "";
  const mayKnow = ({ alert_id, created_at }: Alert) => !known.has(alert_id) && created_at <= last;
  const cameAndWent = new Set(passed.map(({ alert_id }) => alert_id));
  const fallen = place.isCut
    ? history.closed.filter((id) =>
      !known.has(id) && !open.has(id) && !subscription.wasToldClosed(id) && !cameAndWent.has(id)
    )
    : [];
  const changes: AlertChanges = {
    opened: [
      ...whole.open.filter((alert) => !known.has(alert.alert_id) && !mayKnow(alert)),
      ...passed,
    ],
    updated: whole.open.filter((alert) =>
      mayKnow(alert) || isChanged(known.get(alert.alert_id), alert)
    ),
    closed: [
      ...[...known.values()].filter((alert) =>
        !open.has(alert.alert_id) &&
        (!isCut || gone.has(alert.alert_id) || !isBehindEnd(alert, whole.open))
      ).map(({ alert_id }) => alert_id),
      ...passed.map(({ alert_id }) => alert_id),
      ...fallen,
    ],
  };
  await goOn(catchUp, { whole, isAnew: false, changes, readAt });
}

async function goOn(
  { connection, subscription, signal }: AlertCatchUp,
  news: AlertNews,
): Promise<void> {
  const { views } = connection.group;
  const frames = subscription.goOn(news);
  // What comes while this waits for room goes on from there.
  await connection.offer(() => {
    if (!connection.has("as_of")) return frames;
    return frames.map((frame) => views.dated(frame, news.whole.readAt));
  }, signal);
  if (signal.aborted) return;
  subscription.isHeld = false;
  connection.wake();
}

/** An alert's `since` has the bounds of every history. */
function boundedStart(since: string, { clock, historyMs, futureMs }: CatchUpDeps): Resume {
  const now = clock.now();
  const earliest = instantOfMs(now - historyMs);
  if (since < earliest) return { from: earliest, complete: false, reason: "too_old" };
  if (since > instantOfMs(now + futureMs)) {
    return { from: instantOfMs(now), complete: false, reason: "in_future" };
  }
  return { from: since, complete: true };
}

/** Asks until the source answers; null when the signal aborts first. Throws what is no fault of the source. */
async function untilRead(
  { connection: { group: { tenantId } }, signal }: AlertCatchUp,
  { since, newest, failed, deps: { histories, clock, random, log } }: {
    readonly since: string;
    readonly newest: () => Whole | null;
    readonly failed: () => void;
    readonly deps: CatchUpDeps;
  },
): Promise<Past | null> {
  return await untilAnswered(async () => {
    // Before the question: what changes meanwhile is in the answer, or in the steps that follow.
    const whole = newest();
    const history = await histories.alerts({ tenantId, since, signal });
    return { whole, history, readAt: clock.now() };
  }, { source: "alerts", failed, clock, random, log, signal });
}

function isChanged(before: Alert | undefined, after: Alert): boolean {
  return before !== undefined && before !== after &&
    JSON.stringify(before) !== JSON.stringify(after);
}
