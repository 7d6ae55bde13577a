"use strict";

/* The page as a whole: its state, and what is recomputed and redrawn after a change.
 *
 * Changes are collected and processed once a frame. Each kind of change, and what it affects:
 *     sequence   the sequence: traces and the surface
 *     moment     the networks: all of it, the scatter too
 *     fresh      the fresh sequences: the scatter
 *     scale      the colour scales of states
 *     drawing    the pictures alone; results: new results of workers; cursor: the time cursor
 */

const FIRST_TARGET = [0.2, 0.4]; // of the first sequence; most targets are smaller
const MOST_STATES = 2e6; // most steps times cells in the trace of a run

class App {
  constructor() {
    this.saved = JSON.parse(document.getElementById("content").textContent);
    for (const run of this.saved.runs) run.snapshots = snapshotsOf(run);
    this.tip = document.getElementById("tip");
    this.magnified = true;
    this.pending = new Set();
    this.runs = [];
    this.#theme();
    this.#help();
    this.timeline = new Timeline(this);
    this.sequencePanel = new (this.saved.task.orders ? OrderSequencePanel : SequencePanel)(this);
    this.live = new LivePanel(this);
    this.story = new Story(this);
    for (const name of ["live-open", "story-open"]) {
      document.getElementById(name).hidden = Boolean(this.saved.task.orders); // not for symbols
    }
    this.address = new Address(this);
    this.load(this.saved);
    new ResizeObserver(() => this.changed("drawing")).observe(document.getElementById("main"));
  }

  /** Replaces the runs shown, and the sequence by one of their task. */
  load(content) {
    for (const run of this.runs) run.remove();
    this.content = content;
    this.task = content.task;
    const cells = Math.max(...content.runs.map((run) => run.hidden));
    const { length, longest } = content;
    this.longest = Math.max(length, Math.min(longest, Math.floor(MOST_STATES / cells)));
    this.draw = 0; // number of the draw of the sequence
    this.touched = new Map(); // values changed by the user, by step
    this.scatterSeed = 1;
    this.taken = []; // copied states, each as its sequence and step
    this.cursor = 0;
    this.sequence = {
      length,
      values: new Float64Array(this.longest),
      markers: new Float64Array(this.longest),
      marks: [1, 2, 3].slice(0, markCount(this.task)),
    };
    document.getElementById("main").className = content.runs.length > 1 ? "two" : "one";
    this.#lead();
    this.timeline.load();
    this.runs = content.runs.map((about) => new RunView(this, about));
    this.sequencePanel.load();
    do this.drawSequence();
    while (!this.#isTelling());
    this.cursor = (Math.max(...this.sequence.marks) + length) >> 1;
    this.address.load();
    this.changed("drawing");
    this.frame();
  }

  /** The right answer to the sequence shown. */
  get target() {
    const { values, marks } = this.sequence;
    return rightAnswer(this.task, ...countedValues(this.task, values, marks));
  }

  /** The target, in words. */
  get ruleInWords() {
    const product = this.task.kind === "multiplication";
    return product ? "their product" : "half plus a quarter of their sum";
  }

  /** The share of its content that a run's cells keep per step, on average over this sequence. */
  meanForget(run) {
    const { forget_gate: gates } = this.runs[run].trace;
    return gates.reduce((sum, f) => sum + f, 0) / gates.length;
  }

  /** The share of the last step's gradient that reaches the first mark. */
  shareOfGradient(run) {
    const { cells, end } = this.runs[run].back;
    return cells[Math.min(...this.sequence.marks)] / cells[end];
  }

  /** Whether the sequence is suitable as the first one, whatever the networks answer. */
  #isTelling() {
    if (this.task.orders) return true;
    const { length, marks } = this.sequence;
    const apart = Math.abs(marks[0] - marks[1]);
    const [low, high] = FIRST_TARGET.map((above) => this.task.mean_target + above);
    const visible = !marks.includes(0) && apart >= Math.min(8, Math.max(2, length / 10));
    return visible && this.target >= low && this.target <= high;
  }

