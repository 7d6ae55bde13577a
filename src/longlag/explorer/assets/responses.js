"use strict";

/* How a network responds: to many fresh sequences, to other values at the marks of one, and to the
 * cutting of each of its cells. All are generators that pause after every sequence, so that a newer
 * request can be served first.
 */

const LENGTHS = 9; // at which errors are shown

/** Answers to n fresh sequences, the shortest of T steps.
 *
 * Fills `result` in place: answers (n, K) and targets (n,); at the end `responds`, correlations (H,)
 * of each cell's last state with x1, x2 and, of numbers, the target, and `ranges`, the ends of its
 * last states.
 */
function* scatter(network, task, T, seed, result) {
  const n = result.targets.length;
  const { hidden: H, outputs: K } = network;
  const random = makeRandom(seed);
  const [low, high] = lengthRange(task, T);
  const [values, markers] = [new Float64Array(high), new Float64Array(high)];
  const cells = new Float64Array(n * H);
  const counted = [];
  const state = makeState(network);
  for (let k = 0; k < n; k++) {
    const length = drawWhole(random, low, high);
    drawValues(task, length, random, values);
    const marks = drawMarks(task, T, random);
    setMarkers(task, length, marks, markers, values);
    holdAfter(network, marks);
    counted.push(countedValues(task, values, marks));
    result.targets[k] = rightAnswer(task, ...counted[k]);
    clearState(state);
    yield* inParts(network, state, values, markers, 0, length);
    readAnswers(network, state.read, result.answers, k * K);
    cells.set(state.cell, k * H);
    result.finished = k + 1;
    yield;
  }
  const columns = task.orders ? {} : { target: result.targets };
  counted[0].forEach((_, which) => (columns[`x${which + 1}`] = counted.map((all) => all[which])));
  result.responds = {};
  for (const [name, column] of Object.entries(columns)) {
    result.responds[name] = correlations(cells, H, column);
  }
  result.ranges = Array.from({ length: H }, (_, j) => {
    const last = Array.from({ length: n }, (_, k) => cells[k * H + j]);
    return [Math.min(...last), Math.max(...last)];
  });
}

/** The answers to one sequence with other values at its marks.
 *
 * Fills result.answers (size, size) in place, row by row: one row per value of x2 and one
 * column per value of x1, evenly spaced. Steps before the marks are computed once for all.
 */
function* surface(network, task, sequence, result) {
  const { length, markers, marks } = sequence;
  const values = sequence.values;
  const size = result.size;
  const [low, high] = valueRange(task);
  const at = (k) => low + ((high - low) * k) / (size - 1);
  const [early, late] = [Math.min(...marks), Math.max(...marks)];
  holdAfter(network, marks);
  const firstIsEarly = marks[0] === early;
  const [start, middle, end] = [0, 1, 2].map(() => makeState(network));
  yield* inParts(network, start, values, markers, 0, early);
  for (let u = 0; u < size; u++) {
    copyState(start, middle);
    step(network, middle, at(u), markers[early], early);
    yield* inParts(network, middle, values, markers, early + 1, late);
    for (let v = 0; v < size; v++) {
      copyState(middle, end);
      step(network, end, at(v), markers[late], late);
      yield* inParts(network, end, values, markers, late + 1, length);
      const [column, row] = firstIsEarly ? [u, v] : [v, u];
      result.answers[row * size + column] = readAnswer(network, end.read);
      yield;
    }
  }
}

/** The answers to one sequence with X and Y at its marks in every order: result.answers (K, K), a row
 * an order. */
function* orderings(network, task, sequence, result) {
  const { length, marks } = sequence;
  const [values, markers] = [sequence.values.slice(), sequence.markers.slice()];
  const K = network.outputs;
  holdAfter(network, marks);
  for (let order = 0; order < K; order++) {
    valuesOf(order, marks.length).forEach((value, k) => (values[marks[k]] = value));
    setMarkers(task, length, marks, markers, values);
    const state = makeState(network);
    yield* inParts(network, state, values, markers, 0, length);
    readAnswers(network, state.read, result.answers, order * K);
    yield;
  }
}

/** The values that make X and Y stand at n marks in an order. */
function valuesOf(order, n) {
  return Array.from({ length: n }, (_, k) => ((order >> (n - 1 - k)) & 1 ? 0.75 : 0.25));
}

/** The mean (H,) of the hidden states that the answers to n fresh sequences of T steps or more read. */
function meanHidden(network, task, T, n) {
  const source = new Source(task, T, makeRandom(1));
  const sum = new Float64Array(network.hidden);
  for (let k = 0; k < n; k++) {
    const { length, values, markers } = source.draw();
    const state = makeState(network);
    steps(network, state, values, markers, 0, length);
    state.read.forEach((h, j) => (sum[j] += h / n));
  }
  return sum;
}

