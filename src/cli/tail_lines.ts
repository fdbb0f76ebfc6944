// Writes what is followed as lines: for people, or as JSON. Every line is safe to show, whatever tenants called their devices.
import type {
  Alert,
  AlertChanges,
  ClientState,
  DeviceSample,
  Fleet,
  Gap,
  StaleDevice,
  StateDetails,
} from "../client/pulsewire_client.ts";
import { printable } from "./printable.ts";

/** What a person reads beside the feed goes to standard error; programs find all of it in one stream. */
export interface TailLine {
  readonly text: string;
  readonly isAside: boolean;
}

/** Each kind of news as lines. */
export interface TailLines {
  sample(sample: DeviceSample): readonly TailLine[];
  alerts(open: readonly Alert[], change: AlertChanges | null): readonly TailLine[];
  fleet(fleet: Fleet): readonly TailLine[];
  state(state: ClientState, details: StateDetails): readonly TailLine[];
  gap(gap: Gap): readonly TailLine[];
  stale(device: StaleDevice): readonly TailLine[];
  error(code: string, message: string): readonly TailLine[];
}

export const JSON_LINES: TailLines = {
  sample: (sample) => json("sample", sample),
  alerts: (open, change) =>
    change === null ? json("alerts", { alerts: open }) : json("alert_changes", change),
  fleet: (fleet) => json("fleet", fleet),
  state: (state, { reason, closeCode, retryAt, sources }) =>
    json("state", {
      state,
      reason,
      close_code: closeCode,
      retry_at: retryAt === null ? null : new Date(retryAt).toISOString(),
      degraded: sources.map(({ source }) => source),
    }),
  gap: (gap) => json("gap", gap),
  stale: (device) => json("stale", device),
  error: (code, message) => json("error", { code, message }),
};

export const TEXT_LINES: TailLines = {
  sample: ({ timestamp, device_id, metrics, origin }) => {
    const values = Object.entries(metrics).map(([name, value]) => `${name}=${word(value)}`);
    return said(
      `${timestamp}  ${device_id}  ${values.join(" ")}${origin === "history" ? "  (history)" : ""}`,
    );
  },
  alerts: (open, change) => {
    if (change === null) {
      return open.length === 0
        ? said("alerts  none is open")
        : open.flatMap((alert) => said(alertText("open", alert)));
    }
    return [
      ...change.opened.flatMap((alert) => said(alertText("opened", alert))),
      ...change.updated.flatMap((alert) => said(alertText("updated", alert))),
      ...change.closed.flatMap((id) => said(`alert closed  #${id}`)),
    ];
  },
  fleet: ({ devices, alerts }) => {
    const devicesText = devices === null
      ? "devices unknown"
      : `${devices.total} devices, ${devices.online} online, ${devices.stale} stale`;
    return said(
      `fleet  ${devicesText}; ${alerts === null ? "alerts unknown" : `${alerts.open} alerts open`}`,
    );
  },
  state: (state, { reason, retryAt, sources, since }) => {
    const details = [
      reason,
      sources.length === 0
        ? null
        : `${sources.map(({ source }) => source).join(" and ")} can't be read`,
      retryAt === null ? null : `again in ${(Math.max(0, retryAt - since) / 1_000).toFixed(1)} s`,
    ].filter((part) => part !== null);
    return aside(`${state}${details.length === 0 ? "" : `: ${details.join(", ")}`}`);
  },
  gap: ({ channel, device_id, from, reason }) => {
    const whose = channel === "alerts" ? "alerts" : `samples of ${device_id ?? "*"}`;
    return aside(`gap: ${whose} before ${from} are missing (${reason ?? "unknown"})`);
  },
  stale: ({ device_id, last }) =>
    aside(`stale: ${device_id} has not reported since ${last ?? "it was first asked for"}`),
  error: (code, message) => aside(`error: ${message} (${code})`),
};

function json(type: string, fields: object): readonly TailLine[] {
  return said(JSON.stringify({ type, ...fields }));
}

function said(text: string): readonly TailLine[] {
  return [{ text: printable(text), isAside: false }];
}

function aside(text: string): readonly TailLine[] {
  return [{ text: printable(text), isAside: true }];
}

function alertText(verb: string, alert: Alert): string {
  const { alert_id, created_at, device_id, site_id, alert_type, severity, summary } = alert;
  const parts = [
    `alert ${verb}  #${alert_id}`,
    created_at,
    device_id ?? site_id,
    alert_type,
    severity === null ? null : `severity ${severity}`,
    summary === null ? null : JSON.stringify(summary),
  ];
  return parts.filter((part) => part !== null).join("  ");
}

/** Numbers and truth values bare, strings quoted: "21" is not 21. */
function word(value: unknown): string {
  return JSON.stringify(value);
}
