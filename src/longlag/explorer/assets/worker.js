"use strict";

/* A worker for one run: answers the latest question of each kind, the surface's first. It stops a
 * dozen milliseconds after a newer question has come, and posts what it has ten times a second.
 */

const SLICE = 12; // ms between two looks at the messages
const EVERY = 100; // ms between two unfinished results

let run = null; // {task, hidden, output, forget_gate, snapshots (S, P)}
const jobs = { surface: null, scatter: null };
let awake = false;

const pause = new MessageChannel();
pause.port1.onmessage = work;

onmessage = ({ data }) => {
  if (data.kind === "run") {
    run = data.run;
    return;
  }
  const H = run.hidden;
  const P = parameterCount(H);
  const weights = run.snapshots.subarray(data.moment * P, (data.moment + 1) * P);
  jobs[data.kind] = begin(data, makeNetwork(weights, run));
  if (!awake) {
    awake = true;
    pause.port2.postMessage(null);
  }
};

/** A question as a job: what is to be done, and where its result grows. */
function begin(question, network) {
  const { kind, id, length } = question;
  const afford = affordable(network.hidden, length, question.n, question.size);
  const result = { kind, id, length, moment: question.moment, elapsed: 0, done: false };
  if (kind === "scatter") {
    const [answers, targets] = [0, 1].map(() => new Float64Array(afford.scatter).fill(NaN));
    Object.assign(result, { answers, targets, finished: 0 });
    return { result, posted: 0, task: scatter(network, run.task, length, question.seed, result) };
  }
  const answers = new Float64Array(afford.size ** 2).fill(NaN);
  Object.assign(result, { answers, size: afford.size });
  return { result, posted: 0, task: surface(network, run.task, question.sequence, result) };
}

/** Works for a slice of time on the most urgent job, then lets messages in. */
function work() {
  const kind = jobs.surface ? "surface" : "scatter";
  const job = jobs[kind];
  const { result } = job;
  const start = performance.now();
  while (!result.done && performance.now() - start < SLICE) result.done = job.task.next().done;
  result.elapsed += performance.now() - start;
  if (result.done || result.elapsed - job.posted > EVERY) {
    job.posted = result.elapsed;
    postMessage(result);
  }
  if (result.done) jobs[kind] = null;
  awake = Boolean(jobs.surface || jobs.scatter);
  if (awake) pause.port2.postMessage(null);
}
