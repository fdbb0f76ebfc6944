// Holds what a client knows of alerts against the table; the only judge of lost and stale alerts.
import type { AlertReplay } from "./alert_replay.ts";
import type { StoredAlert, WrittenAlert } from "./alert_writer.ts";

export interface AlertEvidence {
  /** What the table holds. */
  readonly stored: readonly StoredAlert[];
  /** What it acknowledged. */
  readonly written: readonly WrittenAlert[];
  readonly replay: Pick<AlertReplay, "open" | "reported" | "closed">;
}

/** One sentence for each fault, none where the client knows the open alerts and was told of every other. */
export function alertFaults({ stored, written, replay }: AlertEvidence): readonly string[] {
  const rows = new Map(stored.map((alert) => [alert.alertId, alert]));
  const faults: string[] = [];
  for (const { alertId, closedAt } of written) {
    const row = rows.get(alertId);
    if (row === undefined || (closedAt !== null && row.isOpen)) {
      faults.push(`The table lost a write of alert ${alertId}`);
    }
  }
  for (const { alertId, isOpen, severity, summary } of stored) {
    const known = replay.open.get(alertId);
    if (!replay.reported.has(alertId)) faults.push(`Alert ${alertId} was never reported`);
    if (!isOpen && !replay.closed.has(alertId)) {
      faults.push(`Alert ${alertId} was never reported to be closed`);
    }
    if (isOpen !== (known !== undefined)) {
      faults.push(`Alert ${alertId} is ${isOpen ? "open" : "closed"}, the client has it otherwise`);
    }
    if (
      isOpen && known !== undefined && (known.severity !== severity || known.summary !== summary)
    ) {
      faults.push(
        `Alert ${alertId} is ${severity}, "${summary}", the client has ${known.severity}, "${known.summary}"`,
      );
    }
  }
  for (const alertId of replay.reported) {
    if (!rows.has(alertId)) faults.push(`Alert ${alertId} is not in the table`);
  }
  return faults;
}
