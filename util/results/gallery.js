// The gallery of a result page. The rows are in the HTML; this adds filter, sorting, columns and
// the viewer. A row is {element, name, values}; a column is the class (c0, c1, ...) of its figures.

const figures = (row) => [...row.element.querySelectorAll("figure")];
const picture = (row, column) => row.element.querySelector(`.${column} img`);

function readRows(main, metrics) {
  return [...main.children].map((element) => {
    const heading = element.querySelector("h2");
    const row = { element, name: heading.textContent, values: metrics.rows[element.id] ?? [] };
    const told = metrics.names.flatMap((name, i) =>
      row.values[i] == null ? [] : [`${name} ${Number(row.values[i].toPrecision(4))}`]);
    row.told = told.join(", ");
    if (row.told) heading.after(make("span", { className: "values" }, row.told));
    return row;
  });
}

function readColumns(rows) {
  const columns = new Map(); // class -> label
  for (const row of rows)
    for (const figure of figures(row))
      if (!columns.has(figure.className))
        columns.set(figure.className, figure.querySelector("figcaption").textContent);
  return [...columns].sort((a, b) => a[0].slice(1) - b[0].slice(1))
    .map(([name, label]) => ({ name, label, on: true }));
}

function filterBox(gallery) {
  const count = make("output");
  const box = make("input", { type: "search", id: "filter", placeholder: "filter by name  /" });
  box.ariaLabel = "filter by name";
  const apply = () => {
    const wanted = box.value.toLowerCase();
    for (const row of gallery.rows) row.element.hidden = !row.name.toLowerCase().includes(wanted);
    const shown = gallery.rows.filter((row) => !row.element.hidden).length;
    const all = `${gallery.rows.length} images`;
    count.textContent = shown === gallery.rows.length ? all : `${shown} of ${all}`;
  };
  box.oninput = apply;
  apply();
  return [box, count];
}

function sortBox(gallery, names) {
  if (!names.length) return [];
  const choice = make("select", { id: "sort" }, make("option", { value: "" }, "in order"));
  names.forEach((name, i) => choice.append(
    make("option", { value: `${i} -1` }, `${name}, highest first`),
    make("option", { value: `${i} 1` }, `${name}, lowest first`)));
  const inOrder = [...gallery.rows];
  choice.onchange = () => {
    const [i, sign] = choice.value.split(" ").map(Number);
    const missing = sign > 0 ? Infinity : -Infinity; // rows without a value come last
    const key = (row) => row.values[i] ?? missing;
    gallery.rows = [...inOrder];
    if (choice.value)
      gallery.rows.sort((a, b) => (key(a) === key(b) ? 0 : sign * (key(a) < key(b) ? -1 : 1)));
    gallery.main.append(...gallery.rows.map((row) => row.element));
    scrollTo(0, 0);
  };
  return [make("label", {}, "sort", choice)];
}

function columnBoxes(gallery) {
  if (gallery.columns.length < 2) return [];
  const style = document.head.appendChild(make("style"));
  const apply = () => {
    const off = gallery.columns.filter((column) => !column.on);
    style.textContent = off.map((column) => `main .${column.name}{display:none}`).join("");
  };
  const boxes = gallery.columns.map((column) => {
    const box = make("input", { type: "checkbox", checked: true });
    box.onchange = () => { column.on = box.checked; apply(); };
    return make("label", {}, box, column.label);
  });
  const set = make("fieldset", { id: "columns" }, ...boxes);
  set.ariaLabel = "columns";
  return [set];
}

function sizeRange(gallery) {
  const value = gallery.main.querySelector("figure")?.clientWidth || 256;
  const range = make("input", { type: "range", id: "size", min: 64, max: 1024, value });
  range.oninput = () => gallery.main.style.setProperty("--width", `${range.value}px`);
  return make("label", {}, "size", range);
}

// Two pictures of a row, chosen by their columns, on top of each other.
function slider(gallery, view) {
  const { stage, range, show: compare, by } = comparison(view);
  const choice = (side) => {
    const select = make("select", { id: side }, ...gallery.columns.map((column) =>
      make("option", { value: column.name }, column.label)));
    select.ariaLabel = `${side} picture`;
    return select;
  };
  const [left, right] = [choice("left"), choice("right")];
  const part = make("div", { className: "cutter" }, left, range, right);
  const show = (row) => compare(...[left, right].map((select) => {
    const src = picture(row, select.value)?.src;
    return { src, label: select.selectedOptions[0].label + (src ? "" : ": not there") };
  }));
  return { parts: [stage, part], left, right, show, by };
}

// Every chosen column beside the others, zoomed and moved in step.
function sideBySide(gallery, view) {
  const part = make("div", { className: "panes" });
  pointing(part, (target) => target.closest(".pane"), view, (at, by) => view.move(...by));
  const show = (row) => {
    const chosen = gallery.columns.filter((column) => column.on && picture(row, column.name));
    const across = Math.min(chosen.length, Math.max(1, Math.floor(innerWidth / 180)),
      innerWidth < 700 ? 2 : 4);
    part.style.setProperty("--across", across || 1);
    part.replaceChildren(...chosen.map((column) => {
      const image = make("img", { alt: column.label, draggable: false });
      image.src = picture(row, column.name).src;
      return make("figure", {}, make("div", { className: "pane" }, image),
        make("figcaption", {}, column.label));
    }));
  };
  return { parts: [part], show };
}

