// The LSTM of 1997, learning on-line: what its driver and the translation unit of an instruction
// set agree on. The reference is src/longlag/networks/lstm1997.py.
//
// Dimensions: B blocks of S cells, C = B·S cells, U = C + 2B units in the order cells, input
// gates, output gates; P weights: W (U, 2 + U + 1) row by row, columns inputs, units, bias; then
// Wk: cells, bias.
//
// Sixteen trials make a group, one in each lane, each with its own weights: every weight is a row
// of sixteen floats. (In `predict`, sixteen sequences, whose weights are the same.) Sequences are
// aligned at their ends: a shorter one starts later, with everything zero until then, which adds
// nothing to any sum. So a lane's bits depend on nothing but its own weights and sequence.
#pragma once

#include <cstdint>

#include "bptt.hpp"  // kGroup, LONGLAG_SHARED

namespace longlag {

constexpr int kMaxUnits = 32;
constexpr int kOnlineChunk = 16;  // steps whose weight gradients are summed at a time

struct Cells {
  int blocks;
  int size;
};

LONGLAG_SHARED int cell_count(Cells c) { return c.blocks * c.size; }
LONGLAG_SHARED int unit_count(Cells c) { return c.blocks * (c.size + 2); }
LONGLAG_SHARED int column_count(Cells c) { return 3 + unit_count(c); }
LONGLAG_SHARED std::int64_t weight_count(Cells c) {
  return std::int64_t{unit_count(c)} * column_count(c) + cell_count(c) + 1;
}

// Rows of sixteen floats that a step leaves behind: outputs of the units, f(net) of the cell
// inputs and, for the full gradient, h(state).
LONGLAG_SHARED int record_rows(Cells c, bool full) {
  return unit_count(c) + cell_count(c) * (full ? 2 : 1);
}

// Operations of a group's step, as of step_operations: forward, and the truncated gradient.
LONGLAG_SHARED double online_step_operations(Cells c, bool back) {
  const double products = 2.0 * unit_count(c) * column_count(c);
  const double forward = products + 26.0 * (unit_count(c) + cell_count(c));
  return kGroup * (forward + (back ? products : 0.0));
}

struct Span {
  std::int64_t steps;    // of the longest lane, at least 1
  std::int64_t staggered;  // up to this step, some lane has not started yet
  bool full;             // what to record: for the full gradient, or for the truncated one
  bool keep;             // the record of every step, or of the last one alone
};

// What one thread works in; rows of sixteen floats.
struct OnlineWorkspace {
  float* x;         // (1 + steps, 2)
  float* live;      // (staggered,): 0 before a sequence's start, 1 from then on
  float* record;    // (1 + steps, record_rows), or (2, record_rows); the first is zero
  float* squashed;  // (C,): h(state) at the end
  float* scaled;    // (P,): the weights as `forward` needs them
  float* gradient;  // (P,)
  float* deltas;    // (kOnlineChunk, U): dE/dnet
  float* carried;   // (U + C,): dE/d(unit's output) and dE/d(state), for the full gradient
};

struct OnlineKernel {
  // Makes `scaled` from weights (P, 16).
  void (*scale)(std::int64_t weights_count, const float* weights, float* scaled);
  // Writes answers (16,).
  void (*forward)(Cells, const Span&, const OnlineWorkspace&, float* answers);
  // Gradient of (target - answer)², after a `forward` that kept its record.
  void (*gradient)(Cells, const Span&, const OnlineWorkspace&, const float* weights,
                   const float* answers, const float* targets);
  // next = weights - rate·gradient, and `scaled` from it; rates (16,). Writes faults (16,): zero
  // where all of a lane's new weights are finite, else NaN.
  void (*update)(std::int64_t weights_count, const OnlineWorkspace&, const float* rates,
                 const float* weights, float* next, float* faults);
};

}  // namespace longlag
