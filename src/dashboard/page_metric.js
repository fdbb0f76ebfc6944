// Turns metric names and values into words for people. Guesses units from names; it must never change a value.

const UNITS = {
  c: "°C",
  f: "°F",
  k: "K",
  pct: "%",
  v: "V",
  mv: "mV",
  kv: "kV",
  a: "A",
  ma: "mA",
  w: "W",
  kw: "kW",
  mw: "MW",
  wh: "Wh",
  kwh: "kWh",
  mwh: "MWh",
  va: "VA",
  kva: "kVA",
  kvar: "kvar",
  hz: "Hz",
  khz: "kHz",
  rpm: "rpm",
  bar: "bar",
  mbar: "mbar",
  pa: "Pa",
  hpa: "hPa",
  kpa: "kPa",
  psi: "psi",
  ppm: "ppm",
  ppb: "ppb",
  lux: "lx",
  lx: "lx",
  db: "dB",
  dba: "dB(A)",
  dbm: "dBm",
  m: "m",
  mm: "mm",
  cm: "cm",
  km: "km",
  m3: "m³",
  l: "L",
  kg: "kg",
  g: "g",
  t: "t",
  mps: "m/s",
  kmh: "km/h",
  mms: "mm/s",
  m3h: "m³/h",
  lpm: "L/min",
  lps: "L/s",
  wm2: "W/m²",
  ugm3: "µg/m³",
  ntu: "NTU",
  deg: "°",
  s: "s",
  sec: "s",
  min: "min",
  h: "h",
};
const CAPITALS = new Set([
  "cpu",
  "ram",
  "rssi",
  "snr",
  "co2",
  "ph",
  "gps",
  "uv",
  "id",
  "ip",
  "lte",
]);
const MAX_DECIMALS = 3;
/** A card shows largest the first metric whose name begins so, else the first with such a unit. */
const HEADLINES = ["temp", "level", "pressure", "power", "signal", "flow", "speed"];
const HEADLINE_SUFFIXES = ["c", "pct", "bar", "hpa", "kw", "w", "v", "rpm"];

/** @param {string} name */
export function describeMetric(name) {
  const words = name.split("_").filter((word) => word !== "");
  const suffix = words.length > 1 ? words.at(-1).toLowerCase() : "";
  // `wind_ms` is metres a second, `latency_ms` is not.
  const unit = suffix === "ms"
    ? (/wind|speed|velocity/i.test(name) ? "m/s" : "ms")
    : Object.hasOwn(UNITS, suffix)
    ? UNITS[suffix]
    : "";
  const spoken = (unit === "" ? words : words.slice(0, -1)).map((word) =>
    CAPITALS.has(word.toLowerCase()) ? word.toUpperCase() : word
  ).join(" ");
  const label = spoken === "" ? name : spoken[0].toUpperCase() + spoken.slice(1);
  return { label, unit, suffix };
}

/** The order of a card's metrics: its headline, then numbers, yes or no, words, each by name. */
export function orderMetrics(metrics) {
  const rank = (value) => ["number", "boolean"].indexOf(typeof value) >>> 0;
  const names = Object.keys(metrics).sort((one, other) =>
    rank(metrics[one]) - rank(metrics[other]) || (one < other ? -1 : 1)
  );
  const numbers = names.filter((name) => typeof metrics[name] === "number");
  const candidates = [
    ...HEADLINES.map((start) => numbers.find((name) => name.startsWith(start))),
    ...HEADLINE_SUFFIXES.map((suffix) =>
      numbers.find((name) => describeMetric(name).suffix === suffix)
    ),
    numbers[0],
  ];
  const headline = candidates.find((name) => name !== undefined) ?? null;
  return { headline, others: names.filter((name) => name !== headline) };
}

/** Digits after the point that a value has, as far as they are shown. */
export function decimalsOf(value) {
  if (typeof value !== "number" || Number.isInteger(value)) return 0;
  return Math.min(MAX_DECIMALS, (String(value).split(".")[1] ?? "").length);
}

/** @returns {{ text: string, unit: string }} */
export function formatValue(value, { unit, decimals }) {
  if (typeof value === "boolean") return { text: value ? "yes" : "no", unit: "" };
  if (typeof value === "string") return { text: value, unit };
  if (typeof value !== "number") return { text: JSON.stringify(value), unit };
  if (unit === "s" && value >= 3_600) return { text: formatDuration(value * 1_000), unit: "" };
  const format = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return { text: value.toLocaleString("en", format).replace("-", "−"), unit };
}

const STEPS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000]];

function formatDuration(ms) {
  const index = STEPS.findIndex(([, step]) => ms >= step);
  const [unit, step] = STEPS[index];
  const [nextUnit, nextStep] = STEPS[index + 1] ?? ["s", 1_000];
  return `${Math.floor(ms / step)} ${unit} ${Math.floor((ms % step) / nextStep)} ${nextUnit}`;
}

/** How long ago, in one unit. */
export function formatAge(ms) {
  const [unit, step] = STEPS.find(([, step]) => ms >= step) ?? ["s", 1_000];
  return `${Math.max(0, Math.floor(ms / step))} ${unit}`;
}
