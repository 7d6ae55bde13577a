// Work on several threads.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "denormals.hpp"

namespace longlag {

// Runs work(0), work(1), ... each on a thread of its own, on up to `threads` of them, fewer where
// the system has no more; ready is told how many before any begins. Neither must throw.
inline void on_threads(
    int threads, const std::function<void(int)>& work,
    const std::function<void(int)>& ready = [](int) {}) {
  const auto guarded = [&](int thread) {
    const DenormalsAreZero denormals_are_zero;
    work(thread);
  };
  std::atomic<bool> start{false};
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(threads));
  try {
    for (int n = 1; n < threads; ++n)
      others.emplace_back([&, n] {
        while (!start.load(std::memory_order_acquire)) std::this_thread::yield();
        guarded(n);
      });
  } catch (const std::exception&) {
  }
  ready(static_cast<int>(others.size()) + 1);
  start.store(true, std::memory_order_release);
  guarded(0);
  for (std::thread& other : others) other.join();
}

}  // namespace longlag