  #lead() {
    const product = this.task.kind === "multiplication";
    const [read, asked] = this.task.orders
      ? ["symbol", "in which order the symbols X and Y came"]
      : ["value", `${product ? "the product" : "half plus a quarter of the sum"} of the two values that were marked`];
    document.getElementById("lead").textContent =
      `A recurrent network reads a sequence, a ${read} at a time; at the end it must answer ` +
      `${asked}. Change the sequence, and see how it works.`;
    const { runs } = this.content;
    const { name, about, notes } = runs[0];
    const place = document.getElementById("about");
    place.hidden = runs.length > 1; // with two runs each has a header of its own
    place.textContent = [`${name}:`, about, ...notes].join(" ");
  }

  // -- called by the panels -----------------------------------------------------------------------

  setValue(position, value) {
    const [low, high] = valueRange(this.task);
    this.sequence.values[position] = clamp(value, low, high);
    this.touched.set(position, this.sequence.values[position]);
    this.changed("sequence");
  }

  /** Sets both marked values. */
  setPair(x1, x2) {
    this.setValue(this.sequence.marks[0], x1);
    this.setValue(this.sequence.marks[1], x2);
  }

  /** Puts X and Y at the marks in one of the orders. */
  setOrder(order) {
    const { marks } = this.sequence;
    valuesOf(order, marks.length).forEach((value, k) => this.setValue(marks[k], value));
  }

  moveMark(which, wanted) {
    const { length, marks, values } = this.sequence;
    const from = marks[which];
    marks[which] = nearestLegal(this.task, length, which, marks[1 - which], wanted);
    if (this.task.orders) {
      const [moved, other] = [values[from], values[marks[which]]]; // X or Y moves with its mark
      this.setValue(from, other);
      this.setValue(marks[which], moved);
    }
    this.changed("sequence");
  }

  setCursor(step) {
    this.cursor = clamp(step, 0, this.sequence.length - 1);
    this.changed("cursor");
  }

  /** Copies the state at the cursor, for pasting at another step. */
  takeState() {
    const { length, values, markers, marks } = this.sequence;
    const [v, m] = [values, markers].map((array) => array.slice(0, length));
    this.taken.push({ values: v, markers: m, marks: [...marks], taken: this.cursor });
    this.changed("drawing");
  }

  drawSequence() {
    this.draw += 1;
    const random = this.#values();
    this.sequence.marks = drawMarks(this.task, this.sequence.length, random);
    this.changed("sequence", "moment", "scale", "fresh");
  }

  /** Sets the values to those of draw number `draw`; returns the generator after them. */
  #values() {
    const random = makeRandom(this.draw);
    drawValues(this.task, this.longest, random, this.sequence.values);
    this.touched.clear();
    return random;
  }

  /** Shows a sequence of a draw, with some values changed, by step; marks move to where they may
   * stand. */
  setSequence({ length, draw, marks, values }) {
    this.draw = draw;
    this.#values();
    this.sequence.length = length;
    this.sequence.marks = legalMarks(this.task, length, marks);
    this.cursor = Math.min(this.cursor, length - 1);
    for (const [t, value] of values) this.setValue(t, value);
    this.changed("sequence", "scale", "fresh");
  }

  /** Shows one of the fresh sequences. */
  setFresh(index) {
    const source = new Source(this.task, this.sequence.length, makeRandom(this.scatterSeed));
    const { length, values, marks } = source.batch(index + 1)[index];
    const shown = Math.min(length, this.longest);
    const changed = new Map([...values.subarray(0, shown)].map((value, t) => [t, value]));
    this.setSequence({ length: shown, draw: this.draw, marks, values: changed });
  }

  setLength(length) {
    const { sequence, task } = this;
    if (length === sequence.length) return;
    sequence.length = length;
    sequence.marks = legalMarks(task, length, sequence.marks);
    this.cursor = Math.min(this.cursor, length - 1);
    this.changed("sequence", "scale", "fresh");
  }

  /** Whether the steps about the marks of a long sequence are magnified. */
  magnify(on) {
    this.magnified = on;
    this.changed("drawing");
  }

  drawOthers() {
    this.scatterSeed += 1;
    this.changed("fresh");
  }

  // -- frames -------------------------------------------------------------------------------------

  changed(...what) {
    if (this.pending.size === 0) requestAnimationFrame(() => this.frame());
    for (const name of what) this.pending.add(name);
  }

  frame() {
    const what = this.pending;
    this.pending = new Set();
    const { sequence, task, runs } = this;
    if (what.size) this.address.note();
    const computed = ["sequence", "moment"].some((name) => what.has(name));
    setLens(this.magnified, sequence.length, sequence.marks);
    if (computed) {
      setMarkers(task, sequence.length, sequence.marks, sequence.markers, sequence.values);
      for (const run of runs) run.update(what);
    } else if (what.has("fresh")) {
      for (const run of runs) run.ask("scatter");
    }
    this.#place();
    if (what.has("drawing")) widths.clear();
    if (computed || what.has("drawing")) {
      const all = what.has("drawing") || what.has("moment");
      if (all) this.timeline.draw();
      this.sequencePanel.draw();
      for (const run of runs) run.draw(all);
    } else {
      if (what.has("cursor")) this.sequencePanel.drawCursor();
      for (const run of runs) {
        if (what.has("cursor")) run.drawCursor();
        if (what.has("results")) run.drawResults();
      }
    }
    if (computed || what.has("drawing")) this.story.tell();
    if (computed && this.story.step < 0) this.say(runs.map((run) => this.#named(run) + run.answer_.words()).join(" "));
  }

  #named(run) {
    return this.runs.length > 1 ? `${run.about.name}: ` : "";
  }

  /** Places the time cursor in every plot. */
  #place() {
    const { edge, span } = timeScale(1000, this.sequence.length);
    const share = (edge(this.cursor + 0.5) - MARGIN.left) / span;
    document.getElementById("main").style.setProperty("--cursor", share);
  }

  /** Announces a text to screen readers once nothing has changed for a while. */
  say(text) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => {
      document.getElementById("live").textContent = text;
    }, 400);
  }

  // -- the tooltip at the pointer, and the theme --------------------------------------------------

  showTip(event, text) {
    this.tip.textContent = text;
    this.tip.hidden = false;
    const left = Math.min(event.clientX + 14, innerWidth - this.tip.offsetWidth - 6);
    this.tip.style.left = `${Math.max(6, left)}px`;
    this.tip.style.top = `${event.clientY - this.tip.offsetHeight - 10}px`;
  }

  hideTip() {
    this.tip.hidden = true;
  }

  /** Shows or hides the help text of every panel. */
  #help() {
    const button = document.getElementById("help");
    button.addEventListener("click", () => {
      const shown = document.body.classList.toggle("helped");
      button.setAttribute("aria-pressed", String(shown));
      this.changed("drawing");
    });
  }

  #theme() {
    const button = document.getElementById("theme");
    const system = matchMedia("(prefers-color-scheme: dark)");
    const set = (name) => {
      document.documentElement.dataset.theme = name;
      button.textContent = name === "dark" ? "Light" : "Dark";
      button.setAttribute("aria-label", `Switch to ${button.textContent.toLowerCase()} colours`);
      readTheme();
    };
    const change = (name) => {
      set(name);
      this.changed("drawing");
    };
    set(system.matches ? "dark" : "light");
    system.addEventListener("change", () => change(system.matches ? "dark" : "light"));
    button.addEventListener("click", () => {
      change(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    });
  }
}

const app = new App();
