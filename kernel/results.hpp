// Arrays that the bindings make or copy.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arguments.hpp"

namespace longlag {

template <typename T>
class Result {
 public:
  explicit Result(std::vector<std::size_t> shape) : shape_(std::move(shape)) {
    std::size_t count = 1;
    for (const std::size_t extent : shape_) count *= extent;
    data_ = std::make_unique<T[]>(count);
  }
  T* data() const { return data_.get(); }
  // The first `rows` of it, as an array that owns the memory.
  nb::object array(std::size_t rows) {
    shape_[0] = rows;
    T* data = data_.release();
    const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return nb::cast(nb::ndarray<nb::numpy, T>(data, shape_.size(), shape_.data(), owner));
  }
  nb::object array() { return array(shape_[0]); }

 private:
  std::vector<std::size_t> shape_;
  std::unique_ptr<T[]> data_;
};

// A copy: lengths are addresses in the end, and another thread might write to the array.
inline std::vector<std::int64_t> checked_lengths(const Array& lengths, std::int64_t steps) {
  const std::int64_t* first = lengths.data<const std::int64_t>();
  std::vector<std::int64_t> copy(first, first + lengths.size());
  for (std::size_t k = 0; k < copy.size(); ++k)
    if (copy[k] < 1 || copy[k] > steps)
      refuse("lengths", std::to_string(copy[k]) + " at flat position " + std::to_string(k),
             "from 1 to the number of steps, " + std::to_string(steps) + ", throughout");
  return copy;
}

}  // namespace longlag
