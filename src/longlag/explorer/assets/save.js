"use strict";

/* A panel as a file: its picture as SVG or PNG, its numbers as CSV. */

const SVG = "http://www.w3.org/2000/svg";
const PNG_SCALE = 2;
const TOLD = [
  "h2, h3, h4, figcaption:not(.help), .map-head > span:not(.scale), .scale > span",
  ".formula, .legend li:has(svg), .figures dt, .figures dd",
].join();
const LOOK = [
  ...["fill", "stroke", "stroke-width", "stroke-linecap", "text-anchor"],
  ...["rotate", "transform-box", "transform-origin"],
];

/** Adds the save buttons to a panel, `card`; `table` returns its numbers, a head and rows. */
function offerToSave(app, card, name, table) {
  const heading = card.querySelector("h2, h3");
  const menu = element("select", "", "save-as");
  menu.setAttribute("aria-label", `Save: ${heading.textContent}`);
  menu.append(new Option("Save", ""), ...["PNG", "SVG", "CSV"].map((kind) => new Option(kind, kind)));
  let head = heading.closest(".head");
  if (!head) {
    head = element("div", "", "head");
    heading.before(head);
    head.append(heading);
  }
  (head.querySelector(".controls") ?? head).append(menu);
  menu.addEventListener("change", () => {
    const kind = menu.value;
    menu.value = "";
    saveAs(app, card, `${name()}.${kind.toLowerCase()}`.replaceAll("/", "-"), kind, table);
  });
}

async function saveAs(app, card, name, kind, table) {
  if (kind === "CSV") return save(name, "text/csv", csvOf(table()));
  const svg = pictureOf(app, card);
  const text = new XMLSerializer().serializeToString(svg);
  if (kind === "SVG") return save(name, "image/svg+xml", text);
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [PNG_SCALE * image.width, PNG_SCALE * image.height];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => save(name, "image/png", blob));
}

/** Rows as CSV; cells with a comma or a quotation mark are quoted. */
function csvOf(rows) {
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => `${row.map((one) => quoted(String(one))).join()}\n`).join("");
}

