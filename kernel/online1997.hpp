// The LSTM of 1997, learning on-line: what its driver and the translation unit of an instruction
// set agree on. Its plain form is in plain.hpp.
//
// Dimensions: D inputs (or symbols, each an input that is 1), B blocks of S cells, C = B·S cells,
// U = C + 2B units in the order cells, input gates, output gates; K outputs, A answers of a
// sequence; P weights: W (U, D + U + 1) row by row, columns inputs, units, bias; then Wk (K, C + 1):
// cells, bias; or (K, C + D + 1) where inputs lead there, between these. Of a variant that is without
// some, the others; here these are zero, and stay so.
//
// Sixteen trials make a group, one in each lane, each with its own weights: every weight is a row
// of sixteen floats, but for those of symbols, which each lane has in a table of its own. (In
// `predict`, sixteen sequences, whose weights are the same.) Sequences are aligned at their ends: a
// shorter one starts later, with everything zero until then, which adds nothing to any sum. So a
// lane's bits depend on nothing but its own weights and sequence. Lanes behind the last that is
// filled are left out, as far as they are whole vectors.
//
// Output units that read the previous step's cells never see the last step, which is not run: a
// sequence of L steps is then one of L - 1, and its answers, of which there may still be L, are
// read a step earlier.
#pragma once

#include <cstdint>

#include "group.hpp"

namespace longlag {

constexpr int kMaxUnits = 32;
constexpr int kOnlineChunk = 16;  // steps whose weight gradients are summed at a time

// Which units have biases.
enum class Biases { kNone, kGates, kHidden, kAll };  // hidden: gates and cells

struct BlockNetwork : Asked {
  int blocks, size;
  bool reads_current;  // output units read this step's cells, or those of the step before
  // The variant; as it stands, that of Experiments 4 to 6.
  Biases biases = Biases::kAll;
  bool inputs_to_outputs = false;  // output units receive inputs, too
  bool output_gate = true;         // or it is 1
  bool recurrent = true;           // cells and gates receive cells and gates, or inputs alone
  bool logistic_g = false;         // g = f, or 4 f - 2
  bool identity_h = false;         // h(s) = s, or 2 f(s) - 1
};

// Whether a step's arithmetic is that of Experiments 4 to 6, whatever weights are missing.
LONGLAG_SHARED bool usual_step(const BlockNetwork& n) {
  return n.output_gate && !n.logistic_g && !n.identity_h;
}

LONGLAG_SHARED int cell_count(const BlockNetwork& n) { return n.blocks * n.size; }
LONGLAG_SHARED int unit_count(const BlockNetwork& n) { return n.blocks * (n.size + 2); }
// Steps by which answers come later than the cells that they read.
LONGLAG_SHARED int lateness(const BlockNetwork& n) { return n.reads_current ? 0 : 1; }
LONGLAG_SHARED std::int64_t weight_count(const BlockNetwork& n) {
  const int cells = cell_count(n), gates = n.blocks * (n.output_gate ? 2 : 1);
  const std::int64_t into_unit = n.inputs + (n.recurrent ? cells + gates : 0);
  const std::int64_t into_output = cells + (n.inputs_to_outputs ? n.inputs : 0);
  return (cells + gates) * into_unit + (n.biases >= Biases::kHidden ? cells : 0) +
         (n.biases >= Biases::kGates ? gates : 0) +
         n.outputs * (into_output + (n.biases == Biases::kAll ? 1 : 0));
}
// The columns of W that are rows of sixteen, of which this is the first of a unit's; those rows, and
// with Wk.
LONGLAG_SHARED int first_unit(const BlockNetwork& n) { return n.symbols ? 0 : n.inputs; }
LONGLAG_SHARED int column_count(const BlockNetwork& n) {
  return first_unit(n) + unit_count(n) + 1;
}
LONGLAG_SHARED std::int64_t unit_rows(const BlockNetwork& n) {
  return std::int64_t{unit_count(n)} * column_count(n);
}
// Of Wk: cells, inputs that are numbers and lead there, bias.
LONGLAG_SHARED int direct_columns(const BlockNetwork& n) {
  return n.inputs_to_outputs ? first_unit(n) : 0;
}
LONGLAG_SHARED int output_columns(const BlockNetwork& n) {
  return cell_count(n) + direct_columns(n) + 1;
}
LONGLAG_SHARED std::int64_t output_rows(const BlockNetwork& n) {
  return std::int64_t{n.outputs} * output_columns(n);
}
LONGLAG_SHARED std::int64_t weight_rows(const BlockNetwork& n) {
  return unit_rows(n) + output_rows(n);
}
// Whether a unit has a weight in such a column of W; the others are zero.
LONGLAG_SHARED bool connected(const BlockNetwork& n, int unit, int column) {
  const int gates = cell_count(n), output_gates = gates + n.blocks;
  const int from = column - first_unit(n);  // a unit, or the bias behind the last
  if (!n.output_gate && unit >= output_gates) return false;
  if (from < 0) return true;
  if (from == unit_count(n))
    return n.biases >= (unit < gates ? Biases::kHidden : Biases::kGates);
  return n.recurrent && (n.output_gate || from < output_gates);
}
// Floats of a symbol in a table: one a unit, in whole fours; then one an output, where symbols lead
// there; and of a lane's table.
LONGLAG_SHARED int whole_fours(int count) { return (count + 3) / 4 * 4; }
LONGLAG_SHARED int unit_floats(const BlockNetwork& n) { return whole_fours(unit_count(n)); }
LONGLAG_SHARED int output_floats(const BlockNetwork& n) {
  return n.symbols && n.inputs_to_outputs ? whole_fours(n.outputs) : 0;
}
LONGLAG_SHARED int symbol_floats(const BlockNetwork& n) {
  return unit_floats(n) + output_floats(n);
}
LONGLAG_SHARED std::int64_t table_floats(const BlockNetwork& n) {
  return n.symbols ? std::int64_t{n.inputs} * symbol_floats(n) : 0;
}

// A pass over a sequence.
struct Pass {
  bool full;  // for the full gradient, or for the truncated one
  bool keep;  // records every step, for either, or the last one alone
};

// Whether every step's h(state) is recorded: errors reach the output gates at more than the last.
LONGLAG_SHARED bool records_squashed(const BlockNetwork& n, Pass pass) {
  return pass.keep && (pass.full || n.every);
}
// Rows of sixteen floats that a step leaves behind: outputs of the units, f(net) of the cell inputs
// and perhaps h(state).
LONGLAG_SHARED int record_rows(const BlockNetwork& n, Pass pass) {
  return unit_count(n) + cell_count(n) * (records_squashed(n, pass) ? 2 : 1);
}

// Operations of a group's step, as of step_operations: forward, and the truncated gradient.
LONGLAG_SHARED double online_step_operations(const BlockNetwork& n, bool back) {
  const double products = 2.0 * (unit_rows(n) + (n.every ? output_rows(n) : 0));
  const double squashed = unit_count(n) + cell_count(n) + (n.every ? n.outputs : 0);
  return kGroup * (products + 26.0 * squashed + (back ? products : 0.0));
}

// What one thread works in; rows of sixteen floats where nothing else is said.
struct OnlineWorkspace {
  float* x;               // (steps + 1, D)
  std::int32_t* symbols;  // (steps + 1,), or instead
  float* looked_up;       // (symbol_floats,): what units, and outputs, take from a step's symbols
  float* live;      // (steps,): up to the latest start, 0 before a sequence's start and then 1
  float* record;    // (1 + steps, record_rows), or (2, record_rows); the first is zero
  float* squashed;  // (C,): h(state) at the end
  float* scaled;    // (weight_rows,): the weights as `forward` needs them
  float* table;     // (16, D, symbol_floats) floats: the weights of symbols, lane by lane; or
                    // (D, symbol_floats) where all lanes have the same
  float* answers;   // (A, K), with one step more than the longest sequence has
  float* errors;    // (A, K): dE/dnet of the output units; and what follows: where all is kept
  float* largest;   // (1,): of the answers' errors
  float* loss;      // (1,): the sum of their squares
  float* rates;     // (1,)
  float* weights;   // (weight_rows,)
  float* gradient;  // (weight_rows,)
  float* next;      // (weight_rows,): the weights after the update
  float* faults;    // (1,): zero where all of a lane's new weights, and its loss, are finite, else
                    // NaN
  float* deltas;    // (kOnlineChunk, unit_floats): dE/dnet
  float* carried;   // (U + C,): dE/d(unit's output) and dE/d(state)
  float* table_gradient;  // as the table; zero but for the symbols of the sequence at hand

