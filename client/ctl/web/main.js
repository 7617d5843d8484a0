// The page: one look a second, while somebody looks.

import {byId, element, shape} from "./dom.js";
import {Chart} from "./chart.js";
import {HeapMap} from "./map.js";
import {Table} from "./table.js";
import {count, duration, share, size} from "./format.js";

const MAP_EVERY = 2;       // looks
const SITES_EVERY = 5;
const SAMPLES_MAX = 600;
const CPU_OVER = 5;        // samples

const perSecond = number => `${count(number)}/s`;
const percent = number => `${number.toFixed(number < 10 ? 1 : 0)} %`;

const charts = [
  new Chart(byId("chart-memory"), "Memory", [
    {key: "committed_bytes", label: "committed", colour: "on", area: 0.25},
    {key: "inuse_bytes", label: "in spans", colour: "s1", area: 0.3},
    {key: "alloc_bytes", label: "in objects", colour: "s0", area: 0.55},
  ], size, {binary: true}),
  new Chart(byId("chart-rates"), "Mallocs and frees", [
    {key: "malloc_rate", label: "malloc", colour: "s0"},
    {key: "free_rate", label: "free", colour: "s3"},
  ], perSecond),
  new Chart(byId("chart-server"), "Server's CPU", [
    {key: "cpu_percent", label: "goallocd", colour: "s2", area: 0.2},
  ], percent),
];
const map = new HeapMap(byId("map"));

function bar(part, whole) {
  const width = whole > 0 ? Math.min(84, 84 * part / whole) : 0;
  const low = whole > 0 && part / whole < 0.5 ? " low" : "";
  const picture = shape("svg", {viewBox: "0 0 84 8"}, shape("rect", {width, height: 8}));
  return element("span", {class: `bar${low}`, title: share(part, whole)}, picture);
}

const clients = new Table(byId("clients"), [
  {key: "pid", title: "PID", show: row => String(row.pid)},
  {key: "name", title: "Program", text: true, show: row => row.name},
  {key: "leased_bytes", title: "Leased", show: row => size(row.leased_bytes),
    help: "of the spans that it may allocate from"},
  {key: "malloc_rate", title: "mallocs", show: row => perSecond(row.malloc_rate)},
  {key: "free_rate", title: "frees", show: row => perSecond(row.free_rate)},
  {key: "net", title: "Net objects", show: row => (row.net < 0 ? "−" : "") + count(Math.abs(row.net)),
    help: "mallocs without frees, whoever had allocated what it freed"},
  {key: "attached_ms", title: "Age", show: row => duration(row.attached_ms)},
  {key: "state", title: "State", text: true, show: row =>
    row.state === "good" ? "good" : element("span", {class: "odd-state"}, row.state)},
], "leased_bytes", "no process is attached");

const classes = new Table(byId("classes"), [
  {key: "slot_bytes", title: "Slot", value: row => row.slot_bytes || Infinity,
    show: row => row.slot_bytes ? size(row.slot_bytes) : "large"},
  {key: "live", title: "Objects", show: row => count(row.live)},
  {key: "alloc_bytes", title: "In objects", show: row => size(row.alloc_bytes)},
  {key: "span_bytes", title: "In spans", show: row => size(row.span_bytes)},
  {key: "unused", title: "Unused", show: row => size(row.unused), help: "of its spans, in no object"},
  {key: "used", title: "Used", show: row => bar(row.alloc_bytes, row.span_bytes)},
  {key: "malloc_rate", title: "mallocs", show: row => perSecond(row.malloc_rate)},
], "span_bytes", "nothing was ever allocated");

function processesOf(row) {
  const [first] = row.processes;
  return row.nprocesses > 1 ? `${count(row.nprocesses)} processes: ${row.processes.map(each => each.pid).join(", ")}`
    : `${first.pid} ${first.program}${first.gone ? " (gone)" : ""}`;
}

const sites = new Table(byId("sites"), [
  {key: "place", title: "Allocated in", text: true, show: row => row.place, help: "the innermost function first"},
  {key: "inuse_bytes", title: "In use", show: row => size(row.inuse_bytes)},
  {key: "inuse_objects", title: "Objects", show: row => count(row.inuse_objects)},
  {key: "alloc_bytes", title: "Ever allocated", show: row => size(row.alloc_bytes)},
  {key: "alloc_objects", title: "Objects", show: row => count(row.alloc_objects)},
  {key: "who", title: "By", text: true, show: row => row.who},
], "inuse_bytes", "asking…");

async function refreshSites() {
  try {
    showSites(await getJson("api/sites"));
  } catch {
    // The page says by itself that nobody answers.
  }
}

function showSites({sites: found, nsites, rate_bytes: rate}) {
  for (const site of found) {
    site.place = site.calls.join(" < ") || "unknown";
    site.who = processesOf(site);
  }
  sites.empty = rate
    ? "nothing that was sampled is in use"
    : "nothing is sampled; goallocctl profile --rate 512K switches it on";
  sites.fill(found);
  byId("sites-note").textContent = rate
    ? `Estimates: one object in ${size(rate)} is sampled. ${count(found.length)} of ${count(nsites)} sites.`
    : "Processes that attach sample nothing.";
}

