"use strict";

/* The temporal order task: its inputs are symbols, and each order of X and Y has an output. */

const ORDER_ROW = 16; // px, of an output over time
const OUTPUTS_HEIGHT = 96;

/** The order whose output is the most active, by name. */
function mostActive(orders, outputs) {
  return outputs.some(Number.isNaN) ? "none" : orders[outputs.indexOf(Math.max(...outputs))];
}

class OrderSequencePanel extends SequencePanel {
  constructor(app) {
    super(app);
    this.asked = new OrderAskedPanel(app);
  }

  symbolAt(position) {
    return this.app.task.symbols[this.app.sequence.markers[position]];
  }

  told(position) {
    return `symbol ${this.symbolAt(position)}`;
  }

  /** Changes a step to the next or the previous symbol. */
  change(position, by) {
    const { task, sequence } = this.app;
    const kinds = sequence.marks.includes(position) ? 2 : task.distractors[1] - task.distractors[0];
    const next = Math.floor(kinds * sequence.values[position]) + Math.sign(by);
    this.app.setValue(position, (clamp(next, 0, kinds - 1) + 0.5) / kinds);
  }

  axes(context, width, y) {
    const [first, end] = this.app.task.distractors;
    for (let k = first; k < end; k++) {
      const level = y((k - first + 0.5) / (end - first));
      rule(context, MARGIN.left, width - MARGIN.right, level, theme.grid);
      write(context, this.app.task.symbols[k], MARGIN.left - 6, level, "right");
    }
  }

  /** Bars: distractors by height; E, B, X and Y taller than these and labelled. */
  bars(context, { x, wide }, y) {
    const { task, sequence } = this.app;
    const [first, end] = task.distractors;
    for (let t = 0; t < sequence.length; t++) {
      const symbol = sequence.markers[t];
      const plain = symbol >= first && symbol < end;
      const height = plain ? (symbol - first + 0.5) / (end - first) : 1;
      const across = Math.max(wide(t) >= 3 ? wide(t) * 0.74 : wide(t), plain ? 0.5 : 4);
      context.fillStyle = plain ? theme.bar : symbol < first ? theme.ink : theme.mark;
      context.fillRect(x(t) - across / 2, y(height), across, y(0) - y(height));
    }
    for (const t of [0, sequence.length - 1]) {
      write(context, this.symbolAt(t), x(t), y(1) - 4, "center", "bottom", theme.ink);
    }
    this.pins.forEach((pin, k) => (pin.textContent = this.symbolAt(sequence.marks[k])));
  }

  /** The right order and the networks', in a line. */
  words() {
    const { app } = this;
    const { orders } = app.task;
    const found = app.sequence.marks.map((t) => `${this.symbolAt(t)} at ${t}`);
    const parts = [element("span", `${found.join(", ")}: `), element("span", orders[app.target], "truth")];
    app.runs.forEach((run, k) => {
      const name = app.runs.length > 1 ? run.about.name : "network";
      parts.push(element("span", `\u2003 ${name}: `));
      parts.push(element("span", mostActive(orders, run.trace.outputs), k ? "given other" : "given"));
    });
    this.formula.replaceChildren(...parts);
  }
}

/** The outputs after each step, one row per order. */
class OrderAskedPanel {
  constructor(app) {
    this.app = app;
    this.canvas = document.querySelector("#asked canvas");
    document.getElementById("asked-help").textContent =
      "The outputs that there would be after each step, from 0 to 1: one is to be 1, whose name is " +
      "in colour, the others 0.";
  }

