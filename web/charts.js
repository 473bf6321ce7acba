// Figures for people, the graph of stages, the timeline and the list of tasks.
import { h } from "./views.js";

const SVG = "http://www.w3.org/2000/svg";
const COLORS = ["#4c8df6", "#3aa76d", "#d9822b", "#a66bd6", "#d6506e", "#2aa5b5", "#8c9a2e", "#7d87a0"];

export function count(value) {
  return Number(value || 0).toLocaleString("en");
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let size = Number(value || 0);
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    ++unit;
  }
  return `${unit ? size.toFixed(1) : size} ${units[unit]}`;
}

export function duration(micros) {
  const seconds = Number(micros || 0) / 1e6;
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.1 ? 1 : 0)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// ---- stages

const NODE = { width: 218, height: 104, gapX: 70, gapY: 22, margin: 16 };

// Stages in columns: each to the right of all that it reads.
function place(stages) {
  const column = new Map();
  const rows = new Map();
  const at = new Map();
  for (const stage of stages) {
    const before = stage.inputs.map((input) => column.get(input.stage) ?? -1);
    const x = Math.max(-1, ...before) + 1;
    const y = rows.get(x) || 0;
    column.set(stage.id, x);
    rows.set(x, y + 1);
    at.set(stage.id, { x: NODE.margin + x * (NODE.width + NODE.gapX), y: NODE.margin + y * (NODE.height + NODE.gapY) });
  }
  const columns = Math.max(1, ...[...rows.keys()].map((x) => x + 1));
  const tallest = Math.max(1, ...rows.values());
  return { at, width: 2 * NODE.margin + columns * NODE.width + (columns - 1) * NODE.gapX,
    height: 2 * NODE.margin + tallest * NODE.height + (tallest - 1) * NODE.gapY };
}

const cut = (text, size) => (text.length > size ? `${text.slice(0, size - 1)}…` : text);

function node(stage, at, isResult, chosen, choose) {
  const share = stage.tasks ? stage.finished / stage.tasks : 0;
  const skew = stage.skew >= 3;
  const spilled = stage.spilled_bytes?.total || 0;
  const line = (y, text, kind = "") => svg("text", { x: 10, y, class: kind }, text);
  const time = stage.ended_us ? duration(stage.ended_us - stage.started_us) : stage.started_us ? "running" : "";
  const warnings = [skew ? `skew ${stage.skew.toFixed(1)}×` : "", spilled ? `spilled ${bytes(spilled)}` : "",
    stage.failed_attempts ? `${stage.failed_attempts} failed` : ""].filter(Boolean).join(", ");
  const group = svg("g", { class: `node ${stage.state} ${chosen === stage.id ? "selected" : ""}`, transform: `translate(${at.x},${at.y})`,
    tabindex: 0, role: "button", id: `stage-${stage.id}`, "aria-label": `Stage ${stage.id}: ${stage.description}, ${stage.state}` },
    svg("title", {}, stage.description), svg("rect", { width: NODE.width, height: NODE.height, rx: 7 }),
    svg("rect", { class: "done", x: 1.5, y: NODE.height - 7, width: Math.max(0, (NODE.width - 3) * share), height: 5.5 }),
    line(18, `Stage ${stage.id}${isResult ? " (result)" : ""}`, "title"), line(35, cut(stage.description, 27), "small"),
    line(53, `${stage.finished} / ${stage.tasks || "?"} tasks   ${time}`), line(70, `${count(stage.rows)} rows   ${bytes(stage.bytes)}`),
    line(88, warnings, "bad"));
  group.addEventListener("click", () => choose(stage.id));
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose(stage.id);
  });
  return group;
}

export function stageGraph(stages, result, chosen, choose) {
  const { at, width, height } = place(stages);
  const edges = [];
  for (const stage of stages) {
    for (const input of stage.inputs) {
      const from = at.get(input.stage);
      if (!from) continue;
      const to = at.get(stage.id);
      const [x1, y1] = [from.x + NODE.width, from.y + NODE.height / 2];
      const [x2, y2] = [to.x, to.y + NODE.height / 2];
      const middle = (x1 + x2) / 2;
      edges.push(svg("path", { d: `M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}` },
        svg("title", {}, `${input.how} of stage ${input.stage}`)));
    }
  }
  const nodes = stages.map((stage) => node(stage, at.get(stage.id), stage.id === result, chosen, choose));
  return h("div", { class: "graph", role: "group", "aria-label": "Stages" }, svg("svg", { width, height }, ...edges, ...nodes));
}

// ---- tasks

// Tasks as bars over time, in as many lanes for each executor as run at once.
export class Timeline {
  constructor() {
    this.canvas = h("canvas", { role: "img", "aria-label": "Timeline of tasks; the list below has the same tasks" });
    this.element = h("div", { class: "timeline" }, this.canvas);
    this.tip = h("p", { class: "tip", "aria-hidden": "true" });
    this.bars = [];
    this.canvas.addEventListener("mousemove", (event) => this.point(event));
    // By its width alone: the height is what paint() makes it.
    new ResizeObserver(() => requestAnimationFrame(() => {
      if (this.element.clientWidth !== this.width) this.paint();
    })).observe(this.element);
  }

  show(tasks) {
    this.tasks = tasks.filter((task) => task.started_us > 0);
    this.lay();
    this.paint();
  }

