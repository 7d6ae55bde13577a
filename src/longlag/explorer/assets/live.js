"use strict";

/* Training in the page: the controls of one training or of two side by side, and their runs. */

const RATE = 0.025; // as in the recipe robust, like the presets' biases
const MEAN_OF = 50; // batches in the heavy line of the curve

/** Initial settings by name: {forget_gate, forget_bias, input_bias, output_bias}. */
const PRESETS = {
  shut: (longest, mean) => ({
    forget_gate: true,
    forget_bias: 2 + Math.log(longest),
    input_bias: -4 - Math.log(longest),
    output_bias: mean,
  }),
  leaky: (longest, mean) => ({
    forget_gate: true,
    forget_bias: 1,
    input_bias: 0,
    output_bias: mean,
  }),
  carousel: (longest, mean) => ({
    forget_gate: false,
    forget_bias: 0,
    input_bias: 0,
    output_bias: mean,
  }),
  off: (longest, mean) => ({ ...PRESETS.shut(longest, mean), output_bias: mean < 0.4 ? 0.5 : 0 }),
};
const PRESET_NAMES = {
  shut: "gates shut",
  leaky: "leaky (bias 1)",
  carousel: "no forget gate",
  off: "output starts at ½",
};
const KNOBS = [
  ["hidden", "cells", 1, 32, 1, 8],
  ["forget_bias", "forget bias", -20, 20, "any", 0],
  ["input_bias", "input bias", -20, 20, "any", 0],
  ["output_bias", "output start", -2, 2, "any", 0],
  ["learning_rate", "rate", 0.0001, 1, "any", RATE],
];

/** One set of controls, and the training made from them. */
class Racer {
  constructor(panel, optional) {
    this.panel = panel;
    this.trainer = null;
    this.root = element("fieldset", "", "racer");
    this.root.append(element("legend", optional ? "Against" : "A network"));
    this.preset = element("select", "", "preset");
    if (optional) this.preset.append(new Option("nothing", ""));
    for (const [key, name] of Object.entries(panel.names)) this.preset.append(new Option(name, key));
    this.preset.addEventListener("change", () => this.fill());
    this.root.append(this.#field("starts with", this.preset));
    this.knobs = {};
    for (const [key, name, least, most, step, value] of KNOBS) {
      const knob = numberInput(least, most, step, value);
      knob.classList.add(key);
      this.knobs[key] = knob;
      this.root.append(this.#field(name, knob));
    }
    this.status = element("p", "", "status");
    this.root.append(this.status);
    this.fill();
  }

  #field(name, control) {
    const field = element("label", name, "field");
    field.append(control);
    return field;
  }

  get chosen() {
    return this.preset.value !== "";
  }

  /** Sets the controls to the preset's values for the chosen length. */
  fill() {
    for (const knob of Object.values(this.knobs)) knob.parentElement.hidden = !this.chosen;
    if (!this.chosen) return;
    this.start = PRESETS[this.preset.value](this.panel.longest, this.panel.mean);
    for (const [key, knob] of Object.entries(this.knobs)) {
      if (key in this.start) knob.value = Number(this.start[key].toFixed(3));
    }
    this.knobs.forget_bias.disabled = !this.start.forget_gate;
  }

  /** The settings for `LiveTraining`. */
  get settings() {
    const { length, seed } = this.panel;
    const chosen = Object.entries(this.knobs).map(([key, knob]) => [key, valueOf(knob)]);
    const { forget_gate } = this.start;
    return { length, seed, output: "linear", forget_gate, ...Object.fromEntries(chosen) };
  }

  /** Makes `about`, the run before its first batch. */
  prepare(task) {
    this.about = this.#about(this.settings, task);
    this.status.textContent = "";
  }

  /** Starts the training; `report` is called whenever the run has new data. */
  train(task, tolerance, report) {
    const names = ["lstm.js", "tasks.js", "responses.js", "learn.js", "trainer.js"];
    const { settings } = this;
    this.about.learning = true;
    this.trainer = startWorker(names);
    this.trainer.onmessage = ({ data }) => {
      this.#grow(data);
      report(this);
    };
    this.trainer.postMessage({ task, settings, tolerance });
    this.status.textContent = "starting";
  }

  stop() {
    if (!this.learning) return;
    this.trainer.terminate();
    this.about.learning = false;
    this.status.textContent += ": stopped";
  }

  get learning() {
    return Boolean(this.about?.learning);
  }

  /** A run before its first batch, in the format of a saved run. */
  #about(settings, task) {
    const { hidden, forget_gate, length, seed, forget_bias, input_bias } = settings;
    const kept = forget_gate ? `forget bias ${number(forget_bias, 1)}` : "no forget gate";
    return {
      name: this.preset.selectedOptions[0].text,
      about:
        `trained in this page · T = ${length} · ${hidden} cells · ${kept}, ` +
        `input bias ${number(input_bias, 1)} · seed ${seed}`,
      hidden,
      output: "linear",
      forget_gate,
      batch_size: RULE.batch,
      averaged: true,
      learning: false,
      score: { mse: null },
      iterations: [0],
      snapshots: [Float32Array.from(startWeights(settings, makeRandom(3 * seed)))],
      notes: [],
      losses: [],
      curve: {
        batches: [],
        smooth: [],
        names: [`one batch (${RULE.batch} sequences)`, `mean of ${MEAN_OF} batches`],
        tests: [],
        test_name: `test (${TEST_SIZE} sequences)`,
        chance: chanceError(task, length),
        paper: [],
        last: 1,
      },
    };
  }

