"use strict";

/* The LSTM with a forget gate and that of 1997, forward: the arithmetic of `networks/lstm.py` and
 * `networks/lstm1997.py`, in float64 on the float32 weights. It runs in the page and in its workers.
 *
 *     z_t = x_t Wx + r_{t-1} Wh + b            (G,);  of a symbol, its row of Wx
 *     c_t = f c_{t-1} + i g;  h_t = o s(c_t)   (H,);  c_0 = h_0 = 0
 *     y   = Wy h_L + by, or its sigmoid        (K,);  of 1997 it may read h_{L-1}
 *
 * With a forget gate G = 4H, r = h (H,), s = tanh, and z holds i, f, o and g in this order. In the
 * network of 1997 H cells stand in B blocks, whose cells share their gates: G = H + 2B, and both z
 * and r hold cells, input gates, output gates; f = 1. Matrices are flat, row by row; Wy is (K, H).
 *
 * What a step reads is a pair (value, marker); the marker of a network of symbols is the symbol's
 * number.
 */

const GATES = ["input_gate", "forget_gate", "output_gate", "candidate"];
const STATES = ["cell", "hidden", ...GATES];

/** D, K, and how many numbers z (G,) and r (R,) have, of a variant {hidden, inputs, outputs, blocks}. */
function sizesOf({ hidden: H, inputs: D = 2, outputs: K = 1, blocks: B = 0 }) {
  return B ? { D, K, G: H + 2 * B, R: H + 2 * B } : { D, K, G: 4 * H, R: H };
}

/** Number of the parameters of a variant. */
function parameterCount(variant) {
  const { D, K, G, R } = sizesOf(variant);
  return (D + R + 1) * G + K * (variant.hidden + 1);
}

/** A network from its flat parameters (P,) and its variant: the sizes above and {output, symbols,
 * forget_gate} and, of 1997, {reads, output_gate, g, h}; of float64 parameters it is a view. */
function makeNetwork(vector, variant) {
  const { D, K, G, R } = sizesOf(variant);
  const wide = vector instanceof Float64Array ? vector : Float64Array.from(vector);
  let start = 0;
  const take = (size) => wide.subarray(start, (start += size));
  const { hidden, blocks, symbols, output, forget_gate, reads, output_gate, g, h } = variant;
  return {
    ...{ hidden, blocks, symbols, output, forget_gate, reads, output_gate, g, h },
    outputs: K,
    width: G,
    seen: R,
    Wx: take(D * G),
    Wh: take(R * G),
    b: take(G),
    Wy: take(K * hidden),
    by: take(K),
  };
}

/** The first column of z that belongs to a gate, and the one after the last. */
function columnsOf({ hidden: H, blocks: B }, gate) {
  const k = GATES.indexOf(gate);
  if (!B) return [k * H, (k + 1) * H];
  return gate === "input_gate" ? [H, H + B] : [H + B, H + 2 * B];
}

const NO_EDITS = { cells: {}, clamp: null, blind: false, put: null };
const SATURATED = 1000; // the bias of a gate that is clamped: its sigmoid is 0 or 1 to the last bit

/** A copy of the network with the user's edits.
 *
 * edits: `cells`, by number `{cut: true}`, `{seen: h}` (the others and the answer see h in place of
 * its hidden state) or `{held: true}` (after the later mark its input gate is 0 and its forget gate
 * 1); `clamp`, {gate, open}, one of GATES for all cells; `blind`, gates do not see hidden states.
 */
function withEdits(network, { cells, clamp, blind }) {
  const { hidden: H, width: G, seen: R, outputs: K } = network;
  const copy = { ...network };
  for (const name of ["Wx", "Wh", "b", "Wy", "by"]) copy[name] = network[name].slice();
  const { Wx, Wh, b, Wy, by } = copy;
  const gates = network.blocks ? [H, G] : [0, 3 * H];
  if (blind) for (let k = 0; k < H; k++) Wh.fill(0, k * G + gates[0], k * G + gates[1]);
  if (clamp) {
    const [start, end] = columnsOf(network, clamp.gate);
    b.fill(clamp.open ? SATURATED : -SATURATED, start, end);
    for (let at = 0; at < Wx.length; at += G) Wx.fill(0, at + start, at + end);
    for (let k = 0; k < R; k++) Wh.fill(0, k * G + start, k * G + end);
  }
  const held = [];
  for (const [name, { cut, seen = 0, held: holds }] of Object.entries(cells)) {
    const j = Number(name);
    if (holds) held.push(j);
    if (holds || (!cut && !seen)) continue;
    for (let k = 0; k < G; k++) b[k] += seen * Wh[j * G + k];
    Wh.fill(0, j * G, (j + 1) * G);
    for (let k = 0; k < K; k++) {
      by[k] += seen * Wy[k * H + j];
      Wy[k * H + j] = 0;
    }
  }
  if (held.length) copy.held = { cells: held, after: Infinity };
  return copy;
}

/** The network that after step `at` has the state of another sequence, {values, markers}, after its
 * step `taken`; a copy. */
function withState(network, { values, markers, taken }, at) {
  const state = makeState(network);
  steps(network, state, values, markers, 0, taken + 1);
  return { ...network, put: { at, state } };
}

/** Sets the marks of the next sequence, from which held cells are held. */
function holdAfter(network, marks) {
  if (network.held) network.held.after = Math.max(...marks);
}

/** Sets the input gate to 0 and the forget gate to 1 for the cells that are held. */
function hold({ cells }, H, gates) {
  for (const j of cells) {
    gates[j] = 0;
    gates[H + j] = 1;
  }
}

