#include "driver.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "denormals.hpp"
#include "team.hpp"

namespace longlag {
namespace {

// One batch after another: its groups are shared by a team.
class Batches {
 public:
  using Work = std::function<void(std::int64_t group, const Lineup&, Workspace&)>;

  Batches(const Setting& setting, std::int64_t batch, std::int64_t steps, bool keep, bool back)
      : setting_(setting),
        keep_(keep),
        packed_(setting.network.hidden, back),
        team_(useful_threads(setting.threads, group_count(batch),
                             static_cast<double>(steps) *
                                 step_operations(setting.network.hidden, back)),
              group_count(batch), setting.network.hidden, steps, keep, back) {}

  void pack(const float* parameters) {
    setting_.kernel->pack(setting_.network, parameters, *packed_);
  }

  // Every group forward, and then work(group, lineup, workspace).
  void forward(const Sequences& sequences, const Work& work) {
    team_.round([&](Workspace& own, std::int64_t group) {
      const Lineup lineup = line_up(sequences, group);
      setting_.kernel->forward(setting_.network, *packed_, lineup, own, keep_);
      work(group, lineup, own);
    });
  }

  // The loss; its gradient into `learning`.
  double differentiate(const Sequences& sequences, const float* targets, float* predictions,
                       const Learning& learning) {
    const float scale = 2.0f / static_cast<float>(sequences.batch);
    const std::int64_t parameters = parameter_count(setting_.network.hidden);
    forward(sequences, [&](std::int64_t group, const Lineup& lineup, Workspace& own) {
      take_answers(sequences, group, own, predictions);
      setting_.kernel->output_error(setting_.network, lineup, own, targets + group * kGroup,
                                    scale);
      setting_.kernel->backward(setting_.network, *packed_, lineup, own,
                                learning.groups + group * parameters);
    });
    double sum = 0.0;
    for (std::int64_t b = 0; b < sequences.batch; ++b) {
      const double error = static_cast<double>(predictions[b]) - static_cast<double>(targets[b]);
      sum += error * error;
    }
    return sum / static_cast<double>(sequences.batch);
  }

  static void take_answers(const Sequences& sequences, std::int64_t group, const Workspace& own,
                           float* predictions) {
    const std::int64_t first = group * kGroup;
    std::copy_n(own.answers, std::min<std::int64_t>(kGroup, sequences.batch - first),
                predictions + first);
  }

 private:
  static Lineup line_up(const Sequences& sequences, std::int64_t group) {
    const std::int64_t first = group * kGroup;
    const int lanes = static_cast<int>(std::min<std::int64_t>(kGroup, sequences.batch - first));
    Lineup lineup{};
    for (int lane = 0; lane < lanes; ++lane) {
      lineup.inputs[lane] = sequences.inputs + (first + lane) * sequences.steps * 2;
      lineup.lengths[lane] = sequences.lengths[first + lane];
    }
    lineup.longest = *std::max_element(lineup.lengths, lineup.lengths + lanes);
    lineup.shortest = *std::min_element(lineup.lengths, lineup.lengths + lanes);
    return lineup;
  }

