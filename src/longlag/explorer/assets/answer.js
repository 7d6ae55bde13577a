"use strict";

/* The network's answers: to this sequence, to fresh ones, to other values at the marks. */

const DOT_REACH = 10; // px around a dot of the scatter
const TERMS = 10; // most cells that have a term of their own in the picture
const TERMS_HEIGHT = 120;
const SHOWN = [-0.1, 1.1]; // range of the answers shown; targets lie in [0, 1] in both tasks

class AnswerPanel {
  constructor(root, run) {
    this.run = run;
    this.app = run.app;
    this.root = root;
    this.canvas = root.querySelector(".line");
    this.terms = root.querySelector(".terms");
    const ends = run.about.output === "sigmoid" ? "the sigmoid of this sum" : "a sum";
    root.querySelector(".terms-title").textContent = `The answer as ${ends}`;
  }

  get error() {
    return errorOf(this.app.task, this.run.trace.outputs, this.app.target);
  }

  /** The network's answer and the right one, in words. */
  get said() {
    return [this.run.answer, this.app.target].map((value) => number(value, 3));
  }

  draw() {
    const { content } = this.app;
    this.#drawTerms();
    const correct = this.error <= content.tolerance; // NaN counts as wrong
    const [given, right] = this.said;
    for (const [name, text] of Object.entries({ given, right, error: number(this.error, 3) })) {
      this.root.querySelector(`.${name}`).textContent = text;
    }
    const verdict = this.root.querySelector(".verdict");
    verdict.textContent = correct
      ? `✓ within ${content.tolerance}: correct`
      : `✗ not within ${content.tolerance}: wrong`;
    verdict.classList.toggle("wrong", !correct);
    this.drawAnswer();
    this.canvas.setAttribute("aria-label", this.words());
  }

  /** The answer in a sentence. */
  words() {
    const { tolerance } = this.app.content;
    const within = this.error <= tolerance ? "within" : "not within";
    const [given, right] = this.said;
    return (
      `Network ${given}, target ${right}, error ${number(this.error, 3)}: ${within} ${tolerance}.`
    );
  }

  /** The bias and the term of each cell, the outputs and the right answer. */
  table() {
    const { network, trace, output } = this.run;
    const { orders } = this.app.task;
    const [bias, ...cells] = answerTerms(network, trace.read, output);
    const outputs = [...trace.outputs].map((y, k) => [orders ? orders[k] : "answer", y]);
    const right = ["right", orders ? orders[output] : this.app.target];
    const terms = [["bias", bias], ...cells.map((term, j) => [`cell ${j + 1}`, term])];
    return [["part", "value"], ...terms, ...outputs, right];
  }

  /** The terms of the answer, each starting at the sum of those before it. */
  #drawTerms() {
    const columns = termColumns(this.run);
    let sum = 0;
    const bars = columns.map(([name, term]) => [name, sum, (sum += term)]);
    bars.push(["sum", 0, sum]);
    const told = columns.map(([name, term]) => `${name} ${number(term, 3)}`).join(", ");
    this.terms.setAttribute("aria-label", `Terms of the answer: ${told}; sum ${number(sum, 3)}`);
    this.#drawBars(bars);
  }

  #drawBars(bars) {
    const { context, width } = clear(this.terms, TERMS_HEIGHT);
    const levels = bars.flatMap(([, from, to]) => [from, to]).filter(Number.isFinite);
    const [low, high] = [Math.min(0, ...levels), Math.max(0.1, ...levels)];
    const room = 0.08 * (high - low);
    const ends = [low - room, high + room];
    const { x, y } = frame([34, width - 4], [TERMS_HEIGHT - 20, 12], [0, bars.length], ends);
    const every = tickStep(high - low, 4);
    for (let value = Math.ceil(low / every) * every; value <= high + room; value += every) {
      rule(context, 34, width - 4, y(value), theme.grid);
      write(context, String(Number(value.toPrecision(3))).replace("-", "−"), 30, y(value), "right");
    }
    rule(context, 34, width - 4, y(0), theme.axis);
    bars.forEach(([name, from, to], k) => {
      const last = k === bars.length - 1;
      context.fillStyle = theme[last ? "network" : to < from ? "mark" : "bar"];
      const [left, wide] = [x(k + 0.14), x(k + 0.86) - x(k + 0.14)];
      if (Number.isFinite(to)) context.fillRect(left, y(to), wide, y(from) - y(to) || 1);
      if (!last) rule(context, x(k + 0.86), x(k + 1.14), y(to), theme.axis);
      write(context, name, x(k + 0.5), TERMS_HEIGHT - 10, "center");
    });
  }

  drawAnswer() {
    const { answer, app } = this.run;
    const { target } = app;
    const { context, width } = clear(this.canvas, 52);
    const [low, high] = SHOWN;
    const x = (value) => 12 + ((clamp(value, low, high) - low) / (high - low)) * (width - 24);
    const { tolerance } = app.content;
    const [from, to] = [x(target - tolerance), x(target + tolerance)];
    context.fillStyle = theme.mark;
    context.globalAlpha = 0.22;
    context.fillRect(from, 4, to - from, 26);
    context.globalAlpha = 1;
    rule(context, x(low), x(high), 30, theme.axis);
    for (const value of [0, 0.25, 0.5, 0.75, 1]) {
      line(context, [x(value), x(value)], [30, 34], theme.axis);
      write(context, String(value), x(value), 37, "center", "top");
    }
    line(context, [x(target), x(target)], [4, 30], theme.mark, 2);
    if (Number.isNaN(answer)) return;
    context.beginPath();
    context.arc(x(answer), 17, 6, 0, 2 * Math.PI);
    context.fillStyle = theme.network;
    context.fill();
    context.strokeStyle = theme.card;
    context.lineWidth = 1.5;
    context.stroke();
  }
}

