#include "watch.hpp"

#include <utility>

namespace longlag {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{50};

}  // namespace

Watch::Watch(Ask ask)
    : ask_(std::move(ask)),
      caller_(std::this_thread::get_id()),
      next_(std::chrono::steady_clock::now() + kBetweenLooks) {}

bool Watch::ended(std::int64_t done) {
  if (done) done_.fetch_add(done, std::memory_order_relaxed);
  if (std::this_thread::get_id() == caller_) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= next_) {
      next_ = now + kBetweenLooks;
      if (ask_(share())) ended_.store(true, std::memory_order_relaxed);
    }
  }
  return ended_.load(std::memory_order_relaxed);
}

double Watch::share() const {
  const double done = static_cast<double>(done_.load(std::memory_order_relaxed));
  return expected ? done / static_cast<double>(expected) : 0.0;
}

bool ended(Watch* watch, std::int64_t done) { return watch && watch->ended(done); }

}  // namespace longlag
