#include "online_driver.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

#include "denormals.hpp"
#include "isas.hpp"
#include "threads.hpp"

namespace longlag {

#define LONGLAG_DECLARE(isa)               \
  namespace isa {                          \
  extern const OnlineKernel kOnlineKernel; \
  }
LONGLAG_EACH_ISA(LONGLAG_DECLARE)

const OnlineKernel& online_kernel_of(const std::string& name) {
#define LONGLAG_CHOOSE(isa) \
  if (name == #isa) return isa::kOnlineKernel;
  LONGLAG_EACH_ISA(LONGLAG_CHOOSE)
  std::abort();  // the bindings have checked the name
}

namespace {

struct alignas(4 * kGroup) Row {
  float lane[kGroup];
};
static_assert(sizeof(Row) == sizeof(float) * kGroup);

class Rows {
 public:
  explicit Rows(std::int64_t count) : rows_(static_cast<std::size_t>(count)) {}
  float* data() { return rows_.data()->lane; }
  Row& operator[](std::int64_t k) { return rows_[static_cast<std::size_t>(k)]; }
  void clear_lane(int lane) {
    for (Row& row : rows_) row.lane[lane] = 0.0f;
  }

 private:
  std::vector<Row> rows_;
};

typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));

// The next four floats of each of four sequences, to four rows.
void transpose(const float* (&from)[4], float* to) {
  const auto load = [&](int n) {
    const Quad four = *reinterpret_cast<const Quad*>(from[n]);
    from[n] += 4;
    return four;
  };
  const auto row = [&](int n) -> Quad& { return *reinterpret_cast<Quad*>(to + n * kGroup); };
  const Quad a = load(0), b = load(1), c = load(2), d = load(3);
  const Quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Quad cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Quad ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Quad cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  row(0) = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  row(1) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  row(2) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
  row(3) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

// One sequence for each of up to sixteen lanes, aligned at their ends.
struct Lineup {
  const float* inputs[kGroup];
  std::int64_t lengths[kGroup];
  bool used[kGroup];
};

// What one thread works in: a group's data, and the kernel's memory.
class Desk {
 public:
  Desk(const OnlineSetting& setting, std::int64_t steps, bool full, bool keep)
      : setting_(setting),
        full_(full),
        keep_(keep),
        x_(2 * (1 + steps)),
        live_(steps),
        record_((1 + (keep ? steps : 1)) * record_rows(setting.cells, full)),
        squashed_(cell_count(setting.cells)),
        scaled_(weight_count(setting.cells)),
        gradient_(keep ? weight_count(setting.cells) : 1),
        deltas_(keep ? std::int64_t{kOnlineChunk} * unit_count(setting.cells) : 1),
        carried_(unit_count(setting.cells) + cell_count(setting.cells)) {}

  OnlineWorkspace workspace() {
    return {x_.data(),      live_.data(),     record_.data(), squashed_.data(),
            scaled_.data(), gradient_.data(), deltas_.data(), carried_.data()};
  }

  // Lanes that were used and are not any more keep a sequence of zeros.
  void free_lane(int lane) {
    x_.clear_lane(lane);
    scaled_.clear_lane(lane);
  }

  Span gather(const Lineup& lineup) {
    // An output unit that reads the previous step's cells never sees the last pair.
    const std::int64_t unread = setting_.reads_current ? 0 : 1;
    std::int64_t longest = 1, shortest = std::numeric_limits<std::int64_t>::max();
    for (int lane = 0; lane < kGroup; ++lane)
      if (lineup.used[lane]) {
        longest = std::max(longest, lineup.lengths[lane] - unread);
        shortest = std::min(shortest, lineup.lengths[lane] - unread);
      }
    const Span span{longest, longest - std::min(longest, shortest), full_, keep_};
    std::int64_t starts[kGroup] = {};
    for (int lane = 0; lane < kGroup; ++lane) {
      if (lineup.used[lane]) starts[lane] = longest - (lineup.lengths[lane] - unread);
      for (std::int64_t t = 0; t < span.staggered; ++t)
        live_[t].lane[lane] = t < starts[lane] ? 0.0f : 1.0f;
    }
    for (int lane = 0; lane < kGroup; lane += 4) place(lineup, starts, lane, longest);
    return span;
  }

 private:
  // The inputs of four lanes from their starts on; zeros before.
  void place(const Lineup& lineup, const std::int64_t* starts, int first, std::int64_t end) {
    const std::int64_t together = 2 * *std::max_element(starts + first, starts + first + 4);
    const float* from[4] = {};  // what comes next in each lane
    bool all = true;
    for (int n = 0; n < 4; ++n) {
      const int lane = first + n;
      all = all && lineup.used[lane];
      if (!lineup.used[lane]) continue;
      from[n] = lineup.inputs[lane];
      for (std::int64_t k = 0; k < 2 * starts[lane]; ++k) input(k)[lane] = 0.0f;
      for (std::int64_t k = 2 * starts[lane]; k < together; ++k) input(k)[lane] = *from[n]++;
    }
    std::int64_t k = together;
    for (; all && k + 4 <= 2 * end; k += 4) transpose(from, input(k) + first);
    for (; k < 2 * end; ++k)
      for (int n = 0; n < 4; ++n)
        if (lineup.used[first + n]) input(k)[first + n] = *from[n]++;
  }

  float* input(std::int64_t k) { return x_[k].lane; }

  const OnlineSetting& setting_;
  bool full_, keep_;
  Rows x_, live_, record_, squashed_, scaled_, gradient_, deltas_, carried_;
};

// Sixteen trials on one thread, sequence by sequence.
class TrialGroup {
 public:
  TrialGroup(const OnlineSetting& setting, const OnlineTraining& training)
      : setting_(setting),
        training_(training),
        weights_count_(weight_count(setting.cells)),
        desk_(setting, training.steps, training.full_gradient, true),
        weights_(weights_count_),
        next_(weights_count_) {}

  void run(std::int64_t first) {
    start(first);
    for (std::int64_t k = 0; k < training_.sequences && learning_ > 0; ++k) learn(k);
    for (int lane = 0; lane < kGroup; ++lane)
      if (lineup_.used[lane]) retire(lane, weights_);
  }

 private:
  std::int64_t trial(int lane) const { return first_ + lane; }

  void start(std::int64_t first) {
    first_ = first;
    learning_ = 0;
    const std::int64_t last_stop = training_.stopping.count - 1;
    for (int lane = 0; lane < kGroup; ++lane) {
      const bool used = trial(lane) < training_.trials &&
                        training_.stops[trial(lane) * training_.stopping.count + last_stop] < 0;
      lineup_.used[lane] = used;
      rates_.lane[lane] = used ? training_.rate : 0.0f;
      targets_.lane[lane] = 0.0f;
      learning_ += used;
      weights_.clear_lane(lane);
      desk_.free_lane(lane);
      if (used)
        for (std::int64_t p = 0; p < weights_count_; ++p)
          weights_[p].lane[lane] = training_.weights[trial(lane) * weights_count_ + p];
    }
    setting_.kernel->scale(weights_count_, weights_.data(), desk_.workspace().scaled);
  }

  void learn(std::int64_t k) {
    for (int lane = 0; lane < kGroup; ++lane)
      if (lineup_.used[lane]) {
        const std::int64_t at = trial(lane) * training_.sequences + k;
        lineup_.inputs[lane] = training_.inputs + at * training_.steps * 2;
        lineup_.lengths[lane] = training_.lengths[at];
        targets_.lane[lane] = training_.targets[at];
      }
    const Span span = desk_.gather(lineup_);
    const OnlineWorkspace work = desk_.workspace();
    setting_.kernel->forward(setting_.cells, span, work, answers_.lane);
    setting_.kernel->gradient(setting_.cells, span, work, weights_.data(), answers_.lane,
                              targets_.lane);
    setting_.kernel->update(weights_count_, work, rates_.lane, weights_.data(), next_.data(),
                            faults_.lane);
    for (int lane = 0; lane < kGroup; ++lane)
      if (lineup_.used[lane]) settle(lane, k);
    std::swap(weights_, next_);
  }

  // Books the sequence that `next_` has been made from.
  void settle(int lane, std::int64_t k) {
    if (!(faults_.lane[lane] == 0.0f)) return retire(lane, weights_);  // it never happened
    const std::int64_t n = trial(lane);
    const float error = answers_.lane[lane] - targets_.lane[lane];
    training_.outputs[n * training_.sequences + k] = answers_.lane[lane];
    float& oldest = training_.recent[n * training_.ring + training_.seen[n] % training_.ring];
    training_.wrong[n] += is_wrong(error) - is_wrong(oldest);
    oldest = error;
    const std::int64_t seen = ++training_.seen[n];
    if (seen >= training_.ring && seen % training_.stopping.check_every == 0 && stop(lane))
      retire(lane, next_);
  }

  bool is_wrong(float error) const {
    return std::fabs(static_cast<double>(error)) > training_.stopping.tolerance;
  }

  // Notes the thresholds that trial `lane` has fallen below; true: the last one, too.
  bool stop(int lane) {
    const std::int64_t n = trial(lane), count = training_.stopping.count;
    for (std::int64_t s = 0; s < count; ++s) {
      std::int64_t& when = training_.stops[n * count + s];
      if (when >= 0) continue;
      if (training_.wrong[n] >= training_.stopping.thresholds[s]) return false;
      double* errors = training_.stop_errors + (n * count + s) * 2;
      double mean[2];
      mean_errors(n, mean);
      if (!(mean[1] < training_.stopping.mean_error_below)) return false;
      std::copy(mean, mean + 2, errors);
      when = training_.seen[n];
      take(lane, next_, training_.stop_weights + (n * count + s) * weights_count_);
    }
    return true;
  }

  // Mean squared and mean absolute error of the most recent sequences.
  void mean_errors(std::int64_t n, double* mean) const {
    mean[0] = mean[1] = 0.0;
    for (std::int64_t r = 0; r < training_.ring; ++r) {
      const double error = training_.recent[n * training_.ring + r];
      mean[0] += error * error;
      mean[1] += std::fabs(error);
    }
    for (int m = 0; m < 2; ++m) mean[m] /= static_cast<double>(training_.ring);
  }

  void take(int lane, Rows& from, float* to) const {
    for (std::int64_t p = 0; p < weights_count_; ++p) to[p] = from[p].lane[lane];
  }

  // Hands the trial's weights back; its lane rests from now on.
  void retire(int lane, Rows& from) {
    take(lane, from, training_.weights + trial(lane) * weights_count_);
    lineup_.used[lane] = false;
    rates_.lane[lane] = 0.0f;
    weights_.clear_lane(lane);
    next_.clear_lane(lane);
    desk_.free_lane(lane);
    --learning_;
  }

  const OnlineSetting& setting_;
  const OnlineTraining& training_;
  std::int64_t weights_count_;
  Desk desk_;
  Rows weights_, next_;
  Lineup lineup_{};
  Row rates_{}, targets_{}, answers_{}, faults_{};
  std::int64_t first_ = 0;
  int learning_ = 0;
};

}  // namespace

void learn_online(const OnlineSetting& setting, const OnlineTraining& training) {
  std::fill_n(training.outputs, training.trials * training.sequences,
              std::numeric_limits<float>::quiet_NaN());
  const std::int64_t groups = (training.trials + kGroup - 1) / kGroup;
  const int threads = useful_threads(
      setting.threads, groups,
      static_cast<double>(training.sequences * training.steps) *
          online_step_operations(setting.cells, true));
  std::vector<std::unique_ptr<TrialGroup>> own;
  for (int n = 0; n < threads; ++n)
    own.push_back(std::make_unique<TrialGroup>(setting, training));
  Crew(threads, groups, [&](int thread, std::int64_t n) {
    own[thread]->run(n * kGroup);
  }).round();
}

void predict_online(const OnlineSetting& setting, const float* weights, const float* inputs,
                    const std::int64_t* lengths, std::int64_t batch, std::int64_t steps,
                    float* predictions) {
  const DenormalsAreZero guard;
  const std::int64_t groups = (batch + kGroup - 1) / kGroup;
  const std::int64_t count = weight_count(setting.cells);
  Rows broadcast(count);
  for (std::int64_t p = 0; p < count; ++p) std::fill_n(broadcast[p].lane, kGroup, weights[p]);
  const int threads =
      useful_threads(setting.threads, groups,
                     static_cast<double>(steps) * online_step_operations(setting.cells, false));
  std::vector<std::unique_ptr<Desk>> own;
  for (int n = 0; n < threads; ++n) {
    own.push_back(std::make_unique<Desk>(setting, steps, false, false));
    setting.kernel->scale(count, broadcast.data(), own.back()->workspace().scaled);
  }
  Crew(threads, groups, [&](int thread, std::int64_t n) {
    Lineup lineup{};
    const std::int64_t first = n * kGroup;
    const int lanes = static_cast<int>(std::min<std::int64_t>(kGroup, batch - first));
    for (int lane = 0; lane < lanes; ++lane) {
      lineup.inputs[lane] = inputs + (first + lane) * steps * 2;
      lineup.lengths[lane] = lengths[first + lane];
      lineup.used[lane] = true;
    }
    Row answers;
    const Span span = own[thread]->gather(lineup);
    setting.kernel->forward(setting.cells, span, own[thread]->workspace(), answers.lane);
    std::copy(answers.lane, answers.lane + lanes, predictions + first);
  }).round();
}

}  // namespace longlag