/** The terms of a run's answer as [name, term]: the bias, the largest of the cells', and the sum of
 * the rest. */
function termColumns({ network, trace, about, output }) {
  const H = about.hidden;
  const [bias, ...cells] = answerTerms(network, trace.read, output);
  const order = cells.map((_, j) => j).sort((a, b) => Math.abs(cells[b]) - Math.abs(cells[a]));
  const alone = order.slice(0, H > TERMS ? TERMS - 1 : H).sort((a, b) => a - b);
  const columns = [["bias", bias], ...alone.map((j) => [String(j + 1), cells[j]])];
  const rest = order.filter((j) => !alone.includes(j)).reduce((sum, j) => sum + cells[j], 0);
  if (alone.length < H) columns.push(["rest", rest]);
  return columns;
}

class ScatterPanel {
  constructor(root, run) {
    this.run = run;
    this.app = run.app;
    this.canvas = root.querySelector(".dots");
    this.ring = root.querySelector(".here");
    this.caption = root.querySelector(".scatter-text");
    root.querySelector(".others").addEventListener("click", () => this.app.drawOthers());
    this.canvas.addEventListener("click", (event) => {
      const dot = this.#dotAt(event);
      if (dot !== null) this.app.setFresh(dot);
    });
  }

  draw() {
    const { context, width } = clear(this.canvas, (w) => this.height(w));
    const box = this.box(width);
    this.axes(context, box);
    this.band(context, box);
    if (this.run.scattered) this.#dots(context, box, this.run.scattered);
    this.drawRing();
    this.#words(this.run.scattered);
  }

  /** The answers that are right. */
  band(context, box) {
    const { tolerance } = this.app.content;
    context.fillStyle = theme["network-light"];
    context.globalAlpha = 0.4;
    context.beginPath();
    const corners = [[0, tolerance], [1, 1 + tolerance], [1, 1 - tolerance], [0, -tolerance]];
    for (const [x, y] of corners) {
      context.lineTo(box.x(x), box.y(y));
    }
    context.fill();
    context.globalAlpha = 1;
    line(context, [box.x(0), box.x(1)], [box.y(0), box.y(1)], theme.axis);
  }

  /** A sequence's place in the scatter, in axis units, from its outputs and the right answer. */
  place(outputs, right) {
    return [right, clamp(Number.isNaN(outputs[0]) ? Infinity : outputs[0], ...SHOWN)];
  }

