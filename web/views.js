// The pages. A view has load() (asks the server), draw(root, data), and where they apply live(data) (whether to ask
// again), same(view)/take(view) (another tab of the same thing), leave().
import { ask, post, reload } from "./app.js";
import { bytes, count, duration, stageGraph, TaskList, Timeline } from "./charts.js";

const PAGE = 100;

// An element: h("td", {class: "number"}, "text", child, ...). Text is text.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

const when = (ms) => (ms ? new Date(ms).toLocaleString() : "");
const state = (name) => h("span", { class: `state ${name.split(" ")[0]}` }, name);
const card = (value, label) => h("div", { class: "card" }, h("b", {}, value), h("span", {}, label));
const number = (text, more = {}) => h("td", { class: "number", ...more }, text);

function meter(used, limit) {
  const share = h("i", {});
  share.style.width = `${limit > 0 ? Math.min(100, (100 * used) / limit) : 0}%`;
  return h("span", { class: "meter" }, share);
}

function table(id, heads, rows) {
  const head = heads.map((one) => (Array.isArray(one) ? h("th", { scope: "col", class: one[1] }, one[0]) : h("th", { scope: "col" }, one)));
  return h("div", { class: "scroll" }, h("table", { id }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}

export function problem(root, message) {
  root.replaceChildren(h("h1", {}, "Not found"), h("p", { class: "error" }, message));
}

export function unknown() {
  return { load: async () => null, draw: (root) => problem(root, "There is no such page."), live: () => false };
}

function jobRow(job) {
  const done = job.tasks ? `${job.finished_tasks} / ${job.tasks}` : "";
  return h("tr", {},
    h("td", {}, state(job.state)),
    h("td", { class: "wide" }, h("a", { href: `#/jobs/${encodeURIComponent(job.job_id)}`, id: `job-${job.job_id}` },
      job.statement || job.job_id), job.error ? h("div", { class: "dim" }, job.error) : null),
    number(duration(job.elapsed_us)), number(done), number(count(job.result_rows), { class: "number hide-small" }),
    h("td", { class: "hide-small" }, when(job.submitted_ms)));
}

const jobTable = (jobs) => table("jobs", ["State", "Statement", ["Time", "number"], ["Tasks", "number"],
  ["Rows", "number hide-small"], ["Submitted", "hide-small"]], jobs.map(jobRow));

function executorRow(one) {
  const drain = h("button", { id: `drain-${one.id}`, disabled: one.state === "draining", onclick: async () => {
    if (!confirm(`Drain the executor at ${one.host}:${one.port}?`)) return;
    await post(`/api/executors/${encodeURIComponent(one.id)}/drain`).catch((error) => alert(error.message));
    reload();
  } }, "Drain");
  return h("tr", {}, h("td", {}, state(one.state)), h("td", {}, `${one.host}:${one.port}`, h("div", { class: "dim hide-small" }, one.id)),
    h("td", {}, meter(one.running_tasks, one.slots), `${one.running_tasks} / ${one.slots}`),
    h("td", {}, meter(one.memory_used, one.memory_limit), `${bytes(one.memory_used)} / ${bytes(one.memory_limit)}`),
    number(bytes(one.disk_used)), number(`${(one.heartbeat_age_ms / 1000).toFixed(1)} s`), h("td", {}, drain));
}

const executorTable = (list) => table("executors", ["State", "Address", "Slots", "Memory", ["Disk", "number"], ["Heard", "number"], ""], list.map(executorRow));

export function cluster() {
  return {
    load: () => Promise.all([ask("/api/cluster"), ask("/api/executors"), ask("/api/jobs?limit=10")]),
    draw(root, [now, executors, jobs]) {
      document.title = "Ballista";
      root.replaceChildren(
        h("h1", {}, "Cluster"),
        now.draining ? h("p", { class: "note" }, "This scheduler is stopping: it takes no more queries.") : "",
        h("div", { class: "cards" },
          card(`${now.usable_executors} / ${now.executors}`, "executors that take tasks"),
          card(`${now.running_tasks} / ${now.slots}`, "slots in use"),
          card(count(now.running_jobs), "jobs running"), card(count(now.queued_jobs), "jobs queued"),
          card(count(now.waiting_results), "results not read yet"), card(count(now.history), "jobs in the history"),
          card(bytes(now.memory_used), `of ${bytes(now.memory_limit)} memory`), card(bytes(now.disk_used), "on disk"),
          card(duration(now.uptime_ms * 1000), "up"), card(now.version, "version")),
        h("h2", {}, "Executors"), executorTable(executors.executors.slice(0, 20)),
        h("h2", {}, "Latest jobs"), jobTable(jobs.jobs), h("p", {}, h("a", { href: "#/jobs" }, `All ${jobs.total} jobs`)));
    },
  };
}

export function executors() {
  return {
    load: () => ask("/api/executors"),
    draw(root, data) {
      document.title = "Executors – Ballista";
      root.replaceChildren(h("h1", {}, `${data.executors.length} executors`), executorTable(data.executors));
    },
  };
}

export function config() {
  return {
    load: () => ask("/api/config"),
    live: () => false,
    draw(root, data) {
      document.title = "Options – Ballista";
      const rows = data.options.map((one) => h("tr", {}, h("td", {}, `--${one.name}`), h("td", { class: "wide" }, one.value)));
      root.replaceChildren(h("h1", {}, "Options of this scheduler"), table("options", ["Option", "Value"], rows));
    },
  };
}

export function jobs(query) {
  const offset = Math.max(0, Number(query.get("offset")) || 0);
  const go = (changes) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
    location.hash = `#/jobs?${next}`;
  };
  const states = ["", "queued", "running", "finished", "failed", "cancelled"];
  const search = h("input", { type: "search", id: "text", placeholder: "Text of the statement, or an id  ( / )", "aria-label": "Filter",
    value: query.get("text") || "" });
  const choice = h("select", { id: "state", "aria-label": "State", onchange: () => go({ state: choice.value, offset: 0 }) },
    states.map((one) => h("option", { value: one, selected: one === (query.get("state") || "") }, one || "any state")));
  const form = h("form", { onsubmit: (event) => { event.preventDefault(); go({ text: search.value, offset: 0 }); } }, search, choice,
    h("button", {}, "Filter"));
  const list = h("div", {});
  return {
    load: () => {
      const wanted = new URLSearchParams({ limit: PAGE, offset });
      for (const name of ["state", "text"]) if (query.get(name)) wanted.set(name, query.get(name));
      return ask(`/api/jobs?${wanted}`);
    },
    draw(root, data) {
      document.title = "Jobs – Ballista";
      // Drawn once, so that typing is not disturbed.
      if (!form.isConnected) root.replaceChildren(h("h1", {}, "Jobs"), form, list);
      const last = Math.min(offset + PAGE, data.total);
      list.replaceChildren(jobTable(data.jobs), h("div", { class: "row" },
        h("button", { id: "later", disabled: offset === 0, onclick: () => go({ offset: offset - PAGE }) }, "Later"),
        h("button", { id: "next", disabled: last >= data.total, onclick: () => go({ offset: offset + PAGE }) }, "Earlier"),
        h("span", { class: "dim" }, data.total ? `${offset + 1} to ${last} of ${data.total}` : "none")));
    },
  };
}

// ---- one job

const rowsOf = (profile) => profile.stages.flatMap((stage) => stage.task_list.map((task) => ({
  stage: stage.id, index: task.index, attempt: task.attempt, state: task.state, executor_id: task.executor_id,
  started_us: task.started_us, elapsed_us: task.elapsed_us, failures: task.failures,
  rows_in: task.metrics?.input_rows || 0, bytes_in: task.metrics?.input_bytes || 0, rows_out: task.metrics?.output_rows || 0,
  bytes_out: task.metrics?.output_bytes || 0, spilled_bytes: task.metrics?.spilled_bytes || 0,
})));

async function allTasks(id, total) {
  const rows = [];
  do {
    const page = await ask(`/api/jobs/${encodeURIComponent(id)}/tasks?limit=5000&offset=${rows.length}`);
    rows.push(...page.tasks);
    total = page.total;
    if (page.tasks.length === 0) break;
  } while (rows.length < total);
  return rows;
}

function jobHead(profile, fromFile) {
  const job = profile.job;
  const open = !fromFile && !job.ended && (job.state === "queued" || job.state === "running");
  const path = `/api/jobs/${encodeURIComponent(job.job_id)}`;
  const cancel = h("button", { id: "cancel", class: "danger", onclick: async () => {
    if (!confirm("Cancel this query?")) return;
    await post(`${path}/cancel`).catch((error) => alert(error.message));
    reload();
  } }, "Cancel");
  const share = job.tasks ? job.finished_tasks / job.tasks : 0;
  return [
    h("h1", {}, "Job ", job.job_id),
    h("div", { class: "row" }, h("span", { id: "job-state" }, state(job.state)), h("span", { class: "dim" }, when(job.submitted_ms)),
      open ? cancel : null, fromFile ? null : h("a", { id: "export", class: "button", href: `${path}/profile`, download: `${job.job_id}.json` }, "Export")),
    open ? h("progress", { id: "progress", max: 1, value: share, "aria-label": "Finished tasks" }) : null,
    job.waiting_for ? h("p", { class: "note" }, job.waiting_for) : null,
    job.error ? h("p", { class: "error" }, job.error) : null,
    h("div", { class: "cards" },
      card(duration(job.elapsed_us), "time"), card(duration(job.queued_us), "in the queue"),
      card(job.first_task_us ? duration(job.first_task_us) : "–", "until the first task"),
      card(`${job.finished_tasks} / ${job.tasks}`, "tasks finished"), card(count(job.running_tasks), "tasks running"),
      card(count(job.failed_attempts), "attempts failed"), card(bytes(job.exchanged_bytes), "exchanged"),
      card(bytes(job.spilled_bytes), "spilled"), card(count(job.result_rows), `rows, ${bytes(job.result_bytes)}`)),
    h("pre", { id: "statement", tabindex: 0, "aria-label": "Statement" }, job.statement),
    profile.single_task_reason ? h("p", { class: "note" }, `Runs as one task: ${profile.single_task_reason}`) : null,
  ];
}

function stageTable(stages, chosen) {
  const spread = (one, format) => (one ? `${format(one.min)} / ${format(one.median)} / ${format(one.max)}` : "");
  const rows = stages.filter((stage) => chosen == null || stage.id === chosen).map((stage) => h("tr", {},
    number(stage.id), h("td", {}, state(stage.state.replace("_", " "))), h("td", { class: "wide" }, stage.description),
    number(`${stage.finished} / ${stage.tasks}`), number(count(stage.rows)), number(bytes(stage.bytes)),
    number(spread(stage.time_us, duration)), number(stage.skew ? `${stage.skew.toFixed(1)}×` : ""),
    number(bytes(stage.bytes_in?.total || 0)), number(bytes(stage.spilled_bytes?.total || 0)), number(count(stage.failed_attempts))));
  return table("stages", [["Stage", "number"], "State", "What", ["Tasks", "number"], ["Rows", "number"], ["Bytes", "number"],
    ["Task time min / median / max", "number"], ["Skew", "number"], ["Read", "number"], ["Spilled", "number"], ["Failed", "number"]], rows);
}

function operators(stages) {
  const measured = stages.filter((stage) => stage.operators.length > 0);
  if (measured.length === 0) return [];
  const indent = (operator) => {
    const cell = h("td", { class: "wide" }, operator.name, h("div", { class: "dim" }, operator.detail));
    cell.style.paddingLeft = `${0.6 + operator.depth}rem`;
    return cell;
  };
  return [h("h2", {}, "Operators"), ...measured.map((stage) => table(`operators-${stage.id}`,
    [`Stage ${stage.id}`, ["Rows", "number"], ["Bytes", "number"], ["Time", "number"]],
    stage.operators.map((one) => h("tr", {}, indent(one), number(count(one.rows.total)), number(bytes(one.bytes.total)), number(duration(one.time_us.total))))))];
}

function plans(profile) {
  return profile.stages.map((stage) => h("details", { open: profile.stages.length <= 8 },
    h("summary", {}, `Stage ${stage.id}: ${stage.description}`), h("pre", { tabindex: 0 }, stage.plan)));
}

function errorList(profile) {
  if (profile.errors.length === 0) return [h("p", { class: "dim" }, "No attempt of a task has failed.")];
  const rows = profile.errors.map((one) => h("tr", {}, number(one.stage), number(one.task), number(one.attempt),
    number(duration(one.at_us)), h("td", {}, one.executor_id.slice(0, 8)), h("td", { class: "wide" }, one.message)));
  return [table("errors", [["Stage", "number"], ["Task", "number"], ["Attempt", "number"], ["After", "number"], "Executor", "Error"], rows),
    profile.more_errors ? h("p", { class: "dim" }, `${profile.more_errors} more are not kept.`) : ""];
}

const TABS = [["stages", "Stages"], ["tasks", "Tasks"], ["plan", "Plan"], ["errors", "Errors"]];

// What a job's page and a file's have in common. `link`: gives a tab's address, or null.
class JobPage {
  constructor(tab, onTab) {
    this.tab = tab;
    this.onTab = onTab;
    this.chosen = null;
    this.head = h("div", {});
    this.tabs = h("div", { class: "row tabs", role: "tablist" });
    this.body = h("div", { role: "tabpanel" });
    this.timeline = new Timeline();
    this.list = new TaskList();
    this.drawn = "";
  }

  draw(root, profile, tasks, fromFile = false) {
    document.title = `Job ${profile.job.job_id.slice(0, 8)} – Ballista`;
    if (!this.body.isConnected) root.replaceChildren(this.head, this.tabs, this.body);
    this.head.replaceChildren(...jobHead(profile, fromFile).filter((one) => one != null));
    this.tabs.replaceChildren(...TABS.map(([name, text]) => h("button", { role: "tab", id: `tab-${name}`, "aria-selected": String(name === this.tab),
      onclick: () => this.onTab(name) }, name === "errors" && profile.errors.length ? `${text} (${profile.errors.length + profile.more_errors})` : text)));
    if (this.tab === "tasks") return this.drawTasks(tasks);
    this.drawn = this.tab;
    if (this.tab === "plan") {
      // Unchanged while it is read: folds and selections stay.
      const text = profile.stages.map((stage) => stage.plan).join();
      if (this.plan === text && this.body.querySelector("details")) return;
      this.plan = text;
      return this.body.replaceChildren(...plans(profile));
    }
    if (this.tab === "errors") return this.body.replaceChildren(...errorList(profile));
    const choose = (id) => {
      this.chosen = this.chosen === id ? null : id;
      this.draw(root, profile, tasks, fromFile);
    };
    const stages = profile.stages.filter((stage) => stage.state !== "not_needed");
    const scroll = this.body.querySelector(".graph");
    const focused = document.activeElement?.id;
    const [left, top] = [scroll?.scrollLeft || 0, scroll?.scrollTop || 0];
    this.body.replaceChildren(stageGraph(stages, profile.result_stage, this.chosen, choose), stageTable(stages, this.chosen), ...operators(stages));
    this.body.querySelector(".graph").scrollTo(left, top);
    if (focused?.startsWith("stage-")) document.getElementById(focused)?.focus();
    return undefined;
  }

  drawTasks(tasks) {
    if (this.drawn !== "tasks") this.body.replaceChildren(this.timeline.element, this.timeline.tip, this.list.element);
    this.drawn = "tasks";
    this.timeline.show(tasks || []);
    this.list.show(tasks || []);
  }
}

export function job(id, tab) {
  const page = new JobPage(tab, (name) => { location.hash = `#/jobs/${encodeURIComponent(id)}/${name}`; });
  let kept = null; // tasks of a job that has ended
  const view = {
    id, tab,
    async load() {
      const profile = await ask(`/api/jobs/${encodeURIComponent(id)}/overview`);
      if (view.tab !== "tasks") return { profile };
      const tasks = kept || await allTasks(id);
      if (profile.job.ended) kept = tasks;
      return { profile, tasks };
    },
    live: ({ profile }) => !profile.job.ended,
    draw(root, { profile, tasks }) {
      if (page.tab === "tasks" && !tasks) return;
      page.draw(root, profile, tasks);
    },
    same: (other) => other.id === id,
    take(other) {
      view.tab = page.tab = other.tab;
      page.drawn = "";
    },
  };
  return view;
}

export function file() {
  let profile = null;
  let tasks = [];
  const page = new JobPage("stages", (name) => { page.tab = name; page.drawn = ""; page.draw(place, profile, tasks, true); });
  const place = h("div", {});
  const chooser = h("input", { type: "file", id: "file", accept: ".json", "aria-label": "Exported profile", onchange: async () => {
    try {
      const read = JSON.parse(await chooser.files[0].text());
      if (read.format !== 1 || !Array.isArray(read.stages)) throw new Error("it is no exported profile of this version");
      profile = read;
      tasks = rowsOf(read);
      page.draw(place, profile, tasks, true);
    } catch (error) {
      problem(place, `This file cannot be shown: ${error.message}`);
    }
  } });
  return {
    load: async () => null,
    live: () => false,
    draw(root) {
      document.title = "File – Ballista";
      root.replaceChildren(h("h1", {}, "A job from a file"),
        h("p", { class: "dim" }, "A profile that was exported from a job's page. It is read here and sent nowhere."), chooser, place);
    },
  };
}
