// Blocks of memory, and the structs of arrays (group.hpp) that live in them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "group.hpp"

namespace longlag {

struct Free {
  void operator()(float* block) const { std::free(block); }
};
using Block = std::unique_ptr<float, Free>;

// Floats on a cache line's boundary; a large block asks for large pages.
inline Block block_of(std::int64_t floats) {
  constexpr std::size_t kLine = 64, kLarge = std::size_t{1} << 21;
  const std::size_t needed = std::max<std::size_t>(static_cast<std::size_t>(floats), 1) * 4;
  const bool large = needed >= 2 * kLarge;
  const std::size_t unit = large ? kLarge : kLine;
  const std::size_t bytes = (needed + unit - 1) / unit * unit;
  Block block(static_cast<float*>(std::aligned_alloc(unit, bytes)));
  if (!block) throw std::bad_alloc();
#if defined(__linux__)
  if (large) madvise(block.get(), bytes, MADV_HUGEPAGE);
#endif
  return block;
}

// A struct of arrays with the memory that they lie in.
template <typename W>
class Memory {
 public:
  template <typename... Sizes>
  explicit Memory(const Sizes&... sizes) {
    Arrays counted(nullptr);
    W::in(counted, sizes...);
    block_ = block_of(counted.used());
    Arrays given(block_.get());
    arrays_ = W::in(given, sizes...);
  }
  W& operator*() { return arrays_; }
  W* operator->() { return &arrays_; }

 private:
  Block block_;
  W arrays_;
};

}  // namespace longlag