  draw() {
    const { runs, task, sequence, target } = this.app;
    const { length, marks } = sequence;
    const K = task.orders.length;
    const high = K * ORDER_ROW;
    const { context, width } = clear(this.canvas, runs.length * (high + 4));
    const time = timeScale(width, length);
    const scale = { colours: theme.sequential, share: (value) => value };
    const columns = Math.min(length, Math.floor(time.span));
    runs.forEach(({ trace }, run) => {
      const top = run * (high + 4);
      const words = heatWords(trace.answers, [...task.orders.keys()], time.columns(columns), scale);
      paint(context, words, columns, MARGIN.left, top, time.span, high);
      task.orders.forEach((name, k) => {
        const colour = k === target ? theme["mark-text"] : theme.muted;
        write(context, name, MARGIN.left - 6, top + (k + 0.5) * ORDER_ROW, "right", "middle", colour);
      });
    });
    for (const t of marks) markLine(context, time, t, runs.length * (high + 4));
    const told = runs.map(({ about, trace }) => `${about.name} ${mostActive(task.orders, trace.outputs)}`);
    this.canvas.setAttribute("aria-label", `The outputs after each step: ${told.join("; ")} at the end`);
  }
}

class OrderAnswerPanel extends AnswerPanel {
  constructor(root, run) {
    super(root, run);
    root.querySelector(".figures > :last-child dt").textContent = "largest error";
    this.title = root.querySelector(".terms-title");
    this.ends = this.title.textContent.replace("The answer", "");
  }

  get said() {
    const { orders } = this.app.task;
    return [mostActive(orders, this.run.trace.outputs), orders[this.app.target]];
  }

  /** The outputs as bars, with the bands in which they are right. */
  drawAnswer() {
    const { orders } = this.app.task;
    const { target, content } = this.app;
    this.title.textContent = `Output ${orders[target]}${this.ends}`;
    const { context, width } = clear(this.canvas, OUTPUTS_HEIGHT);
    const { left, right, x, y } = frame([34, width - 4], [OUTPUTS_HEIGHT - 18, 6], [0, orders.length], [0, 1]);
    for (const value of [0, 0.5, 1]) {
      rule(context, left, right, y(value), theme.grid);
      write(context, String(value), left - 4, y(value), "right");
    }
    this.run.trace.outputs.forEach((output, k) => {
      const [from, to] = k === target ? [1 - content.tolerance, 1] : [0, content.tolerance];
      context.globalAlpha = 0.22;
      context.fillStyle = theme.mark;
      context.fillRect(x(k + 0.08), y(to), x(k + 0.92) - x(k + 0.08), y(from) - y(to));
      context.globalAlpha = 1;
      context.fillStyle = theme.network;
      const height = clamp(Number.isNaN(output) ? 0 : output, 0, 1);
      context.fillRect(x(k + 0.25), y(height), x(k + 0.75) - x(k + 0.25), y(0) - y(height) || 1);
      const colour = k === target ? theme["mark-text"] : theme.muted;
      write(context, orders[k], x(k + 0.5), OUTPUTS_HEIGHT - 9, "center", "middle", colour);
    });
  }
}

