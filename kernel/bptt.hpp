// Forget-gate LSTM: what the driver and the translation unit of an instruction set agree on.
//
// Dimensions: B sequences, T steps, D = 2 inputs, H cells, 4H gate rows (i, f, o, g),
// P = 4H(H+3) + H + 1 parameters in the order Wx (2,4H), Wh (H,4H), b (4H), Wy (H), by.
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

struct Network {
  int hidden;
  bool sigmoid_output;
  bool forget_gate;  // false: the forget gate is 1 and is not learned
};

LONGLAG_SHARED std::int64_t gate_weights(int hidden) {
  return std::int64_t{4} * hidden * (hidden + 3);
}
LONGLAG_SHARED std::int64_t parameter_count(int hidden) {
  return gate_weights(hidden) + hidden + 1;
}
LONGLAG_SHARED std::int64_t cache_step(int hidden) {
  return std::int64_t{kCellVectors} * kGroup * hidden;
}

// Floats of the weight gradients' sums.
LONGLAG_SHARED std::int64_t sums_size(int hidden) {
  return gate_weights(hidden) * (hidden <= kLaneSumsUpTo ? kGroup : 1);
}

// Operations of a group's step: a multiply-add is two, a tanh or a sigmoid 26.
LONGLAG_SHARED double step_operations(int hidden, bool back) {
  const double forward = 8.0 * hidden * hidden + 150.0 * hidden;
  return kGroup * (forward + (back ? 16.0 * hidden * hidden + 42.0 * hidden : 0.0));
}

// The weights in the order in which the two passes read them.
struct Packed {
  float* forward;   // by tile of cells: bias, two inputs, H recurrent inputs; i, f, o, g of each
  float* backward;  // by tile of recurrent inputs: for each gate row the weights of the tile
  float* output;    // Wy and by

  static LONGLAG_SHARED Packed in(Arrays& arrays, int hidden, bool back) {
    return {arrays.floats(gate_weights(hidden)),
            back ? arrays.floats(std::int64_t{4} * hidden * hidden) : nullptr,
            arrays.floats(hidden + 1)};
  }
};

// What one thread works in.
struct Workspace {
  float* x;        // (steps, 2, 16)
  float* cache;    // (1 + steps, H, 6, 16), or (1 + 2, …); the step before the first is zero
  float* h;        // (2, H, 16): of the last step and of this one
  float* final_h;  // (H, 16): at each sequence's end
  float* answers;  // (16,)
  float* error;    // (16,): dLoss/dy before the output's sigmoid; zero in lanes without a sequence
  float* dh;       // (H, 16)
  float* dc;       // (H, 16)
  float* chunk_h;  // (H, kChunk, 16): what the steps of a chunk took from the step before
  float* sums;     // (H, H + 3, 4, 16), or without lanes for large H

  // `keep`: every step for the way back; `back`: and what else that needs.
  static LONGLAG_SHARED Workspace in(Arrays& arrays, int hidden, std::int64_t steps, bool keep,
                                     bool back) {
    return {arrays.rows(2 * steps),
            arrays.rows((1 + (keep ? steps : 2)) * kCellVectors * hidden),
            arrays.rows(2 * hidden),
            arrays.rows(hidden),
            arrays.rows(1),
            arrays.rows(1),
            arrays.rows(hidden),
            arrays.rows(hidden),
            arrays.rows(back ? hidden * kChunk : 0),
            arrays.floats(back ? sums_size(hidden) : 0)};
  }
};

// What an update is made from and into.
struct Learning {
  float* groups;    // (groups, P): the gradient of each
  float* gradient;  // (P,): their sum
  float* next;      // (3, P): parameters and both moments

  static LONGLAG_SHARED Learning in(Arrays& arrays, int hidden, std::int64_t groups) {
    const std::int64_t parameters = parameter_count(hidden);
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
  // Writes the error of scale/2·(y - t)² from the answers and the targets of the lanes in use.
  void (*output_error)(const Network&, const Lineup&, const Workspace&, const float* targets,
                       float scale);
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
