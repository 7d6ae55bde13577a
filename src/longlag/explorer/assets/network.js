"use strict";

/* The network's states on the sequence: the followed cell as a line, all cells as heat maps. */

const MAPS = [
  ["cell", "Cell state c", "what is carried"],
  ["hidden", "Hidden state h", "what others see"],
  ["input_gate", "Input gate i", "what is let in"],
  ["forget_gate", "Forget gate f", "what is kept"],
  ["output_gate", "Output gate o", "what is let out"],
  ["written", "Written i · g", "what is stored"],
];
const SIGNED = ["cell", "hidden", "written"];
const LETTERS = {
  cell: "c",
  hidden: "h",
  input_gate: "i",
  forget_gate: "f",
  output_gate: "o",
  candidate: "g",
  written: "i · g",
};
const NEEDED = 0.1; // share of the largest effect of cutting a cell; cells below it are hidden
const CARRIED_HEIGHT = 96;
const BACK_HEIGHT = 84;
const BACK_POWERS = [-12, 2]; // powers of ten at the ends of the gradient's scale

class NetworkPanel {
  constructor(root, run) {
    this.run = run;
    this.app = run.app;
    this.root = root;
    this.readout = root.querySelector(".readout");
    this.carried = root.querySelector(".carried");
    this.back = root.querySelector(".back");
    this.sort = root.querySelector(".sort");
    this.follow = root.querySelector(".follow");
    this.details = root.querySelector("details");
    this.allCells = root.querySelector(".all-cells");
    this.responses = root.querySelector(".cells");
    this.maps = root.querySelector(".maps");
    this.canvases = {};
    const forgets = !run.about.blocks;
    this.shownMaps = MAPS.filter(([name]) => forgets || name !== "forget_gate");
    for (const [name, title, meaning] of this.shownMaps) this.#addMap(name, title, meaning);
    const plots = Object.entries(this.canvases).map(([name, { canvas }]) => [name, canvas.parentNode]);
    const sequence = document.getElementById("sequence-plot");
    this.drawing = new CellDrawing(root, run, { ...Object.fromEntries(plots), sequence });
    this.edits = root.querySelector(".edits");
    this.#choices();
    this.#editing();
    this.#keys();
  }

  #addMap(name, title, meaning) {
    const head = element("div", "", "map-head");
    const fixed = name === "forget_gate" && !this.run.about.forget_gate;
    const shared = this.run.about.blocks && name.endsWith("_gate") ? ", shared by a block" : "";
    const heading = element("h4", `${title}: ${fixed ? "fixed at 1" : meaning}${shared}`);
    const scale = element("span", "", "scale");
    scale.append(element("span"), document.createElement("canvas"), element("span"));
    head.append(heading, scale);
    const plot = element("div", "", "plot");
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    plot.append(canvas, element("div", "", "cursor"));
    this.maps.append(head, plot);
    this.canvases[name] = { canvas, scale: [...scale.children], title };
    canvas.addEventListener("pointermove", (event) => this.#point(event, name));
    canvas.addEventListener("pointerdown", (event) => {
      this.run.followCell(this.#at(event, canvas).cell);
      this.#point(event, name);
    });
    canvas.addEventListener("pointerleave", () => this.app.hideTip());
  }

  #choices() {
    const H = this.run.about.hidden;
    const responses = respondedTo(this.app.task).map(
      ([kind, name]) => new Option(`response to ${name}`, kind),
    );
    this.sort.querySelector("[value=number]").after(...responses);
    const automatic = new Option("the cell needed most", "auto");
    const cells = Array.from({ length: H }, (_, j) => new Option(`cell ${j + 1}`, String(j)));
    this.follow.append(automatic, ...cells);
    this.follow.addEventListener("change", () => {
      this.run.followCell(this.follow.value === "auto" ? null : Number(this.follow.value));
    });
    this.allCells.addEventListener("change", () => this.app.changed("drawing"));
    this.sort.addEventListener("change", () => this.app.changed("drawing"));
    this.details.addEventListener("toggle", () => this.app.changed("drawing"));
  }

