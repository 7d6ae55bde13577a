#include "watch.hpp"

namespace longlag {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{50};

}  // namespace

Watch::Watch(bool (*ask)())
    : ask_(ask),
      caller_(std::this_thread::get_id()),
      next_(std::chrono::steady_clock::now() + kBetweenLooks) {}

bool Watch::ended() {
  if (std::this_thread::get_id() == caller_) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= next_) {
      next_ = now + kBetweenLooks;
      if (ask_()) ended_.store(true, std::memory_order_relaxed);
    }
  }
  return ended_.load(std::memory_order_relaxed);
}

bool ended(Watch* watch) { return watch && watch->ended(); }

}  // namespace longlag
