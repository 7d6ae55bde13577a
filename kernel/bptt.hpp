// Forget-gate LSTM: what the driver and the translation unit of an instruction set agree on. Its
// plain form is in plain.hpp.
//
// Dimensions: B sequences, T steps, D inputs (or symbols, each an input that is 1), H cells, K
// outputs, A answers of a sequence (T or 1), 4H gate rows (i, f, o, g), P parameters in the order
// Wx (D, 4H), Wh (H, 4H), b (4H), Wy (H, K), by (K).
//
// What a group yields depends on nothing but its own sequences.
#pragma once

#include <cstdint>

#include "group.hpp"

namespace longlag {

constexpr int kCellVectors = 6;    // kept a cell and step: i, f, o, g, c, tanh(c)
constexpr int kMaxHidden = 128;
constexpr int kLaneSumsUpTo = 16;  // largest H whose gradient sums are kept lane by lane
constexpr int kChunk = 16;         // steps whose weight gradients are summed in registers
constexpr std::int64_t kStepsAtOnce = 1024;  // whose inputs are gathered, where no step is kept

struct Network : Asked {
  int hidden;        // H
  bool forget_gate;  // false: the forget gate is 1 and is not learned
};

LONGLAG_SHARED std::int64_t gate_weights(const Network& n) {
  return std::int64_t{4} * n.hidden * (n.inputs + n.hidden + 1);
}
LONGLAG_SHARED std::int64_t output_weights(const Network& n) {
  return std::int64_t{n.outputs} * (n.hidden + 1);
}
LONGLAG_SHARED std::int64_t parameter_count(const Network& n) {
  return gate_weights(n) + output_weights(n);
}
LONGLAG_SHARED std::int64_t cache_step(int hidden) {
  return std::int64_t{kCellVectors} * kGroup * hidden;
}
// What a cell's gates are sums over, whose weights are laid out by tile: bias, inputs, recurrent
// inputs. Symbols have their weights, and bias, in a table.
LONGLAG_SHARED int summed_inputs(const Network& n) {
  return n.symbols ? n.hidden : 1 + n.inputs + n.hidden;
}
// What their gradients are sums for: bias, inputs (not symbols), recurrent inputs.
LONGLAG_SHARED int gradient_inputs(const Network& n) {
  return 1 + (n.symbols ? 0 : n.inputs) + n.hidden;
}

// Operations of a group's step: a multiply-add is two, a tanh or a sigmoid 26.
LONGLAG_SHARED double step_operations(const Network& n, bool back) {
  const double H = n.hidden, D = n.symbols ? 0.5 : n.inputs, K = n.every ? n.outputs : 0;
  const double forward = 8 * H * H + 8 * H * D + 134 * H + 2 * H * K;
  return kGroup * (forward + (back ? 16 * H * H + 8 * H * D + 26 * H + 4 * H * K : 0));
}

// The weights in the order in which the two passes read them.
struct Packed {
  float* forward;   // by tile of cells: for each input (summed_inputs) i, f, o, g of each cell
  float* table;     // (D, H, 4): of symbols, the weights of i, f, o, g with the bias
  float* backward;  // by tile of recurrent inputs: for each gate row the weights of the tile
  float* output;    // Wy and by

  static LONGLAG_SHARED Packed in(Arrays& arrays, const Network& n, bool back) {
    const std::int64_t H = n.hidden;
    return {arrays.floats(4 * H * summed_inputs(n)),
            arrays.floats(n.symbols ? 4 * H * n.inputs : 0),
            back ? arrays.floats(4 * H * H) : nullptr,
            arrays.floats(output_weights(n))};
  }
};

// What one thread works in.
struct Workspace {
  float* x;              // (given, D, 16): the steps that are kept, or kStepsAtOnce at most
  std::uint64_t* streams; // (4, 16): of SFC64, where inputs are drawn
  std::int32_t* symbols; // (given, 16), or instead
  float* z;              // (H, 4, 16): what the gates take from a step's symbols
  float* cache;          // (1 + steps, H, 6, 16), or (1 + 2, …); the step before the first is zero
  float* h;              // (2, H, 16): of the last step and of this one; all, (1 + steps, H, 16),
                         // where all are kept and answer
  float* final_h;        // (H, 16): at each sequence's end
  float* answers;        // (A, K, 16)
  float* errors;         // (A, K, 16): dLoss/dy before the output's sigmoid; zero where no answer
                         // is asked for
  float* dh;             // (H, 16)
  float* dc;             // (H, 16)
  float* chunk_h;        // (H, kChunk, 16): what the steps of a chunk took from the step before
  float* sums;           // (H, gradient_inputs, 4, 16), or without lanes for large H
  float* symbol_sums;    // (D, H, 4)

