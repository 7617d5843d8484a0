// The map: arenas side by side, each 128 pages wide and read line by line, under a view that can be
// zoomed and moved. What is in view decides what is asked for: run by run where there are few, else
// cells, each divided in proportion to what is in it.

import {byId, colour, element, hideTip, showTip} from "./dom.js";
import {duration, share, size} from "./format.js";

const COLUMNS = 128, GAP = 6; // in pages
const ZOOM_MAX = 40;          // CSS pixels that a page may be wide
const HEIGHT_MAX = 480;       // of the map, in CSS pixels
const KINDS = ["state", "class", "owner", "occupancy", "age"];

export class HeapMap {
  constructor(canvas) {
    Object.assign(this, {canvas, by: "state", data: null, clients: new Map(), scale: 0, x: 0, y: 0, asked: 0});
    this.buttons = KINDS.map(by => {
      const button = element("button", {role: "radio", "data-by": by}, by);
      button.addEventListener("click", () => this.choose(by));
      return button;
    });
    byId("map-by").append(...this.buttons);
    byId("zoom-in").addEventListener("click", () => this.zoomAt(2, this.width / 2, this.height / 2));
    byId("zoom-out").addEventListener("click", () => this.zoomAt(1 / 2, this.width / 2, this.height / 2));
    byId("zoom-all").addEventListener("click", () => { this.scale = 0; this.moved(); });
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
    this.choose("state");
  }

  listen() {
    const {canvas} = this;
    canvas.addEventListener("wheel", event => {
      event.preventDefault();
      this.zoomAt(2 ** (-event.deltaY / 300), event.offsetX, event.offsetY);
    }, {passive: false});
    canvas.addEventListener("dblclick", event => this.zoomAt(4, event.offsetX, event.offsetY));
    canvas.addEventListener("pointerdown", event => {
      this.drag = {x: event.clientX, y: event.clientY};
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointerup", () => { this.drag = null; canvas.classList.remove("drag"); });
    canvas.addEventListener("pointermove", event => this.pointer(event));
    canvas.addEventListener("pointerleave", () => { this.hovered = null; hideTip(); this.paint(); });
    canvas.addEventListener("keydown", event => {
      const step = {ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60]}[event.key];
      if (step) this.move(...step);
      else if (event.key === "+" || event.key === "-") this.zoomAt(event.key === "+" ? 2 : 1 / 2, this.width / 2, this.height / 2);
      else return;
      event.preventDefault();
    });
  }

  choose(by) {
    this.by = by;
    for (const button of this.buttons) button.setAttribute("aria-checked", button.dataset.by === by);
    this.refresh();
  }

  resize() {
    if (this.canvas.clientWidth === this.width) return;
    this.measure();
    if (this.narenas) this.lay(this.narenas, this.arenaPages);
    this.moved();
  }

  // ---- where things lie, in pages from the upper left corner ----

  // Side by side so that they are as large as the width and HEIGHT_MAX allow, and the canvas no higher
  // than they need.
  lay(narenas, arenaPages) {
    const rows = arenaPages / COLUMNS;
    const whole = across => ({
      width: across * (COLUMNS + GAP) - GAP,
      height: Math.ceil(narenas / across) * (rows + GAP) - GAP,
    });
    const scale = ({width, height}) => Math.min(this.width / width, HEIGHT_MAX / height);
    let across = 1;
    for (let n = 2; n <= narenas; n++) if (scale(whole(n)) > scale(whole(across))) across = n;
    Object.assign(this, {narenas, arenaPages, rows, across, whole: whole(across), scale: 0});
    this.canvas.style.height = `${Math.ceil(this.whole.height * scale(this.whole))}px`;
    this.measure();
  }

  measure() {
    const ratio = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
  }

  arenaX(arena) { return arena % this.across * (COLUMNS + GAP); }
  arenaY(arena) { return Math.floor(arena / this.across) * (this.rows + GAP); }

  fit() {
    this.least = Math.min(this.width / this.whole.width, this.height / this.whole.height);
    if (this.scale > this.least) return;
    this.scale = this.least;
    this.x = (this.width - this.whole.width * this.scale) / 2;
    this.y = (this.height - this.whole.height * this.scale) / 2;
  }

  zoomAt(factor, x, y) {
    if (!this.whole) return;
    const scale = Math.max(this.least, Math.min(ZOOM_MAX, this.scale * factor));
    this.x = x - (x - this.x) * scale / this.scale;
    this.y = y - (y - this.y) * scale / this.scale;
    this.scale = scale;
    this.moved();
  }

  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.moved();
  }

