// A vector of float32 lanes for each instruction set, and nothing but explicit operations on it.
//
// The result of a lane never depends on the width of the vector: every operation below is one
// correctly rounded IEEE operation a lane, and a fused multiply-add is written as such. So AVX2
// and AVX-512 give the same bits. The baseline has no fused multiply-add and rounds twice.
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

#if defined(__AVX512F__)

constexpr int kWidth = 16;
struct Lanes {
  __m512 v;
};
LONGLAG_INLINE Lanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
LONGLAG_INLINE void store(float* p, Lanes a) { _mm512_storeu_ps(p, a.v); }
LONGLAG_INLINE Lanes broadcast(float s) { return {_mm512_set1_ps(s)}; }
LONGLAG_INLINE Lanes add(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes sub(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes mul(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes div(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
LONGLAG_INLINE Lanes fnma(Lanes a, Lanes b, Lanes c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
LONGLAG_INLINE Lanes min(Lanes a, Lanes b) { return {_mm512_min_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes max(Lanes a, Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }

#elif defined(__AVX2__) && defined(__FMA__)

constexpr int kWidth = 8;
struct Lanes {
  __m256 v;
};
LONGLAG_INLINE Lanes load(const float* p) { return {_mm256_loadu_ps(p)}; }
LONGLAG_INLINE void store(float* p, Lanes a) { _mm256_storeu_ps(p, a.v); }
LONGLAG_INLINE Lanes broadcast(float s) { return {_mm256_set1_ps(s)}; }
LONGLAG_INLINE Lanes add(Lanes a, Lanes b) { return {_mm256_add_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes sub(Lanes a, Lanes b) { return {_mm256_sub_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes mul(Lanes a, Lanes b) { return {_mm256_mul_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes div(Lanes a, Lanes b) { return {_mm256_div_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
LONGLAG_INLINE Lanes fnma(Lanes a, Lanes b, Lanes c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
LONGLAG_INLINE Lanes min(Lanes a, Lanes b) { return {_mm256_min_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes max(Lanes a, Lanes b) { return {_mm256_max_ps(a.v, b.v)}; }

#elif defined(__SSE2__)

constexpr int kWidth = 4;
struct Lanes {
  __m128 v;
};
LONGLAG_INLINE Lanes load(const float* p) { return {_mm_loadu_ps(p)}; }
LONGLAG_INLINE void store(float* p, Lanes a) { _mm_storeu_ps(p, a.v); }
LONGLAG_INLINE Lanes broadcast(float s) { return {_mm_set1_ps(s)}; }
LONGLAG_INLINE Lanes add(Lanes a, Lanes b) { return {_mm_add_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes sub(Lanes a, Lanes b) { return {_mm_sub_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes mul(Lanes a, Lanes b) { return {_mm_mul_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes div(Lanes a, Lanes b) { return {_mm_div_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return add(mul(a, b), c); }
LONGLAG_INLINE Lanes fnma(Lanes a, Lanes b, Lanes c) { return sub(c, mul(a, b)); }
LONGLAG_INLINE Lanes min(Lanes a, Lanes b) { return {_mm_min_ps(a.v, b.v)}; }
LONGLAG_INLINE Lanes max(Lanes a, Lanes b) { return {_mm_max_ps(a.v, b.v)}; }

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

#else
#error "no vector instructions known for this target"
#endif

// x clamped to ±limit. On x86, min and max return their second operand when either is NaN:
// x stands second, so that a NaN goes through and a diverged run shows itself.
LONGLAG_INLINE Lanes clamp(Lanes x, float limit) {
  return max(broadcast(-limit), min(broadcast(limit), x));
}

// tanh as x·P(x²)/Q(x²), of degrees 9 and 8; beyond the clamp it is 1 to float32's precision.
LONGLAG_INLINE Lanes tanh_numerator(Lanes x, Lanes u) {
  Lanes p = broadcast(1.394553628e-8f);
  p = fma(p, u, broadcast(2.102733560e-5f));
  p = fma(p, u, broadcast(3.520756727e-3f));
  p = fma(p, u, broadcast(1.340216100e-1f));
  p = fma(p, u, broadcast(1.0f));
  return mul(x, p);
}

LONGLAG_INLINE Lanes tanh_denominator(Lanes u) {
  Lanes q = broadcast(8.015776984e-7f);
  q = fma(q, u, broadcast(3.326951409e-4f));
  q = fma(q, u, broadcast(2.597254514e-2f));
  q = fma(q, u, broadcast(4.673548340e-1f));
  return fma(q, u, broadcast(1.0f));
}

constexpr float kTanhClamp = 7.90531110763549805f;

LONGLAG_INLINE Lanes tanh(Lanes x) {
  x = clamp(x, kTanhClamp);
  const Lanes u = mul(x, x);
  return div(tanh_numerator(x, u), tanh_denominator(u));
}

// The logistic function of 2x: ½·tanh(x) + ½. Callers halve the weights beforehand.
LONGLAG_INLINE Lanes sigmoid_of_double(Lanes x) {
  return fma(tanh(x), broadcast(0.5f), broadcast(0.5f));
}

}  // namespace
}  // namespace longlag::LONGLAG_ISA
