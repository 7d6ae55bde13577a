// The processor's own limit, measured: what `longlag bench` holds the kernel against.
#pragma once

#include <cstdint>

namespace longlag {

// The arithmetic of a step: multiply-adds, products and sums together, and activations.
struct Needs {
  std::int64_t products, sigmoids, tanhs;
};

// A loop of multiply-adds in one instruction set, and the operations of a round of it.
struct PeakLoop {
  float (*run)(std::int64_t rounds, float factor, float term);
  int operations;
  // What a step needs, for one vector of sequences, so many times over: nothing leaves the
  // registers, and nothing waits for anything else.
  void (*work)(std::int64_t rounds, const Needs&, const float* values);
  int lanes;  // of a vector
};

// Seconds of a step of one sequence that consists of these alone: the median of several
// measurements, which take 50 ms.
double needed(const PeakLoop& loop, const Needs& needs);

// Fused multiply-adds in float32 on this thread's core with the vectors of an instruction set, in
// 10^9 operations a second; a multiply-add is two operations.
double peak(const PeakLoop& loop);

}  // namespace longlag
