// ---- plots: curves over the images seen

const hidden = new Set(); // names of curves
const plots = ["losses", "metrics", "lr", "pace"].map((name) => makePlot(byId(`plot-${name}`)));
const [lossPlot, metricPlot, ratePlot, pacePlot] = plots;
let scaled = false; // whether the scale has been chosen
let xs = [], epochs = [], curves = []; // curves: {name, colour, values, smooth}, one per loss

function makePlot(host) {
  const plot = { host, svg: host.querySelector("svg"), tip: host.querySelector(".tip"), curves: [] };
  const at = (event) => pointAt(event.clientX - plot.svg.getBoundingClientRect().left);
  plot.svg.addEventListener("pointermove", (event) => point(plot, at(event)));
  plot.svg.addEventListener("pointerleave", () => point(null, -1));
  plot.svg.addEventListener("blur", () => point(null, -1));
  plot.svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !xs.length) return;
    event.preventDefault();
    plot.at = Math.min(xs.length - 1, Math.max(0, (plot.at ?? xs.length) + step));
    point(plot, plot.at);
  });
  const pointAt = (px) => {
    const x = plot.x?.back(px);
    let nearest = 0;
    for (let i = 1; i < xs.length; i++) if (Math.abs(xs[i] - x) < Math.abs(xs[nearest] - x)) nearest = i;
    return nearest;
  };
  return plot;
}

function drawPlots() {
  const points = lists.points.items;
  // news.columns says of each value of a point which part of the record it is of, and its name.
  const column = (part, name) => {
    const at = news.columns.findIndex((c) => c[0] === part && c[1] === name);
    return points.map((point) => point[at] ?? null);
  };
  const curvesOf = (wanted) => news.columns.filter(([part]) => part === wanted).map(([, name], i) => ({
    name, colour: COLOURS[i % COLOURS.length], dash: i < COLOURS.length ? "" : "5 3",
    values: column(wanted, name),
  }));
  [xs, epochs] = [column("step", "images"), column("step", "epoch")];
  curves = lossCurves(curvesOf("losses"), curvesOf("means"));
  metricPlot.curves = curvesOf("metrics").map((curve) => ({ ...curve, smooth: curve.values, sparse: true }));
  const lr = { name: "learning rate", colour: COLOURS[0], values: column("step", "lr") };
  const time = column("speed", "time_s"), data = column("speed", "data_s");
  const pace = time.map((seconds, i) => perSecond(seconds, data[i]));
  ratePlot.curves = [{ ...lr, smooth: lr.values }];
  pacePlot.curves = [{ name: "images/s", colour: COLOURS[2], values: pace, smooth: smoothed(pace, 0.6) }];
  byId("span").textContent = news.span > 1 ?
    `Each point is the mean of ${news.span} lines of the log.` : "";
  if (!scaled && xs.length) byId("log").checked = farApart();
  scaled ||= xs.length > 0;
  drawLegend();
  drawMetricNames();
  redraw();
}

// The losses of single steps, or the means of epochs where there are more of these: of a run that is
// small, or logs seldom. Lines of the other kind are no gaps in a curve.
function lossCurves(steps, means) {
  const count = (found) => Math.max(0, ...found.map(({ values }) => values.filter((v) => v !== null).length));
  const chosen = count(means) > count(steps) ? means : steps, other = chosen === steps ? means : steps;
  const skipped = xs.map((_, i) => other.some(({ values }) => values[i] !== null));
  byId("means").hidden = chosen !== means || !means.length;
  return chosen.map((curve) => ({ ...curve, skipped, dots: chosen === means,
    part: chosen === means ? "means" : "losses" }));
}

// Whether a linear scale would press some of the curves flat against its floor.
function farApart() {
  const usual = curves.map(({ values }) => values.filter((v) => v !== null).sort((a, b) => a - b))
    .filter((found) => found.length).map((found) => found[found.length >> 1]);
  return usual.every((value) => value > 0) && Math.max(...usual) > 10 * Math.min(...usual);
}

