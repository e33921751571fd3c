// ---- pictures. A row: [number, heading, stem, labels, width, height, version]

const FIXED = "fixed_";
const GROUPS = JSON.parse(document.body.dataset.groups ?? "[]"); // lists of labels
let chosen = null; // number of the stage whose sample is shown; null: the newest
let built = ROWS;

function picture(row, label, eager) {
  const [, heading, stem, , width, height, version] = row;
  const file = `images/${stem}_${encodeURIComponent(label)}.png`;
  const image = element("img", { alt: `${heading}: ${label}`, width, height });
  image.loading = eager ? "eager" : "lazy";
  image.src = `${file}?${version}`;
  return element("figure", {}, element("a", { href: file }, image),
    element("figcaption", {}, label.replace(FIXED, "")));
}

// Figures of some labels; the groups that the model names stay together where a row is broken.
function grouped(labels, figures) {
  const plain = labels.map((label) => label.replace(FIXED, ""));
  const groups = GROUPS.map((group) => figures.filter((_, i) => group.includes(plain[i])))
    .filter((group) => group.length);
  if (groups.length < 2) return figures;
  const others = figures.filter((figure) => !groups.some((group) => group.includes(figure)));
  return [...groups, ...others.map((figure) => [figure])].map((group) => {
    const made = element("div", { className: "group" }, ...group);
    made.style.setProperty("--n", group.length);
    return made;
  });
}

// ---- the fixed sample

// The sample's picture in the i-th row: what does not change is kept once, in an earlier row.
function latest(rows, i, label) {
  while (i >= 0 && !rows[i][3].includes(label)) i--;
  return i < 0 ? null : rows[i];
}

function drawSample() {
  const rows = lists.rows.items;
  byId("sample-section").hidden = !rows.length;
  if (!rows.length) return;
  const all = [...new Set(rows.flatMap((row) => row[3]))];
  const fixed = all.filter((label) => label.startsWith(FIXED));
  const labels = fixed.length ? fixed : all;
  byId("sample-title").textContent = fixed.length ?
    "The same sample through the training" : "The picture through the training";
  const found = rows.findIndex((row) => row[0] === chosen);
  const at = found < 0 ? rows.length - 1 : found;
  if (found < 0) chosen = null;
  Object.assign(byId("at"), { max: rows.length - 1, value: at });
  byId("at-value").textContent = rows[at][1];
  showSample(labels.map((label) => [latest(rows, at, label), label]).filter(([row]) => row));
  drawStrip(rows, mostChanging(rows, labels), at);
}

// Exchanged in place: the old picture stays until the new one is there.
function showSample(wanted) {
  const figures = wanted.map(([row, label]) => picture(row, label, true));
  const now = [...byId("sample").querySelectorAll("figure")];
  const alike = now.length === figures.length &&
    now.every((figure, i) => figure.lastChild.textContent === figures[i].lastChild.textContent);
  if (!alike)
    return byId("sample").replaceChildren(...grouped(wanted.map(([, label]) => label), figures));
  now.forEach((figure, i) => exchange(figure, figures[i]));
}

function exchange(figure, fresh) {
  const [old, made] = [figure, fresh].map((each) => each.querySelector("img"));
  if (old.src === made.src) return;
  figure.querySelector("a").href = fresh.querySelector("a").href;
  Object.assign(old, { src: made.src, alt: made.alt });
}

// The first picture that is new in every row, and made by the model if names tell.
function mostChanging(rows, labels) {
  const changing = labels.filter((label) => rows.length < 2 || rows.at(-1)[3].includes(label));
  return changing.find((label) => /fake|output|picture|rec/.test(label)) ?? changing[0] ?? labels[0];
}

function drawStrip(rows, label, at) {
  const most = 12, count = Math.min(most, rows.length);
  const places = Array.from({ length: count }, (_, k) =>
    count === 1 ? 0 : Math.round((k * (rows.length - 1)) / (count - 1)));
  const strip = byId("strip"), made = new Map([...strip.children].map((b) => [b.dataset.key, b]));
  const buttons = places.filter((i) => latest(rows, i, label)).map((i) => {
    const row = rows[i], key = `${row[0]} ${row[6]} ${label} ${lists.rows.generation}`;
    const image = () => picture(latest(rows, i, label), label, false).querySelector("img");
    const button = made.get(key) ?? element("button", { type: "button" }, image(), row[1]);
    button.dataset.key = key;
    button.setAttribute("aria-pressed", String(i === at));
    button.onclick = () => choose(i);
    return button;
  });
  place(strip, buttons);
  const now = buttons.find((button) => button.getAttribute("aria-pressed") === "true");
  if (now) strip.scrollLeft = now.offsetLeft - strip.offsetLeft - strip.clientWidth / 2;
}

function choose(i) {
  const rows = lists.rows.items;
  chosen = i === rows.length - 1 ? null : rows[i][0];
  drawSample();
}

byId("at").addEventListener("input", (event) => choose(Number(event.target.value)));

// ---- all pictures, newest first, built as far down as somebody looks

function drawRows() {
  const host = byId("rows"), rows = lists.rows.items;
  const made = new Map([...host.children].map((article) => [article.dataset.key, article]));
  const newest = rows.findIndex((row) => `row-${row[0]}` === host.firstChild?.id);
  if (newest >= 0 && window.scrollY > 0) built += rows.length - 1 - newest;
  const wanted = rows.slice(-built).reverse();
  const articles = wanted.map((row) => {
    const labels = row[3].filter((label) => !label.startsWith(FIXED));
    const key = JSON.stringify([row[0], row[1], labels]);
    const old = made.get(key);
    const figures = labels.map((label) => picture(row, label, false));
    if (old) {
      [...old.querySelectorAll("figure")].forEach((figure, i) => exchange(figure, figures[i]));
      return old;
    }
    const grid = element("div", { className: "pictures" }, ...grouped(labels, figures));
    const article = element("article", { id: `row-${row[0]}` }, element("h3", {}, row[1]), grid);
    article.dataset.key = key;
    return article;
  });
  place(host, articles);
  byId("more").hidden = wanted.length === rows.length;
}

// Children that stay are not taken out: the browser would forget their pictures.
function place(host, wanted) {
  const keep = new Set(wanted);
  for (const child of [...host.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((child, i) => {
    if (host.children[i] !== child) host.insertBefore(child, host.children[i] ?? null);
  });
}

function older() {
  built += ROWS;
  drawRows();
}

byId("more").addEventListener("click", older);
new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && older(),
  { rootMargin: "600px" }).observe(byId("more"));
document.addEventListener("visibilitychange", () => document.hidden || refresh());
keepFresh();