  #editing() {
    const { run } = this;
    const names = ["cell-edit", "clamp", "blind", "take", "put", "as-learned"];
    const found = names.map((name) => this.edits.querySelector(`.${name}`));
    [this.cellEdit, this.clamp, this.blind, this.take, this.put, this.undo] = found;
    for (const gate of GATES.slice(0, 3)) {
      if (gate === "forget_gate" && !run.about.forget_gate) continue;
      const name = (end) => `${LETTERS[gate]} = ${end}`;
      for (const end of [0, 1]) this.clamp.append(new Option(name(end), `${gate} ${end}`));
    }
    this.cellEdit.addEventListener("change", () => run.editCell(run.followed, this.cellEdit.value));
    this.clamp.addEventListener("change", () => {
      const [gate, open] = this.clamp.value.split(" ");
      run.edit({ clamp: gate ? { gate, open: open === "1" } : null });
    });
    this.blind.addEventListener("change", () => run.edit({ blind: this.blind.checked }));
    this.take.addEventListener("click", () => this.app.takeState());
    this.put.addEventListener("click", () => {
      run.edit({ put: { number: this.app.taken.length - 1, at: this.app.cursor } });
    });
    this.undo.addEventListener("click", () => run.edit(NO_EDITS));
    this.maps.addEventListener("keydown", (event) => {
      if (event.key !== "Delete") return;
      run.editCell(run.followed, run.edits.cells[run.followed] === "cut" ? "" : "cut");
    });
  }

  /** Shows the user's edits in the controls and in words. */
  #drawEdits() {
    const { edits, followed } = this.run;
    const { cells, clamp, blind, put } = edits;
    const { taken } = this.app;
    this.put.hidden = taken.length === 0;
    this.edits.querySelector(".edited-cell").textContent = `Cell ${followed + 1}`;
    this.cellEdit.value = cells[followed] ?? "";
    this.clamp.value = clamp ? `${clamp.gate} ${Number(clamp.open)}` : "";
    this.blind.checked = blind;
    const words = { cut: "cut", held: "held after the marks", mean: "seen at its mean" };
    const told = ([j, kind]) => `cell ${Number(j) + 1} ${words[kind]}`;
    const changes = Object.entries(cells).map(told);
    if (clamp) changes.push(`${LETTERS[clamp.gate]} = ${Number(clamp.open)} in all cells`);
    if (blind) changes.push("gates blind to the cells");
    if (put) {
      const other = `after step ${taken[put.number].taken} of the sequence it was taken from`;
      changes.push(`after step ${put.at} of every sequence the state ${other}`);
    }
    this.undo.hidden = changes.length === 0;
    this.root.querySelector(".edits-text").textContent = changes.length
      ? `Not as it learned: ${changes.join(", ")}.`
      : "";
  }

  #keys() {
    arrows(this.maps, {
      along: (by) => this.app.setCursor(this.app.cursor + by),
      up: (by) => {
        const row = this.order.indexOf(this.run.followed) - Math.sign(by);
        this.run.followCell(this.order[clamp(row, 0, this.order.length - 1)]);
      },
      ends: (end) => this.app.setCursor(end < 0 ? 0 : this.app.sequence.length - 1),
    });
  }

  // -- pointing -----------------------------------------------------------------------------------

  #at(event, canvas) {
    const box = canvas.getBoundingClientRect();
    const step = timeScale(box.width, this.app.sequence.length).step(event.clientX - box.left);
    const row = Math.floor((event.clientY - box.top) / this.#rowHeight());
    return { step, cell: this.order[clamp(row, 0, this.order.length - 1)] };
  }

  #point(event, name) {
    const { step: t, cell } = this.#at(event, this.canvases[name].canvas);
    const value = this.run.trace[name][t * this.run.about.hidden + cell];
    this.app.setCursor(t);
    this.app.showTip(event, `cell ${cell + 1}, step ${t}: ${LETTERS[name]} = ${textOf(name, value)}`);
  }

  // -- drawing ------------------------------------------------------------------------------------

  draw() {
    this.order = this.#unfolded(this.#sorted());
    this.#drawEdits();
    this.#drawCarried();
    this.#drawBack();
    for (const [name] of this.shownMaps) this.#drawMap(name);
    if (this.details.open) this.#fillTable();
    this.drawCursor();
  }

  drawCursor() {
    const { cursor, sequence } = this.app;
    const { followed, trace } = this.run;
    const at = cursor * this.run.about.hidden + followed;
    const marker = sequence.markers[cursor];
    const { symbols } = this.app.task;
    const read = [
      ["value", number(sequence.values[cursor], 3)],
      ["marker", marker < 0 ? "−1" : String(marker)],
    ];
    const parts = [
      ["step", number(cursor)],
      ...(symbols ? [["symbol", symbols[marker]]] : read),
      ["cell", String(followed + 1)],
      ...STATES.map((name) => [LETTERS[name], textOf(name, trace[name][at])]),
    ];
    this.drawing.draw();
    this.readout.replaceChildren(
      ...parts.map(([name, text]) => {
        const part = element("span");
        part.append(element("b", name), text);
        return part;
      }),
    );
  }

  /** The number of each cell (H,) by which the chosen order sorts. */
  #keysOfCells(kind) {
    const { trace, about, responds, effects, network, output } = this.run;
    const H = about.hidden;
    const { marks } = this.app.sequence;
    const terms = answerTerms(network, trace.read, output);
    return Array.from({ length: H }, (_, j) => {
      if (kind === "number") return -j;
      if (kind === "share") return terms[j + 1];
      if (kind === "change") {
        const before = (t) => (t > 0 ? trace.cell[(t - 1) * H + j] : 0);
        return marks.reduce((sum, t) => sum + Math.abs(trace.cell[t * H + j] - before(t)), 0);
      }
      if (kind === "cut") return effects ? effects[j] : NaN;
      return responds ? responds[kind][j] : NaN;
    });
  }

  /** The cells in the order chosen; those of a block, which share its gates, stay together. */
  #sorted() {
    const kind = this.sort.value;
    const keys = this.#keysOfCells(kind);
    const size = (j) => (kind === "number" ? keys[j] : Math.abs(keys[j]) || 0);
    const order = keys.map((_, j) => j).sort((a, b) => size(b) - size(a) || a - b);
    const blocks = [...new Set(order.map((j) => this.#blockOf(j)))];
    return blocks.flatMap((block) => order.filter((j) => this.#blockOf(j) === block));
  }

  /** Of cells in order those that the final network needs, the followed one, and what shares their
   * block; or all. */
  #unfolded(order) {
    const { effects, followed, about } = this.run;
    const fold = this.allCells.closest(".fold");
    const least = NEEDED * Math.max(...(effects ?? [0]));
    const needs = (j) => j === followed || !(effects?.[j] < least);
    const blocks = about.blocks ? order.filter(needs).map((j) => this.#blockOf(j)) : [];
    const shown = order.filter((j) => needs(j) || blocks.includes(this.#blockOf(j)));
    fold.hidden = shown.length === order.length;
    const rest = `all ${order.length} cells, not only those that the answers need`;
    fold.querySelector("span").textContent = rest;
    return this.allCells.checked ? order : shown;
  }

  /** The number of a cell's block; that of all cells where there are no blocks. */
  #blockOf(cell) {
    const { blocks, hidden } = this.run.about;
    return blocks ? Math.floor((cell * blocks) / hidden) : 0;
  }

  #rowHeight() {
    return clamp(120 / this.order.length, 1.5, 15);
  }

  #drawMap(name) {
    const { canvas, scale: legend, title } = this.canvases[name];
    const H = this.order.length;
    const { length, marks } = this.app.sequence;
    const row = this.#rowHeight();
    const last = name === this.shownMaps[this.shownMaps.length - 1][0];
    const { context, width } = clear(canvas, Math.round(row * H) + (last ? 22 : 0));
    const time = timeScale(width, length);
    const { span } = time;
    const scale = SIGNED.includes(name) ? stateScale(this.run.limits[name]) : gateScale(length);
    const pixels = Math.max(1, Math.floor(span * window.devicePixelRatio));
    const columns = lens.length === length ? pixels : Math.min(length, pixels);
    const words = heatWords(this.run.trace[name], this.order, time.columns(columns), scale);
    paint(context, words, columns, MARGIN.left, 0, span, row * H);
    const end = MARGIN.left + span;
    const shared = this.run.about.blocks && name.endsWith("_gate");
    for (let k = 1; k < H; k++) {
      const parted = this.#blockOf(this.order[k - 1]) !== this.#blockOf(this.order[k]);
      if (parted) rule(context, MARGIN.left, end, k * row, theme.card, [], 3);
      else if (H <= 16 && !shared) rule(context, MARGIN.left, end, k * row, theme.card);
    }
    if (shared) this.#nameBlocks(context, row);
    else this.#nameRows(context, row);
    for (const t of marks) markLine(context, time, t, row * H);
    if (last) timeAxis(context, width, length, row * H + 2);
    canvas.setAttribute("aria-label", `${title} of ${H} cells over ${length} steps`);
    this.#drawLegend(legend, scale);
  }

  /** Numbers of the cells: the followed one's, and as many others as there is room for. */
  #nameRows(context, row) {
    const every = this.order.length <= 10 ? 1 : Math.ceil(14 / row);
    const followed = this.order.indexOf(this.run.followed);
    this.order.forEach((cell, k) => {
      if (k !== followed && (k % every || Math.abs(k - followed) < every)) return;
      const colour = k === followed ? theme.network : theme.muted;
      context.font = k === followed ? `700 ${FONT}` : FONT;
      const name = `${this.run.edits.cells[cell] ? "× " : ""}${cell + 1}`;
      const y = clamp((k + 0.5) * row, 6, this.order.length * row - 6); // keep it inside
      write(context, name, MARGIN.left - 6, y, "right", "middle", colour);
    });
    context.font = FONT;
  }

  /** Numbers of the blocks, each beside the rows of its cells. */
  #nameBlocks(context, row) {
    const { blocks, hidden } = this.run.about;
    const size = hidden / blocks;
    for (let k = 0; k < this.order.length; k += size) {
      const name = `block ${this.#blockOf(this.order[k]) + 1}`;
      write(context, name, MARGIN.left - 6, (k + size / 2) * row, "right");
    }
  }

  #drawLegend([low, canvas, high], scale) {
    const drawn = [...scale.ends, theme.dark, widthOf(canvas)].join();
    if (canvas.drawn === drawn) return;
    canvas.drawn = drawn;
    const { context, width, height } = clear(canvas, 9);
    paint(context, scale.colours.slice(), 256, 0, 0, width, height);
    [low.textContent, high.textContent] = scale.ends;
  }

  /** The followed cell as a line, with its value after the later mark. */
  #drawCarried() {
    const { trace, followed } = this.run;
    const H = this.run.about.hidden;
    const { length, marks } = this.app.sequence;
    const { context, width } = clear(this.carried, CARRIED_HEIGHT);
    const time = timeScale(width, length);
    const { x, span } = time;
    const at = (t) => trace.cell[t * H + followed];
    const spread = this.run.ranges?.[followed].filter(Number.isFinite) ?? [];
    let [low, high] = [Math.min(0, ...spread), Math.max(0, ...spread)];
    for (let t = 0; t < length; t++) {
      if (at(t) < low) low = at(t);
      if (at(t) > high) high = at(t);
    }
    const room = 0.12 * (high - low) || 0.1;
    const { y } = frame([0, 1], [CARRIED_HEIGHT - 4, 4], [0, 1], [low - room, high + room]);
    const later = Math.max(...marks);
    const held = at(later);
    const end = MARGIN.left + span;
    context.fillStyle = theme["network-light"];
    context.globalAlpha = 0.28;
    context.fillRect(x(later), 0, end - x(later), CARRIED_HEIGHT);
    context.globalAlpha = 1;
    const every = tickStep(high - low + 2 * room, 3);
    for (let value = Math.ceil((low - room) / every) * every; value < high + room; value += every) {
      if (y(value) < 6) continue; // no room for its number
      rule(context, MARGIN.left, end, y(value), theme.grid);
      const text = tickText(Math.abs(value) < every / 2 ? 0 : value);
      write(context, text, MARGIN.left - 6, y(value), "right");
    }
    for (const t of marks) markLine(context, time, t, CARRIED_HEIGHT);
    rule(context, x(later), end, y(held), theme.mark, [4, 3], 1.5);
    const shown = thinned(at, time);
    line(context, shown.map(x), shown.map((t) => y(at(t))), theme.network, 2);
    this.#tellDrift(held, at(length - 1), length - 1 - later, spread[1] - spread[0]);
  }

  /** A row a step: what is read, the outputs if asked then, how far the answer depends on the step,
   * all states and gates of each cell. */
  table() {
    const { trace, back, about } = this.run;
    const { length, values, markers } = this.app.sequence;
    const [H, K] = [about.hidden, about.outputs ?? 1];
    const cells = STATES.flatMap((name) =>
      Array.from({ length: H }, (_, j) => `${LETTERS[name]}${j + 1}`),
    );
    const outputs = this.app.task.orders ?? ["answer"];
    const head = ["step", "value", "marker", ...outputs, "dy/dc", "dy/dx", ...cells];
    const rows = Array.from({ length }, (_, t) => [
      ...[t, values[t], markers[t], ...trace.answers.subarray(t * K, (t + 1) * K)],
      ...[back.cells[t], back.values[t]],
      ...STATES.flatMap((name) => [...trace[name].subarray(t * H, (t + 1) * H)]),
    ]);
    return [head, ...rows];
  }

  /** How constant the followed cell was, in words. */
  #tellDrift(held, last, steps, range) {
    const drift = Math.abs(last - held) / range;
    const share = Number.isFinite(drift) ? `: a drift of ${percent(drift)} of its range` : "";
    const text = `${number(held, 3)} → ${number(last, 3)} in ${steps} steps${share}`;
    const cell = `Cell ${this.run.followed + 1} over time`;
    const title = `${cell}, dashed: as stored`;
    this.root.querySelector(".carried-title").textContent = title;
    this.root.querySelector(".carried-text").textContent = text;
    this.carried.setAttribute("aria-label", `${cell}: ${text}`);
  }

  /** How far the answer depends on each step: on the cells' states as a line, on the values as bars,
   * the marked ones in colour. */
  #drawBack() {
    const { cells, values, end } = this.run.back;
    const { length, marks } = this.app.sequence;
    const { context, width } = clear(this.back, BACK_HEIGHT);
    const time = timeScale(width, length);
    const { x, span, wide } = time;
    const { y } = frame([0, 1], [BACK_HEIGHT - 4, 6], [0, 1], BACK_POWERS);
    const height = (size) => y(clamp(Math.log10(size) || -Infinity, ...BACK_POWERS));
    const [low, high] = BACK_POWERS;
    for (let power = low; power <= high; power += 4) {
      rule(context, MARGIN.left, MARGIN.left + span, y(power), theme.grid);
      const name = power ? `10${raised(power)}` : "1";
      write(context, name, MARGIN.left - 6, y(power), "right");
    }
    const bar = (t, least, colour) => {
      const across = Math.max(least, wide(t) * 0.6);
      context.fillStyle = colour;
      context.fillRect(x(t) - across / 2, height(values[t]), across, y(low) - height(values[t]));
    };
    for (const t of thinned((k) => values[k], time)) bar(t, 0.7, theme.bar);
    for (const t of marks) bar(t, 4, theme.mark);
    const shown = thinned((t) => cells[t], time);
    line(context, shown.map(x), shown.map((t) => height(cells[t])), theme.network, 2);
    const first = Math.min(...marks);
    const share = cells[first] / cells[end];
    const text = `at the first mark ${science(share)} of what it is at the end`;
    this.root.querySelector(".back-text").textContent = text;
    const label = `How far the answer depends on the cells at each step: ${text}`;
    this.back.setAttribute("aria-label", label);
  }

  #fillTable() {
    const responses = Object.fromEntries(respondedTo(this.app.task));
    const columns = { cut: "cut", ...responses, change: "change", share: "term" };
    const kinds = Object.keys(columns);
    const keys = kinds.map((kind) => this.#keysOfCells(kind));
    const head = element("tr");
    for (const name of ["cell", ...Object.values(columns)]) {
      const cell = element("th", name);
      cell.scope = "col";
      head.append(cell);
    }
    const rows = this.#sorted().map((j) => {
      const row = element("tr", "", j === this.run.followed ? "followed" : "");
      const texts = keys.map((values) => (Number.isNaN(values[j]) ? "…" : number(values[j], 3)));
      row.append(...[String(j + 1), ...texts].map((text) => element("td", text)));
      return row;
    });
    const bias = element("tr");
    const texts = ["bias", ...kinds.slice(1).map(() => ""), number(this.run.network.by[this.run.output], 3)];
    bias.append(...texts.map((text) => element("td", text)));
    this.responses.replaceChildren(head, ...rows, bias);
  }
}

