// A picture through model.onnx, in this page: no picture leaves the machine.
import * as ort from "./onnxruntime/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1; // more need headers that simple servers do not send
const byId = (id) => document.getElementById(id);
const channels = Number(document.body.dataset.channels);
const session = ort.InferenceSession.create("model.onnx");

// (1, H, W, channels) bytes of a canvas's RGBA; grey as Pillow weighs it.
function bytesOf(rgba) {
  const bytes = new Uint8Array(rgba.width * rgba.height * channels);
  for (let i = 0, o = 0; i < rgba.data.length; i += 4) {
    const [r, g, b] = [rgba.data[i], rgba.data[i + 1], rgba.data[i + 2]];
    if (channels === 1) bytes[o++] = (r * 19595 + g * 38470 + b * 7471 + 32768) >> 16;
    else { bytes[o++] = r; bytes[o++] = g; bytes[o++] = b; }
  }
  return bytes;
}

// The other way, of one channel or three.
function imageOf(bytes, width, height) {
  const image = new ImageData(width, height), count = bytes.length / (width * height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[count * i + (count < 3 ? 0 : c)];
    image.data[4 * i + 3] = 255;
  }
  return image;
}

async function translate(file) {
  const how = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const picture = await createImageBitmap(file, how);
  const most = Number(byId("most").value) || Infinity;
  const scale = Math.min(1, most / Math.max(picture.width, picture.height));
  const before = byId("before"), after = byId("after");
  before.width = after.width = Math.max(1, Math.round(picture.width * scale));
  before.height = after.height = Math.max(1, Math.round(picture.height * scale));
  const context = before.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white"; // opacity is laid on white
  context.fillRect(0, 0, before.width, before.height);
  context.drawImage(picture, 0, 0, before.width, before.height);
  const { width, height } = before;
  const input = bytesOf(context.getImageData(0, 0, width, height));
  const pictures = new ort.Tensor("uint8", input, [1, height, width, channels]);
  const began = performance.now();
  const { translations } = await (await session).run({ pictures }, ["translations"]);
  after.getContext("2d").putImageData(imageOf(translations.data, width, height), 0, 0);
  const seconds = ((performance.now() - began) / 1000).toFixed(2);
  byId("pictures").hidden = false;
  byId("save").href = after.toDataURL("image/png");
  byId("save").download = file.name.replace(/\.[^.]*$/, "") + "_translated.png";
  return `${file.name}: ${width}x${height} px in ${seconds} s`;
}

let turn = session.then(() => (byId("told").textContent = "ready"));
function next(file) {
  byId("told").textContent = `${file.name}: at work ...`;
  turn = turn.then(() => translate(file)).then((told) => (byId("told").textContent = told));
  turn = turn.catch((error) => (byId("told").textContent = `${file.name}: ${error.message}`));
}
turn = turn.catch((error) => (byId("told").textContent = `model.onnx: ${error.message}`));

byId("file").addEventListener("change", (event) => {
  if (event.target.files[0]) next(event.target.files[0]);
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) next(event.dataTransfer.files[0]);
});