// Exponential moving average, the start not drawn towards zero; gaps stay gaps.
function smoothed(values, weight) {
  let sum = 0, share = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return sum / share;
  });
}

function drawLegend() {
  const legend = byId("legend");
  const made = new Map([...legend.children].map((button) => [button.dataset.curve, button]));
  legend.replaceChildren(...curves.map(({ name, colour, values, part }) => {
    const button = made.get(name) ?? element("button", { type: "button" }, name, element("b"));
    button.dataset.curve = name;
    button.style.setProperty("--curve", colour);
    button.setAttribute("aria-pressed", String(!hidden.has(name)));
    button.lastChild.textContent = short(news.last[part]?.[name] ?? values.findLast((v) => v !== null));
    button.onclick = () => {
      if (!hidden.delete(name)) hidden.add(name);
      drawLegend();
      redraw();
    };
    return button;
  }));
}

// Names and last values of what was measured; without any there is no such plot.
function drawMetricNames() {
  const { host, curves: measured } = metricPlot;
  host.hidden = !measured.length;
  host.querySelector("figcaption").replaceChildren("metrics", ...measured.flatMap(({ name, colour, values }) => {
    const mark = element("i");
    mark.style.setProperty("--curve", colour);
    return [" ", mark, `${name} ${short(values.findLast((v) => v !== null))}`];
  }));
}

function redraw() {
  const weight = Number(byId("smoothing").value), log = byId("log").checked;
  byId("smoothing-value").textContent = weight.toFixed(2);
  for (const curve of curves) curve.smooth = smoothed(curve.values, weight);
  lossPlot.curves = curves.filter(({ name }) => !hidden.has(name));
  for (const plot of plots) if (!plot.host.hidden) drawPlot(plot, log && plot === lossPlot);
}

// Lowest and highest value shown: a few outliers of the raw curves may leave the frame.
function extent(shown, log) {
  const usable = (v) => v !== null && (!log || v > 0);
  const raw = shown.flatMap(({ values }) => values.filter(usable)).sort((a, b) => a - b);
  const smooth = shown.flatMap((curve) => curve.smooth.filter(usable));
  if (!raw.length) return log ? [0.1, 1] : [0, 1];
  let low = raw[Math.floor(raw.length * 0.002)], high = raw[Math.ceil(raw.length * 0.998) - 1];
  for (const value of smooth) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (!log && low > 0 && low < 0.5 * high) low = 0;
  const size = Math.max(Math.abs(low), Math.abs(high)) || 1; // a constant gets room, too
  return high - low > 1e-6 * size ? [low, high] : [low - 0.1 * size, high + 0.1 * size];
}

function scale(low, high, from, to, log = false) {
  const f = log ? Math.log10 : (v) => v;
  const span = f(high) - f(low) || 1;
  const place = (value) => from + ((f(value) - f(low)) / span) * (to - from);
  place.back = (px) => low + ((px - from) / (to - from)) * (high - low);
  return place;
}

function ticks(low, high, count, log) {
  if (log) {
    const steps = Math.log10(high / low) < 3 ? [1, 2, 5] : [1], found = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++)
      for (const step of steps) found.push(step * 10 ** power);
    return found.filter((value) => value >= low && value <= high);
  }
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough), found = [];
  for (let i = Math.ceil(low / step); i <= Math.floor(high / step + 1e-9); i++)
    found.push(Number((i * step).toPrecision(12)));
  return found;
}

