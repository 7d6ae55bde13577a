"use strict";

/* The gradient of an answer with respect to each step, by the chain rule, for either network. */

/** The gradient of output k with respect to the states and inputs at each step of a trace.
 *
 * `cells` (T,), the norm of dy/dc_t over all cells; `values` (T,), the size of dy/dx_t of the value
 * or, of a symbol, its norm over all inputs; `end`, the step whose cells the answer reads.
 */
function wayBack(network, trace, k = 0) {
  const { hidden: H, width: G, seen: R, Wy, Wh, reads, output } = network;
  const { length, forget_gate: f } = trace;
  const end = Math.max(0, length - (reads === "previous" ? 2 : 1));
  const y = trace.outputs[k];
  const slope = output === "sigmoid" ? y * (1 - y) : 1;
  const [dSeen, dc, dz] = [R, H, G].map((size) => new Float64Array(size));
  const back = { end, cells: new Float64Array(length), values: new Float64Array(length) };
  for (let t = end; t >= 0; t--) {
    if (network.put?.at === t) {
      back.cells[t] = Math.hypot(...dc); // a state from another sequence: the gradient stops here
      break;
    }
    if (t === end) for (let j = 0; j < H; j++) dSeen[j] = slope * Wy[k * H + j];
    if (network.blocks) blockErrors(network, trace, t, dSeen, dc, dz);
    else cellErrors(trace, t, dSeen, dc, dz);
    back.cells[t] = Math.hypot(...dc);
    back.values[t] = inputError(network, dz);
    for (let j = 0; j < H; j++) dc[j] *= f[t * H + j];
    for (let r = 0, at = 0; r < R; r++) {
      let sum = 0;
      for (let j = 0; j < G; j++, at++) sum += Wh[at] * dz[j];
      dSeen[r] = sum;
    }
  }
  return back;
}

/** dy/dc_t (H,) and dy/dz_t (4H,) from dy/dh_t (H,) and dy/dc_t through c_{t+1}. */
function cellErrors({ cell, input_gate, forget_gate, output_gate, candidate }, t, dh, dc, dz) {
  const H = dc.length;
  for (let j = 0, at = t * H; j < H; j++, at++) {
    const [i, f, o, g] = [input_gate[at], forget_gate[at], output_gate[at], candidate[at]];
    const s = Math.tanh(cell[at]);
    dc[j] += dh[j] * o * (1 - s * s);
    dz[j] = dc[j] * g * i * (1 - i);
    dz[H + j] = t > 0 ? dc[j] * cell[at - H] * f * (1 - f) : 0; // zero where f is fixed at 1
    dz[2 * H + j] = dh[j] * s * o * (1 - o);
    dz[3 * H + j] = dc[j] * i * (1 - g * g);
  }
}

/** The same in the network of 1997; dSeen (H + 2B,) is dy/d(cells, input gates, output gates). */
function blockErrors(network, trace, t, dSeen, dc, dz) {
  const { hidden: H, blocks: B, seen: R } = network;
  const { cell, input_gate, output_gate, candidate, seen } = trace;
  for (let j = H; j < R; j++) dz[j] = dSeen[j] * seen[t * R + j] * (1 - seen[t * R + j]);
  for (let j = 0, at = t * H; j < H; j++, at++) {
    const [i, o, g] = [input_gate[at], output_gate[at], candidate[at]];
    const s = squashed(network, cell[at]);
    dc[j] += dSeen[j] * o * (network.h === "identity" ? 1 : (1 - s * s) / 2);
    dz[j] = dc[j] * i * (network.g === "logistic" ? g * (1 - g) : 1 - (g * g) / 4);
    const block = H + Math.floor((j * B) / H);
    dz[block] += dc[j] * g * i * (1 - i);
    dz[block + B] += dSeen[j] * s * o * (1 - o);
  }
}

/** The size of dy/dx from dy/dz (G,). */
function inputError({ width: G, Wx, symbols }, dz) {
  const of = (row) => dz.reduce((sum, d, j) => sum + d * Wx[row * G + j], 0);
  return symbols ? Math.hypot(...Array.from({ length: Wx.length / G }, (_, d) => of(d))) : Math.abs(of(0));
}