  /** For each finished fresh sequence: the outputs, the right answer and the error. */
  #fresh({ answers, targets, finished }) {
    const K = answers.length / targets.length;
    return Array.from({ length: finished }, (_, k) => {
      const outputs = answers.subarray(k * K, (k + 1) * K);
      return { outputs, right: targets[k], error: errorOf(this.app.task, outputs, targets[k]) };
    });
  }

  /** One row per fresh sequence: the right answer and the outputs. */
  table() {
    const { orders } = this.app.task;
    const rows = this.#fresh(this.run.scattered).map(({ outputs, right }) => [
      ...[orders ? orders[right] : right, ...outputs],
    ]);
    return [["target", ...(orders ?? ["answer"])], ...rows];
  }

  /** The number of the dot under the pointer, if there is one. */
  #dotAt(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    const box = this.box(width);
    let [nearest, best] = [null, DOT_REACH];
    this.#fresh(this.run.scattered).forEach(({ outputs, right }, k) => {
      const [x, y] = this.place(outputs, right, k);
      const far = Math.hypot(left + box.x(x) - event.clientX, top + box.y(y) - event.clientY);
      if (far < best) [nearest, best] = [k, far];
    });
    return nearest;
  }

  /** Places the ring that marks the sequence shown. */
  drawRing() {
    const width = widthOf(this.canvas);
    const box = this.box(width);
    const [x, y] = this.place(this.run.trace.outputs, this.app.target);
    this.ring.hidden = Number.isNaN(this.run.answer);
    this.ring.style.left = `${box.x(x)}px`;
    this.ring.style.top = `${box.y(y)}px`;
  }

  height(width) {
    return Math.min(width * 0.82, 380);
  }

  box(width) {
    const [left, right] = [MARGIN.left, width - MARGIN.right];
    return frame([left, right], [this.height(width) - 36, 8], SHOWN, SHOWN);
  }

  axes(context, box) {
    for (const value of [0, 0.25, 0.5, 0.75, 1]) {
      rule(context, box.left, box.right, box.y(value), theme.grid);
      write(context, String(value), box.left - 6, box.y(value), "right");
      write(context, String(value), box.x(value), box.bottom + 4, "center", "top");
    }
    write(context, "target", (box.left + box.right) / 2, box.bottom + 19, "center", "top");
    write(context, "answer", box.left + 4, box.top, "left", "top");
  }

  #dots(context, box, scattered) {
    context.globalAlpha = 0.75;
    this.#fresh(scattered).forEach(({ outputs, right, error }, k) => {
      context.fillStyle = error <= this.app.content.tolerance ? theme.network : theme.mark;
      context.beginPath();
      const [x, y] = this.place(outputs, right, k);
      context.arc(box.x(x), box.y(y), 2.4, 0, 2 * Math.PI);
      context.fill();
    });
    context.globalAlpha = 1;
  }

  #words(scattered) {
    if (!scattered) return;
    const { targets, finished: n, length, asked, done } = scattered;
    const [low, high] = lengthRange(this.app.task, length);
    const errors = this.#fresh(scattered).map(({ error }) => error);
    const right = errors.filter((error) => error <= this.app.content.tolerance).length;
    const squares = errors.reduce((sum, error) => sum + error ** 2, 0);
    const large = `Fewer than ${asked}: this network is large or T long.`;
    const fewer = targets.length < asked ? ` ${large}` : "";
    const rest = done ? "" : ` so far (of ${targets.length})`;
    this.caption.textContent =
      `${right} of ${n} within ${this.app.content.tolerance}${rest}, root mean squared ` +
      `${this.app.task.orders ? "largest error" : "error"} ${short(Math.sqrt(squares / n))}, ` +
      `${low === high ? low : `${low} to ${high}`} steps.${fewer}`;
    this.canvas.setAttribute("aria-label", `Answers against targets: ${this.caption.textContent}`);
  }
}

const LENGTHS_HEIGHT = 150;

/** The share of right answers, and the error, at lengths shorter and longer than in training. */
class LengthsPanel {
  constructor(root, run) {
    this.run = run;
    this.app = run.app;
    this.canvas = root.querySelector(".over-lengths");
    this.caption = root.querySelector(".lengths-text");
  }