  // `keep`: every step for the way back; `back`: and what else that needs.
  static LONGLAG_SHARED Workspace in(Arrays& arrays, const Network& n, std::int64_t steps,
                                     bool keep, bool back) {
    const std::int64_t H = n.hidden, D = n.inputs, sums = 4 * H * gradient_inputs(n);
    const std::int64_t answers = answer_count(n, steps) * n.outputs;
    const std::int64_t given = keep || steps < kStepsAtOnce ? steps : kStepsAtOnce;
    return {arrays.rows(n.symbols ? 0 : given * D),
            reinterpret_cast<std::uint64_t*>(arrays.rows(n.symbols ? 0 : 8)),
            reinterpret_cast<std::int32_t*>(arrays.rows(n.symbols ? given : 0)),
            arrays.rows(n.symbols ? 4 * H : 0),
            arrays.rows((1 + (keep ? steps : 2)) * kCellVectors * H),
            arrays.rows((n.every && keep ? 1 + steps : 2) * H),
            arrays.rows(H),
            arrays.rows(answers),
            arrays.rows(back ? answers : 0),
            arrays.rows(H),
            arrays.rows(H),
            arrays.rows(back ? H * kChunk : 0),
            arrays.floats(back ? sums * (H <= kLaneSumsUpTo ? kGroup : 1) : 0),
            arrays.floats(back && n.symbols ? 4 * H * D : 0)};
  }
};

// What an update is made from and into.
struct Learning {
  float* groups;    // (groups, P): the gradient of each
  float* gradient;  // (P,): their sum
  float* next;      // (3, P): parameters and both moments

  static LONGLAG_SHARED Learning in(Arrays& arrays, const Network& n, std::int64_t groups) {
    const std::int64_t parameters = parameter_count(n);
    return {arrays.floats(groups * parameters), arrays.floats(parameters),
            arrays.floats(3 * parameters)};
  }
};

struct Update {
  double learning_rate;
  double beta1, beta2, epsilon;
  double clip;                // of the global norm; infinity: none
  double average_decay;
  std::int64_t count;         // of updates, this one included
  bool adam;                  // otherwise plain gradient descent
};

// One instruction set's functions.
struct Kernel {
  void (*pack)(const Network&, const float* parameters, const Packed&);
  // Writes the answers; `keep` keeps every step in the cache, for `backward`.
  void (*forward)(const Network&, const Packed&, const Lineup&, const Workspace&, bool keep);
  // Writes the errors of scale/2·Σ (y - t)², from the answers and the targets; losses (16,): that
  // sum in each lane, unscaled.
  void (*output_error)(const Network&, const Lineup&, const Workspace&, float scale,
                       double* losses);
  // Needs what these two left, and uses it up. Writes gradient (P,).
  void (*backward)(const Network&, const Packed&, const Lineup&, const Workspace&,
                   float* gradient);
  // Adds the groups' gradients in their order; returns the norm of the sum.
  double (*combine)(const Learning&, std::int64_t groups, std::int64_t parameters);
  // Writes `next` from what it follows; false: not all finite.
  bool (*update)(const Update&, std::int64_t parameters, const Learning&, double norm,
                 const float* current, const float* first_moment, const float* second_moment);
  // average = decay·average + (1 - decay)·parameters
  void (*average)(double decay, std::int64_t parameters, const float* current, float* average);
};

}  // namespace longlag
