// A sheet to draw on: with pointer, pen or finger, or with the keyboard. Returns {resize, blob, ink}.

function drawing(byId, translate) {
  const canvas = byId("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
  const strokes = []; // {erases, size, ink, points: [[x, y], ...]} in px of the canvas
  let stroke = null, tool = "pen", at = null, down = false;

  const draw = ({ erases, size, ink, points }) => {
    Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: size,
      strokeStyle: erases ? byId("paper").value : ink });
    context.beginPath();
    context.moveTo(...points[0]);
    for (const point of points.length > 1 ? points.slice(1) : points) context.lineTo(...point);
    context.stroke();
  };
  const redraw = () => {
    context.fillStyle = byId("paper").value;
    context.fillRect(0, 0, canvas.width, canvas.height);
    strokes.forEach(draw);
    if (at && document.activeElement === canvas) mark();
    byId("undo").disabled = !strokes.length;
  };
  // Where the keyboard's pen is; it is no part of the drawing.
  const mark = () => {
    Object.assign(context, { lineWidth: 1, strokeStyle: "#3b82f6" });
    context.strokeRect(at[0] - 3.5, at[1] - 3.5, 7, 7);
  };
  const begin = (point) => {
    stroke = { erases: tool === "rubber", size: Number(byId("size").value),
      ink: byId("ink").value, points: [point] };
    strokes.push(stroke);
    redraw();
  };
  const go = (point) => { stroke.points.push(point); redraw(); };
  const undo = () => { strokes.pop(); [stroke, down] = [null, false]; redraw(); };

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width,
      (event.clientY - box.top) * canvas.height / box.height];
  };
  canvas.onpointerdown = (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    [at, down] = [null, false];
    begin(place(event));
  };
  canvas.onpointermove = (event) => {
    if (!stroke || !canvas.hasPointerCapture(event.pointerId)) return;
    const all = event.getCoalescedEvents?.() ?? [];
    stroke.points.push(...(all.length ? all : [event]).map(place));
    redraw();
  };
  canvas.onpointerup = canvas.onpointercancel = () => { stroke = null; };
  canvas.onkeydown = (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if ((event.ctrlKey || event.metaKey) && event.key === "z") undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === "Enter") translate();
    else if (event.key === " ") {
      at ??= [canvas.width / 2, canvas.height / 2];
      down = !down;
      if (down) begin([...at]);
      else stroke = null;
    } else if (way[event.key]) {
      at ??= [canvas.width / 2, canvas.height / 2];
      const limit = [canvas.width, canvas.height], step = event.shiftKey ? 10 : 1;
      at = at.map((v, i) => Math.min(limit[i], Math.max(0, v + step * way[event.key][i])));
      if (down && stroke) go([...at]);
      else redraw();
    } else return;
    event.preventDefault();
  };
  canvas.onblur = () => { [stroke, down] = [null, false]; redraw(); };

  const take = (name) => {
    tool = name;
    for (const each of ["pen", "rubber"])
      byId(each).setAttribute("aria-pressed", String(each === name));
  };
  byId("pen").onclick = () => take("pen");
  byId("rubber").onclick = () => take("rubber");
  byId("undo").onclick = undo;
  byId("clear").onclick = () => { strokes.length = 0; redraw(); };
  byId("paper").oninput = redraw;
  return {
    // To a square of so many px; what is drawn grows with it.
    resize: (px) => {
      if (canvas.width === px) return;
      const by = px / canvas.width;
      for (const each of strokes) {
        each.size *= by;
        each.points = each.points.map((point) => point.map((v) => v * by));
      }
      [canvas.width, canvas.height, at] = [px, px, null];
      byId("size").value = Math.max(2, Math.round(px / 128));
      redraw();
    },
    blob: () => new Promise((done) => {
      at = null;
      redraw();
      canvas.toBlob(done);
    }),
  };
}
