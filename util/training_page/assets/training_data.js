"use strict";
// Data arrive as scripts that call training.state and training.put: a page opened from disk may
// load those, but fetch nothing. Whatever is text in them goes into the page as text.

const COLOURS = ["#2f7ed8", "#e0682b", "#1f9e6e", "#c2459c", "#b8930a", "#7a5fd3", "#11a0b5",
  "#d0424a", "#7f8c2b", "#8a6a52"];
const ROWS = 12; // built at first, and whenever the end comes into sight
const byId = (id) => document.getElementById(id);

let news = null; // the last training.state
const lists = { points: newList(), rows: newList() };

function newList() {
  return { generation: -1, changes: -1, items: [], arriving: [] };
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// ---- data

window.training = {
  state(value) {
    news = value;
  },
  put([kind, generation, number, items]) {
    if (news[kind].generation === generation) lists[kind].arriving[number] = items;
  },
  refresh,
};

function load(file) {
  return new Promise((done) => {
    const script = element("script", { src: `data/${file}.js?${Date.now()}` });
    script.onload = script.onerror = () => { script.remove(); done(); };
    document.head.append(script);
  });
}

// The chunks that changed; a list is exchanged when all of them are there. Returns: whether it was.
async function update(kind) {
  const list = lists[kind], { generation, changes, count } = news[kind], size = news.chunk;
  if (list.generation === generation && list.changes === changes) return false;
  const fresh = list.generation !== generation;
  const first = fresh ? 0 : Math.floor(Math.max(0, list.items.length - 1) / size);
  list.arriving = [];
  const wanted = [];
  for (let number = first; number * size < count; number++) wanted.push(number);
  await Promise.all(wanted.map((number) => load(`${kind}_${number}`)));
  if (wanted.some((number) => !list.arriving[number])) return false; // being written; next time
  const kept = fresh ? [] : list.items.slice(0, first * size);
  list.items = kept.concat(...wanted.map((number) => list.arriving[number]));
  Object.assign(list, { generation, changes });
  return true;
}

async function refresh() {
  await load("state");
  if (!news) return;
  if (String(news.session) !== document.body.dataset.session) return reopen();
  if (await update("points")) drawPlots();
  if (await update("rows")) keepPlace(() => { drawSample(); drawRows(); });
  drawState();
}

// Another session wrote the page anew; once is enough, whatever a cache holds.
function reopen() {
  const seen = `reopened ${news.session}`;
  if (sessionStorage.getItem(seen)) return;
  sessionStorage.setItem(seen, "1");
  location.reload();
}

async function keepFresh() {
  if (!document.hidden) await refresh().catch(console.error);
  if (news?.state === "finished") return;
  const rest = Number(document.body.dataset.refreshMs);
  setTimeout(keepFresh, news?.state === "stopped" ? 6 * rest : rest); // it may be taken up again
}

// What is at the upper edge of the window stays there while something above it changes.
function keepPlace(change) {
  const all = [...document.querySelectorAll("main>section,#rows>article")];
  const below = all.filter((e) => e.getBoundingClientRect().bottom > 0);
  const anchor = window.scrollY > 0 && (below.find((e) => e.tagName === "ARTICLE" &&
    e.getBoundingClientRect().top < innerHeight) ?? below[0]);
  const before = anchor && anchor.getBoundingClientRect().top;
  change();
  if (anchor?.isConnected) window.scrollBy(0, anchor.getBoundingClientRect().top - before);
}

// ---- words and numbers

function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e10) return String(+value.toPrecision(3)).replace("e+", "e");
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
  return size < 1e-3 && size > 0 ? value.toExponential(1) : String(+value.toPrecision(3));
}

function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

function duration(seconds) {
  const all = Math.round(seconds), hours = Math.floor(all / 3600);
  if (hours >= 100) return `${Math.floor(hours / 24)}d ${String(hours % 24).padStart(2, "0")}h`;
  const [minutes, rest] = [Math.floor(all / 60) % 60, all % 60].map((part) => String(part).padStart(2, "0"));
  return hours ? `${hours}:${minutes}:${rest}` : `${Number(minutes)}:${rest}`;
}

const perSecond = (time, data) => (time > 0 ? 1 / (time + (data ?? 0)) : null);

function drawState() {
  const silence = Date.now() - news.updated_ms, { last, epoch, n_epochs } = news;
  const silent = news.state === "running" && silence > 600000;
  const word = element("span", { className: `word ${silent ? "silent" : news.state}` });
  word.textContent = silent ? "silent: still running?" : news.state;
  const parts = [word, element("span", {}, `epoch ${epoch} of ${n_epochs}`)];
  const done = news.state === "finished" ? 1 : news.standing?.share ?? Math.max(0, epoch - 1) / n_epochs;
  parts.push(element("progress", { max: 1, value: done }));
  parts.push(element("span", {}, `${Math.floor(100 * done + 1e-9)}% done`));
  const left = news.standing?.left_s;
  if (news.state === "running" && left != null)
    parts.push(element("span", {}, `about ${duration(Math.max(0, left - silence / 1000))} left`));
  const pace = perSecond(last.speed?.time_s, last.speed?.data_s);
  if (pace) parts.push(element("span", {}, `${short(pace)} images/s`));
  const when = new Date(news.updated_ms).toLocaleString();
  const age = news.state === "running" ? ` (${ago(silence)})` : "";
  parts.push(element("span", { className: "dim" }, `last update ${when}${age}`));
  byId("state").replaceChildren(...parts);
}
