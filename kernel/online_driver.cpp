#include "online_driver.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "denormals.hpp"
#include "team.hpp"

namespace longlag {
namespace {

// An output unit that reads the previous step's cells never sees the last pair.
void seat(const OnlineSetting& setting, int lane, const float* inputs, std::int64_t length,
          Lineup& lineup) {
  lineup.inputs[lane] = inputs;
  lineup.lengths[lane] = length - (setting.reads_current ? 0 : 1);
  lineup.longest = std::max(lineup.longest, lineup.lengths[lane]);
  lineup.shortest = std::min(lineup.shortest, lineup.lengths[lane]);
}

Lineup no_lineup() {
  Lineup lineup{};
  lineup.longest = 1;
  lineup.shortest = std::numeric_limits<std::int64_t>::max();
  return lineup;
}

// Sixteen trials on one thread, sequence by sequence.
class TrialGroup {
 public:
  TrialGroup(const OnlineSetting& setting, const OnlineTraining& training, std::int64_t group,
             OnlineWorkspace& work)
      : setting_(setting),
        kernel_(*setting.kernel),
        training_(training),
        weights_count_(weight_count(setting.cells)),
        first_(group * kGroup),
        work_(work) {}

  void run() {
    start();
    for (std::int64_t k = 0; k < training_.sequences && learning_ > 0; ++k) learn(k);
    for (int lane = 0; lane < kGroup; ++lane)
      if (used_[lane]) retire(lane, work_.weights);
  }

 private:
  std::int64_t trial(int lane) const { return first_ + lane; }

  void start() {
    const std::int64_t last_stop = training_.stopping.count - 1;
    for (int lane = 0; lane < kGroup; ++lane) {
      used_[lane] = trial(lane) < training_.trials &&
                    training_.stops[trial(lane) * training_.stopping.count + last_stop] < 0;
      learning_ += used_[lane];
      work_.rates[lane] = used_[lane] ? training_.rate : 0.0f;
      work_.targets[lane] = 0.0f;
      for (std::int64_t p = 0; p < weights_count_; ++p)
        work_.weights[p * kGroup + lane] =
            used_[lane] ? training_.weights[trial(lane) * weights_count_ + p] : 0.0f;
    }
    kernel_.scale(setting_.cells, work_.weights, work_.scaled);
  }

  void learn(std::int64_t k) {
    Lineup lineup = no_lineup();
    for (int lane = 0; lane < kGroup; ++lane)
      if (used_[lane]) {
        const std::int64_t at = trial(lane) * training_.sequences + k;
        seat(setting_, lane, training_.inputs + at * training_.steps * 2, training_.lengths[at],
             lineup);
        work_.targets[lane] = training_.targets[at];
      }
    const Record record{training_.full_gradient, true};
    kernel_.forward(setting_.cells, lineup, record, work_);
    kernel_.gradient(setting_.cells, lineup, record, work_);
    kernel_.update(setting_.cells, work_);
    for (int lane = 0; lane < kGroup; ++lane)
      if (used_[lane]) settle(lane, k);
    std::swap(work_.weights, work_.next);
  }

  // Books the sequence that `next` has been made from.
  void settle(int lane, std::int64_t k) {
    if (!(work_.faults[lane] == 0.0f)) return retire(lane, work_.weights);  // it never happened
    const std::int64_t n = trial(lane);
    const float error = work_.answers[lane] - work_.targets[lane];
    training_.outputs[n * training_.sequences + k] = work_.answers[lane];
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

  void take(int lane, const float* from, float* to) const {
    for (std::int64_t p = 0; p < weights_count_; ++p) to[p] = from[p * kGroup + lane];
  }

  // Hands the trial's weights back; its lane rests from now on.
  void retire(int lane, const float* from) {
    take(lane, from, training_.weights + trial(lane) * weights_count_);
    used_[lane] = false;
    work_.rates[lane] = 0.0f;
    --learning_;
  }

  const OnlineSetting& setting_;
  const OnlineKernel& kernel_;
  const OnlineTraining& training_;
  const std::int64_t weights_count_, first_;
  OnlineWorkspace& work_;
  bool used_[kGroup];
  int learning_ = 0;
};

int threads_for(const OnlineSetting& setting, std::int64_t groups, std::int64_t steps, bool back) {
  return useful_threads(setting.threads, groups,
                        static_cast<double>(steps) * online_step_operations(setting.cells, back));
}

}  // namespace

void learn_online(const OnlineSetting& setting, const OnlineTraining& training) {
  std::fill_n(training.outputs, training.trials * training.sequences,
              std::numeric_limits<float>::quiet_NaN());
  const std::int64_t groups = group_count(training.trials);
  Team<OnlineWorkspace> team(
      threads_for(setting, groups, training.sequences * training.steps, true), groups,
      setting.cells, training.steps, Record{training.full_gradient, true});
  team.round([&](OnlineWorkspace& work, std::int64_t group) {
    TrialGroup(setting, training, group, work).run();
  });
}

void predict_online(const OnlineSetting& setting, const float* weights, const float* inputs,
                    const std::int64_t* lengths, std::int64_t batch, std::int64_t steps,
                    float* predictions) {
  const DenormalsAreZero denormals_are_zero;
  const Record record{false, false};
  const std::int64_t count = weight_count(setting.cells);
  std::vector<float> broadcast(count * kGroup);
  for (std::int64_t p = 0; p < count; ++p)
    std::fill_n(broadcast.data() + p * kGroup, kGroup, weights[p]);
  Team<OnlineWorkspace> team(threads_for(setting, group_count(batch), steps, false),
                             group_count(batch), setting.cells, steps, record);
  team.round([&](OnlineWorkspace& work, std::int64_t group) {
    const std::int64_t first = group * kGroup;
    const int lanes = static_cast<int>(std::min<std::int64_t>(kGroup, batch - first));
    Lineup lineup = no_lineup();
    for (int lane = 0; lane < lanes; ++lane)
      seat(setting, lane, inputs + (first + lane) * steps * 2, lengths[first + lane], lineup);
    setting.kernel->scale(setting.cells, broadcast.data(), work.scaled);
    setting.kernel->forward(setting.cells, lineup, record, work);
    std::copy_n(work.answers, lanes, predictions + first);
  });
}

}  // namespace longlag