  const Setting setting_;
  const bool keep_;
  Memory<Packed> packed_;
  Team<Workspace> team_;
};

void copy_states(int hidden, const Sequences& sequences, std::int64_t group, const Lineup& lineup,
                 const Workspace& work, float* const cells[6]) {
  static constexpr int kFrom[6] = {4, -1, 0, 1, 2, 3};  // place in the cache; -1: hidden state
  for (int lane = 0; lane < kGroup; ++lane)
    for (std::int64_t t = 0; t < lineup.lengths[lane]; ++t)
      for (int j = 0; j < hidden; ++j) {
        const float* cell =
            work.cache + (1 + t) * cache_step(hidden) + j * kCellVectors * kGroup + lane;
        const std::int64_t to =
            ((group * kGroup + lane) * sequences.steps + t) * hidden + j;
        for (int n = 0; n < 6; ++n)
          cells[n][to] =
              kFrom[n] < 0 ? cell[2 * kGroup] * cell[5 * kGroup] : cell[kFrom[n] * kGroup];
      }
}

}  // namespace

int threads_used(int hidden, std::int64_t batch, std::int64_t steps, int threads) {
  return useful_threads(threads, group_count(batch),
                        static_cast<double>(steps) * step_operations(hidden, true));
}

void predict(const Setting& setting, const float* parameters, const Sequences& sequences,
             float* predictions) {
  const DenormalsAreZero denormals_are_zero;
  Batches batches(setting, sequences.batch, sequences.steps, false, false);
  batches.pack(parameters);
  batches.forward(sequences, [&](std::int64_t group, const Lineup&, Workspace& work) {
    Batches::take_answers(sequences, group, work, predictions);
  });
}

void states(const Setting& setting, const float* parameters, const Sequences& sequences,
            float* const cells[6]) {
  const DenormalsAreZero denormals_are_zero;
  Batches batches(setting, sequences.batch, sequences.steps, true, false);
  batches.pack(parameters);
  batches.forward(sequences, [&](std::int64_t group, const Lineup& lineup, Workspace& work) {
    copy_states(setting.network.hidden, sequences, group, lineup, work, cells);
  });
}

double gradient(const Setting& setting, const float* parameters, const Sequences& sequences,
                const float* targets, float* predictions, float* gradient) {
  const DenormalsAreZero denormals_are_zero;
  const std::int64_t groups = group_count(sequences.batch);
  const std::int64_t count = parameter_count(setting.network.hidden);
  Memory<Learning> learning(setting.network.hidden, groups);
  Batches batches(setting, sequences.batch, sequences.steps, true, true);
  batches.pack(parameters);
  const double loss = batches.differentiate(sequences, targets, predictions, *learning);
  setting.kernel->combine(*learning, groups, count);
  std::copy_n(learning->gradient, count, gradient);
  return loss;
}

namespace {

class Trainer {
 public:
  Trainer(const Setting& setting, const Training& training)
      : kernel_(*setting.kernel),
        training_(training),
        parameters_(parameter_count(setting.network.hidden)),
        batches_(setting, training.batch, training.steps, true, true),
        learning_(setting.network.hidden, group_count(training.batch)),
        predictions_(training.batch) {}

  Trained run(double* losses) {
    Trained done{0, 0};
    for (std::int64_t n = 0; n < training_.iterations; ++n) {
      batches_.pack(training_.parameters);
      const std::int64_t first = n * training_.batch;
      const Sequences sequences{training_.inputs + first * training_.steps * 2,
                                training_.lengths + first, training_.batch, training_.steps};
      losses[n] = batches_.differentiate(sequences, training_.targets + first,
                                         predictions_.data(), *learning_);
      ++done.losses;
      if (!std::isfinite(losses[n]) || !update(n)) break;
      ++done.updates;
    }
    return done;
  }

 private:
  // False, and nothing changed, where the gradient or the update is not finite.
  bool update(std::int64_t n) {
    const double norm = kernel_.combine(*learning_, group_count(training_.batch), parameters_);
    // The square of a gradient, Adam's second moment, must be a float32 too.
    if (!(norm * norm <= std::numeric_limits<float>::max())) return false;
    Update update = training_.update;
    update.learning_rate = training_.learning_rates[n];
    update.count = training_.updates_before + n + 1;
    if (!kernel_.update(update, parameters_, *learning_, norm, training_.parameters,
                        training_.first_moment, training_.second_moment))
      return false;
    const std::size_t bytes = static_cast<std::size_t>(parameters_) * sizeof(float);
    std::memcpy(training_.parameters, learning_->next, bytes);
    if (update.adam) {
      std::memcpy(training_.first_moment, learning_->next + parameters_, bytes);
      std::memcpy(training_.second_moment, learning_->next + 2 * parameters_, bytes);
    }
    if (training_.average)
      kernel_.average(update.average_decay, parameters_, training_.parameters, training_.average);
    return true;
  }

  const Kernel& kernel_;
  const Training training_;
  const std::int64_t parameters_;
  Batches batches_;
  Memory<Learning> learning_;
  std::vector<float> predictions_;
};

}  // namespace

Trained train(const Setting& setting, const Training& training, double* losses) {
  const DenormalsAreZero denormals_are_zero;
  return Trainer(setting, training).run(losses);
}

}  // namespace longlag
