// A vector of float32 lanes for each instruction set, and nothing but explicit operations on it.
//
// The result of a lane never depends on the width of the vector: every operation below is one
// correctly rounded IEEE operation a lane, and a fused multiply-add is written as such. So AVX2,
// AVX-512 and NEON give the same bits. The baseline has no fused multiply-add and rounds twice.
//
// Everything lives in a namespace of the instruction set, and nothing here comes from the
// standard library: a template shared between translation units could be linked in its AVX-512
// form and then run on a machine without it.
#pragma once

#if !defined(LONGLAG_ISA)
#error "LONGLAG_ISA names the instruction set of this translation unit"
#endif

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define LONGLAG_INLINE inline __attribute__((always_inline))
#define LONGLAG_LAMBDA __attribute__((always_inline))

namespace longlag::LONGLAG_ISA {
namespace {

#if defined(__x86_64__)

// The same operations at every width, under names that differ in their prefix.
#if defined(__AVX512F__)
constexpr int kWidth = 16;
using Floats = __m512;
using Integers = __m512i;
#define LONGLAG_MM(operation) _mm512_##operation
#elif defined(__AVX2__) && defined(__FMA__)
constexpr int kWidth = 8;
using Floats = __m256;
using Integers = __m256i;
#define LONGLAG_MM(operation) _mm256_##operation
#else
constexpr int kWidth = 4;
using Floats = __m128;
using Integers = __m128i;
#define LONGLAG_MM(operation) _mm_##operation
#endif

struct Lanes {
  Floats v;
};
LONGLAG_INLINE Lanes load(const float* p) { return {LONGLAG_MM(loadu_ps)(p)}; }
LONGLAG_INLINE void store(float* p, Lanes a) { LONGLAG_MM(storeu_ps)(p, a.v); }
LONGLAG_INLINE Lanes broadcast(float s) { return {LONGLAG_MM(set1_ps)(s)}; }
LONGLAG_INLINE Lanes add(Lanes a, Lanes b) { return {LONGLAG_MM(add_ps)(a.v, b.v)}; }
LONGLAG_INLINE Lanes sub(Lanes a, Lanes b) { return {LONGLAG_MM(sub_ps)(a.v, b.v)}; }
LONGLAG_INLINE Lanes mul(Lanes a, Lanes b) { return {LONGLAG_MM(mul_ps)(a.v, b.v)}; }
LONGLAG_INLINE Lanes div(Lanes a, Lanes b) { return {LONGLAG_MM(div_ps)(a.v, b.v)}; }
LONGLAG_INLINE Lanes min(Lanes a, Lanes b) { return {LONGLAG_MM(min_ps)(a.v, b.v)}; }
LONGLAG_INLINE Lanes max(Lanes a, Lanes b) { return {LONGLAG_MM(max_ps)(a.v, b.v)}; }
#if defined(__AVX2__) && defined(__FMA__)
LONGLAG_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) {
  return {LONGLAG_MM(fmadd_ps)(a.v, b.v, c.v)};
}
LONGLAG_INLINE Lanes fnma(Lanes a, Lanes b, Lanes c) {
  return {LONGLAG_MM(fnmadd_ps)(a.v, b.v, c.v)};
}
#else
LONGLAG_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return add(mul(a, b), c); }
LONGLAG_INLINE Lanes fnma(Lanes a, Lanes b, Lanes c) { return sub(c, mul(a, b)); }
#endif
// p times 2^n, n in the low bits of a lane.
LONGLAG_INLINE Lanes add_to_exponent(Lanes p, Lanes n) {
  const Integers shifted = LONGLAG_MM(slli_epi32)(reinterpret_cast<Integers>(n.v), 23);
  const Integers sum = LONGLAG_MM(add_epi32)(reinterpret_cast<Integers>(p.v), shifted);
  return {reinterpret_cast<Floats>(sum)};
}

#elif defined(__ARM_NEON) && defined(__aarch64__)

constexpr int kWidth = 4;
struct Lanes {
  float32x4_t v;
};
LONGLAG_INLINE Lanes load(const float* p) { return {vld1q_f32(p)}; }
LONGLAG_INLINE void store(float* p, Lanes a) { vst1q_f32(p, a.v); }
LONGLAG_INLINE Lanes broadcast(float s) { return {vdupq_n_f32(s)}; }
LONGLAG_INLINE Lanes add(Lanes a, Lanes b) { return {vaddq_f32(a.v, b.v)}; }
LONGLAG_INLINE Lanes sub(Lanes a, Lanes b) { return {vsubq_f32(a.v, b.v)}; }
LONGLAG_INLINE Lanes mul(Lanes a, Lanes b) { return {vmulq_f32(a.v, b.v)}; }
LONGLAG_INLINE Lanes div(Lanes a, Lanes b) { return {vdivq_f32(a.v, b.v)}; }
LONGLAG_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
LONGLAG_INLINE Lanes fnma(Lanes a, Lanes b, Lanes c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
LONGLAG_INLINE Lanes min(Lanes a, Lanes b) { return {vminq_f32(a.v, b.v)}; }
LONGLAG_INLINE Lanes max(Lanes a, Lanes b) { return {vmaxq_f32(a.v, b.v)}; }
LONGLAG_INLINE Lanes add_to_exponent(Lanes p, Lanes n) {
  const int32x4_t shifted = vshlq_n_s32(vreinterpretq_s32_f32(n.v), 23);
  return {vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(p.v), shifted))};
}

