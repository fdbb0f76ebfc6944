// One connection's subscription to its tenant's alerts: the list at every read, or the list once and then what changed.
// It reads nothing and sends nothing.
import type { AlertState, WholeAlerts } from "../feed/seam.ts";
import { type Frame, frameOf, frameText } from "../protocol/frame.ts";
import type { Alert, AlertChanges } from "../protocol/server_messages.ts";
import type { AlertStep, Whole } from "./alert_steps.ts";
import { type AlertView, chosenAlerts, NOTHING_TOLD, viewedChanges, viewOf } from "./alert_view.ts";
import type { Delivered } from "./delivered.ts";
import type { Progress } from "./progress.ts";
import type { Offering, Push } from "./push.ts";
import type { TenantGroup } from "./tenant_group.ts";

export interface AlertOptions {
  readonly mode: "list" | "changes";
  readonly changesOnly: boolean;
  /** Only alerts of these devices; null for all. */
  readonly deviceIds: ReadonlySet<string> | null;
}

/** As the core protocol has it. */
export const CORE_ALERTS: AlertOptions = { mode: "list", changesOnly: false, deviceIds: null };

/** Whether the core protocol's list is enough to make what the client wants. */
export function kindOf({ mode, deviceIds }: AlertOptions): "core" | "whole" {
  return mode === "changes" || deviceIds !== null ? "whole" : "core";
}

/** What a client that follows changes has been told so far; the list is shared by all who stand there. */
export interface AlertPlace {
  readonly number: number;
  readonly readAt: number;
  readonly open: readonly Alert[];
  /** Whether more were open: the client may have been told of some that fell off the end. */
  readonly isCut: boolean;
  readonly view: AlertView;
  /** What a catch-up told may be told again by no read that began later than the first one after this. */
  readonly toldUntil: number;
}

/** What a catch-up brings. */
export interface AlertNews {
  readonly whole: Whole;
  /** Whether the client is told all that is open, before what changed. */
  readonly isAnew: boolean;
  readonly changes: AlertChanges;
  /** When all of it had been read, in milliseconds since the epoch. */
  readonly readAt: number;
}

export class AlertSubscription implements Progress, Offering {
  readonly options: AlertOptions;
  readonly kind: "core" | "whole";
  seq: number;
  isOwed: boolean;
  /** While what it missed is fetched nothing is pushed. */
  isHeld = false;
  /** Ends the fetching of what it missed. */
  fetching: AbortController | null = null;
  readonly #group: TenantGroup;
  #offeredSeq = 0;
  #sentVersion = 0;
  #offeredVersion = 0;
  #sentText: string | null = null;
  #offeredText: string | null = null;
  #place: AlertPlace | null = null;
  #offeredPlace: AlertPlace | null = null;

  constructor(group: TenantGroup, { options, progress }: {
    readonly options: AlertOptions;
    readonly progress: Progress;
  }) {
    this.#group = group;
    this.options = options;
    this.kind = kindOf(options);
    this.seq = progress.seq;
    this.isOwed = progress.isOwed;
  }

  get place(): AlertPlace | null {
    return this.#place;
  }

  /**
   * The latest time, in milliseconds since the epoch, from which a client that comes back misses nothing: null while it
   * was not told everything, undefined where every list says all.
   */
  resumePointMs(lateMs: number): number | null | undefined {
    if (this.options.mode === "list") return undefined;
    return this.isHeld || this.#place === null ? null : this.#place.readAt - lateMs;
  }

