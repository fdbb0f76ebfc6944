// How far back each range goes and how coarse it is asked for, so that no chart is made of more points than a screen has.
import type { Range } from "./route.ts";

export interface Span {
  readonly seconds: number;
  /** One point stands for so many seconds. */
  readonly resolutionSeconds: number;
}

/** No range asks for more points than this. */
export const MAX_POINTS = 1_500;

export const SPANS: Readonly<Record<Range, Span>> = {
  "15m": { seconds: 900, resolutionSeconds: 1 },
  "1h": { seconds: 3_600, resolutionSeconds: 3 },
  "6h": { seconds: 21_600, resolutionSeconds: 15 },
  "24h": { seconds: 86_400, resolutionSeconds: 60 },
};
