"use strict";

/* Learning, in float64: back-propagation through time as in `networks/lstm.py`, clipping, Adam and
 * averaged weights as in `learning/`. It runs in the page and in the trainer.
 *
 * A tape holds what the backward pass needs from the forward one, for each step: gates (T, 4H),
 * tanh c (T, H), and the states (T + 1, H), the initial zeros first.
 */

const RULE = { batch: 8, beta1: 0.9, beta2: 0.999, epsilon: 1e-12, clip: 0.1, decay: 0.99 };
const TEST_EVERY = 100; // iterations
const TEST_SIZE = 256; // fresh sequences
const FEW_WRONG = 1; // of them: solved where two successive tests have no more
const MOST_ITERATIONS = 5000;
const SNAPSHOT_RATIO = 1.1; // between the iterations of two snapshots

function makeTape(H, longest) {
  return {
    gates: new Float64Array(longest * 4 * H),
    squashed: new Float64Array(longest * H),
    cell: new Float64Array((longest + 1) * H),
    hidden: new Float64Array((longest + 1) * H),
  };
}

/** The answer to a sequence; fills the tape. */
function runForward(network, values, markers, length, tape) {
  const { hidden: H, Wx, Wh, b, forget_gate } = network;
  const { gates, squashed, cell, hidden } = tape;
  const G = 4 * H;
  for (let t = 0; t < length; t++) {
    const [row, before, after] = [t * G, t * H, (t + 1) * H];
    const [value, marker] = [values[t], markers[t]];
    for (let j = 0; j < G; j++) {
      let z = value * Wx[j] + marker * Wx[G + j] + b[j];
      for (let k = 0; k < H; k++) z += hidden[before + k] * Wh[k * G + j];
      gates[row + j] = j < 3 * H ? sigmoid(z) : Math.tanh(z);
    }
    if (!forget_gate) gates.fill(1, row + H, row + 2 * H);
    for (let j = 0; j < H; j++) {
      const i = row + j;
      cell[after + j] = gates[i + H] * cell[before + j] + gates[i] * gates[i + 3 * H];
      squashed[before + j] = Math.tanh(cell[after + j]);
      hidden[after + j] = gates[i + 2 * H] * squashed[before + j];
    }
  }
  return readAnswer(network, hidden.subarray(length * H, (length + 1) * H));
}

/** Adds dE/dweights to `gradient`, a network of zeros or of earlier sums, from dE/danswer. */
function runBackward(network, values, markers, length, tape, answer, dAnswer, gradient) {
  const { hidden: H, Wh, Wy } = network;
  const { gates, squashed, cell, hidden } = tape;
  const G = 4 * H;
  const dy = network.output === "sigmoid" ? dAnswer * answer * (1 - answer) : dAnswer;
  const [dh, dc, dz] = [new Float64Array(H), new Float64Array(H), new Float64Array(G)];
  gradient.by[0] += dy;
  for (let j = 0; j < H; j++) {
    gradient.Wy[j] += hidden[length * H + j] * dy;
    dh[j] = Wy[j] * dy;
  }
  for (let t = length - 1; t >= 0; t--) {
    const [row, before] = [t * G, t * H];
    const [value, marker] = [values[t], markers[t]];
    for (let j = 0; j < H; j++) {
      const at = row + j;
      const [i, f, o, g] = [gates[at], gates[at + H], gates[at + 2 * H], gates[at + 3 * H]];
      const s = squashed[before + j];
      const through = dc[j] + dh[j] * o * (1 - s * s);
      dz[j] = through * g * i * (1 - i);
      dz[H + j] = through * cell[before + j] * f * (1 - f); // zero where f is fixed at 1
      dz[2 * H + j] = dh[j] * s * o * (1 - o);
      dz[3 * H + j] = through * i * (1 - g * g);
      dc[j] = through * f;
    }
    for (let j = 0; j < G; j++) {
      gradient.Wx[j] += value * dz[j];
      gradient.Wx[G + j] += marker * dz[j];
      gradient.b[j] += dz[j];
    }
    for (let k = 0, at = 0; k < H; k++) {
      const h = hidden[before + k];
      let sum = 0;
      for (let j = 0; j < G; j++, at++) {
        gradient.Wh[at] += h * dz[j];
        sum += Wh[at] * dz[j];
      }
      dh[k] = sum;
    }
  }
}

/** The mean squared error of a batch of sequences {length, values, markers, target}; its gradient
 * is written into `gradient`, a network that is a view of the flat vector `sums` (P,). */
function batchGradient(network, batch, tape, gradient, sums) {
  let loss = 0;
  sums.fill(0);
  for (const { length, values, markers, target } of batch) {
    const answer = runForward(network, values, markers, length, tape);
    const off = answer - target;
    loss += off ** 2 / batch.length;
    const dAnswer = (2 * off) / batch.length;
    runBackward(network, values, markers, length, tape, answer, dAnswer, gradient);
  }
  return loss;
}

