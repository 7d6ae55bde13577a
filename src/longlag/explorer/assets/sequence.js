"use strict";

/* The sequence: bars for the values, pins for the marks, a ring at the time cursor. */

const ASKED_HEIGHT = 88;
// Playing the cursor through time: about how many steps, and ms between two of them; fewer and
// slower where the user prefers reduced motion.
const WALK = { steps: 120, every: 80 };
const WALK_CALMLY = { steps: 12, every: 1000 };
const RUN_COLOURS = ["network", "paper"]; // of the first run and of the second, in one plot
const PLOT = { pins: 16, windows: 31, top: 44, bars: 96, bottom: 22 }; // px, from the top

class SequencePanel {
  constructor(app) {
    this.app = app;
    this.root = document.getElementById("sequence");
    this.plot = document.getElementById("sequence-plot");
    this.canvas = this.plot.querySelector("canvas");
    this.pins = [...this.plot.querySelectorAll(".pin")];
    if (markCount(app.saved.task) > this.pins.length) this.#addPin();
    this.ring = this.plot.querySelector(".ring");
    this.asked = new AskedPanel(app);
    this.formula = document.getElementById("formula");
    this.note = document.getElementById("sequence-note");
    offerToSave(app, this.root, () => "sequence", () => this.table());
    this.#lengths();
    this.#drags();
    this.#keys();
  }

