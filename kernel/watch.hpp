// Whether a signal, such as Ctrl-C, ends a call that runs beside the interpreter.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

namespace longlag {

// Thrown out of a call that is to end; what it was to write is then unfinished.
struct Ended {};

// Every thread of a call looks at it from time to time. The caller's asks the interpreter, twenty
// times a second at most; the others are told.
class Watch {
 public:
  // `ask` says whether the call must end.
  explicit Watch(bool (*ask)());
  bool ended();

 private:
  bool (*const ask_)();
  const std::thread::id caller_;
  std::chrono::steady_clock::time_point next_;
  std::atomic<bool> ended_{false};
};

// The same where nobody may watch.
bool ended(Watch* watch);

}  // namespace longlag
