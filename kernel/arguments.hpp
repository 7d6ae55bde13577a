// Arguments from Python, checked: each refusal is a ValueError of one sentence that names the
// argument, what was given, and what is allowed.
//
// Arrays are taken through the buffer protocol, which tells everything there is to check, and
// holds the memory in place while the interpreter runs other threads.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "isas.hpp"

namespace longlag {

namespace nb = nanobind;

[[noreturn]] void refuse(const std::string& name, const std::string& given,
                         const std::string& allowed);

// What a shape entry must be: a size, or any size of at least 1, by its letter.
struct Extent {
  Extent(std::int64_t size) : size(size) {}
  Extent(const char* letter) : letter(letter) {}
  std::int64_t size = -1;
  const char* letter = nullptr;
};

enum class Element { kFloat32, kFloat64, kInt64, kUint64, kBool };

class Array {
 public:
  Array(nb::handle object, const char* name, Element element, std::vector<Extent> shape,
        bool writable = false);
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { PyBuffer_Release(&view_); }

  std::int64_t extent(int axis) const { return view_.shape[axis]; }
  std::int64_t size() const { return view_.len / view_.itemsize; }
  template <typename T>
  T* data() const {
    return static_cast<T*>(view_.buf);
  }
  const char* name() const { return name_; }
  bool overlaps(const Array& other) const;
  void require_finite() const;

 private:
  const char* name_;
  Py_buffer view_;
};

std::int64_t integer(nb::handle object, const char* name, std::int64_t least, std::int64_t most);
bool flag(nb::handle object, const char* name);
void require_callable(nb::handle object, const char* name);  // or None
std::string choice(nb::handle object, const char* name, const std::vector<std::string>& allowed);

std::vector<std::string> isa_names();
const Isa& chosen_isa(nb::handle object);  // the argument "isa"

// A real number for which `accepts` holds; `allowed` says in words which those are.
double real(nb::handle object, const char* name, bool (*accepts)(double), const char* allowed);

}  // namespace longlag
