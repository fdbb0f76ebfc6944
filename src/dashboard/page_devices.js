// The cards of the followed devices. An old value is always shown as one: greyed, with its age.
import { decimalsOf, describeMetric, formatAge, formatValue, orderMetrics } from "./page_metric.js";
import { Sparkline } from "./page_sparkline.js";

/** A value older than this is not live any more. */
const OLD_MS = 15_000;

export class DeviceCards {
  #list = document.getElementById("devices");
  #summary = document.getElementById("devices-summary");
  #none = document.getElementById("devices-none");
  #cards = new Map();

  /** Shows an empty card for each device, so that nothing moves when values come. */
  reset(deviceIds) {
    this.#cards = new Map(deviceIds.map((deviceId) => [deviceId, new Card(deviceId)]));
    this.#list.replaceChildren(...[...this.#cards.values()].map(({ element }) => element));
    this.#none.hidden = deviceIds.length > 0;
  }

  receive(deviceId, sample) {
    this.#cards.get(deviceId)?.receive(sample);
  }

  /** Lets ages go on; called often, touches only what changes. */
  tick({ nowMs, isConnected }) {
    let live = 0;
    for (const card of this.#cards.values()) {
      if (card.tick({ nowMs, isConnected }) === "live") live++;
    }
    const count = this.#cards.size;
    setText(this.#summary, count === 0 ? "" : `${live} of ${count} live`);
  }
}

class Card {
  element = make("article", "card");
  #age = make("p", "age", "waiting");
  #headline = make("div", "headline");
  #rows = make("dl", "rows");
  #metrics = new Map();
  #timeMs = null;

  constructor(deviceId) {
    const header = make("header");
    const name = make("h3", "", deviceId);
    name.title = deviceId;
    header.append(name, this.#age);
    this.#headline.append(make("p", "placeholder", "No sample yet"));
    this.element.dataset.state = "waiting";
    this.element.append(header, this.#headline, this.#rows);
  }

  receive({ timestamp, metrics }) {
    const timeMs = Date.parse(timestamp);
    if (this.#timeMs !== null && timeMs < this.#timeMs) return;
    if (this.#timeMs === null) this.#headline.replaceChildren();
    this.#timeMs = timeMs;
    if (Object.keys(metrics).some((name) => !this.#metrics.has(name))) this.#addRows(metrics);
    for (const [name, metric] of this.#metrics) {
      metric.show(Object.hasOwn(metrics, name) ? metrics[name] : undefined, timeMs);
    }
  }

  tick({ nowMs, isConnected }) {
    if (this.#timeMs === null) return "waiting";
    const ageMs = Math.max(0, nowMs - this.#timeMs);
    const state = isConnected && ageMs <= OLD_MS ? "live" : "old";
    if (this.element.dataset.state !== state) this.element.dataset.state = state;
    setText(this.#age, state === "live" ? formatAge(ageMs) : `${formatAge(ageMs)} old`);
    return state;
  }

  #addRows(metrics) {
    const { headline, others } = orderMetrics(metrics);
    if (headline !== null && this.#headline.childElementCount === 0) {
      const metric = new Metric(headline, { isHeadline: true });
      this.#metrics.set(headline, metric);
      this.#headline.append(...metric.parts);
    }
    for (const name of others) {
      if (this.#metrics.has(name)) continue;
      const metric = new Metric(name, { isHeadline: false });
      this.#metrics.set(name, metric);
      const row = make("div", "row");
      row.append(...metric.parts);
      this.#rows.append(row);
    }
  }
}

class Metric {
  parts;
  #unit;
  #decimals = 0;
  #text = make("span", "number");
  #unitText = make("span", "unit");
  #value;
  #spark = new Sparkline();

  constructor(name, { isHeadline }) {
    const { label, unit } = describeMetric(name);
    this.#unit = unit;
    const title = make(isHeadline ? "p" : "dt", "label", label);
    title.title = name;
    this.#value = make(isHeadline ? "p" : "dd", "value");
    this.#value.append(this.#text, this.#unitText);
    this.parts = [title, this.#value, this.#spark.element];
  }

  /** An undefined value is one that the newest sample does not hold. */
  show(value, timeMs) {
    this.#value.classList.toggle("missing", value === undefined);
    if (value === undefined) {
      setText(this.#text, "–");
      setText(this.#unitText, "");
      return;
    }
    // The most digits that were seen, so that a number keeps its width.
    this.#decimals = Math.max(this.#decimals, decimalsOf(value));
    const { text, unit } = formatValue(value, { unit: this.#unit, decimals: this.#decimals });
    setText(this.#text, text);
    setText(this.#unitText, unit);
    if (typeof value === "number" || typeof value === "boolean") this.#spark.push(value, timeMs);
  }
}

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  if (text !== "") element.textContent = text;
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
