// Numbers drawn into lanes: a stream of numpy's SFC64 in each, whose float32 are those of
// `Generator.random(dtype=float32)`. Nothing here is shared between translation units.
#pragma once

#include "group.hpp"
#include "simd.hpp"

namespace longlag::LONGLAG_ISA {
namespace {

typedef std::uint64_t Words __attribute__((vector_size(4 * kWidth), may_alias));
typedef std::int32_t Whole __attribute__((vector_size(4 * kWidth), may_alias));
typedef float Reals __attribute__((vector_size(4 * kWidth), may_alias));
constexpr int kWords = kWidth / 2;  // of 64 bits in a vector

// The streams of kWords lanes.
struct Streams {
  Words a, b, c, counter;

  LONGLAG_INLINE Words next() {
    const Words word = a + b + counter;
    counter += 1;
    a = b ^ (b >> 11);
    b = c + (c << 3);
    c = ((c << 24) | (c >> 40)) + word;
    return word;
  }
};

// The low halves of two vectors of words, and the high ones: lane by lane.
LONGLAG_INLINE void part_halves(Words one, Words two, Whole& low, Whole& high) {
  const Whole a = reinterpret_cast<Whole>(one), b = reinterpret_cast<Whole>(two);
#if defined(__AVX512F__)
  low = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  high = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif defined(__AVX2__)
  low = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
  high = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#else
  low = __builtin_shufflevector(a, b, 0, 2, 4, 6);
  high = __builtin_shufflevector(a, b, 1, 3, 5, 7);
#endif
}

// The rows of a group's sequences that are drawn.
struct Span {
  std::int64_t first, last;    // steps first..last - 1; `first` is even
  std::int64_t begin[kGroup];  // where a lane's sequence begins, and ends
  std::int64_t end[kGroup];
};

// The lanes from `part` on. STAGGERED: they do not all begin at step 0.
template <bool STAGGERED>
LONGLAG_INLINE void draw_lanes(const Asked& n, const Lineup& lineup, const Span& rows, int part,
                               std::uint64_t* state, float* to) {
  const Reals span = Reals{} + lineup.draws->span, low = Reals{} + lineup.draws->low;
  Whole begin{}, end{};
  std::int64_t latest = 0, earliest = rows.last;
  for (int k = 0; k < kWidth; ++k) {
    const std::int64_t from = rows.begin[part + k], until = rows.end[part + k];
    latest = from > latest ? from : latest;
    earliest = until < earliest ? until : earliest;
    begin[k] = static_cast<std::int32_t>(from - rows.first < 0 ? 0 : from - rows.first);
    const std::int64_t left = until < rows.last ? until - rows.first : rows.last - rows.first;
    end[k] = static_cast<std::int32_t>(left < 0 ? 0 : left);
  }
  const Whole odd = (begin & 1) != 0;
  Streams streams[2] = {};
  const auto each_word = [&](auto take) LONGLAG_LAMBDA {
    for (int half = 0; half < 2; ++half)
      for (int k = 0; k < kWords; ++k) take(streams[half], k, part + half * kWords + k);
  };
  const auto start = [&](Streams& s, int k, int lane) LONGLAG_LAMBDA {
    const std::uint64_t* words = lineup.streams[lane];
    s.a[k] = words ? words[0] : 0;
    s.b[k] = words ? words[1] : 0;
    s.c[k] = words ? words[2] : 0;
    s.counter[k] = 1;
  };
  if (rows.first == 0)
    each_word(start);
  else
    each_word([&](Streams& s, int k, int lane) LONGLAG_LAMBDA {
      s.a[k] = state[lane];
      s.b[k] = state[kGroup + lane];
      s.c[k] = state[2 * kGroup + lane];
      s.counter[k] = state[3 * kGroup + lane];
    });
  const int width = n.inputs * kGroup;
  Whole before{}, step{};  // the upper halves of the words before
  float* row = to + part;
  const auto put = [&](Whole half, bool whole) LONGLAG_LAMBDA {
    // Drawn numbers have 24 bits.
    const Reals unit = __builtin_convertvector((half >> 8) & 0xffffff, Reals) * 0x1p-24f;
    Reals x = span * unit + low;
    if (!whole) x = reinterpret_cast<Reals>(reinterpret_cast<Whole>(x) & (begin <= step) & (step < end));
    *reinterpret_cast<Reals*>(row) = x;
    for (int d = 1; d < n.inputs; ++d) *reinterpret_cast<Reals*>(row + d * kGroup) = Reals{};
    row += width;
    step += 1;
  };
  for (std::int64_t t = rows.first; t < rows.last; t += 2) {
    if (STAGGERED && t <= latest)  // lanes whose sequences begin at this step or the next
      each_word([&](Streams& s, int k, int lane) LONGLAG_LAMBDA {
        if (rows.begin[lane] / 2 * 2 == t) start(s, k, lane);
      });
    Whole lower, upper;
    part_halves(streams[0].next(), streams[1].next(), lower, upper);
    const bool whole = t >= latest && t + 2 <= earliest;
    put(STAGGERED ? (odd & before) | (~odd & lower) : lower, whole);
    if (t + 1 < rows.last) put(STAGGERED ? (odd & lower) | (~odd & upper) : upper, whole);
    before = upper;
  }
  each_word([&](const Streams& s, int k, int lane) LONGLAG_LAMBDA {
    state[lane] = s.a[k];
    state[kGroup + lane] = s.b[k];
    state[2 * kGroup + lane] = s.c[k];
    state[3 * kGroup + lane] = s.counter[k];
  });
}

// The inputs (last - first, D, 16) of a group's lanes; zero before a sequence's begin and after its
// end, and in lanes without one. state (4, 16): of the streams, where `first` is not 0 as the steps
// before left it.
template <bool STAGGERED>
__attribute__((noinline)) void draw_inputs(const Asked& n, const Lineup& lineup, const Span& rows,
                                           std::uint64_t* state, float* to) {
  for (int part = 0; part < lineup.lanes; part += kWidth)
    draw_lanes<STAGGERED>(n, lineup, rows, part, state, to);
  const int given = lineup.draws->given_count;
  for (int lane = 0; lane < lineup.lanes; ++lane)
    for (int m = 0; m < given && lineup.streams[lane]; ++m) {
      const std::int64_t step = lineup.at[lane][m];
      if (step < 0 || step >= rows.end[lane] - rows.begin[lane]) continue;
      const std::int64_t at = rows.begin[lane] + step;
      if (at < rows.first || at >= rows.last) continue;
      for (int d = 0; d < n.inputs; ++d)
        to[((at - rows.first) * n.inputs + d) * kGroup + lane] =
            lineup.given[lane][m * n.inputs + d];
    }
}

}  // namespace
}  // namespace longlag::LONGLAG_ISA
