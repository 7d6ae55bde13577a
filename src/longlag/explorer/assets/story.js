"use strict";

/* A guided story in seven steps. Each step sets the state of the page and highlights a
 * panel; all controls stay usable.
 */

const STORY_LENGTH = 100; // steps of the shortest sequences that its networks learn from

const STORY = [
  {
    title: "The task",
    at: "#sequence",
    show: (app) => app.load(app.saved),
    tell: ({ app }) =>
      `The network reads ${app.sequence.length} values, one at a time. Two of them are marked. ` +
      `After the last one it must answer ${app.ruleInWords}; until then nothing is asked. ` +
      "Drag an orange bar: the right answer changes with it.",
  },
  {
    title: "A leaky memory forgets",
    at: ".carried",
    show: (app, story) => story.start(["leaky"]),
    tell: ({ app }) => {
      const kept = app.meanForget(0);
      return (
        "This network has learned nothing yet, and its forget gates start with the usual bias of 1. " +
        `At every step a cell keeps about ${short(kept)} of what it holds: after ten steps ` +
        `${percent(kept ** 10)}, after ninety ${science(kept ** 90)}. Drag the first orange bar: ` +
        "the cell follows, and soon holds nothing of it."
      );
    },
  },
  {
    title: "Why learning then fails",
    at: ".back",
    show: (app, story) => story.start(["leaky"]),
    tell: ({ app }) =>
      "Learning needs a gradient at the marks. On its way back from the answer every step multiplies " +
      "it by what the forget gate keeps. The line shows what is left of it: " +
      `at the first mark, ${science(app.shareOfGradient(0))} of what it is at the end. ` +
      "It vanishes: the weights that would have to store the first value get almost no gradient.",
  },
  {
    title: "Gates that start shut",
    at: ".back",
    show: (app, story) => story.start(["shut", "leaky"]),
    tell: ({ app }) =>
      `“${app.runs[0].about.name}” is the same network with other biases: its forget gates start ` +
      "just below 1, its input gates just above 0. Of its gradient " +
      `${science(app.shareOfGradient(0))} reaches the first mark; of that of ` +
      `“${app.runs[1].about.name}”, ${science(app.shareOfGradient(1))}. Nothing else was changed.`,
  },
  {
    title: "The first value is stored",
    at: ".carried",
    show: (app, story) => story.train(-1),
    tell: ({ app, live }) =>
      (live.learning
        ? "It is being trained now: every panel shows the network at this moment. "
        : `It has learned from ${number(app.timeline.sequences)} sequences. `) +
      `Cell ${app.runs[0].followed + 1} is the one whose loss would harm the answers most. At the ` +
      "marks its input gate opens for one step; between them it is shut, and what the cell holds " +
      "stays. Slide back through the training to see it begin.",
  },
  {
    title: "The second turns it into the answer",
    at: "#asked",
    show: (app, story) => story.train(1),
    tell: ({ app }) =>
      "If it were asked after each step, it would answer along this line. At the second mark the " +
      `line comes near ${app.ruleInWords}, drawn dashed, and stays there to the end: ` +
      `${number(app.runs[0].answer, 3)}, where ${number(app.target, 3)} is right. Drag either bar.`,
  },
  {
    title: "Beyond the trained length",
    at: "#sequence",
    show: (app, story) => {
      story.train(1);
      app.setLength(Math.min(4 * STORY_LENGTH, app.longest));
    },
    tell: ({ app }) =>
      `It learned from sequences of at most ${app.task.lengths[1]} steps. This one has ` +
      `${app.sequence.length}: it answers ${number(app.runs[0].answer, 3)}, where ` +
      `${number(app.target, 3)} is right. What a gate lets leak at each step adds up. Now try ` +
      "it yourself: change T, cut a cell, or train a network of your own.",
  },
];

class Story {
  constructor(app) {
    this.app = app;
    this.step = -1; // none
    this.learned = null; // the content of the trained network
    this.root = document.getElementById("story");
    this.texts = ["story-title", "story-text"].map((id) => document.getElementById(id));
    const buttons = ["open", "back", "next", "close"];
    const [open, back, next, close] = buttons.map((n) => document.getElementById(`story-${n}`));
    [this.back, this.next] = [back, next];
    open.addEventListener("click", () => this.go(0));
    back.addEventListener("click", () => this.go(this.step - 1));
    next.addEventListener("click", () => this.go(this.step + 1));
    close.addEventListener("click", () => this.go(-1));
  }

  get live() {
    return this.app.live;
  }

  /** Goes to a step; beyond the last, or before the first, the story ends. */
  go(step) {
    this.step = step >= STORY.length ? -1 : step;
    this.root.hidden = this.step < 0;
    document.querySelector(".told")?.classList.remove("told");
    if (this.step < 0) return;
    STORY[this.step].show(this.app, this);
    this.back.disabled = this.step === 0;
    this.next.textContent = this.step === STORY.length - 1 ? "Play freely" : "Next";
    this.app.frame();
    this.tell();
    this.#point(STORY[this.step].at);
    this.app.say(this.texts.map((text) => text.textContent).join(". "));
  }

  #point(selector) {
    const told = document.querySelector(selector).closest(".plot, .card");
    told.classList.add("told");
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    scrollTo({ top: 0, behavior: "instant" }); // so that the sequence stays in view where it can
    told.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  }

  /** Shows the text of the step. */
  tell() {
    if (this.step < 0) return;
    const { title, tell } = STORY[this.step];
    const [heading, text] = this.texts;
    heading.textContent = `${this.step + 1} of ${STORY.length}. ${title}`;
    text.textContent = tell({ app: this.app, live: this.live });
  }

  /** Shows networks before their first batch. */
  start(presets) {
    this.live.stop();
    this.live.choose(presets, STORY_LENGTH);
    this.live.start(false);
  }

  /** Shows the network that learns, and starts its training unless it is done; the cursor is a
   * few steps before (-1) or after (1) the later mark. */
  train(side) {
    const { app, live } = this;
    if (app.content !== this.learned) {
      if (this.learned && !live.learning) {
        live.show(this.learned);
      } else {
        live.stop();
        live.choose(["shut"], STORY_LENGTH);
        live.start(true);
        this.learned = app.content;
      }
    }
    app.setLength(STORY_LENGTH);
    app.setCursor(Math.max(...app.sequence.marks) + 4 * side);
  }
}
