// Whether a signal, such as Ctrl-C, ends a call that runs beside the interpreter, and how much of it
// is done.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>

namespace longlag {

// Thrown out of a call that is to end; what it was to write is then unfinished.
struct Ended {};

// Every thread of a call looks at it from time to time. The caller's asks the interpreter, twenty
// times a second at most; the others are told.
class Watch {
 public:
  // `ask` says whether the call must end; it is told the share of `expected` that is done.
  using Ask = std::function<bool(double share)>;
  explicit Watch(Ask ask);
  // done: by this thread since its last look, in the unit of `expected`.
  bool ended(std::int64_t done = 0);
  std::int64_t expected = 0;  // 0: not known

 private:
  double share() const;

  const Ask ask_;
  const std::thread::id caller_;
  std::chrono::steady_clock::time_point next_;
  std::atomic<bool> ended_{false};
  std::atomic<std::int64_t> done_{0};
};

// The same where nobody may watch.
bool ended(Watch* watch, std::int64_t done = 0);

}  // namespace longlag
