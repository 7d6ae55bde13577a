// Rounds of work on several threads: every item is done once a round, and is done when the round
// returns. Made for ThreadSanitizer; see test_kernel_threads.py.
#include <chrono>
#include <cstdio>
#include <vector>

#include "threads.hpp"

namespace {

bool every_item_once_a_round(int threads, std::int64_t items, int rounds) {
  std::vector<int> done(items);     // written by whoever takes the item, no atomics
  std::vector<int> taken(threads);  // by each thread
  int number = 0;                   // of the round, written between two rounds
  longlag::Crew crew(threads, items, [&](int thread, std::int64_t item) {
    // So that others come to take items, and are the last to end theirs.
    std::this_thread::sleep_for(std::chrono::microseconds(thread == 0 ? 20 : 60));
    ++taken[thread];
    done[item] += number - done[item];
  });
  for (number = 1; number <= rounds; ++number) {
    crew.round([] {});
    for (const int last : done)
      if (last != number) return false;
  }
  std::int64_t all = 0;
  for (const int count : taken) all += count;
  return all == items * rounds;
}

}  // namespace

int main() {
  for (const int threads : {1, 2, 5})
    for (const std::int64_t items : {1, 2, 7})
      for (const int rounds : {0, 1, 300})
        if (!every_item_once_a_round(threads, items, rounds)) {
          std::printf("%d threads, %d items, %d rounds\n", threads, int(items), rounds);
          return 1;
        }
}
