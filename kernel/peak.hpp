// The processor's own limit, measured: what `longlag bench` holds the kernel against.
#pragma once

#include <cstdint>

namespace longlag {

// A loop of multiply-adds in one instruction set, and the operations of a round of it.
struct PeakLoop {
  float (*run)(std::int64_t rounds, float factor, float term);
  int operations;
};

// Fused multiply-adds in float32 on this thread's core with the vectors of an instruction set, in
// 10^9 operations a second; a multiply-add is two operations.
double peak(const PeakLoop& loop);

}  // namespace longlag
