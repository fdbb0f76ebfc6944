// Says what is wrong with a message as a whole: its values must be those that were written, and alerts the tenant's own.
import { metricsOf } from "./samples.ts";

interface Told {
  readonly timestamp: string;
  readonly metrics: Readonly<Record<string, unknown>>;
}

/** The messages that values stand in; a peer's push is named by what is around it. */
interface Message {
  readonly type?: string;
  readonly device_id?: string;
  readonly data?: Told;
  readonly samples?: readonly Told[];
  readonly alerts?: ReadonlyArray<{ readonly device_id: string }>;
  readonly messages?: readonly Message[];
  readonly push?: { readonly pub?: { readonly data?: Message } };
}

export interface ContentExpectations {
  /** What the names of the tenant's devices begin with. */
  readonly mark: string;
  readonly openAlerts: number;
  /** Whether a sample may lack some of its values, but not all. */
  readonly mayLackValues: boolean;
}

/** Null where nothing is wrong. */
export function contentFault(text: string, expected: ContentExpectations): string | null {
  return faultOf(JSON.parse(text), expected);
}

function faultOf(message: Message, expected: ContentExpectations): string | null {
  const { type, device_id = "", data, samples = [], alerts = [], messages = [] } = message;
  switch (type) {
    case undefined: {
      const pushed = message.push?.pub?.data;
      return pushed === undefined ? null : faultOf(pushed, expected);
    }
    case "telemetry":
    case "history":
      return faultOfSamples(data === undefined ? samples : [data], { ...expected, device_id });
    case "alerts":
      return faultOfAlerts(alerts, expected);
    case "batch":
      return messages.reduce<string | null>((fault, one) => fault ?? faultOf(one, expected), null);
    default:
      return null;
  }
}

function faultOfSamples(
  samples: readonly Told[],
  { device_id, mayLackValues }: ContentExpectations & { readonly device_id: string },
): string | null {
  const device = Number(device_id.slice(device_id.indexOf("-") + 1));
  for (const { timestamp, metrics } of samples) {
    const written = metricsOf({ n: Number(timestamp.slice(23, 29)), device });
    const told = Object.entries(metrics);
    const isEnough = mayLackValues ? told.length > 0 : told.length === Object.keys(written).length;
    if (isEnough && told.every(([name, value]) => written[name] === value)) continue;
    return `A sample of ${device_id} at ${timestamp} holds ${JSON.stringify(metrics)}`;
  }
  return null;
}

function faultOfAlerts(
  alerts: NonNullable<Message["alerts"]>,
  { mark, openAlerts }: ContentExpectations,
): string | null {
  const own = alerts.filter(({ device_id }) => device_id.startsWith(`${mark}-`));
  if (own.length === openAlerts && own.length === alerts.length) return null;
  return `${alerts.length} alerts were listed, ${own.length} of the tenant's ${openAlerts}`;
}
