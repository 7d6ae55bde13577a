"use strict";

/* One run on the page: its network at the moment shown, its panels, its worker. */

const FRESH = 512; // sequences in the scatter
const CUT = 64; // sequences that each cell is cut in
const GRID = 21; // values of x1, and of x2, in the surface
const PATIENCE = 1000; // ms that a surface may take before a newer one replaces it
const QUICK = 8; // factor by which there are fewer sequences during training
const ROUGH = 9; // values per axis of the surface during training

class RunView {
  constructor(app, about) {
    this.app = app;
    this.about = about;
    this.trace = null; // the states on this sequence
    this.back = null; // the gradient of the answer with respect to each step of it
    this.limits = null; // limits of the colour scales of states
    this.scattered = null; // the worker's results for fresh sequences
    this.surface = null; // for other values at the marks
    this.lengths = null; // for other lengths
    this.responds = null; // correlations of the cells, and below the ranges of their last
    this.ranges = null; // states, over fresh sequences
    this.effects = null; // effect of cutting each cell on the final network's answers
    this.chosen = null; // the cell that the user selected, if any
    this.edits = NO_EDITS; // the user's; `cells` are `cut`, `held` or `mean`, by number; `put`,
    // {number, at}: which copied state is pasted after which step
    this.asked = {}; // times of the requests, in ms
    this.open = {}; // whether a request is being computed
    this.again = false; // whether the surface must be requested again
    this.waiting = { scatter: 0, surface: 0, cells: 0, lengths: 0 }; // latest requests, by kind
    this.#build();
    this.worker = startWorker(["lstm.js", "tasks.js", "learn.js", "responses.js", "worker.js"]);
    if (this.worker) {
      this.worker.onmessage = ({ data }) => this.#answered(data);
      this.worker.onerror = () => this.#failed();
    } else {
      this.#failed();
    }
    this.ask("cells");
  }

  /** Removes the run from the page. */
  remove() {
    this.worker?.terminate();
    this.article.remove();
  }

