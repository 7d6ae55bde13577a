"use strict";

/* The followed cell at the time cursor, drawn with a valve for every gate. */

class CellDrawing {
  /** root: the element with the drawing; maps: the elements that describe its parts, by name. */
  constructor(root, run, maps) {
    this.run = run;
    this.svg = root.querySelector(".cell-drawing svg");
    for (const part of this.svg.querySelectorAll(".part")) {
      const shown = maps[part.dataset.map];
      part.classList.toggle("still", !shown);
      if (!shown) continue;
      const point = (on) => () => [shown, part].forEach((one) => one.classList.toggle("meant", on));
      part.addEventListener("pointerenter", point(true));
      part.addEventListener("pointerleave", point(false));
      part.addEventListener("click", () => shown.scrollIntoView({ block: "nearest" }));
    }
  }

  draw() {
    const { trace, followed, about, app } = this.run;
    const { cursor, sequence, task } = app;
    const at = cursor * about.hidden + followed;
    const before = cursor > 0 ? trace.cell[at - about.hidden] : 0;
    const read = task.symbols
      ? task.symbols[sequence.markers[cursor]]
      : `x ${number(sequence.values[cursor], 2)}`;
    this.svg.querySelector(".before").textContent = `c ${short(before)}`;
    this.svg.querySelector(".reads").textContent = read;
    for (const text of this.svg.querySelectorAll("[data-value]")) {
      const name = text.dataset.value;
      const value = trace[name][at];
      text.textContent = `${LETTERS[name]} ${name.endsWith("_gate") ? gateText(value) : number(value, 3)}`;
      const blade = text.parentNode.querySelector(".blade");
      if (blade) blade.style.rotate = `${90 * (1 - (Number.isNaN(value) ? 0 : value))}deg`;
    }
    const told = STATES.map((name) => `${LETTERS[name]} ${textOf(name, trace[name][at])}`).join(", ");
    const label = `Cell ${followed + 1} at step ${cursor}: ${read}, held before ${short(before)}; ${told}`;
    this.svg.setAttribute("aria-label", label);
  }
}
