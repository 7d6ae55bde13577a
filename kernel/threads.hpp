// Rounds of work, shared among threads that nobody waits for.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "denormals.hpp"

namespace longlag {

// A thread takes part where so many operations of a round fall to it, some 20 µs: to take an item
// from another core and to find all of them done costs 2 to 4 µs.
constexpr double kOperationsAThread = 2e6;

// How many threads a round is worth: no more than asked for, than there are items, and than this
// process has cores.
inline int useful_threads(int asked, std::int64_t items, double operations_an_item) {
  static const double cores = std::max(1u, std::thread::hardware_concurrency());  // 8 µs
  const double worth = static_cast<double>(items) * operations_an_item / kOperationsAThread;
  return std::max(1, static_cast<int>(std::min(
                         {static_cast<double>(asked), static_cast<double>(items), worth, cores})));
}

// A round is work(thread, item) for each of `items` items, taken one by one by whichever thread is
// free: the caller's, which is thread 0, or one of threads - 1 others. One that the system puts
// aside, or does not have, takes nothing and holds up nobody. The work must not throw.
class Crew {
 public:
  using Work = std::function<void(int thread, std::int64_t item)>;

  Crew(int threads, std::int64_t items, Work work)
      : shared_(std::make_shared<Shared>(items, std::move(work))) {
    try {
      for (int n = 1; n < threads; ++n)
        std::thread([shared = shared_, n] { shared->help(n); }).detach();
    } catch (const std::exception&) {
    }
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  // The others see it when the system next lets them run, and touch nothing but what they share.
  ~Crew() { shared_->over.store(true, std::memory_order_relaxed); }

  // Returns when every item is done; meanwhile() is called while others are at the last ones.
  void round(const std::function<void()>& meanwhile) { shared_->round(meanwhile); }

 private:
  // A thread waits for microseconds, so it spins at first; then it gives way, perhaps to the one
  // that it waits for.
  class Patience {
   public:
    // True: it gave way.
    bool wait() {
      if (spins_ == kSpins) {
        std::this_thread::yield();
        return true;
      }
      ++spins_;
#if defined(__x86_64__)
      _mm_pause();
#endif
      return false;
    }

   private:
    static constexpr int kSpins = 50;
    int spins_ = 0;
  };

  struct Shared {
    Shared(std::int64_t items, Work work)
        : items(items), work(std::move(work)), next(items), done(items) {}

    void round(const std::function<void()>& meanwhile) {
      done.store(0, std::memory_order_relaxed);
      next.store(0, std::memory_order_release);
      take(0);
      for (Patience patience; done.load(std::memory_order_acquire) < items;)
        if (patience.wait()) meanwhile();
    }

    void help(int thread) {
      for (Patience patience; !over.load(std::memory_order_relaxed); patience.wait())
        if (next.load(std::memory_order_relaxed) < items) {
          take(thread);
          patience = Patience();
        }
    }

    void take(int thread) {
      const DenormalsAreZero denormals_are_zero;
      for (std::int64_t item; (item = next.fetch_add(1, std::memory_order_acquire)) < items;) {
        work(thread, item);
        done.fetch_add(1, std::memory_order_release);
      }
    }

    const std::int64_t items;
    const Work work;
    alignas(64) std::atomic<std::int64_t> next;  // item; `items` or more: all are taken
    alignas(64) std::atomic<std::int64_t> done;
    alignas(64) std::atomic<bool> over{false};
  };

  std::shared_ptr<Shared> shared_;
};

}  // namespace longlag
