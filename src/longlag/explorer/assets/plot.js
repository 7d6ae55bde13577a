"use strict";

/* Drawing functions of all panels: canvases, axes, colour scales, numbers as text. */

const MARGIN = { left: 52, right: 10 }; // px; the style sheet's --left and --right
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

let theme = {}; // the style sheet's colours, by name

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["card", "ink", "muted", "axis", "bar", "grid", "network", "network-light", "mark"];
  for (const name of [...names, "paper", "test"]) theme[name] = style.getPropertyValue(`--${name}`);
  theme.dark = document.documentElement.dataset.theme === "dark";
  theme.diverging = palette(theme.dark ? DIVERGING_DARK : DIVERGING);
  theme.sequential = palette(theme.dark ? SEQUENTIAL_DARK : SEQUENTIAL);
}

const widths = new Map(); // of canvases, in CSS pixels; emptied when the page's layout changes

function widthOf(canvas) {
  if (!widths.has(canvas)) widths.set(canvas, canvas.clientWidth);
  return widths.get(canvas);
}

let recording = null; // while a panel is saved: a recording context for each canvas (`save.js`)

/** An empty canvas of its element's width; height is a number or a function of it. */
function clear(canvas, height) {
  const width = widthOf(canvas);
  const tall = typeof height === "function" ? height(width) : height;
  if (recording) {
    const context = new SvgContext();
    context.font = FONT;
    recording.set(canvas, context);
    return { context, width, height: tall };
  }
  const ratio = window.devicePixelRatio || 1;
  const [columns, rows] = [Math.round(width * ratio), Math.round(tall * ratio)];
  if (canvas.width !== columns || canvas.height !== rows) {
    [canvas.width, canvas.height] = [columns, rows];
    canvas.style.height = `${tall}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, tall);
  context.font = FONT;
  context.lineJoin = "round";
  return { context, width, height: tall };
}

/** The time axis between the margins: pixels of a step's middle `x`, of its start `edge`, its
 * width `wide`, the step at a pixel, and `columns`, the steps (n + 1,) at which n columns end. */
function timeScale(width, length) {
  const span = Math.max(1, width - MARGIN.left - MARGIN.right);
  const knots = lens.length === length ? lens.knots : [[0, 0], [length, 1]];
  const edge = (t) => MARGIN.left + span * along(knots, 0, 1, t);
  const step = (share) => clamp(Math.floor(along(knots, 1, 0, share) + 1e-9), 0, length - 1);
  return {
    span,
    length,
    edge,
    x: (t) => edge(t + 0.5),
    wide: (t) => edge(t + 1) - edge(t),
    step: (x) => step((x - MARGIN.left) / span),
    columns: (n) => Int32Array.from({ length: n + 1 }, (_, k) => (k < n ? step(k / n) : length)),
  };
}

// The lens: steps near the marks are drawn wider where a step would be too narrow to see. Knots are
// [step, share of the axis].
let lens = { length: 0, knots: [] };
const LENS_FROM = 500; // steps of a sequence
const LENS_STEPS = 10; // on either side of a mark
const LENS_SHARE = 0.16; // of the axis, for each

function setLens(on, length, marks) {
  lens = { length: 0, knots: [] };
  if (!on || length < LENS_FROM) return;
  const parts = [];
  for (const mark of [...marks].sort((a, b) => a - b)) {
    const [start, end] = [Math.max(0, mark - LENS_STEPS), Math.min(length, mark + LENS_STEPS + 1)];
    const last = parts[parts.length - 1];
    if (last && start <= last[1]) last[1] = end;
    else parts.push([start, end]);
  }
  const outside = length - parts.reduce((sum, [start, end]) => sum + end - start, 0);
  const unit = (1 - LENS_SHARE * parts.length) / outside;
  const knots = [[0, 0]];
  const add = (step, share) => {
    if (step > knots[knots.length - 1][0]) knots.push([step, share]);
  };
  let share = 0;
  let before = 0;
  for (const [start, end] of parts) {
    share += (start - before) * unit;
    add(start, share);
    share += LENS_SHARE;
    add(end, share);
    before = end;
  }
  add(length, 1);
  lens = { length, knots, parts };
}

/** Linear interpolation between knots, from one coordinate to the other. */
function along(knots, from, to, value) {
  let k = 1;
  while (k < knots.length - 1 && value > knots[k][from]) k++;
  const [a, b] = [knots[k - 1], knots[k]];
  return a[to] + ((value - a[from]) / (b[from] - a[from])) * (b[to] - a[to]);
}

/** The distance 1, 2 or 5 times a power of ten between at most `most` ticks. */
function tickStep(span, most) {
  const rough = span / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((k) => k * power).find((candidate) => candidate >= rough * 0.999);
}

/** A horizontal line, a tick's or an axis's. */
function rule(context, x1, x2, y, colour, dash = [], width = 1) {
  line(context, [x1, x2], [y, y], colour, width, dash);
}

/** A line through points. */
function line(context, xs, ys, colour, width = 1, dash = []) {
  context.beginPath();
  for (let k = 0; k < xs.length; k++) {
    if (k === 0) context.moveTo(xs[k], ys[k]);
    else context.lineTo(xs[k], ys[k]);
  }
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
}

/** Text; align is left, right or center, base is top, middle or bottom. */
function write(context, text, x, y, align = "left", base = "middle", colour = theme.muted) {
  context.textAlign = align;
  context.textBaseline = base;
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

/** The time axis under a plot, at height y. */
function timeAxis(context, width, length, y) {
  const { x, span, edge } = timeScale(width, length);
  rule(context, MARGIN.left, width - MARGIN.right, y, theme.axis);
  const every = Math.max(1, tickStep(length, span / 45));
  let free = -Infinity;
  const tick = (t) => {
    if (x(t) < free) return;
    line(context, [x(t), x(t)], [y, y + 3], theme.axis);
    write(context, number(t), x(t), y + 5, "center", "top");
    free = x(t) + 40;
  };
  if (lens.length !== length) {
    for (let t = 0; t < length; t += every) tick(t);
    return;
  }
  for (let t = 0; t < length; t += 5) {
    const near = lens.parts.some(([start, end]) => t >= start && t < end);
    if (near || t % every === 0) tick(t);
  }
  for (const [start, end] of lens.parts) rule(context, edge(start), edge(end), y, theme.mark, [], 3);
}

/** A line at the start of a marked step, so that the step itself stays in sight. */
function markLine(context, scale, t, height) {
  const at = scale.edge(t) - 1;
  line(context, [at, at], [0, height], theme.card, 3);
  line(context, [at, at], [0, height], theme.mark, 1.5);
}

/** A rectangle of two plain axes: its edges, and the pixels of values from the ends xs and ys. */
function frame([left, right], [bottom, top], xs, ys) {
  const share = (value, [low, high]) => (value - low) / (high - low);
  const x = (value) => left + share(value, xs) * (right - left);
  const y = (value) => bottom + share(value, ys) * (top - bottom);
  return { left, right, bottom, top, x, y };
}

// -- colour scales --------------------------------------------------------------------------------

// ColorBrewer's RdBu, as in the figures; in the dark theme its middle is the panel's background.
const DIVERGING = [
  "#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7",
  "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f",
];
const DIVERGING_DARK = [
  "#b5dcf9", "#7fbdee", "#4a98d6", "#2c6ea6", "#24445f", "#23282d",
  "#5c3527", "#a04f30", "#d8734a", "#f0a07a", "#fbd0b8",
];
const SEQUENTIAL = ["#f4f7f9", "#d3e4f1", "#a6cee6", "#63a9d5", "#2c7fb8", "#0a5590", "#08305f"];
const SEQUENTIAL_DARK = [
  "#1f252b", "#22384c", "#265478", "#2d74a8", "#4a98d0", "#79bbea", "#b4dcf7",
];

/** 256 colours interpolated between the given ones, as 32-bit pixels. */
function palette(stops) {
  const channels = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  return Uint32Array.from({ length: 256 }, (_, k) => {
    const at = (k / 255) * (stops.length - 1);
    const below = Math.min(stops.length - 2, Math.floor(at));
    const mix = (c) => {
      const [from, to] = [channels[below][c], channels[below + 1][c]];
      return Math.round(from + (to - from) * (at - below));
    };
    return colourWord(mix(0), mix(1), mix(2));
  });
}

const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

function colourWord(red, green, blue) {
  const [high, low] = LITTLE_ENDIAN ? [255, red] : [red, 255];
  const [third, second] = LITTLE_ENDIAN ? [blue, green] : [green, blue];
  return ((high << 24) | (third << 16) | (second << 8) | low) >>> 0;
}

/** Gates: even in log-odds, since over a long lag it matters how nearly shut or open a gate is; the
 * ends are a tenth of 1 / T from shut and from open. */
function gateScale(length) {
  const least = Math.min(0.001, 0.1 / length);
  const top = 2 * Math.log((1 - least) / least);
  const share = (value) => 0.5 + Math.log(value / (1 - value)) / top;
  return { ends: [gateText(least), gateText(1 - least)], colours: theme.sequential, share };
}

/** A gate's opening, or how far it is from fully open. */
function gateText(value) {
  return value > 0.99 && value < 1 ? `1 − ${science(1 - value)}` : science(value);
}

/** States: symmetric about zero up to `limit`, linear up to about `width` times it, then
 * logarithmic, so that one cell much larger than the others leaves them visible. */
function stateScale({ limit, width }) {
  const top = 2 * Math.asinh(1 / width);
  const share = (value) => 0.5 + Math.asinh(value / limit / width) / top;
  return { ends: [tickText(-limit), tickText(limit)], colours: theme.diverging, share };
}

/** The limit and the width of a state's scale: its largest magnitude; the share of it that is the
 * root mean square of the last of the arrays. */
function stateLimits(arrays) {
  let limit = 1e-3;
  for (const array of arrays) {
    for (const value of array) {
      const size = Math.abs(value);
      if (size > limit && size < Infinity) limit = size;
    }
  }
  let [sum, count] = [0, 0];
  for (const value of arrays[arrays.length - 1]) {
    if (!Number.isFinite(value)) continue;
    sum += (value / limit) ** 2;
    count += 1;
  }
  return { limit, width: Math.sqrt(sum / Math.max(1, count)) || 1 };
}

/** The 32-bit pixel for a value on a scale; grey for NaN. */
function colourOf(scale, value, missing) {
  const share = scale.share(value);
  if (!(share === share)) return missing;
  return scale.colours[Math.round(255 * Math.min(1, Math.max(0, share)))];
}

function missingColour() {
  return theme.dark ? colourWord(96, 96, 96) : colourWord(200, 200, 200);
}

/** An image of 32-bit pixels (rows, columns), stretched over a rectangle. */
function paint(context, words, columns, x, y, width, height) {
  const image = new ImageData(new Uint8ClampedArray(words.buffer), columns);
  const store = paint.store ?? (paint.store = document.createElement("canvas"));
  [store.width, store.height] = [image.width, image.height];
  store.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false; // sharp edges between cells
  context.drawImage(store, x, y, width, height);
}

// -- numbers as text ------------------------------------------------------------------------------

/** A number as text: thousands with commas, a minus sign in place of the hyphen. */
function number(value, digits = 0) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : "infinite";
  if (Math.abs(value) >= 1e7) return value.toExponential(2).replace("-", "−");
  const text = value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return Number(text.replaceAll(",", "")) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** A number with two or three significant digits. */
function short(value) {
  const size = Math.abs(value);
  if (!(size > 0 && size < Infinity)) return number(value);
  return number(value, clamp(1 - Math.floor(Math.log10(size)), 0, 6));
}

/** The number at a tick, without trailing zeros. */
function tickText(value) {
  const size = Math.abs(value);
  const far = size > 0 && (size < 1e-3 || size >= 1e5);
  const text = far ? value.toExponential(0) : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "−").replace("+", "");
}

/** A whole number in superscript. */
function raised(power) {
  return [...String(power)].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");
}

/** A number in scientific form where it is far from one. */
function science(value) {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || value === 0 || (size >= 0.01 && size < 1000)) return short(value);
  return value.toExponential(1).replaceAll("-", "−").replace("+", "");
}

function percent(share) {
  return `${number(100 * share, Math.abs(share) < 0.0995 ? 1 : 0)} %`;
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