/** Initial weights (P,), with the given biases of the gates and of the answer. */
function startWeights({ hidden: H, input_bias, forget_bias, output_bias }, random) {
  const G = 4 * H;
  const even = (size, limit) => Array.from({ length: size }, () => limit * (2 * random() - 1));
  const b = new Float64Array(G);
  b.fill(input_bias, 0, H);
  b.fill(forget_bias, H, 2 * H);
  const [fromInputs, fromCells] = [Math.SQRT1_2, 1 / Math.sqrt(H)];
  return Float64Array.of(
    ...even(2 * G, fromInputs),
    ...even(H * G, fromCells),
    ...b,
    ...even(H, fromCells),
    output_bias,
  );
}

/** Adam on clipped gradients, and the moving average of the weights. */
class Descent {
  constructor(weights, learning_rate) {
    this.weights = weights; // (P,), changed in place
    this.rate = learning_rate;
    this.average = weights.slice();
    this.first = new Float64Array(weights.length);
    this.second = new Float64Array(weights.length);
    this.steps = 0;
  }

  update(gradient) {
    const { weights, average, first, second } = this;
    const { beta1, beta2, epsilon, clip, decay } = RULE;
    const norm = Math.sqrt(gradient.reduce((sum, d) => sum + d * d, 0));
    const scale = norm > clip ? clip / norm : 1;
    this.steps += 1;
    const [bias1, bias2] = [1 - beta1 ** this.steps, 1 - beta2 ** this.steps];
    for (let k = 0; k < weights.length; k++) {
      const d = scale * gradient[k];
      first[k] = beta1 * first[k] + (1 - beta1) * d;
      second[k] = beta2 * second[k] + (1 - beta2) * d * d;
      weights[k] -= (this.rate * (first[k] / bias1)) / (Math.sqrt(second[k] / bias2) + epsilon);
      average[k] = decay * average[k] + (1 - decay) * weights[k];
    }
  }
}

/** Fresh sequences of one task, the shortest of T steps. */
class Source {
  constructor(task, T, random) {
    Object.assign(this, { task, T, random, range: lengthRange(task, T) });
  }

  /** A sequence {length, values, markers, marks, target}. */
  draw() {
    const { task, T, random, range } = this;
    const length = drawWhole(random, ...range);
    const [values, markers] = [new Float64Array(length), new Float64Array(length)];
    drawValues(task, length, random, values);
    const marks = drawMarks(task, T, random);
    setMarkers(task, length, marks, markers, values);
    const target = rightAnswer(task, ...countedValues(task, values, marks));
    return { length, values, markers, marks, target };
  }

  batch(size) {
    return Array.from({ length: size }, () => this.draw());
  }
}

/** A training from its first iteration to its end.
 *
 * settings: {length, hidden, output, forget_gate, forget_bias, input_bias, output_bias,
 * learning_rate, seed}. Two trainings of one seed and length see the same sequences.
 */
class LiveTraining {
  constructor(task, settings, tolerance) {
    const stream = (k) => makeRandom(3 * settings.seed + k);
    const { hidden, length } = settings;
    const weights = startWeights(settings, stream(0));
    this.settings = settings;
    this.tolerance = tolerance;
    this.descent = new Descent(weights, settings.learning_rate);
    this.source = new Source(task, length, stream(1));
    this.tests = new Source(task, length, stream(2));
    this.tape = makeTape(hidden, this.source.range[1]);
    this.network = makeNetwork(weights, settings);
    this.averaged = makeNetwork(this.descent.average, settings);
    this.sums = new Float64Array(weights.length);
    this.gradient = makeNetwork(this.sums, settings);
    this.iteration = 0;
    this.passed = 0; // successive tests passed
    this.state = "learning"; // or: solved, unsolved, diverged
    this.smooth = NaN; // the loss, averaged over some fifty batches
    this.kept = { iteration: 0, smooth: NaN }; // at the latest snapshot
  }

  /** One batch; its loss before the update. */
  iterate() {
    const { network, tape, gradient, sums } = this;
    const batch = this.source.batch(RULE.batch);
    const loss = batchGradient(network, batch, tape, gradient, sums);
    if (!sums.every(Number.isFinite)) {
      this.state = "diverged";
      return loss;
    }
    this.descent.update(sums);
    this.iteration += 1;
    this.smooth = this.iteration === 1 ? loss : 0.96 * this.smooth + 0.04 * loss;
    if (this.iteration === MOST_ITERATIONS) this.state = "unsolved";
    return loss;
  }

  /** Whether to keep a snapshot: after a tenth more iterations, or at a loss lower by a tenth. */
  get snapshotDue() {
    const later = this.iteration >= this.kept.iteration * SNAPSHOT_RATIO;
    return later || this.smooth < 0.9 * this.kept.smooth;
  }

  /** A snapshot of the averaged weights, as float32. */
  snapshot() {
    this.kept = { iteration: this.iteration, smooth: this.smooth };
    return Float32Array.from(this.descent.average);
  }

  /** Tests the averaged weights on fresh sequences: {mse, wrong}. */
  test() {
    let [sum, wrong] = [0, 0];
    for (let k = 0; k < TEST_SIZE; k++) {
      const { length, values, markers, target } = this.tests.draw();
      const off = Math.abs(runForward(this.averaged, values, markers, length, this.tape) - target);
      sum += off ** 2;
      if (!(off <= this.tolerance)) wrong += 1;
    }
    this.passed = wrong <= FEW_WRONG ? this.passed + 1 : 0;
    if (this.passed === 2) this.state = "solved";
    return { mse: sum / TEST_SIZE, wrong };
  }
}
