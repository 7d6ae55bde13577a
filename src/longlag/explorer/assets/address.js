"use strict";

/* The page's state as text: it stands in the page's address, for sharing, and is used for undo.
 *
 *     T, draw, marks    the sequence: its length, the number of its draw, where its marks are
 *     values            the changed values, step:value
 *     moment            training sequences seen
 *     cells, edits      for each run: the selected cell and the edits made by hand; states copied
 *                       from a sequence are not part of the text
 */

const AT_REST = 400; // ms without a change before the state is recorded
const MOST_UNDONE = 100;

class Address {
  constructor(app) {
    this.app = app;
    this.past = []; // states, the current one last
    const [undo, reset] = ["undo", "reset"].map((id) => document.getElementById(id));
    [this.undo, this.reset] = [undo, reset];
    undo.addEventListener("click", () => this.goBack(1));
    reset.addEventListener("click", () => this.goBack(Infinity));
    window.addEventListener("hashchange", () => this.#follow());
    document.addEventListener("keydown", (event) => {
      const typing = event.target.matches("input[type=number]");
      if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || typing) return;
      event.preventDefault();
      this.goBack(1);
    });
  }

  /** Shows the state in the address, if there is one, and records changes from then on. */
  load() {
    clearTimeout(this.waiting);
    this.past = [this.state];
    this.#follow();
    this.#label();
  }

  get state() {
    const { sequence, draw, touched, timeline, runs } = this.app;
    const values = [...touched].map(([t, value]) => `${t}:${Number(value.toFixed(6))}`);
    const parts = {
      T: sequence.length,
      draw,
      marks: sequence.marks.join(),
      values: values.join(),
      moment: timeline.sequences ?? "",
      cells: runs.map((run) => run.chosen ?? "").join(),
      edits: runs.map((run) => editsText(run.edits)).join(),
    };
    return Object.entries(parts)
      .filter(([, text]) => String(text).replaceAll(",", "") !== "")
      .map(([name, text]) => `${name}=${text}`)
      .join("&");
  }

  /** Records a change once nothing has changed for AT_REST ms. */
  note() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.#take(), AT_REST);
  }

  #take() {
    const { state, past, app } = this;
    if (state === past[past.length - 1]) return;
    past.push(state);
    if (past.length > MOST_UNDONE) past.splice(1, 1); // the first state is kept as the end of undo
    if (app.content === app.saved) history.replaceState(null, "", `#${state}`);
    this.#label();
  }

  goBack(steps) {
    clearTimeout(this.waiting);
    this.#take();
    const { past } = this;
    if (past.length < 2) return;
    past.length = Math.max(1, past.length - steps);
    this.apply(past[past.length - 1]);
    this.#label();
  }

  #label() {
    this.undo.disabled = this.reset.disabled = this.past.length < 2;
  }

  #follow() {
    const text = location.hash.slice(1);
    if (text && text !== this.state && this.app.content === this.app.saved) this.apply(text);
  }

  /** Shows a state; missing parts stay, invalid ones become the nearest legal value. */
  apply(text) {
    const { app } = this;
    const parts = new Map(text.split("&").map((part) => part.split("=")));
    const list = (name) => (parts.get(name) ?? "").split(",");
    const whole = (digits, low, high) =>
      /^\d+$/.test(digits ?? "") ? clamp(Number(digits), low, high) : null;
    const length = whole(parts.get("T"), app.task.shortest, app.longest) ?? app.sequence.length;
    const marks = list("marks").map((mark) => whole(mark, 0, length - 1));
    const values = list("values").map((pair) => pair.split(":"));
    const known = values
      .map(([t, value]) => [whole(t, 0, app.longest - 1), Number(value)])
      .filter(([t, value]) => t !== null && Number.isFinite(value));
    app.setSequence({
      length,
      draw: whole(parts.get("draw"), 0, 2 ** 31) ?? app.draw,
      marks: marks.length === markCount(app.task) && !marks.includes(null) ? marks : app.sequence.marks,
      values: new Map(known),
    });
    const moment = whole(parts.get("moment"), 0, Infinity);
    if (moment !== null && app.timeline.moments.length > 1) app.timeline.goTo(moment);
    app.runs.forEach((run, k) => {
      run.followCell(whole(list("cells")[k], 0, run.about.hidden - 1));
      run.edit(editsOf(list("edits")[k] ?? "", run.about.hidden, app.taken.length));
    });
  }
}

/** The edits made by hand, as text: 2cut.3held.f1.blind.put0t57 */
function editsText({ cells, clamp: fixed, blind, put }) {
  const parts = Object.entries(cells).map(([j, kind]) => `${j}${kind}`);
  if (fixed) parts.push(`${LETTERS[fixed.gate]}${Number(fixed.open)}`);
  if (blind) parts.push("blind");
  if (put) parts.push(`put${put.number}t${put.at}`);
  return parts.join(".");
}

/** The edits that such a text describes, for H cells and a number of copied states; unknown parts
 * are left out. */
function editsOf(text, H, taken) {
  const edits = { ...NO_EDITS, cells: {} };
  for (const part of text.split(".")) {
    const [, j, kind] = part.match(/^(\d+)(cut|held|mean)$/) ?? [];
    const [, letter, open] = part.match(/^([ifo])([01])$/) ?? [];
    if (kind && Number(j) < H) edits.cells[Number(j)] = kind;
    if (letter) edits.clamp = { gate: GATES["ifo".indexOf(letter)], open: open === "1" };
    const [, number, at] = part.match(/^put(\d+)t(\d+)$/) ?? [];
    if (at && Number(number) < taken) edits.put = { number: Number(number), at: Number(at) };
    if (part === "blind") edits.blind = true;
  }
  return edits;
}