  moved() {
    if (!this.whole) return;
    this.fit();
    const keep = (at, room, length) => length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, at));
    this.x = keep(this.x, this.width, this.whole.width * this.scale);
    this.y = keep(this.y, this.height, this.whole.height * this.scale);
    hideTip();
    this.paint();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), 120);
  }

  // The arenas in view: the first, and how many up to the last.
  inView() {
    let first = this.narenas, last = 0;
    for (let arena = 0; arena < this.narenas; arena++) {
      const x = this.x + this.arenaX(arena) * this.scale, y = this.y + this.arenaY(arena) * this.scale;
      if (x > this.width || y > this.height || x + COLUMNS * this.scale < 0 || y + this.rows * this.scale < 0) continue;
      first = Math.min(first, arena);
      last = Math.max(last, arena);
    }
    return first > last ? [0, this.narenas] : [first, last - first + 1];
  }

  // ---- what is asked for ----

  async refresh() {
    const asked = ++this.asked;
    const [first, count] = this.whole && this.scale > this.least ? this.inView() : [0, 1 << 20];
    try {
      const answer = await fetch(`api/map?by=${this.by}&arena=${first}&narenas=${count}`);
      if (asked !== this.asked) return;
      if (answer.status === 200) this.take(await answer.json());
      else if (answer.status === 202) setTimeout(() => { if (asked === this.asked) this.refresh(); }, 500);
    } catch {
      // The page says by itself that nobody answers.
    }
  }

  take(data) {
    this.data = data;
    this.first = data.from_page / data.arena_npages;
    const narenas = Math.max(1, Math.ceil(data.heap_npages / data.arena_npages));
    if (narenas !== this.narenas) this.lay(narenas, data.arena_npages);
    this.fit();
    this.legend();
    this.paint();
    this.canvas.dataset.by = data.by;
    this.canvas.dataset.sequence = data.sequence;
    this.canvas.dataset.shown = data.runs ? "runs" : "cells";
    byId("map-note").textContent = data.runs
      ? "Each shape is a span, or free pages side by side. A line of an arena is 1 MiB."
      : `Each cell is ${size(data.pages_per_cell * data.page_bytes)}, divided in proportion to what is in it. Zoom in to see spans.`;
  }

  legend() {
    byId("legend").replaceChildren(...this.data.categories.map(category => {
      const mark = element("i");
      mark.style.background = `var(--${category.key})`;
      return element("div", {}, mark, `${category.label} `,
        element("span", {}, size(category.npages * this.data.page_bytes)));
    }));
  }

  // ---- painting ----

  paint() {
    if (!this.data || !this.whole || !this.width) return;
    const context = this.canvas.getContext("2d"), ratio = this.canvas.width / this.width;
    this.colours = this.data.categories.map(category => colour(category.key));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.canvas.dataset.zoom = (this.scale / this.least).toFixed(2);
    context.fillStyle = colour("panel");
    context.strokeStyle = colour("line");
    for (let arena = 0; arena < this.narenas; arena++) {
      const box = [this.x + this.arenaX(arena) * this.scale, this.y + this.arenaY(arena) * this.scale,
        COLUMNS * this.scale, this.rows * this.scale];
      context.fillRect(...box);
      context.strokeRect(...box);
    }
    if (this.data.runs) this.paintRuns(context);
    else this.paintCells(context);
    if (this.hovered) this.paintHovered(context);
  }

  // Call see(x, y, width) for each line of pages [begin, end), in CSS pixels.
  lines(begin, end, see) {
    while (begin < end) {
      const arena = Math.floor(begin / this.arenaPages), inside = begin % this.arenaPages;
      const column = inside % COLUMNS, count = Math.min(end - begin, COLUMNS - column);
      see(this.x + (this.arenaX(arena) + column) * this.scale,
        this.y + (this.arenaY(arena) + Math.floor(inside / COLUMNS)) * this.scale, count * this.scale);
      begin += count;
    }
  }

  paintRuns(context) {
    const seam = this.scale >= 4 ? 1 : this.scale >= 2 ? 0.5 : 0; // between spans
    const grow = seam === 0 ? 0.35 : 0;                           // no gaps from rounding
    const {from_page: from, end_page: to} = this.data;
    for (const [page, npages, category] of this.data.runs) {
      context.fillStyle = this.colours[category];
      const begin = Math.max(page, from), end = Math.min(page + npages, to);
      let left = begin;
      this.lines(begin, end, (x, y, width) => {
        const count = Math.round(width / this.scale);
        const cut = left + count === end ? seam : 0;
        left += count;
        if (y > this.height || y + this.scale < 0) return;
        context.fillRect(x, y, width - cut + grow, this.scale - seam + grow);
      });
    }
  }

  paintCells(context) {
    const {pages_per_cell: each, from_page: from, cells} = this.data;
    const width = Math.min(each, COLUMNS) * this.scale, height = Math.max(1, each / COLUMNS) * this.scale;
    cells.forEach((counts, i) => {
      this.lines(from + i * each, from + i * each + 1, (x, y) => {
        if (y > this.height || y + height < 0) return;
        counts.forEach((count, category) => {
          if (count === 0) return;
          const part = width * count / each;
          context.fillStyle = this.colours[category];
          context.fillRect(x, y, part + 0.3, height + 0.3);
          x += part;
        });
      });
    });
  }

  paintHovered(context) {
    context.fillStyle = colour("ink");
    context.globalAlpha = 0.28;
    if (this.data.runs) {
      this.lines(this.hovered[0], this.hovered[1], (x, y, width) => context.fillRect(x, y, width, this.scale));
    } else {
      const each = this.data.pages_per_cell;
      this.lines(this.hovered[0], this.hovered[0] + 1, (x, y) => context.fillRect(x, y,
        Math.min(each, COLUMNS) * this.scale, Math.max(1, each / COLUMNS) * this.scale));
    }
    context.globalAlpha = 1;
  }

  // ---- the pointer ----

  pointer(event) {
    if (this.drag && event.buttons) {
      this.canvas.classList.add("drag");
      this.move(event.clientX - this.drag.x, event.clientY - this.drag.y);
      this.drag = {x: event.clientX, y: event.clientY};
      return;
    }
    const page = this.pageAt(event.offsetX, event.offsetY);
    const text = page === null ? "" : this.describe(page);
    if (text === "") this.hovered = null;
    showTip(text, event.clientX, event.clientY);
    this.paint();
  }

  pageAt(x, y) {
    if (!this.whole || !this.data) return null;
    const px = (x - this.x) / this.scale, py = (y - this.y) / this.scale;
    const column = px % (COLUMNS + GAP), row = py % (this.rows + GAP);
    if (px < 0 || py < 0 || column >= COLUMNS || row >= this.rows) return null;
    const across = Math.floor(px / (COLUMNS + GAP));
    if (across >= this.across) return null;
    const arena = Math.floor(py / (this.rows + GAP)) * this.across + across;
    const page = arena * this.arenaPages + Math.floor(row) * COLUMNS + Math.floor(column);
    return page >= this.data.from_page && page < this.data.end_page ? page : null;
  }

  address(page) {
    return "0x" + (BigInt(this.data.base) + BigInt(page) * BigInt(this.data.page_bytes)).toString(16);
  }

  describe(page) {
    return this.data.runs ? this.describeRun(page) : this.describeCell(page);
  }

  describeRun(page) {
    const {runs} = this.data;
    let low = 0, high = runs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (runs[middle][0] <= page) low = middle;
      else high = middle - 1;
    }
    const run = runs[low];
    if (!run || page < run[0] || page >= run[0] + run[1]) return "";
    const [begin, npages, , state, spanClass, slotBytes, slots, used, client, age] = run;
    this.hovered = [begin, begin + npages];
    const lines = [`${this.address(begin)}  ·  ${size(npages * this.data.page_bytes)}  ·  ${this.data.states[state]}`];
    if (slots > 1)
      lines.push(`${used} of ${slots} slots of ${size(slotBytes)} used (${share(used, slots)})`);
    if (slots > 0) lines.push(spanClass % 2 ? "holds no pointers" : "may hold pointers");
    if (client) lines.push(this.nameOf(client));
    if (age !== null) lines.push(`made ${duration(age * 1000)} ago`);
    return lines.join("\n");
  }

  nameOf(number) {
    const client = this.clients.get(number);
    return client ? `process ${client.pid} ${client.name}` : `client ${number}`;
  }

  describeCell(page) {
    const {pages_per_cell: each, from_page: from, cells, categories, page_bytes: bytes} = this.data;
    const cell = Math.floor((page - from) / each), counts = cells[cell];
    if (!counts) return "";
    this.hovered = [from + cell * each, from + (cell + 1) * each];
    const lines = [`${this.address(this.hovered[0])}  ·  ${size(each * bytes)}`];
    counts.forEach((count, i) => {
      if (count) lines.push(`${share(count, each)}  ${categories[i].label}`);
    });
    return lines.join("\n");
  }
}