  #grow({ losses, tests, snapshots, iteration, state, seconds }) {
    const { about } = this;
    const { curve } = about;
    for (const loss of losses) {
      about.losses.push(loss);
      const recent = about.losses.slice(-MEAN_OF);
      const at = about.losses.length - 1;
      if (Number.isFinite(loss)) {
        curve.batches.push([at, loss]);
        curve.smooth.push([at, recent.reduce((sum, x) => sum + x, 0) / recent.length]);
      }
    }
    for (const [at, { mse, wrong }] of tests) {
      if (Number.isFinite(mse)) curve.tests.push([at, mse]);
      about.score = { mse, wrong };
    }
    for (const [at, weights] of snapshots) {
      if (at === about.iterations[about.iterations.length - 1]) continue;
      about.iterations.push(at);
      about.snapshots.push(weights);
    }
    curve.last = Math.max(1, iteration);
    about.learning = state === "learning";
    const batches = `${number(iteration)} batches, ${number(seconds, 1)} s`;
    const { wrong } = about.score;
    const tested = wrong === undefined ? "" : `, ${wrong} of ${TEST_SIZE} wrong`;
    const ends = { learning: "learning", solved: "✓ solved", unsolved: "✗ not solved" };
    this.status.textContent = `${ends[state] ?? "✗ diverged"}: ${batches}${tested}`;
  }
}

class LivePanel {
  constructor(app) {
    this.app = app;
    this.root = document.getElementById("live-training");
    this.opener = document.getElementById("live-open");
    this.button = document.getElementById("live-start");
    this.back = document.getElementById("live-back");
    const { task, length } = app.saved;
    const known = task.kind === "multiplication" ? PRESET_NAMES.off : "output starts at 0";
    this.names = { ...PRESET_NAMES, off: known };
    this.mean = task.kind === "multiplication" ? 0.25 : 0.5;
    [this.lengthBox, this.seedBox] = ["live-length", "live-seed"].map((id) =>
      document.getElementById(id),
    );
    [this.lengthBox.min, this.lengthBox.max] = [task.shortest, 2000];
    this.lengthBox.defaultValue = clamp(length, task.shortest, 2000);
    this.racers = [new Racer(this, false), new Racer(this, true)];
    this.root.querySelector(".racers").append(...this.racers.map((racer) => racer.root));
    this.lengthBox.addEventListener("change", () => this.racers.forEach((racer) => racer.fill()));
    this.opener.addEventListener("click", () => this.open(this.root.hidden));
    this.button.addEventListener("click", () => (this.learning ? this.stop() : this.start(true)));
    this.back.addEventListener("click", () => {
      this.stop();
      this.back.hidden = true;
      app.load(app.saved);
    });
  }

  open(shown) {
    this.root.hidden = !shown;
    this.opener.setAttribute("aria-expanded", String(shown));
  }

  get length() {
    return valueOf(this.lengthBox);
  }

  get seed() {
    return valueOf(this.seedBox);
  }

  get longest() {
    return lengthRange(this.app.saved.task, this.length)[1];
  }

  get learning() {
    return this.racers.some((racer) => racer.learning);
  }

  /** Sets the initial settings of the networks and the length of the sequences. */
  choose(presets, length) {
    this.lengthBox.value = length;
    this.racers.forEach((racer, k) => {
      racer.preset.value = presets[k] ?? "";
      racer.fill();
    });
  }

  /** Shows new networks in place of the page's runs, and starts their training if asked to. */
  start(learn) {
    const { saved } = this.app;
    const { length, longest } = this;
    const task = { ...saved.task, lengths: [length, longest] };
    const racing = this.racers.filter((racer) => racer.chosen);
    for (const racer of racing) racer.prepare(task);
    const runs = racing.map((racer) => racer.about);
    if (runs.length > 1 && runs[0].name === runs[1].name) {
      runs.forEach((about, k) => (about.name += `, ${"AB"[k]}`));
    }
    this.show({ ...saved, task, length, longest: 4 * longest, runs });
    if (!learn) return;
    for (const racer of racing) racer.train(task, saved.tolerance, () => this.#grown());
    this.#label();
  }

  /** Shows networks that were trained in the page. */
  show(content) {
    this.app.load(content);
    this.back.hidden = false;
  }

  stop() {
    if (!this.learning) return;
    for (const racer of this.racers) racer.stop();
    this.#settle();
  }

  #grown() {
    this.app.timeline.extend();
    for (const run of this.app.runs) run.ask("cells");
    this.app.changed("moment", "scale");
    if (!this.learning) this.#settle();
  }

  /** Computes everything in full for networks whose training has ended. */
  #settle() {
    this.#label();
    for (const run of this.app.runs) run.ask("cells");
    this.app.changed("moment", "scale");
    this.app.say(this.racers.map((racer) => racer.status.textContent).join(" "));
  }

  #label() {
    this.button.textContent = this.learning ? "Stop" : "Train";
  }
}

/** The mean squared error of the best constant answer. */
function chanceError(task, T) {
  const source = new Source(task, T, makeRandom(1));
  const targets = source.batch(2048).map(({ target }) => target);
  const mean = targets.reduce((sum, y) => sum + y, 0) / targets.length;
  return targets.reduce((sum, y) => sum + (y - mean) ** 2, 0) / targets.length;
}

function numberInput(least, most, step, value) {
  const input = document.createElement("input");
  Object.assign(input, { type: "number", min: least, max: most, step, defaultValue: value });
  return input;
}

/** The number in an input box, clamped to the box's limits; the box then shows it. */
function valueOf(input) {
  const { min, max, step, defaultValue, value } = input;
  const wanted = Number.isFinite(parseFloat(value)) ? parseFloat(value) : Number(defaultValue);
  const within = clamp(step === "1" ? Math.round(wanted) : wanted, Number(min), Number(max));
  if (String(within) !== value) input.value = within;
  return within;
}
