"use strict";

/* A worker for one run: computes the latest request of each kind, by priority. It looks for newer
 * requests every dozen milliseconds and posts partial results ten times a second.
 *
 * A request is {kind, id, network, task, length} and what its kind needs.
 */

const SLICE = 12; // ms between two checks for messages
const EVERY = 100; // ms between two partial results

const KINDS = ["surface", "scatter", "cells", "lengths"]; // by priority
const jobs = {};
let awake = false;

const pause = new MessageChannel();
pause.port1.onmessage = work;

onmessage = ({ data }) => {
  jobs[data.kind] = begin(data, data.network);
  if (!awake) {
    awake = true;
    pause.port2.postMessage(null);
  }
};

/** A request as a job: its computation, and the result that it fills. */
function begin(question, network) {
  const { kind, id, length, task, seed } = question;
  const afford = affordable(network.hidden, length, question.n, question.size);
  const result = { kind, id, length, elapsed: 0, done: false };
  const job = (work) => ({ result, posted: 0, work });
  if (kind === "scatter") {
    const [answers, targets] = [network.outputs, 1].map((wide) =>
      new Float64Array(afford.scatter * wide).fill(NaN),
    );
    Object.assign(result, { answers, targets, finished: 0, asked: question.n });
    return job(scatter(network, task, length, seed, result));
  }
  if (kind === "cells") return job(cutting(network, task, length, seed, afford.cells, result));
  if (kind === "lengths") {
    return job(overLengths(network, task, length, afford.scatter, question.tolerance, result));
  }
  const size = task.orders ? network.outputs : afford.size;
  Object.assign(result, { answers: new Float64Array(size ** 2).fill(NaN), size });
  if (task.orders) return job(orderings(network, task, question.sequence, result));
  return job(surface(network, task, question.sequence, result));
}

/** Works for SLICE ms on the job of highest priority, then lets messages arrive. */
function work() {
  const kind = KINDS.find((name) => jobs[name]);
  const job = jobs[kind];
  const { result } = job;
  const start = performance.now();
  while (!result.done && performance.now() - start < SLICE) result.done = job.work.next().done;
  result.elapsed += performance.now() - start;
  if (result.done || result.elapsed - job.posted > EVERY) {
    job.posted = result.elapsed;
    postMessage(result);
  }
  if (result.done) jobs[kind] = null;
  awake = KINDS.some((name) => jobs[name]);
  if (awake) pause.port2.postMessage(null);
}