/** The errors at other lengths, from a quarter of T to four times T: `result.lengths`,
 * rising, and at each the root mean squared error of n fresh sequences, `result.errors`, and the
 * share within the tolerance, `result.right`. */
function* overLengths(network, task, T, n, tolerance, result) {
  const state = makeState(network);
  const outputs = new Float64Array(network.outputs);
  const wanted = Array.from({ length: LENGTHS }, (_, k) => T * 4 ** ((2 * k) / (LENGTHS - 1) - 1));
  const lengths = wanted.map((length) => Math.max(task.shortest, Math.round(length)));
  Object.assign(result, { lengths: [...new Set(lengths)], errors: [], right: [] });
  for (const shortest of result.lengths) {
    const source = new Source(task, shortest, makeRandom(1));
    let [squares, right] = [0, 0];
    for (let k = 0; k < n; k++) {
      const { length, values, markers, marks, target } = source.draw();
      holdAfter(network, marks);
      clearState(state);
      yield* inParts(network, state, values, markers, 0, length);
      const off = errorOf(task, readAnswers(network, state.read, outputs), target);
      squares += off ** 2;
      if (off <= tolerance) right += 1;
    }
    result.errors.push(Math.sqrt(squares / n));
    result.right.push(right / n);
  }
}

/** The effect of cutting each cell on the answers: `result.effects` (H,), the root mean square of
 * the change over n fresh sequences, the shortest of T steps, and all outputs. */
function* cutting(network, task, T, seed, n, result) {
  const { hidden: H, outputs: K } = network;
  const random = makeRandom(seed);
  const [low, high] = lengthRange(task, T);
  const [values, markers] = [new Float64Array(high), new Float64Array(high)];
  const cuts = Array.from({ length: H }, (_, cell) =>
    withEdits(network, { ...NO_EDITS, cells: { [cell]: { cut: true } } }),
  );
  const state = makeState(network);
  const squares = new Float64Array(H);
  for (let k = 0; k < n; k++) {
    const length = drawWhole(random, low, high);
    drawValues(task, length, random, values);
    setMarkers(task, length, drawMarks(task, T, random), markers, values);
    const answers = [];
    for (const cut of [network, ...cuts]) {
      clearState(state);
      yield* inParts(cut, state, values, markers, 0, length);
      answers.push(readAnswers(cut, state.read, new Float64Array(K)));
    }
    for (let j = 0; j < H; j++) {
      answers[j + 1].forEach((y, k) => (squares[j] += (y - answers[0][k]) ** 2 / n / K));
    }
  }
  result.effects = squares.map(Math.sqrt);
}

/** Steps from `start` to `end`, with a pause after every 100,000 or so multiplications. */
function* inParts(network, state, values, markers, start, end) {
  const part = Math.max(1, Math.floor(25000 / (network.hidden * (network.hidden + 12))));
  for (let t = start; t < end; t += part) {
    steps(network, state, values, markers, t, Math.min(end, t + part));
    if (t + part < end) yield;
  }
}

/** Correlation of each column of `cells` (n, H) with y (n,); zero where either is constant. */
function correlations(cells, H, y) {
  const n = y.length;
  const mean = y.reduce((sum, value) => sum + value, 0) / n;
  const result = new Float64Array(H);
  for (let j = 0; j < H; j++) {
    let average = 0;
    for (let k = 0; k < n; k++) average += cells[k * H + j] / n;
    let [xy, xx, yy] = [0, 0, 0];
    for (let k = 0; k < n; k++) {
      const [dx, dy] = [cells[k * H + j] - average, y[k] - mean];
      xy += dx * dy;
      xx += dx * dx;
      yy += dy * dy;
    }
    result[j] = xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : 0;
  }
  return result;
}

/** Sizes of computations, less for large networks or long sequences: {scatter: n, size, cells: n}.
 *
 * As many as asked for, up to about 4 10^8 multiplications each; of the scatter at least an eighth,
 * of each axis of the surface a third, of the cut cells 2 sequences.
 */
function affordable(H, length, n, size) {
  const sequences = 4e8 / (length * 4 * H * (H + 12));
  return {
    scatter: Math.round(Math.min(n, Math.max(n / 8, sequences))),
    size: Math.round(Math.min(size, Math.max(size / 3, Math.sqrt(sequences)))),
    cells: Math.round(Math.min(n, Math.max(2, sequences / H))),
  };
}