  static LONGLAG_SHARED OnlineWorkspace in(Arrays& arrays, const BlockNetwork& n,
                                           std::int64_t steps, Pass pass) {
    const std::int64_t learning = pass.keep ? 1 : 0, weights = weight_rows(n);
    const std::int64_t answers = (n.every ? steps + 1 : 1) * n.outputs;
    return {arrays.rows(n.symbols ? 0 : n.inputs * (steps + 1)),
            reinterpret_cast<std::int32_t*>(arrays.rows(n.symbols ? steps + 1 : 0)),
            arrays.rows(n.symbols ? symbol_floats(n) : 0),
            arrays.rows(steps),
            arrays.rows((1 + (pass.keep ? steps : 1)) * record_rows(n, pass)),
            arrays.rows(cell_count(n)),
            arrays.rows(weights),
            arrays.floats(table_floats(n) * (pass.keep ? kGroup : 1)),
            arrays.rows(answers),
            arrays.rows(learning * answers),
            arrays.rows(learning),
            arrays.rows(learning),
            arrays.rows(learning),
            arrays.rows(learning * weights),
            arrays.rows(learning * weights),
            arrays.rows(learning * weights),
            arrays.rows(learning),
            arrays.rows(learning * kOnlineChunk * unit_floats(n)),
            arrays.rows(learning * (unit_count(n) + cell_count(n))),
            arrays.floats(learning * table_floats(n) * kGroup)};
  }
};

struct OnlineKernel {
  int width;                     // lanes of a vector; a lineup has whole vectors
  const OnlineKernel* narrower;  // the same bits from vectors half as wide; or null
  // Makes `scaled` from weights (weight_rows, 16).
  void (*scale)(const BlockNetwork&, const float* weights, float* scaled);
  // Writes the answers. Sequences end together: a shorter one starts later.
  void (*forward)(const BlockNetwork&, const Lineup&, Pass, const OnlineWorkspace&);
  // Gradient of Σ (target - answer)², after a `forward` that kept its record; the largest errors.
  void (*gradient)(const BlockNetwork&, const Lineup&, Pass, const OnlineWorkspace&);
  // next = weights - rate·gradient, and `scaled` from it; and the faults. The tables stay.
  void (*update)(const BlockNetwork&, const Lineup&, const OnlineWorkspace&);
  // The same for the table of a lane, whose gradient is zero again.
  void (*update_table)(const BlockNetwork&, const Lineup&, int lane, const OnlineWorkspace&);
};

}  // namespace longlag
