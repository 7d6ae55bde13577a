"use strict";

/* The moment of the training: the slider with its play button, and the curve with its cursor. */

const CURVE_HEIGHT = 270; // px
const PLAY_EVERY = 350; // ms
const PLAY_CALMLY = 1000; // where the user prefers reduced motion

class Timeline {
  constructor(app) {
    this.app = app;
    this.slider = document.getElementById("moment");
    this.button = document.getElementById("play");
    this.text = document.getElementById("moment-text");
    this.timer = null;
    this.moments = [];
    this.slider.addEventListener("input", () => {
      this.stop();
      this.go(Number(this.slider.value));
    });
    this.button.addEventListener("click", () => (this.timer ? this.stop() : this.play()));
  }

  /** Sets the moments to those of the page's runs, and goes to the last. */
  load() {
    this.stop();
    this.moments = momentsOf(this.app.content.runs);
    document.getElementById("timeline").hidden = this.moments.length < 2;
    this.slider.max = this.moments.length - 1;
    this.slider.value = this.moments.length - 1;
  }

  /** Adds the new moments of runs in training; stays at the last if it was there. */
  extend() {
    const { sequences } = this;
    const atEnd = Number(this.slider.value) >= this.moments.length - 1;
    const playing = this.timer;
    this.moments = momentsOf(this.app.content.runs);
    document.getElementById("timeline").hidden = this.moments.length < 2;
    this.slider.max = this.moments.length - 1;
    if (!playing) this.slider.value = atEnd ? this.slider.max : this.moments.indexOf(sequences);
  }

  /** Training sequences seen at the moment shown. */
  get sequences() {
    return this.moments[Number(this.slider.value)];
  }

  go(index) {
    this.slider.value = index;
    this.app.changed("moment");
  }

  /** Goes to the moment nearest to a number of training sequences, on a logarithmic scale. */
  goTo(sequences) {
    const far = (moment) => Math.abs(Math.log1p(moment) - Math.log1p(sequences));
    const nearest = this.moments.reduce((best, m) => (far(m) < far(best) ? m : best));
    this.stop();
    this.go(this.moments.indexOf(nearest));
  }

  play() {
    if (Number(this.slider.value) === this.moments.length - 1) this.go(0);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.timer = setInterval(() => {
      this.go(Number(this.slider.value) + 1);
      if (Number(this.slider.value) === this.moments.length - 1) this.stop();
    }, calm ? PLAY_CALMLY : PLAY_EVERY);
    this.#label();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.#label();
  }

  #label() {
    this.button.textContent = this.timer ? "Pause" : "Play";
    this.button.setAttribute("aria-pressed", String(Boolean(this.timer)));
  }

  draw() {
    const text = `after ${number(this.sequences)} training sequences`;
    this.text.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
  }
}

/** Training sequences seen at every moment of which some run has a snapshot, rising. */
function momentsOf(runs) {
  const all = runs
    .filter((run) => run.iterations.length > 1)
    .flatMap((run) => run.iterations.map((k) => k * run.batch_size));
  return [...new Set(all)].sort((a, b) => a - b);
}

class CurvePanel {
  constructor(root, run) {
    this.run = run;
    this.app = run.app;
    this.canvas = root.querySelector(".lines");
    this.legend = root.querySelector(".legend");
    this.#entries();
    drag(this.canvas, (event) => {
      const { left, width } = this.canvas.getBoundingClientRect();
      const { x } = this.#scales(width);
      const share = clamp((event.clientX - left - x(0)) / (x(this.last) - x(0)), 0, 1);
      const iteration = Math.expm1(share * Math.log1p(this.last));
      this.app.timeline.goTo(iteration * this.run.about.batch_size);
    });
  }

  get last() {
    return Math.max(1, this.run.about.curve.last);
  }