function showTiles(state, row) {
  const tile = (label, value, small) =>
    element("div", {class: "tile"}, element("span", {}, label), element("b", {}, value), element("small", {}, small));
  byId("tiles").replaceChildren(
    tile("In objects", size(row.alloc_bytes), `${count(row.objects)} objects`),
    tile("In spans", size(row.inuse_bytes), `${share(row.alloc_bytes, row.inuse_bytes)} of them used`),
    tile("Committed", size(row.committed_bytes), `of ${size(state.limit_bytes)} allowed`),
    tile("Given back", size(row.released_bytes), "free, without memory"),
    tile("Processes", count(state.clients.length), `${count(state.mcaches)} mcaches, ${count(state.roots)} roots`),
    tile("mallocs", perSecond(row.malloc_rate), `frees ${perSecond(row.free_rate)}`),
    tile("Collections", count(state.cycles), state.cycles ? `last pause ${(state.cycle_pause_ns / 1e6).toFixed(1)} ms` : "none yet"),
  );
}

// ---- what changes from look to look ----

let names = [];
let rows = [];

const asRow = sample => Object.fromEntries(names.map((name, i) => [name, sample[i]]));

// What a counter has grown a second since an earlier row; a new server may begin lower.
function rate(key, row, before) {
  const seconds = before ? (row.time_ms - before.time_ms) / 1000 : 0;
  return seconds > 0 ? Math.max(0, row[key] - before[key]) / seconds : 0;
}

function addRow(sample) {
  const row = asRow(sample), before = rows.at(-1);
  row.malloc_rate = rate("mallocs", row, before);
  row.free_rate = rate("frees", row, before);
  row.cpu_percent = rate("server_cpu_ms", row, rows.at(-CPU_OVER) ?? rows[0]) / 10;
  rows.push(row);
  // The first has none before it: it is shown as the second.
  if (rows.length === 2)
    for (const key of ["malloc_rate", "free_rate", "cpu_percent"]) rows[0][key] = row[key];
  if (rows.length > SAMPLES_MAX) rows.shift();
  return row;
}

const previous = {clients: new Map(), classes: new Map(), time: 0};

function withRates(list, key, kind, time) {
  const seconds = (time - previous.time) / 1000;
  for (const item of list) {
    const before = previous[kind].get(item[key]);
    const grown = name => before && seconds > 0 ? Math.max(0, item[name] - before[name]) / seconds : 0;
    item.malloc_rate = grown("mallocs");
    item.free_rate = grown("frees");
  }
  previous[kind] = new Map(list.map(item => [item[key], item]));
  return list;
}

function showServer(state) {
  const {server_alive: alive} = state;
  const copied = state.source === "shm";
  byId("light").className = `light ${alive && !copied ? "good" : "bad"}`;
  document.body.dataset.alive = alive;
  byId("banner").hidden = alive && !copied;
  if (copied) {
    byId("banner").textContent = `What is shown was read from shared memory at ${new Date(state.sample[0]).toLocaleTimeString()}, and stays as it is; goallocd is ${alive ? "alive" : "dead"}.`;
  } else if (!alive) {
    byId("banner").textContent = `goallocd has not answered since ${new Date(state.lost_ms).toLocaleTimeString()}; what is shown is what it said last.`;
    byId("server-text").textContent = "waiting for goallocd";
    return;
  }
  byId("heap-name").textContent = state.heap_name;
  document.title = `${state.heap_name} – goalloc`;
  const since = copied ? "" : `, up ${duration(state.uptime_ms)}`;
  byId("server-text").textContent =
    `goallocd ${state.server_version}, pid ${state.server_pid}${since}`;
}

function show(state) {
  showServer(state);
  if (!state.sample) return;
  const row = addRow(state.sample);
  map.clients = new Map(state.clients.map(client => [client.client, client]));
  for (const client of state.clients) client.net = client.mallocs - client.frees;
  for (const item of state.classes) {
    item.live = Math.max(0, item.mallocs - item.frees);
    item.unused = Math.max(0, item.span_bytes - item.alloc_bytes);
    item.used = item.span_bytes ? item.alloc_bytes / item.span_bytes : 0;
  }
  clients.fill(withRates(state.clients, "client", "clients", row.time_ms));
  classes.fill(withRates(state.classes, "size_class", "classes", row.time_ms));
  previous.time = row.time_ms;
  showTiles(state, row);
  for (const chart of charts) chart.draw(rows);
}

async function getJson(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function loadHistory() {
  const history = await getJson("api/history");
  names = history.columns;
  rows = [];
  for (const sample of history.samples) addRow(sample);
}

let sequence = 0;
let looks = 0;

async function look() {
  if (document.hidden) return; // nobody looks
  try {
    const state = await getJson("api/state");
    const missed = state.sequence - sequence;
    if (missed === 0) return;
    // What was missed is in the history, and so is this look.
    if (names.length === 0 || missed > 1 || missed < 0) {
      await loadHistory();
      if (state.sample) rows = rows.filter(row => row.time_ms < state.sample[0]);
    }
    sequence = state.sequence;
    show(state);
    document.body.dataset.sequence = sequence;
    if (looks % MAP_EVERY === 0) map.refresh();
    if (looks % SITES_EVERY === 0) refreshSites();
    looks++;
  } catch {
    byId("light").className = "light bad";
    byId("banner").hidden = false;
    byId("banner").textContent = "goallocctl serve does not answer.";
    document.body.dataset.alive = "false";
  }
}

async function run() {
  for (;;) {
    await look();
    await new Promise(done => setTimeout(done, 1000));
  }
}
document.addEventListener("visibilitychange", look);
run();
