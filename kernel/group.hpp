// What the kernels of both networks share: groups of sixteen lanes, and structs of arrays.
#pragma once

#include <cstdint>

#include "watch.hpp"

namespace longlag {

// Always inlined: a shared copy might be the one of an instruction set that is not there.
#define LONGLAG_SHARED inline __attribute__((always_inline))

// Sixteen sequences travel together, one in each lane, whatever the width of the machine's vectors.
constexpr int kGroup = 16;

constexpr std::int64_t kStepsBetweenLooks = 64;  // at a watch
constexpr std::int64_t kBackwardWork = 2;        // of a step, that of one forward being 1

LONGLAG_SHARED std::int64_t group_count(std::int64_t sequences) {
  return (sequences + kGroup - 1) / kGroup;
}

// What is asked of a network.
struct Asked {
  int inputs, outputs;  // D, K
  bool symbols;         // an input is one of D symbols
  bool every;           // an answer at every step, or at the last one alone
  bool sigmoid_output;  // or linear
};

constexpr int kMaxInputs = 65536;  // and outputs

LONGLAG_SHARED std::int64_t answer_count(const Asked& asked, std::int64_t steps) {
  return asked.every ? steps : 1;
}

// B sequences of up to T steps, whose ends are padding.
struct Sequences {
  const float* inputs;          // (B, T, D)
  const std::int32_t* symbols;  // (B, T), or instead
  const float* targets;         // (B, K), or (B, T, K) where every step answers; or null
  const std::int64_t* lengths;  // (B,)
  std::int64_t batch, steps;    // B, T
};

// The numbers that a sequence answers with, padding included.
LONGLAG_SHARED std::int64_t answer_numbers(const Asked& asked, std::int64_t steps) {
  return answer_count(asked, steps) * asked.outputs;
}

// A sequence for each lane.
struct Lineup {
  const float* inputs[kGroup];           // (length, D) each
  const std::int32_t* symbols[kGroup];   // (length,), or instead
  const float* targets[kGroup];          // (K,), or (length, K)
  std::int64_t lengths[kGroup];          // 0: the lane has none
  std::int64_t longest;                  // at least 1
  std::int64_t shortest;                 // of the sequences that there are
  Watch* watch;                          // or null
};

// Puts sequence number `at` into a lane.
LONGLAG_SHARED void seat(const Asked& asked, const Sequences& all, std::int64_t at, int lane,
                         Lineup& lineup) {
  if (asked.symbols)
    lineup.symbols[lane] = all.symbols + at * all.steps;
  else
    lineup.inputs[lane] = all.inputs + at * all.steps * asked.inputs;
  if (all.targets) lineup.targets[lane] = all.targets + at * answer_numbers(asked, all.steps);
  lineup.lengths[lane] = all.lengths[at];
}

// A lane's first answers (length, K), or (K,), from rows of sixteen.
LONGLAG_SHARED void take_answers(const Asked& asked, const float* rows, std::int64_t length, int lane,
                                 float* to) {
  for (std::int64_t k = 0; k < answer_numbers(asked, length); ++k) to[k] = rows[k * kGroup + lane];
}

// What one thread works in is a struct of pointers, with the shape of each array beside it. Its
// function `in` takes the arrays from one block of memory, which memory.hpp provides, and is the
// one place that knows their sizes. Each begins on a cache line's boundary. Without a block
// nothing is given, and the sizes are counted.
class Arrays {
 public:
  LONGLAG_SHARED explicit Arrays(float* block) : block_(block) {}
  LONGLAG_SHARED float* floats(std::int64_t count) {
    float* array = block_ ? block_ + used_ : nullptr;
    used_ += (count + kGroup - 1) / kGroup * kGroup;
    return array;
  }
  LONGLAG_SHARED float* rows(std::int64_t count) { return floats(count * kGroup); }
  LONGLAG_SHARED std::int64_t used() const { return used_; }

 private:
  float* block_;
  std::int64_t used_ = 0;
};

}  // namespace longlag
