// Which view the address names. The fragment holds nothing but this: a token in it is taken out before.

export const RANGES = ["15m", "1h", "6h", "24h"] as const;
export type Range = (typeof RANGES)[number];

export type Route =
  | { readonly view: "fleet" }
  | { readonly view: "alerts" }
  | { readonly view: "device"; readonly deviceId: string; readonly range: Range };

const DEFAULT_RANGE: Range = "15m";

/** Whatever names no view is the fleet. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/");
  if (view === "alerts") return { view };
  const deviceId = decode(rest.join("/"));
  if (view !== "device" || deviceId === "") return { view: "fleet" };
  const range = new URLSearchParams(query).get("range");
  return { view, deviceId, range: RANGES.find((known) => known === range) ?? DEFAULT_RANGE };
}

export function hashOf(route: Route): string {
  if (route.view !== "device") return `#/${route.view}`;
  const query = route.range === DEFAULT_RANGE ? "" : `?range=${route.range}`;
  return `#/device/${encodeURIComponent(route.deviceId)}${query}`;
}

/** The link to a device. */
export function deviceHash(deviceId: string): string {
  return hashOf({ view: "device", deviceId, range: DEFAULT_RANGE });
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}