  /** A pin for a third mark. */
  #addPin() {
    const pin = this.pins[1].cloneNode();
    pin.dataset.mark = 2;
    pin.setAttribute("aria-label", "Third mark");
    this.pins[1].after(pin);
    this.pins.push(pin);
  }

  #lengths() {
    const fields = ["length-range", "length"].map((id) => document.getElementById(id));
    const [range, box] = fields;
    range.addEventListener("input", () => this.app.setLength(Number(range.value)));
    const magnify = document.getElementById("magnify");
    magnify.addEventListener("change", () => this.app.magnify(magnify.checked));
    box.addEventListener("change", () => {
      const wanted = Math.round(Number(box.value)) || this.app.sequence.length;
      this.app.setLength(clamp(wanted, this.app.task.shortest, this.app.longest));
      box.value = this.app.sequence.length;
    });
    this.lengthFields = fields;
    this.walker = document.getElementById("walk");
    this.walker.addEventListener("click", () => (this.walking ? this.halt() : this.walk()));
    document.getElementById("fresh").addEventListener("click", () => this.app.drawSequence());
  }

  /** Plays the cursor through time from its step, or from the start if it is at the end. */
  walk() {
    const { app } = this;
    const last = () => app.sequence.length - 1;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const { steps, every } = calm ? WALK_CALMLY : WALK;
    const stride = Math.max(1, Math.round(last() / steps));
    if (app.cursor === last()) app.setCursor(0);
    this.walking = setInterval(() => {
      app.setCursor(app.cursor + stride);
      if (app.cursor === last()) this.halt();
    }, every);
    this.#label();
  }

  halt() {
    clearInterval(this.walking);
    this.walking = null;
    this.#label();
  }

  #label() {
    this.walker.textContent = this.walking ? "Halt" : "Walk";
    this.walker.setAttribute("aria-pressed", String(Boolean(this.walking)));
  }

  /** Sets the legal lengths of the task's sequences. */
  load() {
    this.halt();
    const { task, longest, sequence } = this.app;
    for (const field of this.lengthFields) {
      [field.min, field.max, field.value] = [task.shortest, longest, sequence.length];
    }
  }

  // -- by pointer ---------------------------------------------------------------------------------

  #drags() {
    this.pins.forEach((pin, which) => {
      drag(pin, (event) => this.app.moveMark(which, this.#stepAt(event)), (event) => {
        pin.focus({ preventScroll: true });
        event.preventDefault();
      });
    });
    let held = 0; // the step whose value is dragged
    const value = (event) => this.app.setValue(held, this.#valueAt(event));
    drag(this.canvas, value, (event) => {
      held = this.#barAt(event);
      this.app.setCursor(held);
      event.preventDefault();
    });
    drag(this.ring, value, (event) => {
      held = this.app.cursor;
      this.ring.focus({ preventScroll: true });
      event.preventDefault();
    });
  }

  #stepAt(event) {
    const box = this.canvas.getBoundingClientRect();
    return timeScale(box.width, this.app.sequence.length).step(event.clientX - box.left);
  }

  /** The bar under the pointer; a marked one also from a little beside it. */
  #barAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const { x, wide } = timeScale(box.width, this.app.sequence.length);
    const least = event.pointerType === "touch" ? 14 : 3;
    const at = event.clientX - box.left;
    const near = this.app.sequence.marks.filter(
      (mark) => Math.abs(x(mark) - at) <= Math.max(wide(mark) / 2, least),
    );
    near.sort((a, b) => Math.abs(x(a) - at) - Math.abs(x(b) - at));
    return near.length ? near[0] : this.#stepAt(event);
  }

  #valueAt(event) {
    const [low, high] = valueRange(this.app.task);
    const y = event.clientY - this.canvas.getBoundingClientRect().top;
    return clamp(high - ((y - PLOT.top) / PLOT.bars) * (high - low), low, high);
  }

  // -- by keyboard --------------------------------------------------------------------------------

  #keys() {
    const { app } = this;
    const change = (position, by) => this.change(position, by);
    this.pins.forEach((pin, which) => {
      const move = (by) => app.moveMark(which, app.sequence.marks[which] + by);
      arrows(pin, {
        along: move,
        up: (by) => change(app.sequence.marks[which], by),
        ends: (end) => move(end * app.sequence.length),
      });
    });
    arrows(this.ring, {
      along: (by) => app.setCursor(app.cursor + by),
      up: (by) => change(app.cursor, by),
      ends: (end) => app.setCursor(end < 0 ? 0 : app.sequence.length - 1),
    });
  }

  change(position, by) {
    this.app.setValue(position, this.app.sequence.values[position] + by);
  }

  // -- drawing ------------------------------------------------------------------------------------

  draw() {
    const { app } = this;
    const { length, values, marks } = app.sequence;
    const height = PLOT.top + PLOT.bars + PLOT.bottom;
    const { context, width } = clear(this.canvas, height);
    const scale = timeScale(width, length);
    const range = valueRange(app.task);
    const y = (value) => PLOT.top + ((range[1] - value) / (range[1] - range[0])) * PLOT.bars;
    this.axes(context, width, y, range);
    this.#windows(context, scale);
    this.bars(context, scale, y);
    timeAxis(context, width, length, PLOT.top + PLOT.bars);
    document.getElementById("magnify").parentElement.hidden = length < LENS_FROM;
    for (const field of this.lengthFields) {
      if (document.activeElement !== field || field.type === "range") field.value = length;
    }
    this.pins.forEach((pin, which) => {
      pin.style.left = `${scale.x(marks[which])}px`;
      pin.style.top = `${PLOT.pins}px`;
      pin.classList.toggle("hidden-mark", this.#isHidden(marks[which]));
      this.#describe(pin, marks[which], markWindow(app.task, length, which, marks[1 - which]));
    });
    this.drawCursor();
    this.asked.draw();
    this.words(countedValues(app.task, values, marks));
    const places = `${marks.slice(0, -1).join(", ")} and ${marks[marks.length - 1]}`;
    const words = `${length} ${app.task.orders ? "symbols" : "values"}; the marks are at steps ${places}`;
    this.canvas.setAttribute("aria-label", words);
  }

  /** One row per step: the input, and the outputs that each network would give there. */
  table() {
    const { sequence, runs, task } = this.app;
    const { length, values, markers } = sequence;
    const outputs = runs.flatMap(({ about }) => (task.orders ?? [""]).map((o) => `${about.name} ${o}`.trim()));
    const rows = Array.from({ length }, (_, t) => [
      ...[t, values[t], task.symbols ? task.symbols[markers[t]] : markers[t]],
      ...runs.flatMap(({ trace }) => {
        const K = trace.answers.length / length;
        return [...trace.answers.subarray(t * K, (t + 1) * K)];
      }),
    ]);
    return [["step", "value", task.symbols ? "symbol" : "marker", ...outputs], ...rows];
  }

  drawCursor() {
    const { cursor, sequence, task } = this.app;
    const { x } = timeScale(widthOf(this.canvas), sequence.length);
    const [low, high] = valueRange(task);
    const share = (high - sequence.values[cursor]) / (high - low);
    this.ring.style.left = `${x(cursor)}px`;
    this.ring.style.top = `${PLOT.top + share * PLOT.bars}px`;
    this.#describe(this.ring, cursor, [0, sequence.length - 1]);
  }

  #isHidden(position) {
    return position === 0 && this.app.task.first_mark === "hidden";
  }

  /** The input at a step, in words. */
  told(position) {
    return `value ${number(this.app.sequence.values[position], 2)}`;
  }

  #describe(handle, position, [low, high]) {
    handle.setAttribute("aria-valuemin", low);
    handle.setAttribute("aria-valuemax", high);
    handle.setAttribute("aria-valuenow", position);
    const hidden = handle !== this.ring && this.#isHidden(position) ? ", hidden" : "";
    handle.setAttribute("aria-valuetext", `step ${position}, ${this.told(position)}${hidden}`);
  }

  axes(context, width, y, [low, high]) {
    for (const value of [low, (low + high) / 2, high]) {
      rule(context, MARGIN.left, width - MARGIN.right, y(value), theme.grid);
      write(context, number(value, low < 0 ? 0 : 1), MARGIN.left - 6, y(value), "right");
    }
  }

  /** Where each mark may stand, as thin lines. */
  #windows(context, { edge }) {
    const { task, sequence } = this.app;
    for (const which of sequence.marks.keys()) {
      const [low, high] = markWindow(task, sequence.length, which, sequence.marks[1 - which]);
      const y = PLOT.windows + 4 * (which % 2);
      rule(context, edge(low), edge(high + 1), y, theme.mark, [], 2);
    }
  }

  bars(context, { x, wide }, y) {
    const { length, values, marks } = this.app.sequence;
    const zero = y(0);
    const bar = (t, least, colour) => {
      const width = Math.max(wide(t) >= 3 ? wide(t) * 0.74 : wide(t), least);
      context.fillStyle = colour;
      context.fillRect(x(t) - width / 2, zero, width, y(values[t]) - zero);
    };
    // Where steps are narrower than half a pixel, not all of them are drawn.
    let drawn = -Infinity;
    for (let t = 0; t < length; t++) {
      if (x(t) < drawn + 0.5) continue;
      drawn = x(t);
      bar(t, 0.5, theme.bar);
    }
    for (const end of [0, length - 1]) bar(end, 4, theme.ink);
    for (const position of marks) {
      if (!this.#isHidden(position)) {
        bar(position, 4, theme.mark);
        continue;
      }
      context.strokeStyle = theme.mark;
      context.lineWidth = 1.5;
      context.setLineDash([4, 2]);
      const outline = Math.max(wide(0) * 1.1, 7);
      context.strokeRect(x(0) - outline / 2, PLOT.top, outline, PLOT.bars);
      context.setLineDash([]);
    }
  }

  /** The right answer and the networks', in a line. */
  words([x1, x2]) {
    const { app } = this;
    const product = app.task.kind === "multiplication";
    const right = number(app.target, 3);
    const result = (digits) => {
      const [a, b] = [x1, x2].map((x) => Number(x.toFixed(digits)));
      return number(product ? a * b : 0.5 + (a + b) / 4, 3);
    };
    let digits = 3; // more where the rounded factors would not give the rounded product
    while (digits < 12 && result(digits) !== right) digits++;
    const [first, second] = [number(x1, digits), number(Math.abs(x2), digits)];
    const left = product
      ? `${first} × ${second} = `
      : `0.5 + (${first} ${x2 < 0 ? "−" : "+"} ${second}) / 4 = `;
    const parts = [element("span", left), element("span", right, "truth")];
    app.runs.forEach((run, k) => {
      const name = app.runs.length > 1 ? run.about.name : "network";
      parts.push(element("span", `\u2003 ${name}: `));
      parts.push(element("span", number(run.answer, 3), k ? "given other" : "given"));
    });
    this.formula.replaceChildren(...parts);
    const { marks } = app.sequence;
    const neutral = app.task.kind === "multiplication" ? 1 : 0;
    this.note.hidden = !marks.includes(0);
    const place = `Mark ${1 + marks.indexOf(0)} is on the first pair`;
    this.note.textContent = this.#isHidden(Math.min(...marks))
      ? `${place}: the network sees −1 there, and the value counts as ${neutral}.`
      : `${place}, whose value counts as ${neutral}.`;
  }
}

