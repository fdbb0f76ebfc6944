// Writes ages, spans and instants. Instants are shown in the viewer's own zone, and ages never below zero.

const STEPS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]] as const;
const DAY_MS = 86_400_000;

/** In one unit: `14 s`, `3 min`, `2 h`. */
export function formatAge(ms: number): string {
  const [unit, step] = STEPS.find(([, step]) => ms >= step) ?? ["s", 1_000];
  return `${Math.max(0, Math.floor(ms / step))} ${unit}`;
}

/** In two units: `1 d 2 h`. */
export function formatSpan(ms: number): string {
  const index = Math.max(0, STEPS.findIndex(([, step]) => ms >= step));
  const [unit, step] = STEPS[index] ?? ["s", 1_000];
  const next = STEPS[index + 1];
  const whole = `${Math.floor(ms / step)} ${unit}`;
  return next === undefined ? whole : `${whole} ${Math.floor((ms % step) / next[1])} ${next[0]}`;
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dayAndClock = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** The time of day; with its day where that is not within the last 24 hours. */
export function formatInstant(ms: number, nowMs: number): string {
  return (Math.abs(nowMs - ms) < DAY_MS ? clock : dayAndClock).format(ms);
}