#else
#error "no vector instructions known for this target"
#endif

// Keeps a loaded value in a register, where the compiler would rather load it for each use: the
// load ports are the bottleneck of the sums of products.
LONGLAG_INLINE Lanes held(Lanes a) {
#if defined(__AVX512F__)
  asm("" : "+v"(a.v));
#elif defined(__SSE2__)
  asm("" : "+x"(a.v));
#endif
  return a;
}

// x kept between low and high. On x86, min and max return their second operand when either is
// NaN: x stands second, so that a NaN goes through and a diverged run shows itself.
LONGLAG_INLINE Lanes clamp(Lanes x, float low, float high) {
  return max(broadcast(low), min(broadcast(high), x));
}

// tanh as x·P(x²)/Q(x²), a minimax quotient of degrees 9 and 8 on [0, 8.7] (error 1.5e-8, before
// rounding), beyond which tanh is 1 to float32's precision. Over all floats: at most 6 ulp, 3.6e-7.
//
// Several at a time, a step of the calculation for all of them and then the next: the processor
// looks ahead some hundred instructions, too few to find this parallelism by itself.
template <int N>
LONGLAG_INLINE void tanh(Lanes (&x)[N]) {
  Lanes u[N], p[N], q[N];
  for (int n = 0; n < N; ++n) x[n] = clamp(x[n], -8.7f, 8.7f);
  for (int n = 0; n < N; ++n) u[n] = mul(x[n], x[n]);
  for (int n = 0; n < N; ++n) p[n] = fma(broadcast(0.0173796453f), u[n], broadcast(26.253664f));
  for (int n = 0; n < N; ++n) q[n] = add(u[n], broadcast(415.636322f));
  for (int n = 0; n < N; ++n) p[n] = fma(p[n], u[n], broadcast(4400.3374f));
  for (int n = 0; n < N; ++n) q[n] = fma(q[n], u[n], broadcast(32470.166f));
  for (int n = 0; n < N; ++n) p[n] = fma(p[n], u[n], broadcast(167578.328f));
  for (int n = 0; n < N; ++n) q[n] = fma(q[n], u[n], broadcast(584425.25f));
  for (int n = 0; n < N; ++n) p[n] = fma(p[n], u[n], broadcast(1250541.12f));
  for (int n = 0; n < N; ++n) q[n] = fma(q[n], u[n], broadcast(1250541.12f));
  for (int n = 0; n < N; ++n) p[n] = mul(x[n], p[n]);
  for (int n = 0; n < N; ++n) x[n] = clamp(div(p[n], q[n]), -1.0f, 1.0f);
}

// 1/(1 + 2^s), the logistic function of x where s = kSigmoidScale·x: callers scale the weights.
// 2^s is 2^n, by its exponent, times 2^r by a minimax polynomial (8e-8) that is exact at 0. This
// is cheaper than ½·tanh(x/2) + ½: half of its work does not need the multipliers, which are the
// bottleneck. At the clamps 1 + 2^s is already 1, or infinite.
constexpr float kSigmoidScale = -1.44269504f;  // -log2(e)

template <int N>
LONGLAG_INLINE void sigmoid_of_scaled(Lanes (&s)[N]) {
  const Lanes rounder = broadcast(12582912.0f);  // 1.5·2^23: adding it leaves n in the low bits
  Lanes power[N], p[N];
  for (int n = 0; n < N; ++n) s[n] = clamp(s[n], -126.0f, 128.0f);
  for (int n = 0; n < N; ++n) power[n] = add(s[n], rounder);
  for (int n = 0; n < N; ++n) s[n] = sub(s[n], sub(power[n], rounder));
  for (int n = 0; n < N; ++n) p[n] = broadcast(0.00132647087f);
  for (int n = 0; n < N; ++n) p[n] = fma(p[n], s[n], broadcast(0.00967151299f));
  for (int n = 0; n < N; ++n) p[n] = fma(p[n], s[n], broadcast(0.0555073395f));
  for (int n = 0; n < N; ++n) p[n] = fma(p[n], s[n], broadcast(0.240222424f));
  for (int n = 0; n < N; ++n) p[n] = fma(p[n], s[n], broadcast(0.693147004f));
  for (int n = 0; n < N; ++n) p[n] = fma(p[n], s[n], broadcast(1.0f));
  for (int n = 0; n < N; ++n) p[n] = add(broadcast(1.0f), add_to_exponent(p[n], power[n]));
  for (int n = 0; n < N; ++n) s[n] = div(broadcast(1.0f), p[n]);
}

}  // namespace
}  // namespace longlag::LONGLAG_ISA
