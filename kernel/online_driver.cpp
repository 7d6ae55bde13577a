#include "online_driver.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "denormals.hpp"
#include "team.hpp"

namespace longlag {
namespace {

// Sequence number `at` to a lane. Output units that read the previous step's cells never see the
// last step.
void seat(const BlockNetwork& n, const Sequences& sequences, std::int64_t at, int lane,
          Lineup& lineup) {
  longlag::seat(static_cast<const Asked&>(n), sequences, at, lane, lineup);
  lineup.lengths[lane] -= lateness(n);
  lineup.longest = std::max(lineup.longest, lineup.lengths[lane]);
  lineup.shortest = std::min(lineup.shortest, lineup.lengths[lane]);
}

// A lane's answers to a sequence of so many steps.
void copy_answers(const BlockNetwork& n, const Lineup& lineup, const OnlineWorkspace& work,
                  std::int64_t length, int lane, float* to) {
  const std::int64_t before = n.every ? lineup.longest - lineup.lengths[lane] : 0;
  take_answers(n, work.answers + before * n.outputs * kGroup, length, lane, to);
}

// Where each of a lane's weights lies, in the order of a vector (P,): each(weight, place).
template <typename Each>
void each_weight(const BlockNetwork& n, int lane, float* rows, float* table, Each each) {
  std::int64_t weight = 0;
  float* row = rows + lane;
  const auto symbols = [&](int at) {
    for (int symbol = 0; symbol < n.inputs; ++symbol)
      each(weight++, table[std::int64_t{symbol} * symbol_floats(n) + at]);
  };
  for (int unit = 0; unit < unit_count(n); ++unit) {
    if (n.symbols && (n.output_gate || unit < unit_count(n) - n.blocks)) symbols(unit);
    for (int column = 0; column < column_count(n); ++column, row += kGroup)
      if (connected(n, unit, column)) each(weight++, *row);
  }
  const int columns = output_columns(n);
  for (int k = 0; k < n.outputs; ++k)
    for (int column = 0; column < columns; ++column, row += kGroup) {
      const bool bias = column == columns - 1;
      if (bias && output_floats(n)) symbols(unit_floats(n) + k);
      if (!bias || n.biases == Biases::kAll) each(weight++, *row);
    }
}

// The kernel that computes the fewest lanes besides the first so many.
const OnlineKernel& fitting(const OnlineKernel& kernel, int lanes) {
  return kernel.narrower && lanes <= kernel.narrower->width ? *kernel.narrower : kernel;
}

// For the first so many lanes, and that kernel.
Lineup no_lineup(const OnlineKernel& kernel, int lanes) {
  Lineup lineup{};
  lineup.lanes = (lanes + kernel.width - 1) / kernel.width * kernel.width;
  lineup.longest = 1;
  lineup.shortest = std::numeric_limits<std::int64_t>::max();
  return lineup;
}

// Sixteen trials on one thread, sequence by sequence.
class TrialGroup {
 public:
  TrialGroup(const OnlineSetting& setting, const OnlineTraining& training, std::int64_t group,
             OnlineWorkspace& work)
      : kernel_(*setting.kernel),
        training_(training),
        network_(setting.network),
        weights_count_(weight_count(setting.network)),
        first_(group * kGroup),
        watch_(setting.watch),
        work_(work) {}

  void run() {
    start();
    for (std::int64_t k = 0; k < training_.each && lanes_ > 0 && !ended(watch_); ++k) learn(k);
    for (int lane = 0; lane < kGroup; ++lane)
      if (used_[lane]) retire(lane, work_.weights);
  }

 private:
  std::int64_t trial(int lane) const { return first_ + lane; }

  void start() {
    const std::int64_t last_stop = training_.stopping.count - 1;
    std::fill_n(work_.weights, weight_rows(network_) * kGroup, 0.0f);
    std::fill_n(work_.table, table_floats(network_) * kGroup, 0.0f);
    std::fill_n(work_.table_gradient, table_floats(network_) * kGroup, 0.0f);
    for (int lane = 0; lane < kGroup; ++lane) {
      used_[lane] = trial(lane) < training_.trials &&
                    training_.stops[trial(lane) * training_.stopping.count + last_stop] < 0;
      if (used_[lane]) lanes_ = lane + 1;
      work_.rates[lane] = used_[lane] ? training_.rate : 0.0f;
      const float* own = training_.weights + trial(lane) * weights_count_;
      each_weight(network_, lane, work_.weights, table(lane), [&](std::int64_t p, float& weight) {
        weight = used_[lane] ? own[p] : 0.0f;
      });
    }
    kernel_.scale(network_, work_.weights, work_.scaled);
  }

  void learn(std::int64_t k) {
    const OnlineKernel& kernel = fitting(kernel_, lanes_);
    Lineup lineup = no_lineup(kernel, lanes_);
    for (int lane = 0; lane < lanes_; ++lane)
      if (used_[lane])
        seat(network_, training_.sequences, trial(lane) * training_.each + k, lane, lineup);
    const Pass pass{training_.full_gradient, true};
    kernel.forward(network_, lineup, pass, work_);
    kernel.gradient(network_, lineup, pass, work_);
    kernel.update(network_, lineup, work_);
    for (int lane = 0; lane < lanes_; ++lane)
      if (used_[lane]) settle(lane, k, lineup);
    std::swap(work_.weights, work_.next);
  }