function drawPlot(plot, log) {
  const { svg } = plot, width = svg.clientWidth, height = svg.clientHeight;
  const shape = (tag, attributes, text = "") => {
    const made = document.createElementNS(svg.namespaceURI, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  };
  const [low, high] = extent(plot.curves, log);
  const x = scale(xs[0] ?? 0, xs.at(-1) ?? 1, 48, width - 12);
  const y = scale(low, high, height - 24, 12, log);
  Object.assign(plot, { x, y, shape });
  const parts = [shape("text", { x: 44, y: height - 8, "text-anchor": "end" }, "images")];
  for (const value of ticks(low, high, height / 50, log)) {
    parts.push(shape("line", { class: "grid", x1: 48, x2: width - 12, y1: y(value), y2: y(value) }));
    parts.push(shape("text", { x: 42, y: y(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const value of xs.length > 1 ? ticks(xs[0], xs.at(-1), width / 110, false) : xs) {
    // Clear of "images" on the left, and of the edge on the right.
    const anchor = x(value) < 80 ? "start" : x(value) > width - 40 ? "end" : "middle";
    const place = Math.max(52, x(value));
    parts.push(shape("text", { x: place, y: height - 8, "text-anchor": anchor }, short(value)));
  }
  for (const { name, colour, dash, values, smooth, sparse, dots, skipped } of plot.curves) {
    for (const [kind, line] of [["raw", values], ["smooth", smooth]]) {
      const dotted = (sparse || dots) && kind === "raw", kinds = sparse || dots ? `${kind} sparse` : kind;
      const drawn = pathOf(line, x, y, log, (i) => sparse || skipped?.[i], dotted);
      const path = shape("path", { class: kinds, d: drawn, "stroke-dasharray": dash ?? "" });
      path.dataset.curve = name;
      path.style.setProperty("--curve", colour);
      parts.push(path);
    }
  }
  svg.replaceChildren(...parts);
}

// Values that are missing are gaps, but where `bridged(i)` says that none was to be expected; as dots,
// or as a line through all.
function pathOf(values, x, y, log, bridged, dots) {
  let drawn = "", gap = true;
  values.forEach((value, i) => {
    const missing = value === null || (log && value <= 0);
    if (!missing) {
      drawn += `${gap || dots ? "M" : "L"}${x(xs[i]).toFixed(1)} ${y(value).toFixed(1)}`;
      if (dots) drawn += "h0.01";
      gap = false;
    } else if (!bridged(i)) gap = true;
  });
  return values.length === 1 && drawn ? drawn + "h0.01" : drawn;
}

// The read-out at a point, a line through all plots.
function point(where, i) {
  for (const plot of plots) {
    for (const old of plot.svg.querySelectorAll(".cross,circle")) old.remove();
    plot.tip.hidden = plot !== where || i < 0;
    if (i < 0 || !plot.x || !xs.length) continue;
    const px = plot.x(xs[i]), bottom = plot.svg.clientHeight - 24;
    plot.svg.append(plot.shape("line", { class: "cross", x1: px, x2: px, y1: 8, y2: bottom }));
    for (const { colour, smooth } of plot.curves) {
      if (smooth[i] === null) continue;
      const dot = plot.shape("circle", { cx: px, cy: plot.y(smooth[i]), r: 3.5 });
      dot.style.setProperty("--curve", colour);
      plot.svg.append(dot);
    }
    if (plot === where) tell(plot, i, px);
  }
}

function tell(plot, i, px) {
  const lines = plot.curves.map(({ name, colour, values, smooth }) => {
    const mark = element("i");
    mark.style.setProperty("--curve", colour);
    const raw = smooth === values ? "" : ` (raw ${short(values[i])})`;
    return element("div", {}, mark, `${name} ${short(smooth[i])}${raw}`);
  });
  const place = `epoch ${epochs[i]}, ${xs[i].toLocaleString("en")} images`;
  plot.tip.replaceChildren(element("b", {}, place), ...lines);
  const room = plot.svg.clientWidth - plot.tip.offsetWidth;
  const right = px + 14, left = px - 14 - plot.tip.offsetWidth;
  plot.tip.style.left = `${right <= room ? right : Math.max(0, left)}px`;
}

byId("smoothing").addEventListener("input", redraw);
byId("log").addEventListener("input", redraw);
new ResizeObserver(redraw).observe(byId("plot-losses"));
