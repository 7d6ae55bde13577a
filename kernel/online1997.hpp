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

#include "group.hpp"

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

// What `forward` records.
struct Record {
  bool full;  // for the full gradient, or for the truncated one
  bool keep;  // every step, or the last one alone
};

// What one thread works in; all but the shapes is rows of sixteen floats.
struct OnlineWorkspace {
  float* x;         // (steps + 1, 2)
  float* live;      // (steps,): up to the latest start, 0 before a sequence's start and then 1
  float* record;    // (1 + steps, record_rows), or (2, record_rows); the first is zero
  float* squashed;  // (C,): h(state) at the end
  float* scaled;    // (P,): the weights as `forward` needs them
  float* answers;   // (1,)
  float* targets;   // (1,), and what follows: where the record is kept
  float* rates;     // (1,)
  float* weights;   // (P,)
  float* gradient;  // (P,)
  float* next;      // (P,): the weights after the update
  float* faults;    // (1,): zero where all of a lane's new weights are finite, else NaN
  float* deltas;    // (kOnlineChunk, U): dE/dnet
  float* carried;   // (U + C,): dE/d(unit's output) and dE/d(state), for the full gradient

  static LONGLAG_SHARED OnlineWorkspace in(Arrays& arrays, Cells c, std::int64_t steps,
                                           Record record) {
    const std::int64_t learning = record.keep ? 1 : 0, weights = weight_count(c);
    return {arrays.rows(2 * (steps + 1)),
            arrays.rows(steps),
            arrays.rows((1 + (record.keep ? steps : 1)) * record_rows(c, record.full)),
            arrays.rows(cell_count(c)),
            arrays.rows(weights),
            arrays.rows(1),
            arrays.rows(learning),
            arrays.rows(learning),
            arrays.rows(learning * weights),
            arrays.rows(learning * weights),
            arrays.rows(learning * weights),
            arrays.rows(learning),
            arrays.rows(learning * kOnlineChunk * unit_count(c)),
            arrays.rows(learning * (unit_count(c) + cell_count(c)))};
  }
};

struct OnlineKernel {
  // Makes `scaled` from weights (P, 16).
  void (*scale)(Cells, const float* weights, float* scaled);
  // Writes the answers. Sequences end together: a shorter one starts later.
  void (*forward)(Cells, const Lineup&, Record, const OnlineWorkspace&);
  // Gradient of (target - answer)², after a `forward` that kept its record.
  void (*gradient)(Cells, const Lineup&, Record, const OnlineWorkspace&);
  // next = weights - rate·gradient, and `scaled` from it; and the faults.
  void (*update)(Cells, const OnlineWorkspace&);
};

}  // namespace longlag
