// longlag._kernel, stack distances: checks every argument, releases the interpreter, calls the
// algorithm.
#include "movement_bindings.hpp"

#include "arguments.hpp"
#include "freely.hpp"
#include "movement.hpp"
#include "results.hpp"

namespace longlag {
namespace {

constexpr std::int64_t kMostLoaded = std::int64_t{1} << 30;
constexpr std::int64_t kMostOperands = 16;  // of an instruction

[[noreturn]] void refuse_code(std::int64_t code, std::int64_t at, const char* allowed) {
  refuse("stream", std::to_string(code) + " at position " + std::to_string(at), allowed);
}

// A copy, since another thread might write to the array: the codes are addresses in the end.
struct CheckedStream {
  CheckedStream(const Array& stream, std::int64_t loaded)
      : codes(stream.data<const std::int64_t>(),
              stream.data<const std::int64_t>() + stream.size()),
        values(loaded) {
    std::int64_t operands = 0;
    for (std::int64_t k = 0; k < stream.size(); ++k) {
      const bool last = k + 1 == stream.size();
      if (codes[k] < kReturn || codes[k] >= values)
        refuse_code(codes[k], k, "of reads of values that are there, and of codes from -3 to -1");
      if ((codes[k] == kReturn) != last)
        refuse_code(codes[k], k, "such that -3 stands at its end, and there alone");
      if (codes[k] >= 0) {
        ++operands;
        continue;
      }
      if (!last && operands > kMostOperands)
        refuse_code(codes[k], k, "of instructions of at most 16 reads each");
      if (!last) reads += operands;
      values += codes[k] == kResult;
      operands = 0;
    }
  }

  std::vector<std::int64_t> codes;
  std::int64_t values, reads = 0;
};

nb::object py_stack_depths(nb::handle stream, nb::handle loaded) {
  const std::int64_t before = integer(loaded, "loaded", 0, kMostLoaded);
  const CheckedStream checked(Array(stream, "stream", Element::kInt64, {"N"}), before);
  Result<std::int64_t> depths({static_cast<std::size_t>(checked.reads)});
  freely([&](Watch* watch) {
    stack_depths({checked.codes.data(), static_cast<std::int64_t>(checked.codes.size()), before,
                  checked.values},
                 depths.data(), watch);
  });
  return depths.array();
}

constexpr const char* kDoc =
    "Depths (R,) int64, 1 at the top, of the R reads of a trace on an LRU stack with liveness.\n\n"
    "stream (N,) int64: a number from 0 up is the read of that value; -1 ends an instruction\n"
    "that makes a value, -2 one that makes none; -3 ends the stream, and the values before it\n"
    "are returned, not read. Values are numbered in the order made, after the `loaded` ones,\n"
    "of which 0 lies at the bottom. A value leaves the stack with its last read; one that is\n"
    "never read is not on it.";

}  // namespace

void add_movement(nb::module_& module) {
  using namespace nb::literals;
  module.def("stack_depths", &py_stack_depths, "stream"_a.none(), "loaded"_a.none(), kDoc);
}

}  // namespace longlag
