// Arguments that the bindings of both networks take: what is asked, and inputs of either kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "group.hpp"

namespace longlag {

inline Asked asked_of(nb::handle input_size, nb::handle output_size, nb::handle symbols,
                      nb::handle every, nb::handle sigmoid_output) {
  return {static_cast<int>(integer(input_size, "input_size", 1, kMaxInputs)),
          static_cast<int>(integer(output_size, "output_size", 1, kMaxInputs)),
          flag(symbols, "symbols"), flag(every, "every"),
          flag(sigmoid_output, "sigmoid_output")};
}

// Inputs that are drawn: (streams (..., 3), at (..., M), given (..., M, D), T, low, span); `lead` is
// the shape (..., T).
class Drawn {
 public:
  Drawn(const Asked& n, nb::tuple all, const std::vector<Extent>& lead)
      : axes_(static_cast<int>(lead.size())),
        streams_(all[0], "streams", Element::kUint64, shape(lead, {3})),
        at_(all[1], "at", Element::kInt64, shape(as_many(), {"M"})),
        given_(all[2], "given", Element::kFloat32,
               shape(as_many(), {at_.extent(axes_ - 1), n.inputs})),
        steps_(integer(all[3], "steps", 1, kMostSteps)),
        low_(static_cast<float>(real(all[4], "low", is_float, kFloat))),
        span_(static_cast<float>(real(all[5], "span", is_float, kFloat))) {
    given_.require_finite();
  }
  std::int64_t extent(int axis) const {
    return axis == axes_ - 1 ? steps_ : streams_.extent(axis);
  }
  Draws draws() const {
    return {streams_.data<const std::uint64_t>(), at_.data<const std::int64_t>(),
            given_.data<const float>(), static_cast<int>(at_.extent(axes_ - 1)), low_, span_};
  }

 private:
  static constexpr std::int64_t kMostSteps = std::int64_t{1} << 30;
  static constexpr const char* kFloat = "a number that float32 can hold";
  static bool is_float(double x) {
    return x >= -std::numeric_limits<float>::max() && x <= std::numeric_limits<float>::max();
  }
  std::vector<Extent> as_many() const {
    std::vector<Extent> lead;
    for (int axis = 0; axis < axes_; ++axis) lead.emplace_back(streams_.extent(axis));
    return lead;
  }
  static std::vector<Extent> shape(std::vector<Extent> lead, const std::vector<Extent>& own) {
    lead.pop_back();  // of steps
    lead.insert(lead.end(), own.begin(), own.end());
    return lead;
  }

  int axes_;
  Array streams_, at_, given_;
  std::int64_t steps_;
  float low_, span_;
};

// Inputs (..., D) float32, symbols (...) int64, or inputs that are drawn, a tuple; `lead` being the
// shape without D.
class Given {
 public:
  Given(const Asked& n, nb::handle object, std::vector<Extent> lead) {
    if (!n.symbols && nb::isinstance<nb::tuple>(object) && nb::len(object) == 6) {
      drawn_.emplace(n, nb::borrow<nb::tuple>(object), lead);
      return;
    }
    array_.emplace(object, "inputs", n.symbols ? Element::kInt64 : Element::kFloat32,
                   shape(n, std::move(lead)));
    if (!n.symbols) {
      array_->require_finite();
      return;
    }
    // A copy: symbols are addresses in the end, and another thread might write to the array.
    const std::int64_t* first = array_->data<const std::int64_t>();
    symbols_.resize(array_->size());
    for (std::size_t k = 0; k < symbols_.size(); ++k) {
      if (first[k] < 0 || first[k] >= n.inputs)
        refuse("inputs", std::to_string(first[k]) + " at flat position " + std::to_string(k),
               "symbols from 0 to " + std::to_string(n.inputs - 1) + " throughout");
      symbols_[k] = static_cast<std::int32_t>(first[k]);
    }
  }
  std::int64_t extent(int axis) const {
    return drawn_ ? drawn_->extent(axis) : array_->extent(axis);
  }
  const float* inputs() const {
    return array_ && symbols_.empty() ? array_->data<const float>() : nullptr;
  }
  const std::int32_t* symbols() const { return symbols_.data(); }
  Draws draws() const { return drawn_ ? drawn_->draws() : Draws{}; }

 private:
  static std::vector<Extent> shape(const Asked& n, std::vector<Extent> lead) {
    if (!n.symbols) lead.emplace_back(std::int64_t{n.inputs});
    return lead;
  }

  std::optional<Array> array_;
  std::optional<Drawn> drawn_;
  std::vector<std::int32_t> symbols_;
};

// Steps (..., T) bool, of sequences whose every step is answered; or None.
class Steps {
 public:
  Steps(const Asked& n, nb::handle object, const char* name, std::vector<Extent> shape) {
    if (object.is_none()) return;
    if (!n.every) refuse(name, "steps where the last one alone is answered", "None");
    array_.emplace(object, name, Element::kBool, std::move(shape));
  }
  const unsigned char* data() const {
    return array_ ? array_->data<const unsigned char>() : nullptr;
  }

 private:
  std::optional<Array> array_;
};

// Which steps of sequences count: at least one in each run of `together` of them.
class Counted : public Steps {
 public:
  Counted(const Asked& n, nb::handle object, std::vector<Extent> shape,
          const std::vector<std::int64_t>& lengths, std::int64_t steps, std::int64_t together)
      : Steps(n, object, "counted", std::move(shape)) {
    for (std::size_t first = 0; data() && first < lengths.size(); first += together) {
      bool any = false;
      for (std::size_t b = first; b < first + together; ++b)
        for (std::int64_t t = 0; t < lengths[b]; ++t) any |= data()[b * steps + t] != 0;
      if (!any)
        refuse("counted", "false throughout from sequence " + std::to_string(first) + " on",
               together > 1 ? "true at a step of every batch" : "true at a step of every sequence");
    }
  }
};

// The shape of answers and targets to `lead` sequences of so many steps: no axis of one output.
template <typename Size>
std::vector<Size> answers_shape(const Asked& n, std::vector<Size> lead, std::int64_t steps) {
  if (n.every) lead.push_back(Size(steps));
  if (n.outputs > 1) lead.push_back(Size(std::int64_t{n.outputs}));
  return lead;
}

}  // namespace longlag