  draw() {
    const { context, width } = clear(this.canvas, LENGTHS_HEIGHT);
    const { length } = this.app.content;
    const ends = [Math.log(length / 4), Math.log(length * 4)];
    const sides = [MARGIN.left, width - MARGIN.right - 8];
    const box = frame(sides, [LENGTHS_HEIGHT - 36, 8], ends, [0, 1]);
    const x = (T) => box.x(Math.log(T));
    for (const share of [0, 0.5, 1]) {
      rule(context, box.left, box.right, box.y(share), theme.grid);
      write(context, `${100 * share} %`, box.left - 6, box.y(share), "right");
    }
    for (const times of [0.25, 0.5, 1, 2, 4]) {
      const T = Math.round(length * times);
      line(context, [x(T), x(T)], [box.bottom, box.bottom + 3], theme.axis);
      write(context, number(T), x(T), box.bottom + 5, "center", "top");
    }
    write(context, "T", (box.left + box.right) / 2, box.bottom + 20, "center", "top");
    const trained = [x(length), x(this.app.task.lengths[1])];
    context.fillStyle = theme["network-light"];
    context.globalAlpha = 0.4;
    context.fillRect(trained[0] - 1, box.top, trained[1] - trained[0] + 2, box.bottom - box.top);
    context.globalAlpha = 1;
    if (this.run.lengths) this.#points(context, x, box.y);
    this.#words();
  }

  table() {
    const { lengths, right, errors } = this.run.lengths;
    return [["T", "share right", "rms error"], ...lengths.map((T, k) => [T, right[k], errors[k]])];
  }

  #points(context, x, y) {
    const { lengths, right } = this.run.lengths;
    line(context, lengths.map(x), right.map(y), theme.network, 2);
    context.fillStyle = theme.network;
    lengths.forEach((T, k) => {
      context.beginPath();
      context.arc(x(T), y(right[k]), 3.5, 0, 2 * Math.PI);
      context.fill();
    });
  }

  #words() {
    if (!this.run.lengths) return;
    const { lengths, right, errors } = this.run.lengths;
    const last = lengths.length - 1;
    const at = (k) => `${percent(right[k])} at T = ${number(lengths[k])}`;
    const text = `${at(0)}, ${at(last >> 1)}, ${at(last)}`;
    const error = `root mean squared error there ${short(errors[last])}`;
    this.caption.textContent = `Right: ${text}; ${error}.`;
    this.canvas.setAttribute("aria-label", `Right answers against length. ${text}`);
  }
}

const BANDS = 20; // bands of colour, each 0.05 wide
const SMOOTH = 7; // image points between two of the computed ones

class SurfacePanel {
  constructor(root, run) {
    this.run = run;
    this.app = run.app;
    this.root = root;
    const [learned, truth] = root.querySelectorAll(".learned, .truth");
    this.canvases = { learned, truth };
    this.points = [...root.querySelectorAll(".point")];
    this.caption = root.querySelector(".surface-text");
    const rule = this.app.task.kind === "multiplication" ? "x₁ · x₂" : "½ + (x₁ + x₂) / 4";
    for (const place of root.querySelectorAll(".rule")) place.textContent = rule;
    const [point] = this.points;
    const move = (event) => this.app.setPair(...this.#pairAt(event));
    drag(this.canvases.learned, move, () => point.focus({ preventScroll: true }));
    drag(point, move, (event) => {
      point.focus({ preventScroll: true });
      event.preventDefault();
    });
    const [first, second] = [0, 1].map((which) => (by) => {
      const position = this.app.sequence.marks[which];
      this.app.setValue(position, this.app.sequence.values[position] + by);
    });
    arrows(point, { along: (by) => first(0.01 * by), up: second, ends: () => {} });
  }

  #pairAt(event) {
    const box = this.canvases.learned.getBoundingClientRect();
    const inner = this.#box(box.width);
    const [low, high] = valueRange(this.app.task);
    const value = (share) => clamp(low + share * (high - low), low, high);
    return [
      value((event.clientX - box.left - inner.left) / (inner.right - inner.left)),
      value((inner.bottom - (event.clientY - box.top)) / (inner.bottom - inner.top)),
    ];
  }