/** The outputs to this sequence with its symbols in every order, and the right ones. */
class OrdersPanel {
  constructor(root, run) {
    this.run = run;
    this.app = run.app;
    const [learned, truth] = root.querySelectorAll(".learned, .truth");
    this.canvases = { learned, truth };
    this.caption = root.querySelector(".surface-text");
    for (const point of root.querySelectorAll(".point")) point.hidden = true;
    for (const place of root.querySelectorAll(".rule")) place.textContent = "the order";
    root.querySelector(".surface-help").textContent =
      "Its outputs (columns) to this sequence with X and Y in every order (rows), beside the right " +
      "ones. Click a row to see that order.";
    learned.addEventListener("click", (event) => {
      const { top, width } = learned.getBoundingClientRect();
      const box = this.#box(width);
      const row = Math.floor(((event.clientY - top - box.top) / (box.bottom - box.top)) * this.#size);
      if (row >= 0 && row < this.#size) this.app.setOrder(row);
    });
  }

  get #size() {
    return this.app.task.orders.length;
  }

  #box(width) {
    return frame([34, width - 4], [width - 4 - 18, 12], [0, this.#size], [this.#size, 0]);
  }

  draw() {
    const K = this.#size;
    const right = Float64Array.from({ length: K * K }, (_, k) => Number(k % K === Math.floor(k / K)));
    const learned = this.run.surface?.answers ?? new Float64Array(K * K).fill(NaN);
    for (const [name, outputs] of [["learned", learned], ["truth", right]]) this.#drawMap(name, outputs);
    const wrong = Array.from(learned).filter((y, k) => !(Math.abs(y - right[k]) <= this.app.content.tolerance));
    const text = learned.some(Number.isNaN)
      ? "…"
      : `${wrong.length || "None"} of ${K * K} outputs off by more than ${this.app.content.tolerance}.`;
    if (this.run.worker) this.caption.textContent = text;
    this.canvases.learned.setAttribute("aria-label", `Outputs to every order. ${text}`);
    this.canvases.truth.setAttribute("aria-label", "The right outputs");
  }

  #drawMap(name, outputs) {
    const { orders } = this.app.task;
    const { context, width } = clear(this.canvases[name], (w) => w - 4);
    const { left, right, top, bottom, x, y } = this.#box(width);
    const scale = { colours: theme.sequential, share: (value) => value };
    const words = Uint32Array.from(outputs, (value) => colourOf(scale, value, missingColour()));
    paint(context, words, orders.length, left, top, right - left, bottom - top);
    const every = orders.length > 4 ? 2 : 1; // keeps the labels below from overlapping
    orders.forEach((order, k) => {
      const colour = k === this.app.target ? theme["mark-text"] : theme.muted;
      write(context, order, left - 4, y(k + 0.5), "right", "middle", colour);
      if (k % every === 0) write(context, order, x(k + 0.5), bottom + 9, "center");
    });
    context.strokeStyle = theme.mark;
    context.lineWidth = 2;
    context.strokeRect(left, y(this.app.target), right - left, y(1) - y(0));
  }

  drawPoint() {
    this.draw();
  }

  /** One row per order: its outputs. */
  table() {
    const { orders } = this.app.task;
    const { answers, size } = this.run.surface;
    const rows = orders.map((order, k) => [order, ...answers.subarray(k * size, (k + 1) * size)]);
    return [["order", ...orders], ...rows];
  }
}

class OrderScatterPanel extends ScatterPanel {
  constructor(root, run) {
    super(root, run);
    root.querySelector(".scatter-help").textContent =
      "A dot is a sequence that it has never seen: above its order, its largest error of all outputs. " +
      "The ring is the sequence above; orange is wrong. Click a dot to see its sequence.";
  }

  place(outputs, right, k = 0) {
    const aside = ((k * 0.618) % 1) - 0.5; // keeps dots from covering each other
    const error = errorOf(this.app.task, outputs, right);
    return [right + 0.5 + 0.7 * aside * Math.sign(k), clamp(Number.isNaN(error) ? 1 : error, 0, 1)];
  }

  height(width) {
    return Math.min(width * 0.5, 220);
  }

  box(width) {
    const [left, right] = [MARGIN.left, width - MARGIN.right];
    return frame([left, right], [this.height(width) - 22, 8], [0, this.app.task.orders.length], [0, 1]);
  }

  axes(context, box) {
    for (const value of [0, 0.5, 1]) {
      rule(context, box.left, box.right, box.y(value), theme.grid);
      write(context, String(value), box.left - 6, box.y(value), "right");
    }
    this.app.task.orders.forEach((name, k) => {
      write(context, name, box.x(k + 0.5), box.bottom + 11, "center");
    });
    write(context, "largest error", box.left + 4, box.top, "left", "top");
  }

  band(context, box) {
    context.fillStyle = theme["network-light"];
    context.globalAlpha = 0.4;
    const top = box.y(this.app.content.tolerance);
    context.fillRect(box.left, top, box.right - box.left, box.bottom - top);
    context.globalAlpha = 1;
  }
}