/** The answers that the networks would give after each step. */
class AskedPanel {
  constructor(app) {
    this.app = app;
    this.canvas = document.querySelector("#asked canvas");
    this.names = document.getElementById("asked-names");
  }

  draw() {
    const { app } = this;
    const { length } = app.sequence;
    const { context, width } = clear(this.canvas, ASKED_HEIGHT);
    const scale = timeScale(width, length);
    const { y, right } = this.#box(width);
    for (const value of [0, 0.5, 1]) {
      rule(context, MARGIN.left, right, y(value), theme.grid);
      write(context, number(value, 1), MARGIN.left - 6, y(value), "right");
    }
    this.#guides(context, scale, y, right);
    app.runs.forEach(({ trace }, k) => {
      const at = (t) => clamp(trace.answers[t], -9, 9);
      const shown = thinned(at, scale);
      line(context, shown.map(scale.x), shown.map((t) => y(at(t))), theme[RUN_COLOURS[k]], 2);
    });
    this.#name();
  }

  /** A scale from 0 to 1, or wider where an answer that counts lies beyond. */
  #box(width) {
    const answers = this.app.runs.flatMap(({ trace }) => [...trace.answers]);
    const low = answers.reduce((least, y) => Math.min(least, y), 0);
    const high = answers.reduce((most, y) => Math.max(most, y), 1);
    const ends = [Math.max(low, -1) - 0.06, Math.min(high, 2) + 0.06];
    return frame([MARGIN.left, width - MARGIN.right], [ASKED_HEIGHT - 4, 4], [0, 1], ends);
  }

  /** The first value from its mark on, and the target from the second mark on. */
  #guides(context, { edge }, y, right) {
    const { task, sequence, target, content } = this.app;
    const [early, late] = [...sequence.marks].sort((a, b) => a - b);
    const which = sequence.marks.indexOf(early);
    const value = countedValues(task, sequence.values, sequence.marks)[which];
    const product = task.kind === "multiplication";
    const alone = product ? value : 0.5 + value / 4;
    const [start, middle] = [early, late].map(edge);
    context.fillStyle = theme.mark;
    context.globalAlpha = 0.18;
    const band = [y(target + content.tolerance), y(target - content.tolerance)];
    context.fillRect(middle, band[0], right - middle, band[1] - band[0]);
    context.globalAlpha = 1;
    rule(context, start, middle, y(alone), theme.mark, [4, 3], 1.5);
    rule(context, middle, right, y(target), theme.mark, [4, 3], 1.5);
    const names = product ? ["x₁", "x₁ · x₂"] : ["½ + x₁ / 4", "½ + (x₁ + x₂) / 4"];
    if (which) names[0] = names[0].replace("₁", "₂");
    const above = (level) => y(level) - 8 > 8 ? y(level) - 8 : y(level) + 10;
    if (middle - start > 40) write(context, names[0], start + 3, above(alone), "left");
    write(context, names[1], right - 2, above(target), "right");
  }

  #name() {
    const { runs } = this.app;
    const named = ({ about }, k) => element("span", about.name, k ? "given other" : "given");
    const names = runs.map(named);
    this.names.replaceChildren(...(runs.length > 1 ? names : []));
    const told = runs.map(({ about, answer }) => `${about.name} ${number(answer, 3)} at the end`);
    this.canvas.setAttribute("aria-label", `The answer after each step: ${told.join("; ")}`);
  }
}

// -- events ---------------------------------------------------------------------------------------

/** Follows a pointer from its press on an element to its release. */
function drag(target, move, press = () => {}) {
  target.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    target.setPointerCapture(event.pointerId);
    press(event);
    move(event);
  });
  target.addEventListener("pointermove", (event) => {
    if (target.hasPointerCapture(event.pointerId)) move(event);
  });
}

/** Arrow keys: along (by steps, ten with Shift or Page keys), up (by values), ends. */
function arrows(target, { along, up, ends }) {
  target.addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 10 : 1;
    const keys = {
      ArrowLeft: () => along(-far),
      ArrowRight: () => along(far),
      PageDown: () => along(-10),
      PageUp: () => along(10),
      ArrowUp: () => up(0.01 * far),
      ArrowDown: () => up(-0.01 * far),
      Home: () => ends(-1),
      End: () => ends(1),
    };
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
}

/** A new element with a text and a class. */
function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}