  /** The scales of iterations and errors; both axes are logarithmic, iterations from 0. */
  #scales(width) {
    const { batches, tests, chance, paper } = this.run.about.curve;
    const bulk = batches.map(([, y]) => y).sort((a, b) => a - b);
    const trimmed = bulk.slice(Math.floor(bulk.length * 0.01), Math.ceil(bulk.length * 0.995));
    const shown = [...trimmed, ...tests.map(([, y]) => y), ...paper.map(([y]) => y), chance];
    const [low, high] = [Math.min(...shown) / 1.5, Math.max(...shown) * 1.5];
    const ends = [[0, Math.log1p(this.last)], [Math.log(low), Math.log(high)]];
    const box = frame([58, width - MARGIN.right], [CURVE_HEIGHT - 36, 8], ...ends);
    const y = (mse) => clamp(box.y(Math.log(mse)), box.top, box.bottom);
    return { ...box, low, high, x: (k) => box.x(Math.log1p(k)), y };
  }

  draw() {
    const { curve } = this.run.about;
    const { context, width } = clear(this.canvas, CURVE_HEIGHT);
    const scales = this.#scales(width);
    const { x, y, left, right, top, bottom } = scales;
    this.#axes(context, scales);
    const through = (points, colour, wide) => {
      line(context, points.map(([k]) => x(k)), points.map(([, mse]) => y(mse)), colour, wide);
    };
    through(curve.batches, theme["network-light"], 0.8);
    through(curve.smooth, theme.network, 2);
    rule(context, left, right, y(curve.chance), theme.ink, [6, 4], 1.3);
    curve.paper.forEach(([mse], k) => {
      rule(context, left, right, y(mse), theme.paper, PAPER_DASHES[k], 1.5);
    });
    for (const [k, mse] of curve.tests) {
      context.beginPath();
      context.arc(x(k), y(mse), 3.5, 0, 2 * Math.PI);
      context.fillStyle = theme.test;
      context.fill();
      context.strokeStyle = theme.ink;
      context.lineWidth = 0.8;
      context.stroke();
    }
    const now = x(this.run.iteration);
    line(context, [now, now], [top, bottom], theme.ink, 1.5);
    if (curve.batches.length === 0) {
      write(context, "no batch was learned from", (left + right) / 2, (top + bottom) / 2, "center");
    }
    this.canvas.setAttribute("aria-label", this.#words());
  }

  /** The errors of a subset of the batches, their means, and the errors of tests. */
  table() {
    const { batches, smooth, tests } = this.run.about.curve;
    const lines = Object.entries({ batch: batches, mean: smooth, test: tests });
    const rows = lines.flatMap(([kind, points]) => points.map(([k, mse]) => [k, kind, mse]));
    return [["iteration", "of", "mse"], ...rows];
  }

  #axes(context, { x, y, left, right, bottom, low, high }) {
    const subs = high / low < 1e4 ? [1, 2, 5] : [1];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (const sub of subs) {
        const value = sub * 10 ** power;
        if (value < low || value > high) continue;
        rule(context, left, right, y(value), theme.grid);
        write(context, String(Number(value.toPrecision(3))), left - 6, y(value), "right");
      }
    }
    rule(context, left, right, bottom, theme.axis);
    let free = -Infinity;
    for (const value of [0, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8]) {
      if (value > this.last) break;
      line(context, [x(value), x(value)], [bottom, bottom + 3], theme.axis);
      const align = x(value) > right - 20 ? "right" : "center";
      const half = context.measureText(number(value)).width / 2;
      if (x(value) - half * (align === "right" ? 2 : 1) < free) continue;
      write(context, number(value), x(value), bottom + 5, align, "top");
      free = x(value) + half + 8;
    }
    write(context, "iterations", (left + right) / 2, bottom + 20, "center", "top");
  }

  #words() {
    const { score, curve } = this.run.about;
    const end = score.mse === null ? "not a number" : short(score.mse);
    return (
      `Mean squared error over ${number(curve.last)} iterations, at last ${end}; chance is ` +
      `${short(curve.chance)}. Shown: iteration ${number(this.run.iteration)}.`
    );
  }

  #entries() {
    const { about } = this.run;
    const { curve } = about;
    const entries = [
      ["network-light", 1.5, "", curve.names[0]],
      ["network", 2.5, "", curve.names[1]],
      ["test", 0, "", curve.test_name],
      ["ink", 1.5, "6 4", `chance ${short(curve.chance)}`],
      ...curve.paper.map(([, text], k) => ["paper", 1.5, PAPER_DASHES[k].join(" "), text]),
    ];
    if (curve.tests.length === 0) entries.splice(2, 1);
    if (curve.names[0] === curve.names[1]) entries.splice(0, 1);
    for (const [colour, wide, dashes, text] of entries) {
      const dashed = `stroke-width="${wide}" stroke-dasharray="${dashes}"`;
      const sample = wide
        ? `<path d="M0 5H24" stroke="var(--${colour})" ${dashed}/>`
        : `<circle cx="12" cy="5" r="3.5" fill="var(--${colour})" stroke="var(--ink)"/>`;
      const entry = element("li");
      entry.innerHTML = `<svg viewBox="0 0 24 10" aria-hidden="true">${sample}</svg>`;
      entry.append(text);
      this.legend.append(entry);
    }
    if (about.averaged) {
      const words =
        "The networks that are shown and tested have the moving average of the weights; the " +
        "batches’ errors are those of the weights themselves, so that the two may disagree.";
      this.legend.append(element("li", words));
    }
    if (curve.paper.length === 0 && !this.app.task.orders) {
      const words = "The paper’s results are for its own rules at T = 100: not drawn here.";
      this.legend.append(element("li", words));
    }
  }
}

const PAPER_DASHES = [[2, 3], [7, 3, 2, 3]];
