// A chart of the last minutes: lines, or areas, over one axis of time. It is drawn anew for each
// sample: some hundred points are nothing to a browser.

import {element, shape, hideTip, showTip} from "./dom.js";
import {clock} from "./format.js";

const HEIGHT = 190, LEFT = 58, RIGHT = 6, TOP = 8, BOTTOM = 20;

// The least round number that is not below value, of 1, 2 or 5 times a power of base.
function roundUp(value, binary) {
  if (value <= 0) return 1;
  if (binary) {
    const unit = 1024 ** Math.floor(Math.log2(value) / 10);
    return roundUp(value / unit, false) * unit;
  }
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map(n => n * power).find(n => n >= value * (1 - 1e-9));
}

export class Chart {
  // lines: [{key, label, colour, area}]; key names a column of the rows given to draw.
  constructor(section, title, lines, format, {binary = false} = {}) {
    Object.assign(this, {section, lines, format, binary, rows: []});
    this.values = lines.map(line => {
      const value = element("b");
      const mark = element("i");
      mark.style.background = `var(--${line.colour})`;
      line.name = element("span", {}, mark, `${line.label} `, value);
      return value;
    });
    const keys = element("div", {class: "keys"}, ...lines.map(line => line.name));
    this.svg = shape("svg", {role: "img", "aria-label": title});
    section.append(element("div", {class: "head"}, element("h2", {}, title), keys), this.svg);
    this.svg.addEventListener("pointermove", event => this.hover(event));
    this.svg.addEventListener("pointerleave", () => { hideTip(); this.cursor?.remove(); });
    new ResizeObserver(() => this.draw(this.rows)).observe(this.svg);
  }

  draw(rows) {
    this.rows = rows;
    this.width = this.svg.clientWidth;
    if (rows.length === 0 || this.width === 0) return;
    this.begin = rows[0].time_ms;
    this.end = Math.max(rows.at(-1).time_ms, this.begin + 30000);
    const most = Math.max(...rows.map(row => Math.max(...this.lines.map(line => row[line.key]))));
    this.top = roundUp(most * 1.02, this.binary);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    this.svg.replaceChildren(...this.axes(), ...this.lines.map(line => this.line(line)));
    this.lines.forEach((line, i) => { this.values[i].textContent = this.format(rows.at(-1)[line.key]); });
  }

  x(ms) { return LEFT + (ms - this.begin) / (this.end - this.begin) * (this.width - LEFT - RIGHT); }
  y(value) { return TOP + (1 - value / this.top) * (HEIGHT - TOP - BOTTOM); }

  axes() {
    const parts = [];
    for (let i = 0; i <= 4; i++) {
      const y = Math.round(this.y(this.top * i / 4));
      parts.push(shape("line", {class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y}));
      if (i % 2 === 0)
        parts.push(shape("text", {x: LEFT - 8, y: y + 4, "text-anchor": "end"}, this.format(this.top * i / 4)));
    }
    for (const [ms, anchor] of [[this.begin, "start"], [this.end, "end"]])
      parts.push(shape("text", {x: this.x(ms), y: HEIGHT - 4, "text-anchor": anchor}, clock(ms)));
    return parts;
  }

  line(line) {
    const points = this.rows.map(row => `${this.x(row.time_ms).toFixed(1)} ${this.y(row[line.key]).toFixed(1)}`);
    const stroke = shape("path", {class: "line", d: `M${points.join("L")}`});
    stroke.style.stroke = `var(--${line.colour})`;
    if (!line.area) return stroke;
    const first = this.x(this.rows[0].time_ms).toFixed(1), last = this.x(this.rows.at(-1).time_ms).toFixed(1);
    const area = shape("path", {d: `M${first} ${this.y(0)}L${points.join("L")}L${last} ${this.y(0)}z`});
    area.style.fill = `var(--${line.colour})`;
    area.style.fillOpacity = line.area;
    return shape("g", {}, area, stroke);
  }

  hover(event) {
    if (this.rows.length === 0) return;
    const x = event.clientX - this.svg.getBoundingClientRect().left;
    const row = this.rows.reduce((best, other) =>
      Math.abs(this.x(other.time_ms) - x) < Math.abs(this.x(best.time_ms) - x) ? other : best);
    this.cursor?.remove();
    const at = this.x(row.time_ms);
    this.cursor = shape("line", {class: "cursor", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM});
    this.svg.append(this.cursor);
    const lines = this.lines.map(line => `${line.label}: ${this.format(row[line.key])}`);
    showTip([clock(row.time_ms), ...lines].join("\n"), event.clientX, event.clientY);
  }
}