/** The quantities that cells are correlated with, as [name, words]. */
function respondedTo({ kind, orders, windows }) {
  if (orders) return windows.map((_, k) => [`x${k + 1}`, `symbol ${k + 1}`]);
  return [["x1", "x₁"], ["x2", "x₂"], ["target", kind === "multiplication" ? "x₁ · x₂" : "target"]];
}

/** A state's or a gate's value, as text. */
function textOf(name, value) {
  return name.endsWith("_gate") ? gateText(value) : number(value, 4);
}

/** The image of states (T, H): a row a cell of those given, in their order, columns between the given steps.
 *
 * A column of several steps shows the one that differs most from its first, so that no short change
 * is lost.
 */
function heatWords(states, order, edges, scale) {
  const columns = edges.length - 1;
  const H = states.length / edges[columns];
  const words = new Uint32Array(columns * order.length);
  const missing = missingColour();
  order.forEach((cell, row) => {
    for (let k = 0; k < columns; k++) {
      const [start, end] = [edges[k], edges[k + 1]];
      let value = states[start * H + cell];
      const first = value;
      for (let t = start + 1; t < end; t++) {
        const other = states[t * H + cell];
        if (Math.abs(other - first) > Math.abs(value - first)) value = other;
      }
      words[row * columns + k] = colourOf(scale, value, missing);
    }
  });
  return words;
}

/** Steps to draw a line through: all, or the least and the greatest of every pixel. */
function thinned(at, { length, span, columns }) {
  const bins = Math.max(1, Math.floor(span));
  if (length <= 2 * bins) return Array.from({ length }, (_, t) => t);
  const shown = [];
  const edges = columns(bins);
  for (let k = 0; k < bins; k++) {
    const start = edges[k];
    if (start === edges[k + 1]) continue;
    let [low, high] = [start, start];
    for (let t = start + 1; t < edges[k + 1]; t++) {
      if (at(t) < at(low)) low = t;
      if (at(t) > at(high)) high = t;
    }
    shown.push(...new Set([Math.min(low, high), Math.max(low, high)]));
  }
  return shown;
}
