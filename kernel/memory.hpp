// Blocks of memory, and the structs of arrays (group.hpp) that live in them.
#pragma once

#include <cstdint>
#include <utility>

#include "group.hpp"

namespace longlag {

// Floats of any value, on a cache line's boundary. A large block lies on large pages where the
// system has them, and is kept when it is done with, for the next that fits: to clear new pages
// costs a third of an iteration at T = 10,000.
class Block {
 public:
  Block() = default;
  explicit Block(std::int64_t floats);
  Block(Block&& other) noexcept { *this = std::move(other); }
  Block& operator=(Block&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Block();
  float* get() const { return data_; }

 private:
  float* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// A struct of arrays with the memory that they lie in.
template <typename W>
class Memory {
 public:
  template <typename... Sizes>
  explicit Memory(const Sizes&... sizes) {
    Arrays counted(nullptr);
    W::in(counted, sizes...);
    block_ = Block(counted.used());
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
