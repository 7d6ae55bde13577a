// Stack distances of a trace of reads, on one LRU stack with liveness
// (longlag/movement/__init__.py says what it is for).
#pragma once

#include <cstdint>

#include "watch.hpp"
#include <vector>

namespace longlag {

// Codes of a trace (longlag/movement/tracing.py); from 0 up, the read of a value.
constexpr std::int64_t kResult = -1, kBranch = -2, kReturn = -3;

// stream: `length` codes, the last one kReturn and no other, each value read after it was made.
struct MovementTrace {
  const std::int64_t* stream;
  std::int64_t length;
  std::int64_t loaded;  // values on the stack before the first instruction
  std::int64_t values;  // with those that instructions make
};

// Writes the depth of each read, 1 at the top; throws Ended where the watch says so.
void stack_depths(const MovementTrace& trace, std::int64_t* depths, Watch* watch);

}  // namespace longlag
