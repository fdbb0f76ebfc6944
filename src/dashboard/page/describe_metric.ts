// Turns a metric's name into a label and a unit for people: it only guesses, and must never change a value.

/** What a name may end with, and the unit that it then most likely means. */
const UNITS: Readonly<Record<string, string>> = {
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

const CAPITALS: ReadonlySet<string> = new Set([
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

export interface MetricWords {
  readonly label: string;
  /** Empty where the name tells none. */
  readonly unit: string;
  /** The last word of the name in lower case; empty where there is only one. */
  readonly suffix: string;
}

export function describeMetric(name: string): MetricWords {
  const words = name.split("_").filter((word) => word !== "");
  const suffix = words.length > 1 ? words.at(-1)?.toLowerCase() ?? "" : "";
  const unit = unitOf(name, suffix);
  const spoken = (unit === "" ? words : words.slice(0, -1)).map((word) =>
    CAPITALS.has(word.toLowerCase()) ? word.toUpperCase() : word
  ).join(" ");
  const label = spoken === "" ? name : spoken.charAt(0).toUpperCase() + spoken.slice(1);
  return { label, unit, suffix };
}

function unitOf(name: string, suffix: string): string {
  // `wind_ms` is metres a second, `latency_ms` is not.
  if (suffix === "ms") return /wind|speed|velocity/i.test(name) ? "m/s" : "ms";
  return Object.hasOwn(UNITS, suffix) ? UNITS[suffix] ?? "" : "";
}