  #build() {
    const { about, app } = this;
    const root = document.getElementById("run-template").content.cloneNode(true);
    this.article = root.querySelector(".run");
    const find = (name) => root.querySelector(`.${name}`);
    find("run-name").textContent = about.name;
    find("about").textContent = about.about;
    find("scroll").setAttribute("aria-label", `${about.name}: what each cell responds to`);
    for (const place of root.querySelectorAll(".tolerance")) {
      place.textContent = app.content.tolerance;
    }
    this.momentText = find("moment");
    this.network_ = new NetworkPanel(find("network"), this);
    const { orders } = app.task;
    this.answer_ = new (orders ? OrderAnswerPanel : AnswerPanel)(find("answer"), this);
    this.surface_ = new (orders ? OrdersPanel : SurfacePanel)(find("surface"), this);
    this.scatter_ = new (orders ? OrderScatterPanel : ScatterPanel)(find("scatter"), this);
    this.lengths_ = new LengthsPanel(find("lengths"), this);
    const kinds = ["network", "answer", "surface", "scatter", "lengths"];
    if (about.curve) {
      this.curve_ = new CurvePanel(find("curve"), this);
      kinds.push("curve");
    } else {
      find("curve").remove(); // of a network that was trained elsewhere
    }
    for (const kind of kinds) {
      const table = () => this[`${kind}_`].table();
      offerToSave(app, find(kind), () => `${about.name}-${kind}`, table);
    }
    document.getElementById("main").append(root);
  }

  /** Number of the snapshot shown: the latest that is not after the time on the slider. */
  get moment() {
    const { iterations, batch_size } = this.about;
    const shown = iterations.filter((k) => k * batch_size <= this.app.timeline.sequences);
    return this.app.timeline.moments.length < 2 || iterations.length === 1
      ? iterations.length - 1
      : Math.max(0, shown.length - 1);
  }

  get iteration() {
    return this.about.iterations[this.moment];
  }

  /** The answer, where it is a number. */
  get answer() {
    return this.trace.outputs[0];
  }

  /** Number of the output whose gradient and terms are shown: the one that should be 1. */
  get output() {
    return this.app.task.orders ? this.app.target : 0;
  }

  /** The followed cell: the selected one, or the one whose cutting changes the answers most. */
  get followed() {
    if (this.chosen !== null) return this.chosen;
    return this.effects ? Math.max(0, this.effects.indexOf(Math.max(...this.effects))) : 0;
  }

  followCell(cell) {
    this.chosen = cell;
    this.network_.follow.value = cell === null ? "auto" : String(cell);
    this.app.changed("drawing");
  }

  // -- arithmetic ---------------------------------------------------------------------------------

  networkAt(moment) {
    return makeNetwork(this.about.snapshots[moment], this.about);
  }

  update(what) {
    const { values, markers, marks, length } = this.app.sequence;
    const states = (network) => traceStates(network, values, markers, length);
    if (what.has("moment")) this.network = this.#edited(this.networkAt(this.moment));
    holdAfter(this.network, marks);
    this.trace = states(this.network);
    this.back = wayBack(this.network, this.trace, this.output);
    if (what.has("scale")) this.#setLimits(states);
    this.#widenLimits();
    this.ask("surface");
    if (what.has("moment") || what.has("fresh")) this.ask("scatter");
    if (what.has("moment") && !this.about.learning) this.ask("lengths");
  }

  /** The network with the user's edits. */
  #edited(network) {
    const { cells, put, ...others } = this.edits;
    const { app } = this;
    const { task, content } = app;
    const { cells: n } = affordable(network.hidden, content.length, CUT, GRID);
    let means = null;
    const seen = (j) => (means ??= meanHidden(network, task, content.length, n))[j];
    const change = (j, kind) => (kind === "mean" ? { seen: seen(j) } : { [kind]: true });
    const edits = Object.entries(cells).map(([j, kind]) => [j, change(j, kind)]);
    const edited = withEdits(network, { ...others, cells: Object.fromEntries(edits) });
    if (!put) return edited;
    holdAfter(edited, app.taken[put.number].marks);
    return withState(edited, app.taken[put.number], put.at);
  }

  /** Applies edits to the network; edits that are not named stay. */
  edit(changes) {
    this.edits = { ...this.edits, ...changes };
    this.app.changed("moment");
  }

  /** Makes a cell `cut`, `held`, seen at its `mean`, or, where no kind is given, as it was. */
  editCell(cell, kind) {
    const { [cell]: before, ...others } = this.edits.cells;
    this.edit({ cells: kind ? { ...others, [cell]: kind } : others });
  }

  /** Colour scales from some moments of the training, the last among them, so that they stay the
   * same while its time is changed. */
  #setLimits(states) {
    const { hidden, iterations } = this.about;
    const S = iterations.length;
    const affordable = Math.floor(40000 / (hidden * (hidden + 12) * this.app.sequence.length) * 20);
    const looks = clamp(affordable, 1, Math.min(6, S));
    const traces = Array.from({ length: looks }, (_, k) =>
      states(this.networkAt(Math.round(((S - 1) * (k + 1)) / looks))),
    );
    this.limits = {};
    for (const name of SIGNED) this.limits[name] = stateLimits(traces.map((trace) => trace[name]));
  }

  /** Widens the scales to include the values of the trace. */
  #widenLimits() {
    for (const name of SIGNED) {
      const { limit } = stateLimits([this.trace[name]]);
      this.limits[name].limit = Math.max(this.limits[name].limit, limit);
    }
  }

  // -- the worker ---------------------------------------------------------------------------------

  #failed() {
    this.worker = null;
    for (const panel of [this.surface_, this.scatter_]) {
      panel.caption.textContent = "Not computed: this browser starts no worker for the page.";
    }
  }

  /** Sends requests to the worker; a surface waits until an earlier surface has arrived. */
  ask(kind) {
    const { app } = this;
    if (!this.worker) return;
    if (kind === "surface" && this.open.surface) {
      this.again = performance.now() - this.asked.surface < PATIENCE;
      if (this.again) {
        this.waiting.surface += 1;
        return;
      }
    }
    const { values, markers, marks, length } = app.sequence;
    const { iterations, learning } = this.about;
    const network = kind === "cells" ? this.networkAt(iterations.length - 1) : this.network;
    const question = { kind, id: ++this.waiting[kind], network, task: app.task, length };
    const quick = learning ? QUICK : 1;
    if (kind === "scatter") {
      Object.assign(question, { n: FRESH / quick, seed: app.scatterSeed });
    } else if (kind === "lengths") {
      const { length: trained, tolerance } = app.content;
      Object.assign(question, { n: CUT, length: trained, tolerance });
    } else if (kind === "cells") {
      Object.assign(question, { n: CUT / quick, seed: 1, length: app.content.length });
    } else {
      const [shown, marked] = [values, markers].map((array) => array.slice(0, length));
      const sequence = { length, marks, values: shown, markers: marked };
      Object.assign(question, { size: learning ? ROUGH : GRID, sequence });
    }
    this.asked[kind] = performance.now();
    this.open[kind] = true;
    this.worker.postMessage(question);
  }

  /** Shows a result, unless there is a newer request of its kind; a partial one only while there
   * is no complete one. */
  #answered(result) {
    const stale = result.id !== this.waiting[result.kind];
    if (stale && !(result.kind === "surface" && this.again)) return;
    if (result.done) this.open[result.kind] = false;
    if (result.kind === "scatter") {
      this.scattered = result;
      if (result.done) Object.assign(this, { responds: result.responds, ranges: result.ranges });
      this.app.changed(result.done ? "drawing" : "results");
    } else if (result.kind === "lengths") {
      if (!result.done) return;
      this.lengths = result;
      this.app.changed("results");
    } else if (result.kind === "cells") {
      if (!result.done) return;
      this.effects = result.effects;
      this.app.changed("drawing");
    } else {
      if (!result.done && this.surface) return;
      this.surface = result;
      if (result.done && this.again) {
        this.again = false;
        this.ask("surface");
      }
      this.app.changed("results");
    }
  }

  // -- drawing ------------------------------------------------------------------------------------

  /** Redraws the panels that a change affects: of the sequence alone, or of anything else. */
  draw(all) {
    this.network_.draw();
    this.answer_.draw();
    if (!all) {
      this.surface_.drawPoint();
      this.scatter_.drawRing();
      return;
    }
    const sequences = number(this.iteration * this.about.batch_size);
    const moment = `Shown: after ${number(this.iteration)} iterations (${sequences} sequences).`;
    const words = this.about.curve ? [moment, ...this.about.notes] : this.about.notes;
    this.momentText.textContent = words.join(" ");
    this.drawResults();
    this.curve_?.draw();
  }

  drawResults() {
    this.surface_.draw();
    this.scatter_.draw();
    this.lengths_.draw();
  }

  drawCursor() {
    this.network_.drawCursor();
  }
}

/** A worker that runs some of the page's scripts, or null where the browser starts none. */
function startWorker(names) {
  const source = names.map((name) => document.getElementById(name).textContent);
  const url = URL.createObjectURL(new Blob(source, { type: "text/javascript" }));
  try {
    return new Worker(url);
  } catch {
    return null;
  }
}

/** The weights of every snapshot, float32 arrays (P,), from the content that describes a run. */
function snapshotsOf(run) {
  const numbers = decodeFloats(run.weights);
  const P = parameterCount(run);
  return Array.from({ length: numbers.length / P }, (_, k) => numbers.slice(k * P, (k + 1) * P));
}

/** float32 numbers from base64, little-endian. */
function decodeFloats(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, k) => view.getFloat32(4 * k, true));
}
