// The peak of one core: multiply-adds that wait for nothing but the units that do them.
//
// Compiled once for each instruction set, for the loop, and once without, for the stopwatch.
#include "peak.hpp"

#if defined(LONGLAG_ISA)

#include "simd.hpp"

namespace longlag::LONGLAG_ISA {
namespace {

// Independent sums: more than latency times units asks for on the processors we know (4 x 2), and
// few enough that they and the two factors stay in 16 registers.
constexpr int kSums = 12;

float multiply_add(std::int64_t rounds, float factor, float term) {
  const Lanes a = broadcast(factor), b = broadcast(term);
  Lanes sum[kSums];
  for (int n = 0; n < kSums; ++n) sum[n] = broadcast(static_cast<float>(n));
  for (std::int64_t k = 0; k < rounds; ++k) {
#pragma GCC unroll 12
    for (int n = 0; n < kSums; ++n) sum[n] = fma(sum[n], a, b);
  }
  for (int n = 1; n < kSums; ++n) sum[0] = add(sum[0], sum[n]);
  float lanes[kWidth];
  store(lanes, sum[0]);
  return lanes[0];
}

}  // namespace

extern const PeakLoop kPeakLoop;
// For every lane of every sum a multiplication and an addition.
const PeakLoop kPeakLoop = {multiply_add, 2 * kSums * kWidth};

}  // namespace longlag::LONGLAG_ISA

#else

#include <algorithm>
#include <array>
#include <chrono>

namespace longlag {
namespace {

double seconds_of(const PeakLoop& loop, std::int64_t rounds) {
  volatile float factor = 0.5f, term = 1.0f, result;  // the compiler must not know
  const auto start = std::chrono::steady_clock::now();
  result = loop.run(rounds, factor, term);
  static_cast<void>(result);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

double peak(const PeakLoop& loop) {
  constexpr double kSeconds = 0.004;  // of one measurement; with nine of them and the search, some 50 ms
  std::int64_t rounds = 1000;
  while (seconds_of(loop, rounds) < kSeconds) rounds *= 2;
  std::array<double, 9> rates;
  for (double& rate : rates) rate = loop.operations * (rounds / seconds_of(loop, rounds)) / 1e9;
  std::nth_element(rates.begin(), rates.begin() + rates.size() / 2, rates.end());
  return rates[rates.size() / 2];
}

}  // namespace longlag

#endif