  #box(width) {
    const range = valueRange(this.app.task);
    const side = width - 32;
    return frame([26, 26 + side], [8 + side, 8], range, range);
  }

  draw() {
    const { surface, app } = this.run;
    const [low, high] = valueRange(app.task);
    const size = surface ? surface.size : GRID;
    const truth = new Float64Array(size * size);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const at = [column, row].map((k) => low + ((high - low) * k) / (size - 1));
        truth[row * size + column] = rightAnswer(app.task, ...this.#counted(at));
      }
    }
    const learned = surface ? surface.answers : new Float64Array(size * size).fill(NaN);
    for (const [name, answers] of [["learned", learned], ["truth", truth]]) {
      const { context, width } = clear(this.canvases[name], (w) => w - 2);
      const box = this.#box(width);
      const words = bandWords(answers, size);
      const columns = SMOOTH * (size - 1) + 1;
      paint(context, words, columns, box.left, box.top, box.right - box.left, box.bottom - box.top);
      this.#axes(context, box, low, high);
    }
    this.drawPoint();
    this.#words(learned, truth, size, low, high);
  }

  /** One row per pair of values: the answer and the right answer. */
  table() {
    const { answers, size } = this.run.surface;
    const [low, high] = valueRange(this.app.task);
    const at = (k) => low + ((high - low) * k) / (size - 1);
    const rows = Array.from(answers, (answer, k) => {
      const pair = [at(k % size), at(Math.floor(k / size))];
      return [...pair, answer, rightAnswer(this.app.task, ...this.#counted(pair))];
    });
    return [["x1", "x2", "answer", "right"], ...rows];
  }

  /** Places the points that mark the pair of values shown. */
  drawPoint() {
    const { values, marks } = this.app.sequence;
    const [x1, x2] = marks.map((position) => values[position]);
    const box = this.#box(widthOf(this.canvases.learned));
    for (const point of this.points) {
      point.style.left = `${box.x(x1)}px`;
      point.style.top = `${box.y(x2)}px`;
    }
    const spoken = `x1 ${number(x1, 2)}, x2 ${number(x2, 2)}: answer ${number(this.run.answer, 3)}`;
    this.points[0].setAttribute("aria-label", spoken);
  }

  /** The values that enter the target; a mark on the first pair has the neutral value. */
  #counted(pair) {
    const neutral = this.app.task.kind === "multiplication" ? 1 : 0;
    return pair.map((value, which) => (this.app.sequence.marks[which] > 0 ? value : neutral));
  }

  #axes(context, box, low, high) {
    for (const value of [low, high]) {
      const [align, base] = value === low ? ["left", "bottom"] : ["right", "top"];
      write(context, number(value), box.x(value), box.bottom + 4, align, "top");
      write(context, number(value), box.left - 4, box.y(value), "right", base);
    }
    write(context, "x₁", (box.left + box.right) / 2, box.bottom + 4, "center", "top");
    write(context, "x₂", box.left - 4, (box.top + box.bottom) / 2, "right");
  }

  #words(learned, truth, size, low, high) {
    let [worst, sum] = [0, 0];
    for (let k = 0; k < learned.length; k++) {
      const gap = Math.abs(learned[k] - truth[k]);
      sum += gap ** 2;
      if (gap > Math.abs(learned[worst] - truth[worst])) worst = k;
    }
    const at = (k) => number(low + ((high - low) * k) / (size - 1), 2);
    const gap = Math.abs(learned[worst] - truth[worst]);
    const place = `x₁ = ${at(worst % size)}, x₂ = ${at(Math.floor(worst / size))}`;
    const text = Number.isNaN(sum)
      ? "…"
      : `Root mean squared gap ${short(Math.sqrt(sum / learned.length))}; ` +
        `the largest, ${short(gap)}, at ${place}. A band of colour is 0.05 wide.`;
    if (this.run.worker) this.caption.textContent = text;
    this.canvases.learned.setAttribute("aria-label", `The learned surface. ${text}`);
    this.canvases.truth.setAttribute("aria-label", "The right surface");
  }
}

/** The image of a surface (size, size), x2 upwards: smooth between points, in bands of colour. */
function bandWords(answers, size) {
  const columns = SMOOTH * (size - 1) + 1;
  const words = new Uint32Array(columns * columns);
  const missing = missingColour();
  for (let row = 0; row < columns; row++) {
    const v = (columns - 1 - row) / SMOOTH;
    const below = Math.min(size - 2, Math.floor(v));
    for (let column = 0; column < columns; column++) {
      const u = column / SMOOTH;
      const left = Math.min(size - 2, Math.floor(u));
      const at = below * size + left;
      const [p, q] = [u - left, v - below];
      const lower = answers[at] * (1 - p) + answers[at + 1] * p;
      const upper = answers[at + size] * (1 - p) + answers[at + size + 1] * p;
      const value = lower * (1 - q) + upper * q;
      const band = clamp(Math.floor(value * BANDS), 0, BANDS - 1);
      words[row * columns + column] = Number.isNaN(value)
        ? missing
        : theme.sequential[Math.round((255 * band) / (BANDS - 1))];
    }
  }
  return words;
}
