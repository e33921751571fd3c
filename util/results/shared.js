"use strict";
// What the result page and the page of scripts/serve.py share: making elements, dark or light, and
// two pictures to compare, on top of each other.

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const button = (text, title, onclick) => make("button", { type: "button", title, onclick }, text);

function themeButton() {
  const root = document.documentElement.style;
  return button("◐", "dark or light", () => {
    const dark = root.colorScheme ? root.colorScheme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.colorScheme = dark ? "light" : "dark";
  });
}

// Zoom and place, the same for every picture of the viewer; x and y in widths of a picture.
function lens(element) {
  const at = { zoom: 1, x: 0, y: 0 };
  const apply = () => {
    const inside = (offset) => Math.min(0, Math.max(1 - at.zoom, offset));
    [at.x, at.y] = [inside(at.x), inside(at.y)];
    for (const [name, value] of Object.entries(at)) element.style.setProperty(`--${name}`, value);
    element.classList.toggle("close-up", at.zoom >= 3);
  };
  return {
    reset: () => { Object.assign(at, { zoom: 1, x: 0, y: 0 }); apply(); },
    move: (x, y) => { at.x += x; at.y += y; apply(); },
    zoom: (factor, x = 0.5, y = 0.5) => {
      const zoom = Math.min(32, Math.max(1, at.zoom * factor));
      at.x = x - ((x - at.x) * zoom) / at.zoom;
      at.y = y - ((y - at.y) * zoom) / at.zoom;
      at.zoom = zoom;
      apply();
    },
  };
}

// Wheel zooms about the pointer; dragging calls `drag`. Fractions are of the picture below.
function pointing(area, frameOf, view, drag) {
  const place = (event, frame) => {
    const box = frame.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  area.addEventListener("wheel", (event) => {
    const frame = frameOf(event.target);
    if (!frame) return;
    event.preventDefault();
    view.zoom(Math.exp(-event.deltaY / 400), ...place(event, frame));
  }, { passive: false });
  let held = null;
  area.onpointerdown = (event) => {
    const frame = frameOf(event.target);
    if (!frame || event.button) return;
    area.setPointerCapture(event.pointerId);
    held = { frame, last: place(event, frame) };
    drag(held.last, [0, 0], event);
  };
  area.onpointermove = (event) => {
    if (!held) return;
    const now = place(event, held.frame);
    drag(now, [now[0] - held.last[0], now[1] - held.last[1]], event);
    held.last = now;
  };
  area.onpointerup = area.onpointercancel = () => { held = null; };
}

// Cut by a knife that follows the pointer and a range. Returns the elements `stage` and `range`;
// show(left, right), each {src, label}, where src may be empty; and by(percent), which moves on.
function comparison(view) {
  const images = [0, 1].map(() => make("img", { alt: "", draggable: false }));
  const tags = ["left", "right"].map((side) => make("span", { className: `tag ${side}` }));
  const stage = make("div", { className: "stage" },
    make("div", { className: "layer" }, images[0]),
    make("div", { className: "layer over" }, images[1]),
    make("div", { className: "knife" }), ...tags);
  const range = make("input", { type: "range", id: "knife", min: 0, max: 100, step: 0.5 });
  range.ariaLabel = "how much of the left picture is shown, percent";
  const cut = (percent) => {
    range.value = percent;
    stage.style.setProperty("--cut", range.value);
  };
  range.oninput = () => cut(range.value);
  cut(50);
  pointing(stage, () => stage, view, ([x], by, event) =>
    event.shiftKey ? view.move(...by) : cut(100 * x));
  const show = (...shown) => shown.forEach(({ src, label }, i) => {
    Object.assign(images[i], { hidden: !src, alt: label });
    if (src) images[i].src = src;
    tags[i].textContent = label;
  });
  return { stage, range, show, by: (step) => cut(+range.value + step) };
}
