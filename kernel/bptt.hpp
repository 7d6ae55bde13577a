// Forget-gate LSTM: what the driver and the translation unit of an instruction set agree on.
//
// Dimensions: B sequences, T steps, D = 2 inputs, H cells, 4H gate rows (i, f, o, g),
// P = 4H(H+3) + H + 1 parameters in the order Wx (2,4H), Wh (H,4H), b (4H), Wy (H), by.
//
// Sixteen sequences of a batch make a group and travel together, one in each lane, whatever the
// width of the machine's vectors; what a group yields depends on nothing but its own sequences.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longlag {

#define LONGLAG_SHARED inline __attribute__((always_inline))

constexpr int kGroup = 16;         // sequences of a group
constexpr int kCellVectors = 6;    // kept a cell and step: i, f, o, g, c, tanh(c)
constexpr int kMaxHidden = 128;
constexpr int kLaneSumsUpTo = 16;  // largest H whose gradient sums are kept lane by lane
constexpr int kChunk = 16;         // steps whose weight gradients are summed in registers

struct Network {
  int hidden;
  bool sigmoid_output;
  bool forget_gate;  // false: the forget gate is 1 and is not learned
};

// Always inlined: a shared copy might be the one of an instruction set that is not there.
LONGLAG_SHARED std::int64_t gate_weights(int hidden) {
  return std::int64_t{4} * hidden * (hidden + 3);
}
LONGLAG_SHARED std::int64_t parameter_count(int hidden) {
  return gate_weights(hidden) + hidden + 1;
}
LONGLAG_SHARED std::int64_t cache_step(int hidden) {
  return std::int64_t{kCellVectors} * kGroup * hidden;
}

// Operations of a group's step: a multiply-add is two, a tanh or a sigmoid 26.
LONGLAG_SHARED double step_operations(int hidden, bool back) {
  const double forward = 8.0 * hidden * hidden + 150.0 * hidden;
  return kGroup * (forward + (back ? 16.0 * hidden * hidden + 42.0 * hidden : 0.0));
}

// Up to sixteen sequences: inputs (lanes, T, 2), lengths (lanes,).
struct Group {
  const float* inputs;
  const std::int64_t* lengths;
  int lanes;
  std::int64_t steps;    // T, the stride of a sequence
  std::int64_t longest;  // of this group's lengths
  std::int64_t shortest;
};

// The weights in the order in which the two passes read them.
struct Packed {
  float* forward;   // by tile of cells: bias, two inputs, H recurrent inputs; i, f, o, g of each
  float* backward;  // by tile of recurrent inputs: for each gate row the weights of the tile
  const float* output;  // Wy and by, in the parameter vector
};

// What one thread works in.
struct Workspace {
  float* x;        // (steps, 2, 16)
  float* cache;    // (1 + steps, H, 6, 16); the step before the first is zero
  float* h;        // (2, H, 16): of the last step and of this one
  float* final_h;  // (H, 16): at each sequence's end
  float* dh;       // (H, 16)
  float* dc;       // (H, 16)
  float* chunk_h;  // (H, kChunk, 16): what the steps of a chunk took from the step before
  float* sums;     // (H, H + 3, 4, 16), or without lanes for large H
};
LONGLAG_SHARED std::int64_t sums_size(int hidden) {
  return gate_weights(hidden) * (hidden <= kLaneSumsUpTo ? kGroup : 1);
}

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
  // Writes predictions (lanes,); `keep` keeps every step in the cache, for `backward`.
  void (*forward)(const Network&, const Packed&, const Group&, const Workspace&, bool keep,
                  float* predictions);
  // Needs the cache of `forward`, uses it up. error (16,): dLoss/dy before the output's sigmoid,
  // zero in lanes without a sequence. Writes gradient (P,).
  void (*backward)(const Network&, const Packed&, const Group&, const Workspace&,
                   const float* error, float* gradient);
  // dLoss/dy of a group: `scale`·(y - t), through the sigmoid where there is one.
  void (*output_error)(const Network&, const float* predictions, const float* targets, int lanes,
                       float scale, float* error);
  // Adds the groups' gradients (groups, P) in their order into gradient (P,); returns the norm.
  double (*combine)(const float* groups, int count, std::int64_t parameters, float* gradient);
  // Writes into `next` (3, P) the parameters and moments after the update; false: not all finite.
  bool (*update)(const Update&, std::int64_t parameters, const float* gradient, double norm,
                 const float* current, const float* first_moment, const float* second_moment,
                 float* next);
  // average = decay·average + (1 - decay)·parameters
  void (*average)(double decay, std::int64_t parameters, const float* current, float* average);
  bool (*all_finite)(const float* values, std::int64_t count);
};

}  // namespace longlag
