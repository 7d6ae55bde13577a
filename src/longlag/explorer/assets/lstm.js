"use strict";

/* The LSTM with a forget gate, forward: the arithmetic of `networks/lstm.py`, in float64 on the
 * float32 weights. It runs in the page and in its workers.
 *
 *     z_t = x_t Wx + h_{t-1} Wh + b                       (4H,)
 *     i, f, o = sigmoid(z_i, z_f, z_o);  g = tanh(z_g)    (H,) each
 *     c_t = f c_{t-1} + i g;  h_t = o tanh(c_t)           (H,);  c_0 = h_0 = 0
 *     y   = h_L Wy + by, or its sigmoid
 *
 * Gate columns stand in the order input, forget, output, candidate. Matrices are flat, row by row.
 */

const GATES = ["input_gate", "forget_gate", "output_gate", "candidate"];
const STATES = ["cell", "hidden", ...GATES];

/** Number of parameters of a network of H cells. */
function parameterCount(H) {
  return 4 * H * (H + 3) + H + 1;
}

/** A network from its flat parameters (P,) and its variant {hidden, output, forget_gate}; of
 * float64 parameters it is a view. */
function makeNetwork(vector, variant) {
  const H = variant.hidden;
  const wide = vector instanceof Float64Array ? vector : Float64Array.from(vector);
  let start = 0;
  const take = (size) => wide.subarray(start, (start += size));
  return {
    hidden: H,
    output: variant.output,
    forget_gate: variant.forget_gate,
    Wx: take(2 * 4 * H),
    Wh: take(H * 4 * H),
    b: take(4 * H),
    Wy: take(H),
    by: take(1),
  };
}

const NO_EDITS = { cells: {}, clamp: null, blind: false };
const SATURATED = 1000; // the bias of a gate that is clamped: its sigmoid is 0 or 1 to the last bit

/** The network changed by hand, a copy.
 *
 * edits: `cells`, by number `{cut: true}`, `{seen: h}` (the others and the answer see h in place of
 * its hidden state) or `{held: true}` (after the later mark its input gate is 0 and its forget gate
 * 1); `clamp`, {gate, open}, one of GATES for all cells; `blind`, gates do not see hidden states.
 */
function withEdits(network, { cells, clamp, blind }) {
  const { hidden: H } = network;
  const G = 4 * H;
  const copy = { ...network };
  for (const name of ["Wx", "Wh", "b", "Wy", "by"]) copy[name] = network[name].slice();
  const { Wx, Wh, b, Wy, by } = copy;
  if (blind) for (let k = 0; k < H; k++) Wh.fill(0, k * G, k * G + 3 * H);
  if (clamp) {
    const start = GATES.indexOf(clamp.gate) * H;
    const end = start + H;
    b.fill(clamp.open ? SATURATED : -SATURATED, start, end);
    for (const row of [0, 1]) Wx.fill(0, row * G + start, row * G + end);
    for (let k = 0; k < H; k++) Wh.fill(0, k * G + start, k * G + end);
  }
  const held = [];
  for (const [name, { cut, seen = 0, held: holds }] of Object.entries(cells)) {
    const j = Number(name);
    if (holds) held.push(j);
    if (holds || (!cut && !seen)) continue;
    for (let k = 0; k < G; k++) b[k] += seen * Wh[j * G + k];
    by[0] += seen * Wy[j];
    Wh.fill(0, j * G, (j + 1) * G);
    Wy[j] = 0;
  }
  if (held.length) copy.held = { cells: held, after: Infinity };
  return copy;
}

/** Tells a network, some of whose cells may be held, where the marks of its next sequence are. */
function holdAfter(network, marks) {
  if (network.held) network.held.after = Math.max(...marks);
}

/** Shuts the input gate and opens the forget gate of the cells that are held; gates start at `row`. */
function hold({ cells }, H, gates, row) {
  for (const j of cells) {
    gates[row + j] = 0;
    gates[row + H + j] = 1;
  }
}

/** What a network carries from step to step, zero at first; gates (4H,) are of the latest step. */
function makeState(H) {
  return {
    cell: new Float64Array(H),
    hidden: new Float64Array(H),
    gates: new Float64Array(4 * H),
  };
}

/** Makes `to` hold what `from` does. */
function copyState(from, to) {
  to.cell.set(from.cell);
  to.hidden.set(from.hidden);
}

/** Logistic function, without overflow for large |x|. */
function sigmoid(x) {
  const small = Math.exp(-Math.abs(x));
  return (x >= 0 ? 1 : small) / (1 + small);
}

/** Takes the state on by step t, in place, with the pair (value, marker). */
function step(network, state, value, marker, t) {
  const { hidden: H, Wx, Wh, b, held } = network;
  const { cell, hidden, gates } = state;
  const G = 4 * H;
  for (let j = 0; j < G; j++) gates[j] = value * Wx[j] + marker * Wx[G + j] + b[j];
  for (let k = 0, at = 0; k < H; k++) {
    const h = hidden[k];
    for (let j = 0; j < G; j++, at++) gates[j] += h * Wh[at];
  }
  for (let j = 0; j < 3 * H; j++) gates[j] = sigmoid(gates[j]);
  for (let j = 3 * H; j < G; j++) gates[j] = Math.tanh(gates[j]);
  if (!network.forget_gate) gates.fill(1, H, 2 * H);
  if (held && t > held.after) hold(held, H, gates, 0);
  for (let j = 0; j < H; j++) {
    cell[j] = gates[H + j] * cell[j] + gates[j] * gates[3 * H + j];
    hidden[j] = gates[2 * H + j] * Math.tanh(cell[j]);
  }
}

/** Steps from `start` up to but not including `end`, in place. */
function steps(network, state, values, markers, start, end) {
  for (let t = start; t < end; t++) step(network, state, values[t], markers[t], t);
}

/** The answer read from hidden states (H,). */
function readAnswer(network, hidden) {
  let y = network.by[0];
  for (let j = 0; j < network.hidden; j++) y += hidden[j] * network.Wy[j];
  return network.output === "sigmoid" ? sigmoid(y) : y;
}

/** The terms of the answer, before its sigmoid if it has one: of the bias, then of each cell. */
function answerTerms(network, hidden) {
  return [network.by[0], ...network.Wy.map((weight, j) => weight * hidden[j])];
}

/** All states of one sequence: each of STATES as (T, H), row by row; the answers that would be read
 * after each step (T,), and the last of them. */
function traceStates(network, values, markers, length) {
  const H = network.hidden;
  const state = makeState(H);
  const trace = { length, answers: new Float64Array(length) };
  for (const name of STATES) trace[name] = new Float64Array(length * H);
  for (let t = 0; t < length; t++) {
    step(network, state, values[t], markers[t], t);
    trace.cell.set(state.cell, t * H);
    trace.hidden.set(state.hidden, t * H);
    for (let k = 0; k < 4; k++) {
      const gate = trace[GATES[k]];
      for (let j = 0; j < H; j++) gate[t * H + j] = state.gates[k * H + j];
    }
    trace.answers[t] = readAnswer(network, state.hidden);
  }
  trace.written = trace.input_gate.map((i, k) => i * trace.candidate[k]);
  trace.answer = trace.answers[length - 1];
  return trace;
}
