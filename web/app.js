// Routes by the address's hash, and asks the server again while something may change.
import * as views from "./views.js";

const main = document.getElementById("main");
const status = document.getElementById("status");
const INTERVAL = 1000;
let current = null; // the view that is shown
let timer = 0;

export async function ask(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.text();
  if (answer.ok) return JSON.parse(body);
  let message = `${answer.status} ${answer.statusText}`;
  try {
    message = JSON.parse(body).error || message;
  } catch {
    // Not ours: the status says what there is to say.
  }
  const error = new Error(message);
  error.status = answer.status;
  throw error;
}

export const post = (path) => ask(path, { method: "POST" });

// "#/jobs/ID/tasks?text=a" is {path: ["jobs", "ID", "tasks"], query: URLSearchParams}.
function parse() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query || "") };
}

function viewFor({ path, query }) {
  const [first, id, tab] = path;
  if (first === undefined) return views.cluster();
  if (first === "jobs" && id !== undefined) return views.job(id, tab || "stages");
  if (first === "jobs") return views.jobs(query);
  if (first === "executors") return views.executors();
  if (first === "config") return views.config();
  if (first === "file") return views.file();
  return views.unknown();
}

// The same elements keep the focus when they are drawn again.
function draw(view, data) {
  const focused = document.activeElement?.id;
  view.draw(main, data);
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
}

async function refresh(view) {
  clearTimeout(timer);
  let again = true;
  try {
    const data = await view.load();
    if (view !== current) return;
    draw(view, data);
    again = view.live ? view.live(data) : true;
    status.textContent = again ? "live" : "";
  } catch (error) {
    if (view !== current) return;
    if (error.status === 404 || error.status === 400) {
      views.problem(main, error.message);
      status.textContent = "";
      again = false;
    } else {
      status.textContent = `no answer: ${error.message}`;
    }
  }
  if (again && view === current) timer = setTimeout(() => tick(view), INTERVAL);
}

function tick(view) {
  if (document.hidden) timer = setTimeout(() => tick(view), INTERVAL);
  else refresh(view);
}

export function reload() {
  if (current) refresh(current);
}

function show() {
  const place = parse();
  // Another tab of the same job goes on with what is there.
  const next = viewFor(place);
  if (current?.same?.(next)) {
    current.take(next);
  } else {
    current?.leave?.();
    current = next;
    main.replaceChildren();
    scrollTo(0, 0);
  }
  for (const link of document.querySelectorAll("nav a")) {
    const target = link.getAttribute("href").replace(/^#\/?/, "");
    if (target === (place.path[0] || "")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  refresh(current);
}

addEventListener("hashchange", show);
addEventListener("keydown", (event) => {
  const typing = /^(input|select|textarea)$/i.test(event.target.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector("input[type=search]");
    event.preventDefault();
    if (search) search.focus();
    else location.hash = "#/jobs";
  }
});
show();