function viewer(gallery) {
  const dialog = document.body.appendChild(make("dialog", { id: "viewer", tabIndex: -1 }));
  const view = lens(dialog);
  const modes = { slider: slider(gallery, view), panes: sideBySide(gallery, view) };
  const [name, told, position] = [make("h2"), make("output"), make("output", { id: "position" })];
  let row = null, mode = gallery.columns.length > 1 ? "slider" : "panes";
  const show = () => {
    const all = gallery.pictured();
    [name.textContent, told.textContent] = [row.name, row.told];
    position.textContent = `${all.indexOf(row) + 1} / ${all.length}`;
    const first = picture(row, modes.slider.left.value) ?? row.element.querySelector("img");
    const [width, height] = ["width", "height"].map((side) => first.getAttribute(side) ?? 1);
    dialog.style.setProperty("--ratio", width / height);
    for (const [key, { parts }] of Object.entries(modes))
      for (const part of parts) part.hidden = key !== mode;
    modes[mode].show(row);
    switcher.textContent = mode === "slider" ? "side by side" : "slider";
  };
  const step = (by) => { row = gallery.neighbour(row, by) ?? row; show(); };
  const swap = () => { mode = mode === "slider" ? "panes" : "slider"; show(); };
  const switcher = button("", "the other way to compare  S", swap);
  switcher.hidden = gallery.columns.length < 2;
  modes.slider.left.onchange = modes.slider.right.onchange = show;
  dialog.append(make("div", { className: "bar" },
    button("‹", "previous  ←", () => step(-1)), button("›", "next  →", () => step(1)),
    position, make("span", { className: "space" }), switcher,
    button("−", "smaller  -", () => view.zoom(1 / 1.5)),
    button("+", "larger  +", () => view.zoom(1.5)), button("1:1", "whole picture  0", view.reset),
    button("✕", "close  Esc", () => dialog.close())),
  make("div", { className: "bar" }, name, told),
  ...modes.slider.parts, ...modes.panes.parts, make("p", { className: "keys" },
    "← → other images · drag or Shift ← → slider · wheel or + − 0 zoom · S side by side · Esc"));
  dialog.onclose = () => gallery.mark(row);
  dialog.onkeydown = (event) => viewerKeys(event, { step, swap, view, cut: modes.slider.by });
  return (chosen, column) => {
    row = chosen;
    const { left, right } = modes.slider;
    if (left.value === right.value) [left.value, right.value] = firstTwo(gallery.columns);
    if (column && column !== left.value) right.value = column;
    view.reset();
    dialog.showModal();
    dialog.focus(); // not on a button, which the keys would press
    show();
  };
}

// What is compared first: two tests' results, else the first two columns.
function firstTwo(columns) {
  const several = columns.filter(({ label }) => label.includes(" · "));
  return [...several, ...columns].slice(0, 2).map(({ name }) => name);
}

function viewerKeys(event, { step, swap, view, cut }) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const keys = { j: () => step(1), k: () => step(-1), s: swap, 0: view.reset,
    "+": () => view.zoom(1.5), "=": () => view.zoom(1.5), "-": () => view.zoom(1 / 1.5) };
  if (sideways && event.shiftKey) cut(5 * sideways);
  else if (sideways && event.target.type !== "range") step(sideways);
  else if (keys[event.key.toLowerCase()]) keys[event.key.toLowerCase()]();
  else return;
  event.preventDefault();
}

function galleryKeys(gallery, open) {
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input,select,dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
    const by = { j: 1, k: -1 }[event.key];
    if (by) gallery.mark(gallery.neighbour(gallery.current, by) ?? gallery.current);
    else if (event.key === "Enter" && gallery.current && event.target === document.body)
      open(gallery.current);
    else if (event.key === "/") document.getElementById("filter").focus();
    else return;
    event.preventDefault();
  });
}

addEventListener("DOMContentLoaded", () => {
  const metrics = JSON.parse(document.getElementById("metrics").textContent);
  const main = document.querySelector("main");
  const gallery = { main, rows: readRows(main, metrics), current: null };
  gallery.columns = readColumns(gallery.rows);
  // Rows that the viewer can go to, in the order of the page.
  gallery.pictured = () => gallery.rows.filter((row) =>
    !row.element.hidden && row.element.querySelector("img"));
  gallery.neighbour = (row, by) => {
    const all = gallery.pictured(), at = all.indexOf(row);
    return at < 0 ? all[0] : all[at + by];
  };
  gallery.mark = (row) => {
    gallery.current?.element.classList.remove("current");
    gallery.current = row;
    row?.element.classList.add("current");
    row?.element.scrollIntoView({ block: "nearest" });
  };
  main.before(make("div", { id: "tools" }, ...filterBox(gallery),
    ...sortBox(gallery, metrics.names), ...columnBoxes(gallery), sizeRange(gallery),
    themeButton()));
  if (!gallery.columns.length) return;
  let view = null; // made when it is first needed
  const open = (row, column) => (view ??= viewer(gallery))(row, column);
  main.onclick = (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const element = link.closest("section");
    open(gallery.rows.find((row) => row.element === element), link.closest("figure").className);
  };
  galleryKeys(gallery, open);
});