/** Downloads a file. */
function save(name, type, part) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([part], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** A panel as it stands, as an SVG: its canvases drawn again as paths and text, its headings, pins and
 * drawings. */
function pictureOf(app, card) {
  const { left, top, width, height } = card.getBoundingClientRect();
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  const svg = node("svg", { xmlns: SVG, width: w, height: h, viewBox: `0 0 ${w} ${h}` });
  svg.append(node("rect", { width: w, height: h, fill: theme.card }));
  const put = (shown, part) => {
    const box = shown.getBoundingClientRect();
    part.setAttribute("transform", `translate(${box.left - left} ${box.top - top})`);
    svg.append(part);
  };
  const drawn = recorded(app);
  const seen = (shown) => shown.checkVisibility();
  for (const canvas of [...card.querySelectorAll("canvas")].filter(seen)) {
    put(canvas, drawn.get(canvas)?.group ?? imageOf(canvas, 0, 0, canvas.clientWidth, canvas.clientHeight));
  }
  for (const heading of [...card.querySelectorAll(TOLD)].filter(seen)) put(heading, wordsOf(heading));
  for (const pin of [...card.querySelectorAll(".pin")].filter(seen)) put(pin, pinOf(pin));
  for (const drawing of [...card.querySelectorAll(".cell-drawing svg")].filter(seen)) {
    put(drawing, styled(drawing));
  }
  return svg;
}

/** The recorded drawing of every canvas of the page. */
function recorded(app) {
  app.frame(); // first completes pending drawing on the page
  recording = new Map();
  app.changed("drawing");
  app.frame();
  const found = recording;
  recording = null;
  return found;
}

function node(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function imageOf(canvas, x, y, width, height) {
  const style = "image-rendering: pixelated";
  const href = canvas.toDataURL();
  const image = node("image", { href, x, y, width, height, preserveAspectRatio: "none", style });
  const group = node("g", {});
  group.append(image);
  return group;
}

function wordsOf(heading) {
  const { fontSize, fontWeight, color } = getComputedStyle(heading);
  const style = `font: ${fontWeight} ${fontSize} system-ui, sans-serif`;
  const [sample, size] = [heading.querySelector("svg"), parseFloat(fontSize)];
  const group = node("g", {});
  if (sample) group.append(styled(sample));
  const x = sample ? sample.clientWidth + 6 : 0;
  const text = heading.textContent.trim();
  group.append(node("text", { x, y: 0.25 * size + heading.clientHeight / 2, fill: color, style }, text));
  return group;
}

function pinOf(pin) {
  const { color, backgroundColor, borderColor } = getComputedStyle(pin);
  const group = node("g", {});
  group.append(node("circle", { cx: 12, cy: 12, r: 11, fill: backgroundColor, stroke: borderColor }));
  const style = "font: 700 12px system-ui, sans-serif";
  group.append(node("text", { x: 12, y: 16, fill: color, "text-anchor": "middle", style }, pin.textContent));
  return group;
}

/** A copy of a drawing that looks the same without the page's style sheet. */
function styled(drawing) {
  const copy = drawing.cloneNode(true);
  const parts = copy.querySelectorAll("*");
  drawing.querySelectorAll("*").forEach((part, k) => {
    const style = getComputedStyle(part);
    for (const name of LOOK) parts[k].style.setProperty(name, style.getPropertyValue(name));
  });
  copy.setAttribute("width", drawing.clientWidth);
  copy.setAttribute("height", drawing.clientHeight);
  copy.style.font = "12px system-ui, sans-serif";
  const group = node("g", {});
  group.append(copy);
  return group;
}

/** A canvas context that records drawing as SVG; it has the methods that the panels use. */
class SvgContext {
  constructor() {
    this.group = node("g", {});
    this.path = "";
    this.dash = [];
    this.globalAlpha = 1;
  }

  #add(name, attributes, text) {
    this.group.append(node(name, { ...attributes, opacity: this.globalAlpha }, text));
  }

  beginPath() {
    this.path = "";
  }

  moveTo(x, y) {
    this.path += `M${x.toFixed(2)} ${y.toFixed(2)}`;
  }

  lineTo(x, y) {
    if (this.path) this.path += `L${x.toFixed(2)} ${y.toFixed(2)}`;
    else this.moveTo(x, y);
  }

  /** A whole circle. */
  arc(x, y, r) {
    this.path += `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
  }

  fill() {
    this.#add("path", { d: this.path, fill: this.fillStyle });
  }

  stroke() {
    this.#add("path", { d: this.path, ...this.#pen });
  }

  get #pen() {
    const [width, dash] = [this.lineWidth, this.dash.join(" ") || "none"];
    return { fill: "none", stroke: this.strokeStyle, "stroke-width": width, "stroke-dasharray": dash };
  }

  setLineDash(dash) {
    this.dash = dash;
  }

  fillRect(x, y, width, height) {
    this.#add("rect", { ...upright(x, y, width, height), fill: this.fillStyle });
  }

  strokeRect(x, y, width, height) {
    this.#add("rect", { ...upright(x, y, width, height), ...this.#pen });
  }

  fillText(text, x, y) {
    const anchor = { left: "start", center: "middle", right: "end" }[this.textAlign];
    const lower = { top: 0.85, middle: 0.34, bottom: -0.2 }[this.textBaseline];
    const style = `font: ${this.font}`;
    const place = { x, y: y + 12 * lower, "text-anchor": anchor, fill: this.fillStyle, style };
    this.#add("text", place, text);
  }

  measureText(text) {
    return paint.store.getContext("2d").measureText(text);
  }

  drawImage(canvas, x, y, width, height) {
    this.group.append(imageOf(canvas, x, y, width, height));
  }
}

/** A rectangle whose sides are not negative. */
function upright(x, y, width, height) {
  const [left, top] = [Math.min(x, x + width), Math.min(y, y + height)];
  return { x: left, y: top, width: Math.abs(width), height: Math.abs(height) };
}
