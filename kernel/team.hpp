// Threads that each have a workspace.
#pragma once

#include <functional>
#include <vector>

#include "memory.hpp"
#include "threads.hpp"
#include "watch.hpp"

namespace longlag {

// A crew (threads.hpp) for groups of sequences; the sizes are those of the workspaces.
template <typename Workspace>
class Team {
 public:
  using Work = std::function<void(Workspace&, std::int64_t group)>;

  template <typename... Sizes>
  Team(int threads, std::int64_t groups, const Sizes&... sizes)
      : own_(made(threads, sizes...)),
        crew_(threads, groups,
              [this](int thread, std::int64_t group) { (*work_)(*own_[thread], group); }) {}

  // Every group once; returns when all are done. The caller looks at the watch while it waits.
  void round(Watch* watch, const Work& work) {
    work_ = &work;
    crew_.round([watch] { ended(watch); });
  }

 private:
  template <typename... Sizes>
  static std::vector<Memory<Workspace>> made(int threads, const Sizes&... sizes) {
    std::vector<Memory<Workspace>> own;
    for (int n = 0; n < threads; ++n) own.emplace_back(sizes...);
    return own;
  }

  std::vector<Memory<Workspace>> own_;
  const Work* work_ = nullptr;
  Crew crew_;
};

}  // namespace longlag