  // Books the sequence that `next` has been made from.
  void settle(int lane, std::int64_t k, const Lineup& lineup) {
    if (!(work_.faults[lane] == 0.0f)) return retire(lane, work_.weights);  // it never happened
    const std::int64_t n = trial(lane);
    if (network_.symbols) kernel_.update_table(network_, lineup, lane, work_);
    const std::int64_t at = n * training_.each + k;
    const std::int64_t numbers = answer_numbers(network_, training_.sequences.steps);
    float* outputs = training_.outputs + at * numbers;
    std::fill_n(outputs, numbers, 0.0f);
    copy_answers(network_, lineup, work_, training_.sequences.lengths[at], lane, outputs);
    const float error = work_.largest[lane];
    float& oldest = training_.recent[n * training_.ring + training_.seen[n] % training_.ring];
    training_.wrong[n] += is_wrong(error) - is_wrong(oldest);
    oldest = error;
    const std::int64_t seen = ++training_.seen[n];
    if (seen >= training_.ring && seen % training_.stopping.check_every == 0 && stop(lane))
      retire(lane, work_.next);
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
      take(lane, work_.next, training_.stop_weights + (n * count + s) * weights_count_);
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

  float* table(int lane) const { return work_.table + lane * table_floats(network_); }

  void take(int lane, float* from, float* to) const {
    each_weight(network_, lane, from, table(lane),
                [to](std::int64_t p, const float& weight) { to[p] = weight; });
  }

  // Hands the trial's weights back; its lane rests from now on.
  void retire(int lane, float* from) {
    take(lane, from, training_.weights + trial(lane) * weights_count_);
    used_[lane] = false;
    work_.rates[lane] = 0.0f;
    while (lanes_ > 0 && !used_[lanes_ - 1]) --lanes_;
  }

  const OnlineKernel& kernel_;
  const OnlineTraining& training_;
  const BlockNetwork& network_;
  const std::int64_t weights_count_, first_;
  Watch* const watch_;
  OnlineWorkspace& work_;
  bool used_[kGroup];
  int lanes_ = 0;  // up to the last that learns
};

int threads_for(const OnlineSetting& setting, std::int64_t groups, std::int64_t steps, bool back) {
  return useful_threads(setting.threads, groups,
                        static_cast<double>(steps) * online_step_operations(setting.network, back));
}

}  // namespace

void learn_online(const OnlineSetting& setting, const OnlineTraining& training) {
  const std::int64_t steps = training.sequences.steps, groups = group_count(training.trials);
  std::fill_n(training.outputs,
              training.sequences.batch * answer_numbers(setting.network, steps),
              std::numeric_limits<float>::quiet_NaN());
  Team<OnlineWorkspace> team(threads_for(setting, groups, training.each * steps, true), groups,
                             setting.network, steps, Pass{training.full_gradient, true});
  team.round(setting.watch, [&](OnlineWorkspace& work, std::int64_t group) {
    TrialGroup(setting, training, group, work).run();
  });
  if (ended(setting.watch)) throw Ended{};
}

void predict_online(const OnlineSetting& setting, const float* weights, const Sequences& sequences,
                    float* predictions) {
  const DenormalsAreZero denormals_are_zero;
  const BlockNetwork& n = setting.network;
  const Pass pass{false, false};
  const std::int64_t groups = group_count(sequences.batch);
  std::vector<float> rows(weight_rows(n) * kGroup), table(table_floats(n));
  for (int lane = 0; lane < kGroup; ++lane)
    each_weight(n, lane, rows.data(), table.data(),
                [&](std::int64_t p, float& weight) { weight = weights[p]; });
  Team<OnlineWorkspace> team(threads_for(setting, groups, sequences.steps, false), groups, n,
                             sequences.steps, pass);
  team.round(setting.watch, [&](OnlineWorkspace& work, std::int64_t group) {
    if (ended(setting.watch)) return;
    const std::int64_t first = group * kGroup;
    const int lanes = static_cast<int>(std::min<std::int64_t>(kGroup, sequences.batch - first));
    const OnlineKernel& kernel = fitting(*setting.kernel, lanes);
    Lineup lineup = no_lineup(kernel, lanes);
    for (int lane = 0; lane < lanes; ++lane) seat(n, sequences, first + lane, lane, lineup);
    kernel.scale(n, rows.data(), work.scaled);
    std::copy(table.begin(), table.end(), work.table);
    kernel.forward(n, lineup, pass, work);
    for (int lane = 0; lane < lanes; ++lane)
      copy_answers(n, lineup, work, sequences.lengths[first + lane], lane,
                   predictions + (first + lane) * answer_numbers(n, sequences.steps));
  });
  if (ended(setting.watch)) throw Ended{};
}

}  // namespace longlag
