// The page itself: which network, which image, and what comes of it.

const byId = (id) => document.getElementById(id);
const SIDES = [256, 512, 1024, 2048]; // px to choose from, of the longest side
const state = { runs: [], limits: {}, source: null, asking: null, urls: [] };

const run = () => state.runs.find(({ name }) => name === byId("run").value);

function fill(select, values, chosen) {
  select.replaceChildren(...values.map((value) => make("option", { value }, value)));
  if (values.includes(chosen)) select.value = chosen;
  if (select.id === "direction") select.parentElement.hidden = values.length < 2;
}

async function askRuns() {
  const answer = await fetch("runs");
  if (!answer.ok) throw new Error(await answer.text());
  Object.assign(state, await answer.json());
  fill(byId("run"), state.runs.map(({ name }) => name), byId("run").value);
  byId("side").replaceChildren(...SIDES.map((px) => make("option", { value: px }, `${px} px`)),
    make("option", { value: "" }, "as it is"));
  byId("side").value = 1024;
  showRun();
  show(run().drawn ? "drawing" : "image");
}

function showRun() {
  const { epochs, directions, size } = run();
  fill(byId("epoch"), epochs, byId("epoch").value);
  fill(byId("direction"), directions, byId("direction").value);
  sheet.resize(size);
}

function show(tab) {
  for (const each of ["image", "drawing"]) {
    byId(`panel-${each}`).hidden = each !== tab;
    byId(`tab-${each}`).setAttribute("aria-selected", String(each === tab));
    byId(`tab-${each}`).tabIndex = each === tab ? 0 : -1;
  }
}

// ---- an image, as it is sent

// The file itself, or smaller if its longest side is above the chosen one; what the browser cannot
// read is sent as it is.
async function scaled(file) {
  const most = Number(byId("side").value) || Infinity;
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    return file;
  }
  const by = most / Math.max(image.width, image.height);
  if (by >= 1) return file;
  const [width, height] = [image.width, image.height].map((px) => Math.max(1, Math.round(px * by)));
  const canvas = make("canvas", { width, height });
  Object.assign(canvas.getContext("2d"), { imageSmoothingQuality: "high" })
    .drawImage(image, 0, 0, width, height);
  return new Promise((done) => canvas.toBlob(done));
}

const sheet = drawing(byId, () => translateDrawing());

async function translateDrawing() {
  take(await sheet.blob(), "drawing");
}

function take(file, name) {
  state.source = { file, name: name.replace(/\.[^.]*$/, "") || "image" };
  translate();
}

// ---- what comes of it

const view = lens(byId("compared"));
const compared = comparison(view);
byId("compared").append(compared.stage, make("div", { className: "bar" },
  button("−", "smaller", () => view.zoom(1 / 1.5)), compared.range,
  button("+", "larger", () => view.zoom(1.5)), button("1:1", "whole picture", view.reset)));
document.querySelector("header").append(themeButton());

function say(text, busy = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("busy", busy);
  byId("result").setAttribute("aria-busy", String(busy));
}

function fault(text) {
  byId("fault").textContent = text;
}

async function translate() {
  if (!state.source || !run()) return;
  state.asking?.abort(); // the server gives up what has not begun
  const asking = state.asking = new AbortController();
  fault("");
  say("translating …", true);
  try {
    const sent = await scaled(state.source.file);
    const { bytes } = state.limits;
    if (sent.size > bytes) throw new Error(`the file has more than ${bytes / 1e6} MB; choose a ` +
      "smaller one, or a smaller longest side");
    const asked = new URLSearchParams({ run: run().name, epoch: byId("epoch").value,
      direction: byId("direction").value, view: "1" });
    const answer = await fetch(`translate?${asked}`, { method: "POST", body: sent,
      signal: asking.signal, headers: { Accept: "application/json",
        "Content-Type": sent.type.startsWith("image/") ? sent.type : "application/octet-stream" } });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    if (asking === state.asking) await showResult(sent, told);
  } catch (error) {
    if (asking !== state.asking) return; // another image is asked for by now
    say("");
    fault(error instanceof TypeError ? "the server does not answer; is it still there?" :
      error.message);
  }
}

const bytesOf = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const blobOf = (text, type) => new Blob([bytesOf(text)], { type });

async function showResult(sent, told) {
  state.urls.forEach((url) => URL.revokeObjectURL(url));
  const made = blobOf(told.image, told.type);
  const seen = [[told.source_view, sent], [told.view, made]].map(([text, blob]) =>
    text ? blobOf(text, "image/png") : blob);
  state.urls = [...seen, made].map((blob) => URL.createObjectURL(blob));
  const [source, result, file] = state.urls;
  byId("compared").style.setProperty("--ratio", told.width / told.height);
  compared.show({ src: source, label: "before" }, { src: result, label: "after" });
  view.reset();
  byId("compared").hidden = byId("after").hidden = false;
  const name = `${state.source.name}_${told.run}.${told.extension}`;
  Object.assign(byId("download"), { href: file, download: name, textContent: `download ${name}` });
  byId("further").onclick = () => { show("image"); take(made, state.source.name); };
  say(`${told.run}, epoch ${told.epoch}: ${told.width} x ${told.height} px in ` +
    `${told.network_s.toPrecision(2)} s`);
  if (innerWidth <= 760) byId("result").scrollIntoView(); // it is below
}

// ---- from where images come

for (const id of ["file", "camera"])
  byId(id).onchange = ({ target }) => {
    const [file] = target.files;
    if (file) take(file, file.name);
    target.value = ""; // so that the same file may be chosen again
  };
addEventListener("paste", ({ clipboardData }) => {
  const [file] = clipboardData.files;
  if (!file) return;
  show("image");
  take(file, "pasted");
});
let over = 0; // enter and leave come for every element below the pointer
const dropping = (by) => {
  over = by ? over + by : 0;
  document.body.classList.toggle("dropping", over > 0);
};
addEventListener("dragenter", () => dropping(1));
addEventListener("dragleave", () => dropping(over > 0 ? -1 : 0));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  dropping(0);
  const [file] = event.dataTransfer.files;
  if (!file) return fault("what was dropped is no file; save the image first, and drop that");
  show("image");
  take(file, file.name);
});
byId("translate").onclick = translateDrawing;
byId("choice").onsubmit = (event) => event.preventDefault();
byId("run").onchange = () => { showRun(); translate(); };
for (const id of ["epoch", "direction", "side"]) byId(id).onchange = translate;
for (const tab of ["image", "drawing"]) {
  byId(`tab-${tab}`).onclick = () => show(tab);
  byId(`tab-${tab}`).onkeydown = (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const other = tab === "image" ? "drawing" : "image";
    show(other);
    byId(`tab-${other}`).focus();
  };
}
askRuns().catch((error) => fault(`what is served could not be asked for: ${error.message}`));
