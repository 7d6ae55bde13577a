#include "movement.hpp"

#include <algorithm>
#include <limits>

namespace longlag {
namespace {

constexpr std::int64_t kInstructionsBetweenLooks = 4096;
constexpr std::int64_t kNever = -1, kForever = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeastSlots = 1024;

// A value occupies a slot, a later one the nearer it is to the top; a Fenwick tree counts the
// occupied ones. When the slots run out the values are moved together.
class Stack {
 public:
  explicit Stack(std::int64_t values) : slot_(values) { rebuild(); }

  std::int64_t depth(std::int64_t value) const {
    std::int64_t below = 0;  // values in earlier slots
    for (std::int64_t slot = slot_[value]; slot; slot &= slot - 1) below += tree_[slot];
    return size_ - below;
  }

  void push(std::int64_t value) {
    if (next_ == slots()) rebuild();
    slot_[value] = next_;
    owner_[next_++] = value;
    count(next_, 1);
  }

  void remove(std::int64_t value) {
    owner_[slot_[value]] = kNever;
    count(slot_[value] + 1, -1);
  }

 private:
  std::int64_t slots() const { return static_cast<std::int64_t>(owner_.size()); }

  void count(std::int64_t node, std::int64_t change) {
    size_ += change;
    for (; node <= slots(); node += node & -node) tree_[node] += change;
  }

  void rebuild() {
    owner_.erase(std::remove(owner_.begin(), owner_.end(), kNever), owner_.end());
    next_ = slots();
    for (std::int64_t k = 0; k < next_; ++k) slot_[owner_[k]] = k;
    owner_.resize(std::max(kLeastSlots, 2 * next_), kNever);
    tree_.assign(owner_.size() + 1, 0);
    for (std::int64_t node = 1; node <= slots(); ++node) {
      tree_[node] += node <= next_;
      const std::int64_t parent = node + (node & -node);
      if (parent <= slots()) tree_[parent] += tree_[node];
    }
  }

  std::vector<std::int64_t> slot_, owner_, tree_;
  std::int64_t next_ = 0, size_ = 0;
};

// The instruction of each value's last read.
std::vector<std::int64_t> last_instructions(const MovementTrace& trace) {
  std::vector<std::int64_t> last(trace.values, kNever);
  std::int64_t now = 0, first = 0;
  for (std::int64_t k = 0; k < trace.length; ++k) {
    if (trace.stream[k] >= 0) continue;
    for (; first < k; ++first)
      last[trace.stream[first]] = trace.stream[k] == kReturn ? kForever : now;
    first = k + 1;
    ++now;
  }
  return last;
}

// Moves the operands to the top in the order read, or off the stack after their last read.
void touch(Stack& stack, const std::int64_t* operands, std::int64_t count,
           const std::vector<std::int64_t>& last, std::int64_t now) {
  for (std::int64_t n = 0; n < count; ++n) {
    const std::int64_t value = operands[n];
    if (std::find(operands, operands + n, value) != operands + n) continue;  // a repeated one
    stack.remove(value);
    if (last[value] > now) stack.push(value);
  }
}

}  // namespace

void stack_depths(const MovementTrace& trace, std::int64_t* depths, Watch* watch) {
  const std::vector<std::int64_t> last = last_instructions(trace);
  Stack stack(trace.values);
  for (std::int64_t value = 0; value < trace.loaded; ++value)
    if (last[value] != kNever) stack.push(value);
  std::int64_t made = trace.loaded, now = 0, first = 0;
  for (std::int64_t k = 0; trace.stream[k] != kReturn; ++k) {
    const std::int64_t code = trace.stream[k];
    if (code >= 0) continue;
    if (now % kInstructionsBetweenLooks == 0 && ended(watch)) throw Ended{};
    for (std::int64_t n = first; n < k; ++n) *depths++ = stack.depth(trace.stream[n]);
    touch(stack, trace.stream + first, k - first, last, now++);
    if (code == kResult) {
      if (last[made] != kNever) stack.push(made);
      ++made;
    }
    first = k + 1;
  }
}

}  // namespace longlag
