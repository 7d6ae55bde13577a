// What the kernels of both networks share: groups of sixteen lanes, and structs of arrays.
#pragma once

#include <cstdint>

namespace longlag {

// Always inlined: a shared copy might be the one of an instruction set that is not there.
#define LONGLAG_SHARED inline __attribute__((always_inline))

// Sixteen sequences travel together, one in each lane, whatever the width of the machine's vectors.
constexpr int kGroup = 16;

LONGLAG_SHARED std::int64_t group_count(std::int64_t sequences) {
  return (sequences + kGroup - 1) / kGroup;
}

// A sequence for each lane.
struct Lineup {
  const float* inputs[kGroup];           // (length, D) each
  const std::int32_t* symbols[kGroup];   // (length,), or instead
  const float* targets[kGroup];          // (K,), or (length, K)
  std::int64_t lengths[kGroup];          // 0: the lane has none
  std::int64_t longest;                  // at least 1
  std::int64_t shortest;                 // of the sequences that there are
};

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
