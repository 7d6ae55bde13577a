// From sequences to lanes. Nothing here is shared between translation units.
#pragma once

#include "group.hpp"

namespace longlag {
namespace {

typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));

// A run of floats that stands in a lane from row `start` on, with zeros before and after; null: none.
struct Run {
  const float* from;
  std::int64_t start, end;  // rows

  // Writes the rows first..last - 1.
  void put(std::int64_t first, std::int64_t last, float* lane) const {
    const std::int64_t begin = start < first ? first : start < last ? start : last;
    const std::int64_t stop = end < begin ? begin : end < last ? end : last;
    for (std::int64_t k = first; k < begin; ++k) lane[k * kGroup] = 0.0f;
    for (std::int64_t k = begin; k < stop; ++k) lane[k * kGroup] = from[k - start];
    for (std::int64_t k = stop; k < last; ++k) lane[k * kGroup] = 0.0f;
  }
};

// Four rows of four: columns become rows.
LONGLAG_SHARED void transpose(const Quad (&in)[4], Quad (&out)[4]) {
  const Quad a = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5);
  const Quad b = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7);
  const Quad c = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5);
  const Quad d = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
  out[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
  out[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
  out[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
  out[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

// Four runs to `rows` rows of four lanes.
void lay_out_four(const Run* runs, std::int64_t rows, float* to) {
  const float* some = nullptr;
  std::int64_t begin = 0, end = rows;  // where no run begins or ends
  for (int n = 0; n < 4; ++n) {
    if (!runs[n].from) continue;
    some = runs[n].from;
    if (runs[n].start > begin) begin = runs[n].start;
    if (runs[n].end < end) end = runs[n].end;
  }
  if (!some) {
    for (std::int64_t k = 0; k < rows; ++k) *reinterpret_cast<Quad*>(to + k * kGroup) = Quad{};
    return;
  }
  const float* from[4];  // of row `begin`
  for (int n = 0; n < 4; ++n)
    from[n] = runs[n].from ? runs[n].from + (begin - runs[n].start) : some;
  std::int64_t row = begin;
  for (; row + 4 <= end; row += 4) {
    Quad in[4], out[4];
    for (int n = 0; n < 4; ++n) in[n] = *reinterpret_cast<const Quad*>(from[n] + (row - begin));
    transpose(in, out);
    for (int n = 0; n < 4; ++n) *reinterpret_cast<Quad*>(to + (row + n) * kGroup) = out[n];
  }
  for (int n = 0; n < 4; ++n) {
    runs[n].put(0, begin, to + n);
    runs[n].put(runs[n].from ? row : begin, rows, to + n);
  }
}

void lay_out(const Run (&runs)[kGroup], int lanes, std::int64_t rows, float* to) {
  for (int first = 0; first < lanes; first += 4) lay_out_four(runs + first, rows, to + first);
}

}  // namespace
}  // namespace longlag