  // Lanes by executor; a task goes into the first lane that is free when it starts.
  lay() {
    this.lanes = [];
    const groups = new Map();
    for (const task of [...this.tasks].sort((a, b) => a.started_us - b.started_us)) {
      const lanes = groups.get(task.executor_id) || [];
      groups.set(task.executor_id, lanes);
      let lane = lanes.find((one) => one.end <= task.started_us);
      if (!lane) lanes.push(lane = { end: 0, tasks: [] });
      lane.end = task.started_us + task.elapsed_us;
      lane.tasks.push(task);
    }
    this.groups = [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  paint() {
    if (!this.tasks) return;
    const width = this.element.clientWidth;
    if (width === 0) return;
    this.width = width;
    const lanes = this.groups.reduce((sum, [, list]) => sum + list.length, 0);
    const step = lanes > 200 ? 4 : lanes > 60 ? 7 : 14;
    const title = 18;
    const height = Math.max(40, lanes * step + this.groups.length * title + 8);
    const ratio = Math.min(devicePixelRatio || 1, height * 2 > 16000 ? 1 : 2);
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    const draw = this.canvas.getContext("2d");
    draw.scale(ratio, ratio);
    const end = Math.max(1, ...this.groups.flatMap(([, list]) => list.map((lane) => lane.end)));
    const scale = (width - 16) / end;
    const color = getComputedStyle(this.element);
    this.bars = [];
    let y = 4;
    draw.font = "12px system-ui, sans-serif";
    for (const [executor, list] of this.groups) {
      draw.fillStyle = color.getPropertyValue("--dim");
      draw.fillText(`executor ${executor.slice(0, 8) || "?"}`, 8, y + 12);
      y += title;
      for (const lane of list) {
        for (const task of lane.tasks) {
          const x = 8 + task.started_us * scale;
          const length = Math.max(1, task.elapsed_us * scale - 0.5);
          draw.fillStyle = COLORS[task.stage % COLORS.length];
          draw.globalAlpha = task.state === "running" ? 0.5 : 1;
          draw.fillRect(x, y, length, step - 1);
          this.bars.push([x, y, length, step - 1, task]);
        }
        y += step;
      }
    }
    draw.globalAlpha = 1;
    this.tip.textContent = this.tasks.length ? `${count(this.tasks.length)} tasks in ${duration(end)}, colours by stage` : "No task has started.";
  }

  point(event) {
    const hit = this.bars.find(([x, y, width, height]) => event.offsetX >= x - 1 && event.offsetX <= x + width + 1 && event.offsetY >= y && event.offsetY <= y + height);
    if (!hit) return;
    const task = hit[4];
    this.tip.textContent = `stage ${task.stage} task ${task.index} attempt ${task.attempt}: ${task.state}, from ${duration(task.started_us)} ` +
      `for ${duration(task.elapsed_us)}, ${count(task.rows_out)} rows out, ${bytes(task.bytes_in)} in`;
  }
}

const ROW = 28;
const COLUMNS = [
  ["Stage", "stage", (task) => task.stage], ["Task", "index", (task) => task.index], ["Attempt", "attempt", (task) => task.attempt],
  ["State", "state", (task) => task.state], ["Executor", "executor_id", (task) => task.executor_id.slice(0, 8)],
  ["Start", "started_us", (task) => (task.started_us ? duration(task.started_us) : "")],
  ["Time", "elapsed_us", (task) => duration(task.elapsed_us)], ["Bytes in", "bytes_in", (task) => bytes(task.bytes_in)],
  ["Rows out", "rows_out", (task) => count(task.rows_out)], ["Bytes out", "bytes_out", (task) => bytes(task.bytes_out)],
  ["Spilled", "spilled_bytes", (task) => bytes(task.spilled_bytes)],
];

// Draws the rows that are seen, and no others.
export class TaskList {
  constructor() {
    this.by = null;
    const heads = COLUMNS.map(([text, name]) => h("button", { id: `by-${name}`, onclick: () => this.sort(name) }, text));
    this.body = h("div", { class: "body" });
    this.element = h("div", { class: "list", tabindex: 0, role: "group", "aria-label": "Tasks", onscroll: () => this.paint() }, h("div", { class: "head" }, heads), this.body);
    this.rows = [];
    this.descending = true;
    new ResizeObserver(() => this.paint()).observe(this.element);
  }

  sort(name) {
    this.descending = this.by === name ? !this.descending : true;
    this.by = name;
    this.show(this.rows);
  }

  show(tasks) {
    this.rows = [...tasks];
    if (this.by) {
      const sign = this.descending ? -1 : 1;
      this.rows.sort((a, b) => sign * (a[this.by] < b[this.by] ? -1 : a[this.by] > b[this.by] ? 1 : 0));
    }
    this.body.style.height = `${this.rows.length * ROW}px`;
    this.paint();
  }

  paint() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW) - 5);
    const last = Math.min(this.rows.length, first + Math.ceil(this.element.clientHeight / ROW) + 10);
    const items = [];
    for (let i = first; i < last; ++i) {
      const item = h("div", { class: "item" }, COLUMNS.map(([, , text]) => h("span", {}, String(text(this.rows[i])))));
      item.style.top = `${i * ROW}px`;
      items.push(item);
    }
    this.body.replaceChildren(...items);
  }
}
