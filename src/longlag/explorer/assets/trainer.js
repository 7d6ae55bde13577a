"use strict";

/* A worker that trains one network and reports its progress ten times a second. */

const REPORT_EVERY = 100; // ms

onmessage = ({ data: { task, settings, tolerance } }) => {
  const training = new LiveTraining(task, settings, tolerance);
  const start = performance.now();
  let last = start;
  let report = { losses: [], tests: [], snapshots: [[0, training.snapshot()]] };
  const send = () => {
    last = performance.now();
    const { iteration, state } = training;
    postMessage({ ...report, iteration, state, seconds: (last - start) / 1000 });
    report = { losses: [], tests: [], snapshots: [] };
  };
  send();
  while (training.state === "learning") {
    report.losses.push(training.iterate());
    const { iteration } = training;
    if (iteration % TEST_EVERY === 0) report.tests.push([iteration, training.test()]);
    if (training.snapshotDue || training.state !== "learning") {
      report.snapshots.push([iteration, training.snapshot()]);
    }
    if (performance.now() - last > REPORT_EVERY) send();
  }
  send();
};
