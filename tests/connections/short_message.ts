// Messages in a few characters, so that a test reads as the conversation that it is about.
import type { Alert, Resume, Sample, ServerMessage } from "../../src/protocol/server_messages.ts";

/** What a message says, its numbers being the samples' seconds and the alerts' ids. */
export function shortMessage(message: ServerMessage): string {
  switch (message.type) {
    case "subscribed":
    case "unsubscribed": {
      const what = message.channel !== "device"
        ? message.channel
        : "device_ids" in message
        ? message.device_ids.join()
        : message.device_id;
      const resume = "resume" in message ? shortResume(message.resume) : "";
      return `${message.type} ${what}${resume}${shortId(message.id)}`;
    }
    case "telemetry":
      return `${message.device_id} ${second(message.data)}`;
    case "history": {
      const { device_id, samples, done, id } = message;
      return `history ${device_id} [${samples.map(second)}]${done ? " done" : ""}${shortId(id)}`;
    }
    case "alerts":
      return `alerts [${idsOf(message.alerts)}]${shortTotal(message.total)}`;
    case "alert_changes": {
      const { opened, updated, closed, total } = message;
      return `changes +[${idsOf(opened)}] ~[${idsOf(updated)}] -[${closed}]${shortTotal(total)}`;
    }
    case "fleet": {
      const { devices, alerts } = message;
      const counts = devices === null ? "?" : `${devices.online}+${devices.stale}`;
      return `fleet ${counts} ${alerts === null ? "?" : alerts.open}`;
    }
    case "status":
      return `status ${message.source} ${message.state}`;
    case "stale":
      return `stale ${message.device_id} ${
        message.last === null ? "null" : secondOf(message.last)
      }`;
    case "error":
      return `error ${message.code}${shortId(message.id)}`;
    case "batch":
      return `batch (${message.messages.map(shortMessage).join(", ")})`;
    default:
      return message.type;
  }
}

/** Seconds after the fake clock's beginning. */
export function secondOf(instant: string): number {
  return (Date.parse(instant) - Date.UTC(2026, 10, 18, 11)) / 1_000;
}

function shortResume(resume: Resume | Readonly<Record<string, Resume>> | undefined): string {
  if (resume === undefined) return "";
  const one = ({ from, complete, reason }: Resume) =>
    `${secondOf(from)}${complete ? "" : ` ${reason}`}`;
  if (typeof resume.from === "string") return ` from ${one(resume as Resume)}`;
  const all = Object.entries(resume as Readonly<Record<string, Resume>>);
  return ` from {${all.map(([deviceId, from]) => `${deviceId}: ${one(from)}`).join(", ")}}`;
}

function shortId(id: string | number | undefined): string {
  return id === undefined ? "" : ` #${id}`;
}

function shortTotal(total: number | undefined): string {
  return total === undefined ? "" : ` of ${total}`;
}

function idsOf(alerts: readonly Alert[]): string {
  return alerts.map(({ alert_id }) => alert_id).join();
}

function second({ timestamp }: Sample): number {
  return secondOf(timestamp);
}
