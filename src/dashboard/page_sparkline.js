// A line of a metric's last values, drawn as SVG; it knows nothing of units or devices.

const SVG = "http://www.w3.org/2000/svg";
const LENGTH = 60;
const WIDTH = 120;
const HEIGHT = 32;
const INSET = 2;
/** Samples further apart than this are not joined: nothing is known of what lies between. */
const GAP_MS = 15_000;
/** Share of the mean below which a movement is drawn as small as it is. */
const LEAST_SPAN = 0.01;

export class Sparkline {
  #points = [];
  #line = document.createElementNS(SVG, "path");
  #area = document.createElementNS(SVG, "path");

  constructor() {
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("class", "spark");
    this.element.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("aria-hidden", "true");
    this.#area.setAttribute("class", "area");
    this.#line.setAttribute("class", "line");
    this.element.append(this.#area, this.#line);
  }

  /** Adds a sample; one whose instant is known already is left out. */
  push(value, timeMs) {
    const last = this.#points.at(-1);
    if (last !== undefined && timeMs <= last.timeMs) return;
    this.#points.push({ value: Number(value), timeMs });
    if (this.#points.length > LENGTH) this.#points.shift();
    this.#draw();
  }

  #draw() {
    const values = this.#points.map(({ value }) => value);
    const low = Math.min(...values);
    const high = Math.max(...values);
    const middle = (low + high) / 2;
    const span = Math.max(high - low, Math.abs(middle) * LEAST_SPAN, 1e-9);
    const first = LENGTH - this.#points.length;
    const x = (index) => (((first + index) / (LENGTH - 1)) * WIDTH).toFixed(1);
    const y = (value) => (HEIGHT / 2 - ((value - middle) / span) * (HEIGHT - 2 * INSET)).toFixed(1);
    let line = "";
    let area = "";
    this.#points.forEach(({ value, timeMs }, index) => {
      const isStart = index === 0 || timeMs - this.#points[index - 1].timeMs > GAP_MS;
      if (isStart && index > 0) area += `L${x(index - 1)} ${HEIGHT}Z`;
      line += `${isStart ? "M" : "L"}${x(index)} ${y(value)}`;
      area += `${isStart ? `M${x(index)} ${HEIGHT}L` : "L"}${x(index)} ${y(value)}`;
    });
    this.#line.setAttribute("d", line);
    this.#area.setAttribute("d", `${area}L${x(this.#points.length - 1)} ${HEIGHT}Z`);
  }
}
