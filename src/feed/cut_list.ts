// Where a list of open alerts ends, wherever two of them are compared. It must take nobody for closed who is only out of
// sight.
import type { Alert } from "../protocol/server_messages.ts";

/** Whether an alert that is not in the list, newest first and cut, may be open all the same: behind its end. */
export function isBehindEnd(
  { created_at, alert_id }: Alert,
  open: readonly Alert[],
): boolean {
  const last = open.at(-1);
  if (last === undefined) return true;
  return created_at === last.created_at ? alert_id < last.alert_id : created_at < last.created_at;
}
