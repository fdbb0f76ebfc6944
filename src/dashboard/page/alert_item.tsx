// One alert as a line of a list: how bad, what, where, since when. Its texts come from a database and are shown as text.
import type { Alert } from "../../protocol/server_messages.ts";
import { levelOf } from "./alert_board.ts";
import { formatAge } from "./format_time.ts";
import { deviceHash } from "./route.ts";
import { text } from "./strings.ts";

export interface AlertItemProps {
  readonly alert: Alert;
  readonly nowMs: number;
  readonly isNew?: boolean;
  /** When it closed; absent while it is open. */
  readonly closedMs?: number;
  readonly withDevice?: boolean;
}

export function AlertItem(
  { alert, nowMs, isNew = false, closedMs, withDevice = true }: AlertItemProps,
) {
  const createdMs = Date.parse(alert.created_at);
  const age = (ms: number) => Number.isNaN(ms) ? "" : formatAge(Math.max(0, nowMs - ms));
  const facts = [alert.alert_type?.replaceAll("_", " "), alert.site_id].filter(Boolean);
  return (
    <li
      class="alert"
      data-level={levelOf(alert.severity)}
      data-new={isNew}
      data-closed={closedMs !== undefined}
    >
      <span class="severity">{text.alert.severity(alert.severity)}</span>
      <span class="summary">{alert.summary ?? alert.alert_type ?? text.alert.noSummary}</span>
      <span class="facts">
        {withDevice && (alert.device_id === null
          ? <span>{text.alert.allSites}</span>
          : <a href={deviceHash(alert.device_id)}>{alert.device_id}</a>)}
        {facts.map((fact) => <span key={fact}>{fact}</span>)}
      </span>
      <time class="age" dateTime={alert.created_at}>
        {closedMs === undefined ? age(createdMs) : text.alert.closedAgo(age(closedMs))}
      </time>
    </li>
  );
}