  /** Whether the client was told lately that the alert is closed, or follows since it was. */
  wasToldClosed(alertId: number): boolean {
    if (this.#place === null) return false;
    const { number, view } = this.#place;
    return view.told.has(alertId) || this.#group.alertSteps.hasClosed(alertId, number);
  }

  collect(push: Push): void {
    if (this.isHeld) return;
    const { alerts: state } = this.#group;
    if (state === null || state.seq <= this.seq || (this.kind === "whole" && !state.whole)) {
      push.isOwed ||= this.isOwed;
      return;
    }
    this.#offeredSeq = state.seq;
    this.#offeredVersion = this.#sentVersion;
    this.#offeredText = this.#sentText;
    this.#offeredPlace = this.#place;
    if (this.options.mode === "list") this.#collectList(push, state);
    else if (!this.#collectChanges(push, state)) return;
    push.offerings.push(this);
  }

  sent(): void {
    this.seq = this.#offeredSeq;
    this.isOwed = false;
    this.#sentVersion = this.#offeredVersion;
    this.#sentText = this.#offeredText;
    this.#place = this.#offeredPlace;
  }

  /** Goes on at the state that a catch-up brings the client to, and returns the messages that do. */
  goOn({ whole, isAnew, changes, readAt }: AlertNews): readonly Frame[] {
    const { deviceIds } = this.options;
    const frames: Frame[] = [];
    let view = this.#place?.view ?? viewOf([], deviceIds);
    if (isAnew) {
      frames.push(this.#listFrame(whole));
      view = viewOf(chosenAlerts(whole.open, deviceIds), deviceIds);
    }
    const viewed = viewedChanges(changes, { deviceIds, view });
    const frame = changesFrame(viewed.changes, whole);
    if (frame !== null) frames.push(frame);
    this.seq = whole.seq;
    this.isOwed = false;
    this.#place = placeAt(whole, {
      view: { ...viewed.view, told: new Set([...viewed.view.told, ...changes.closed]) },
      toldUntil: readAt,
    });
    return frames;
  }

  #collectList(push: Push, state: Delivered<AlertState>): void {
    const { changesOnly, deviceIds } = this.options;
    if (state.deliveredAt <= push.oldest) return;
    if (changesOnly && state.version === this.#sentVersion) return;
    this.#offeredVersion = state.version;
    const frame = deviceIds === null || state.whole === null
      ? state.frame
      : this.#listFrame(state.whole);
    if (changesOnly) {
      const text = frameText(frame);
      if (text === this.#sentText) return;
      this.#offeredText = text;
    }
    push.add(frame, state.readAt);
  }

  /** False when it missed something that is not there any more. */
  #collectChanges(push: Push, { readAt, deliveredAt }: Delivered<AlertState>): boolean {
    const { deviceIds } = this.options;
    const { newest: whole } = this.#group.alertSteps;
    if (whole === null) return false;
    if (this.#place === null) {
      if (deliveredAt <= push.oldest) return true;
      push.add(this.#listFrame(whole), readAt);
      const view = viewOf(chosenAlerts(whole.open, deviceIds), deviceIds);
      this.#offeredPlace = placeAt(whole, { view, toldUntil: 0 });
      return true;
    }
    const { toldUntil } = this.#place;
    const missed = this.#group.alertSteps.after(this.#place.number);
    if (missed === null) {
      push.behindAlerts = this;
      return false;
    }
    let { view } = this.#place;
    for (const step of missed) {
      view = this.#collectStep(push, { step, whole, view });
      if (view.told.size === 0 || step.readAt <= toldUntil) continue;
      // Closed when the catch-up looked, and open again: no step need say so.
      const opened = whole.open.filter(({ alert_id }) => view.told.has(alert_id));
      const again = { changes: { opened, updated: [], closed: [] }, readAt };
      const untold = { ...view, told: NOTHING_TOLD };
      view = this.#collectViewed(push, { ...again, whole, view: untold });
    }
    this.#offeredPlace = placeAt(whole, { view, toldUntil });
    return true;
  }

  /** Most clients follow all alerts and have nothing to leave out: they share one message. */
  #collectStep(
    push: Push,
    { step, whole, view }: {
      readonly step: AlertStep;
      readonly whole: Whole;
      readonly view: AlertView;
    },
  ): AlertView {
    const { changes, readAt } = step;
    if (changes === null) return view;
    if (view.mine !== null || view.told.size > 0) {
      return this.#collectViewed(push, { changes, readAt, whole, view });
    }
    step.frame ??= changesFrame(changes, whole);
    if (step.frame !== null) push.add(step.frame, readAt);
    return view;
  }

  #collectViewed(
    push: Push,
    { changes, readAt, whole, view }: {
      readonly changes: AlertChanges;
      readonly readAt: number;
      readonly whole: Whole;
      readonly view: AlertView;
    },
  ): AlertView {
    const viewed = viewedChanges(changes, { deviceIds: this.options.deviceIds, view });
    const frame = changesFrame(viewed.changes, whole);
    if (frame !== null) push.add(frame, readAt);
    return viewed.view;
  }

  #listFrame(whole: WholeAlerts): Frame {
    const alerts = chosenAlerts(whole.open, this.options.deviceIds);
    return frameOf({ type: "alerts", alerts, ...cut(whole) });
  }
}

/** Null where nothing changed. */
function changesFrame({ opened, updated, closed }: AlertChanges, whole: WholeAlerts): Frame | null {
  if (opened.length + updated.length + closed.length === 0) return null;
  return frameOf({ type: "alert_changes", opened, updated, closed, ...cut(whole) });
}

function placeAt(
  { number, readAt, open, total }: Whole,
  { view, toldUntil }: Pick<AlertPlace, "view" | "toldUntil">,
): AlertPlace {
  return { number, readAt, open, isCut: total > open.length, view, toldUntil };
}

function cut({ open, total }: WholeAlerts): { readonly truncated?: true; readonly total?: number } {
  return total > open.length ? { truncated: true, total } : {};
}
