"use strict";

/* The tasks: the rules of `tasks/marked_pairs.py` and `tasks/temporal_order.py`, for sequences of one
 * length, which the user chooses.
 *
 * A marked-pair task is {kind, rules, first_mark, shortest, first_window, lengths}, with the least
 * and greatest length of the training. Here T, the least length, is chosen, and the greatest grows
 * with it. Marks are [first, second], positions from 0. All windows are those of sequences of T
 * steps; by the rules of `catalog` all have T steps.
 *
 * A task of temporal order is {kind, orders, symbols, distractors, windows, shortest, lengths}. Its
 * sequences have values from 0 to 1, too, of which symbols are made: X or Y at the marks, two or
 * three; distractors elsewhere. The target is the number of the order among `orders`.
 */

/** Uniform numbers from 0 to 1, the same for the same seed (Chris Doty-Humphrey's sfc32). */
function makeRandom(seed) {
  let [a, b, c, d] = [0, seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, 1];
  const word = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let k = 0; k < 12; k++) word();
  return () => ((word() >>> 5) * 2 ** 26 + (word() >>> 6)) / 2 ** 53;
}

/** A whole number from low to high, both included. */
function drawWhole(random, low, high) {
  return low + Math.floor(random() * (high - low + 1));
}

/** How many steps of a sequence are marked. */
function markCount(task) {
  return task.windows?.length ?? 2;
}

/** Least and greatest value of a step. */
function valueRange(task) {
  return task.kind === "adding" ? [-1, 1] : [0, 1];
}

/** First and last position at which mark `which` (0 or 1) may stand, given the other's. */
function markWindow(task, length, which, other) {
  if (task.orders) return task.windows[which].map((share) => Math.floor((share * length) / 100));
  const catalog = task.rules === "catalog";
  const lastFirst = task.first_window - 1;
  if (which === 0 && catalog) return [1, lastFirst];
  if (which === 1 && catalog) return [task.first_window, Math.max(11, length >> 1) - 1];
  // The second mark is among the first T/2 - 1 pairs that are still unmarked: one position more
  // where the first mark is among them.
  const unmarked = (length >> 1) - 1;
  if (which === 1) return [0, other <= unmarked ? unmarked : unmarked - 1];
  return [0, other === unmarked ? Math.min(lastFirst, unmarked) : lastFirst];
}

/** Whether mark `which` may stand at a position, given the other's. */
function mayStand(task, length, which, other, position) {
  const [low, high] = markWindow(task, length, which, other);
  return position >= low && position <= high && position !== other;
}

/** The legal position of mark `which` nearest to a given one. */
function nearestLegal(task, length, which, other, wanted) {
  const [low, high] = markWindow(task, length, which, other);
  const within = Math.min(high, Math.max(low, Math.round(wanted)));
  if (within !== other) return within;
  const sides = wanted < other ? [within - 1, within + 1] : [within + 1, within - 1];
  return sides.find((position) => mayStand(task, length, which, other, position));
}

/** The legal marks nearest to the given ones at this length. */
function legalMarks(task, length, marks) {
  if (task.orders) return marks.map((mark, k) => nearestLegal(task, length, k, -1, mark));
  const first = nearestLegal(task, length, 0, -1, marks[0]);
  return [first, nearestLegal(task, length, 1, first, marks[1])];
}

/** Least and greatest length of sequences, where the least is T. */
function lengthRange(task, T) {
  const [low, high] = task.lengths;
  return [T, Math.floor((T * high) / low)];
}

/** Marks drawn by the rules. */
function drawMarks(task, length, random) {
  if (task.orders) {
    return task.windows.map((_, k) => drawWhole(random, ...markWindow(task, length, k, -1)));
  }
  const first = drawWhole(random, ...markWindow(task, length, 0, -1));
  if (task.rules === "catalog") {
    return [first, drawWhole(random, ...markWindow(task, length, 1, first))];
  }
  const unmarked = drawWhole(random, 0, (length >> 1) - 2);
  return [first, unmarked + (unmarked >= first ? 1 : 0)]; // skip the first mark
}

/** Fills values (at least `length`) with fresh ones. */
function drawValues(task, length, random, values) {
  const [low, high] = valueRange(task);
  for (let t = 0; t < length; t++) values[t] = low + (high - low) * random();
}

/** Fills markers (at least `length`): -1 at both ends, 1 at the marks, 0 elsewhere; with symbols, the
 * number of each step's. */
function setMarkers(task, length, marks, markers, values) {
  if (task.orders) {
    const [first, end] = task.distractors;
    for (let t = 0; t < length; t++) {
      markers[t] = Math.min(end - 1, first + Math.floor((end - first) * values[t]));
    }
    countedValues(task, values, marks).forEach((kind, k) => (markers[marks[k]] = end + kind));
    [markers[0], markers[length - 1]] = [0, 1];
    return;
  }
  markers.fill(0, 0, length);
  markers[0] = markers[length - 1] = -1;
  for (const position of marks) markers[position] = 1;
  if (task.first_mark === "hidden") markers[0] = -1;
}

/** The values at the marks that enter the target: the first pair's is neutral; with symbols, 0 for
 * X and 1 for Y. */
function countedValues(task, values, marks) {
  if (task.orders) return marks.map((position) => Number(values[position] >= 0.5));
  const neutral = task.kind === "multiplication" ? 1 : 0;
  return marks.map((position) => (position > 0 ? values[position] : neutral));
}

/** The target for these values: the answer, or the number of the order. */
function rightAnswer(task, ...counted) {
  if (task.orders) return counted.reduce((order, kind) => 2 * order + kind, 0);
  const [x1, x2] = counted;
  return task.kind === "multiplication" ? x1 * x2 : 0.5 + (x1 + x2) / 4;
}

/** The largest error of the outputs (K,). */
function errorOf(task, outputs, right) {
  if (!task.orders) return Math.abs(outputs[0] - right);
  return outputs.reduce((most, y, k) => Math.max(most, Math.abs(y - (k === right))), 0);
}
