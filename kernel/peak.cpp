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

// The compiler must have computed the value by now, and knows nothing of it from here on.
LONGLAG_INLINE void renew(Lanes& a) {
#if defined(__AVX512F__)
  asm volatile("" : "+v"(a.v));
#elif defined(__SSE2__)
  asm volatile("" : "+x"(a.v));
#else
  asm volatile("" : "+w"(a.v));
#endif
}

constexpr int kTogether = 4;  // activations side by side, as in the passes

template <typename Function>
LONGLAG_INLINE void activate(std::int64_t count, const float* values, Function function) {
  for (std::int64_t k = 0; k < count; k += kTogether) {
    Lanes x[kTogether];
    for (int n = 0; n < kTogether; ++n) {
      x[n] = load(values + n * kWidth);
      renew(x[n]);
    }
    function(x);
    for (int n = 0; n < kTogether; ++n) renew(x[n]);
  }
}

void work(std::int64_t rounds, const Needs& needs, const float* values) {
  const Lanes a = broadcast(values[0]), b = broadcast(values[1]);
  Lanes sum[kSums];
  for (int n = 0; n < kSums; ++n) sum[n] = broadcast(values[n % kTogether]);
  for (std::int64_t round = 0; round < rounds; ++round) {
    activate(needs.sigmoids, values,
             [](Lanes(&x)[kTogether]) LONGLAG_LAMBDA { sigmoid_of_scaled(x); });
    activate(needs.tanhs, values, [](Lanes(&x)[kTogether]) LONGLAG_LAMBDA { tanh(x); });
    for (std::int64_t k = 0; k < needs.products; k += kSums) {
#pragma GCC unroll 12
      for (int n = 0; n < kSums; ++n) sum[n] = fma(sum[n], a, b);
    }
  }
  for (int n = 0; n < kSums; ++n) renew(sum[n]);
}

}  // namespace

extern const PeakLoop kPeakLoop;
// For every lane of every sum a multiplication and an addition.
const PeakLoop kPeakLoop = {multiply_add, 2 * kSums * kWidth, work, kWidth};

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

// Seconds of a round: the median of nine measurements, which with the search take some 50 ms.
template <typename SecondsOf>
double median_round(SecondsOf seconds_of) {
  constexpr double kSeconds = 0.004;  // of one measurement
  std::int64_t rounds = 1;
  while (seconds_of(rounds) < kSeconds) rounds *= 2;
  std::array<double, 9> found;
  for (double& round : found) round = seconds_of(rounds) / static_cast<double>(rounds);
  std::nth_element(found.begin(), found.begin() + found.size() / 2, found.end());
  return found[found.size() / 2];
}

}  // namespace

double peak(const PeakLoop& loop) {
  const double round = median_round([&](std::int64_t rounds) { return seconds_of(loop, rounds); });
  return loop.operations / round / 1e9;
}

double needed(const PeakLoop& loop, const Needs& needs) {
  float values[64];
  std::fill_n(values, 64, 0.5f);
  return median_round([&](std::int64_t rounds) {
           const auto start = std::chrono::steady_clock::now();
           loop.work(rounds, needs, values);
           return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
         }) /
         loop.lanes;
}

}  // namespace longlag

#endif
