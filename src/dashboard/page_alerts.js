// The list of open alerts: a new one is lit for a moment, one that closed fades; texts are shown as text only.
import { formatAge } from "./page_metric.js";

/** A list this long may have been cut off, so an alert that left it is not called closed. */
const CUT_OFF_LENGTH = 100;
const CLOSED_SHOWN_MS = 4_000;

export class AlertList {
  #list = document.getElementById("alerts");
  #count = document.getElementById("alerts-count");
  #shortcut = document.getElementById("to-alerts");
  #none = document.getElementById("alerts-none");
  #items = new Map();
  #isFirst = true;

  reset() {
    this.#items.clear();
    this.#list.replaceChildren();
    this.#isFirst = true;
    this.#count.textContent = "";
    this.#shortcut.textContent = "Alerts";
    this.#none.textContent = "Waiting for the first list.";
    this.#none.hidden = false;
  }

  receive(alerts) {
    const open = new Set(alerts.map(({ alert_id: id }) => id));
    for (const [id, item] of this.#items) {
      if (open.has(id)) continue;
      this.#items.delete(id);
      if (alerts.length >= CUT_OFF_LENGTH) item.element.remove();
      else close(item);
    }
    // Newest first: each new one goes right before the one that follows it.
    let next = null;
    for (const alert of alerts.toReversed()) {
      let item = this.#items.get(alert.alert_id);
      if (item === undefined) {
        item = itemOf(alert, { isNew: !this.#isFirst });
        this.#items.set(alert.alert_id, item);
        if (next === null) this.#list.append(item.element);
        else this.#list.insertBefore(item.element, next);
      }
      next = item.element;
    }
    this.#isFirst = false;
    const count = alerts.length >= CUT_OFF_LENGTH ? `${alerts.length}+` : `${alerts.length}`;
    this.#count.textContent = count;
    this.#shortcut.textContent = `Alerts ${count}`;
    this.#none.textContent = "None. All is well.";
    this.#none.hidden = alerts.length > 0;
  }

  tick({ nowMs, isConnected }) {
    this.#list.classList.toggle("old", !isConnected);
    for (const { age, createdMs } of this.#items.values()) {
      const text = Number.isNaN(createdMs) ? "" : formatAge(Math.max(0, nowMs - createdMs));
      if (age.textContent !== text) age.textContent = text;
    }
  }
}

function itemOf(alert, { isNew }) {
  const element = document.createElement("li");
  element.className = isNew ? "alert new" : "alert";
  element.dataset.level = levelOf(alert.severity);
  const part = (className, text) => {
    const span = document.createElement("span");
    span.className = className;
    span.textContent = text;
    return span;
  };
  const age = part("age", "");
  const top = part("top", "");
  top.append(
    part("severity", alert.severity === null ? "Alert" : `Severity ${alert.severity}`),
    age,
  );
  const bottom = part("bottom", "");
  for (const text of [alert.device_id, alert.alert_type?.replaceAll("_", " "), alert.site_id]) {
    if (text) bottom.append(part("fact", text));
  }
  element.append(top, part("summary", alert.summary ?? alert.alert_type ?? "No summary"), bottom);
  return { element, age, createdMs: Date.parse(alert.created_at) };
}

function close({ element, age }) {
  element.classList.remove("new");
  element.classList.add("closed");
  age.textContent = "closed";
  setTimeout(() => element.remove(), CLOSED_SHOWN_MS);
}

function levelOf(severity) {
  if (typeof severity !== "number") return "unknown";
  if (severity >= 4) return "high";
  return severity >= 3 ? "middle" : severity >= 2 ? "low" : "note";
}