/** The state of a network between two steps, initially zero: `cell` (H,) and `seen` (R,), of which
 * `hidden` (H,) is a part. `gates` (4H,), of each cell, are of the latest step; answers are read from
 * `read` (H,). */
function makeState({ hidden: H, width: G, seen: R, blocks, reads }) {
  const seen = new Float64Array(R);
  const hidden = seen.subarray(0, H);
  const gates = new Float64Array(4 * H);
  const net = blocks ? new Float64Array(G) : gates;
  const read = reads === "previous" ? new Float64Array(H) : hidden;
  return { cell: new Float64Array(H), seen, hidden, gates, net, read };
}

/** Copies state `from` into `to`. */
function copyState(from, to) {
  to.cell.set(from.cell);
  to.seen.set(from.seen);
  to.read.set(from.read);
}

/** Sets a state to zero. */
function clearState(state) {
  for (const name of ["cell", "seen", "read"]) state[name].fill(0);
}

/** Logistic function, without overflow for large |x|. */
function sigmoid(x) {
  const small = Math.exp(-Math.abs(x));
  return (x >= 0 ? 1 : small) / (1 + small);
}

/** The squashing function of a cell's state, applied before the output gate. */
function squashed({ blocks, h }, c) {
  if (!blocks) return Math.tanh(c);
  return h === "identity" ? c : Math.tanh(c / 2);
}

/** Computes the gates (4H,) from their inputs, in place. */
function openGates({ hidden: H, forget_gate }, gates) {
  for (let j = 0; j < 3 * H; j++) gates[j] = sigmoid(gates[j]);
  for (let j = 3 * H; j < 4 * H; j++) gates[j] = Math.tanh(gates[j]);
  if (!forget_gate) gates.fill(1, H, 2 * H);
}

/** Computes the gates of the blocks and copies them to each cell (4H,). */
function openBlocks({ hidden: H, blocks: B, g, output_gate }, { net, seen, gates }) {
  for (let j = H; j < H + 2 * B; j++) seen[j] = sigmoid(net[j]);
  if (!output_gate) seen.fill(1, H + B);
  for (let j = 0; j < H; j++) {
    const block = H + Math.floor((j * B) / H);
    gates[j] = seen[block];
    gates[H + j] = 1;
    gates[2 * H + j] = seen[block + B];
    gates[3 * H + j] = g === "logistic" ? sigmoid(net[j]) : 4 * sigmoid(net[j]) - 2;
  }
}

/** Advances the state by step t, in place, with the pair (value, marker). */
function step(network, state, value, marker, t) {
  const { hidden: H, width: G, seen: R, Wx, Wh, b, held, put } = network;
  const { cell, hidden, gates, net, seen, read } = state;
  if (network.symbols) for (let j = 0; j < G; j++) net[j] = Wx[marker * G + j] + b[j];
  else for (let j = 0; j < G; j++) net[j] = value * Wx[j] + marker * Wx[G + j] + b[j];
  for (let k = 0, at = 0; k < R; k++) {
    const r = seen[k];
    for (let j = 0; j < G; j++, at++) net[j] += r * Wh[at];
  }
  if (network.blocks) openBlocks(network, state);
  else openGates(network, gates);
  if (held && t > held.after) hold(held, H, gates);
  if (read !== hidden) read.set(hidden);
  for (let j = 0; j < H; j++) {
    cell[j] = gates[H + j] * cell[j] + gates[j] * gates[3 * H + j];
    hidden[j] = gates[2 * H + j] * squashed(network, cell[j]);
  }
  if (put && t === put.at) copyState(put.state, state);
}

/** Advances the state from step `start` up to but not including `end`, in place. */
function steps(network, state, values, markers, start, end) {
  for (let t = start; t < end; t++) step(network, state, values[t], markers[t], t);
}

/** Output k read from hidden states (H,). */
function readAnswer({ hidden: H, Wy, by, output }, read, k = 0) {
  let y = by[k];
  for (let j = 0; j < H; j++) y += read[j] * Wy[k * H + j];
  return output === "sigmoid" ? sigmoid(y) : y;
}

/** All outputs (K,), written into `into` from its place `at` on. */
function readAnswers(network, read, into, at = 0) {
  for (let k = 0; k < network.outputs; k++) into[at + k] = readAnswer(network, read, k);
  return into;
}

/** The terms of output k, before its sigmoid if it has one: of the bias, then of each cell. */
function answerTerms({ hidden: H, Wy, by }, read, k = 0) {
  return [by[k], ...Array.from({ length: H }, (_, j) => Wy[k * H + j] * read[j])];
}

/** All states of one sequence: each of STATES as (T, H), row by row; `seen` (T, R); the outputs that
 * would be read after each step (T, K), and of the last the states that are read. */
function traceStates(network, values, markers, length) {
  const { hidden: H, seen: R, outputs: K } = network;
  const state = makeState(network);
  const trace = { length, seen: new Float64Array(length * R), answers: new Float64Array(length * K) };
  for (const name of STATES) trace[name] = new Float64Array(length * H);
  for (let t = 0; t < length; t++) {
    step(network, state, values[t], markers[t], t);
    trace.cell.set(state.cell, t * H);
    trace.hidden.set(state.hidden, t * H);
    trace.seen.set(state.seen, t * R);
    for (let k = 0; k < 4; k++) {
      const gate = trace[GATES[k]];
      for (let j = 0; j < H; j++) gate[t * H + j] = state.gates[k * H + j];
    }
    readAnswers(network, state.read, trace.answers, t * K);
  }
  trace.written = trace.input_gate.map((i, k) => i * trace.candidate[k]);
  trace.read = state.read;
  trace.outputs = trace.answers.subarray((length - 1) * K);
  return trace;
}
