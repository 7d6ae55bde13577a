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

// Inputs that are drawn, of B sequences: numbers low + span·u, u being the float32 of a stream of
// SFC64, then zeros, but for M steps that are given, of two at one step the later.
struct Draws {
  const std::uint64_t* streams;  // (B, 3): a, b, c, the counter being 1; or null: nothing is drawn
  const std::int64_t* at;        // (B, M)
  const float* given;            // (B, M, D)
  int given_count;               // M
  float low, span;
};

// B sequences of up to T steps, whose ends are padding.
struct Sequences {
  const float* inputs;          // (B, T, D)
  const std::int32_t* symbols;  // (B, T), or instead
  const float* targets;         // (B, K), or (B, T, K) where every step answers; or null
  const std::int64_t* lengths;  // (B,)
  std::int64_t batch, steps;    // B, T
  const unsigned char* counted = nullptr;  // (B, T): which steps' answers count; null: all
  // What the window of a stopping rule looks at, where it is not the targets that count.
  const float* wanted = nullptr;           // as targets
  const unsigned char* judged = nullptr;   // (B, T)
  Draws draws = {};                        // in place of inputs
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
  const Draws* draws;                    // or instead, and of each sequence:
  const std::uint64_t* streams[kGroup];  // (3,)
  const std::int64_t* at[kGroup];        // (M,)
  const float* given[kGroup];            // (M, D)
  const unsigned char* counted[kGroup];  // (length,): which of these count; null: all
  const float* wanted[kGroup];           // as targets: what is judged by; null: these
  const unsigned char* judged[kGroup];   // (length,): where; null: where they count
  std::int64_t lengths[kGroup];          // 0: the lane has none
  int lanes = kGroup;                    // the first so many are computed: whole vectors
  std::int64_t longest;                  // at least 1
  std::int64_t shortest;                 // of the sequences that there are
  Watch* watch;                          // or null
};

// Puts sequence number `at` into a lane.
LONGLAG_SHARED void seat(const Asked& asked, const Sequences& all, std::int64_t at, int lane,
                         Lineup& lineup) {
  if (all.draws.streams) {
    lineup.draws = &all.draws;
    lineup.streams[lane] = all.draws.streams + at * 3;
    lineup.at[lane] = all.draws.at + at * all.draws.given_count;
    lineup.given[lane] = all.draws.given + at * all.draws.given_count * asked.inputs;
  } else if (asked.symbols) {
    lineup.symbols[lane] = all.symbols + at * all.steps;
  } else {
    lineup.inputs[lane] = all.inputs + at * all.steps * asked.inputs;
  }
  if (all.targets) lineup.targets[lane] = all.targets + at * answer_numbers(asked, all.steps);
  if (all.counted) lineup.counted[lane] = all.counted + at * all.steps;
  if (all.wanted) lineup.wanted[lane] = all.wanted + at * answer_numbers(asked, all.steps);
  if (all.judged) lineup.judged[lane] = all.judged + at * all.steps;
  lineup.lengths[lane] = all.lengths[at];
}

// A lane's first answers (length, K), or (K,), from rows of sixteen.
LONGLAG_SHARED void take_answers(const Asked& asked, const float* rows, std::int64_t length, int lane,
                                 float* to) {
  for (std::int64_t k = 0; k < answer_numbers(asked, length); ++k) to[k] = rows[k * kGroup + lane];
}

// Targets that do not count become the answers, whose error is zero. Rows of sixteen; the answers of
// a lane begin at step `begin` of them.
LONGLAG_SHARED void excuse(const Asked& asked, const Lineup& lineup, int lane, std::int64_t begin,
                           std::int64_t length, const float* answers, float* targets) {
  if (!lineup.counted[lane]) return;
  for (std::int64_t t = 0; t < length; ++t)
    for (std::int64_t k = (begin + t) * asked.outputs;
         !lineup.counted[lane][t] && k < (begin + t + 1) * asked.outputs; ++k)
      targets[k * kGroup + lane] = answers[k * kGroup + lane];
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
