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

// Whether a gradient of this norm is finite, and float32 once it is clipped: what it is scaled by
// must be a normal number, and so must the square of what is left, Adam's second moment.
bool can_learn_from(double norm, double clip) {
  using Float = std::numeric_limits<float>;
  const double kept = norm > clip ? clip : norm;
  return kept * kept <= Float::max() && norm * Float::min() <= clip;
}

// One batch after another: its groups are shared by a team.
class Batches {
 public:
  using Work = std::function<void(std::int64_t group, const Lineup&, Workspace&)>;

  Batches(const Setting& setting, std::int64_t batch, std::int64_t steps, bool keep, bool back)
      : setting_(setting),
        keep_(keep),
        packed_(setting.network, back),
        losses_(group_count(batch) * kGroup),
        team_(useful_threads(setting.threads, group_count(batch),
                             static_cast<double>(steps) * step_operations(setting.network, back)),
              group_count(batch), setting.network, steps, keep, back) {}

  void pack(const float* parameters) {
    setting_.kernel->pack(setting_.network, parameters, *packed_);
  }

  // Every group forward, and then work(group, lineup, workspace).
  void forward(const Sequences& sequences, const Work& work) {
    team_.round(setting_.watch, [&](Workspace& own, std::int64_t group) {
      if (ended(setting_.watch)) return;
      Lineup lineup = line_up(setting_.network, sequences, group);
      lineup.watch = setting_.watch;
      setting_.kernel->forward(setting_.network, *packed_, lineup, own, keep_);
      if (!ended(setting_.watch)) work(group, lineup, own);
    });
    if (ended(setting_.watch)) throw Ended{};
  }

  // The loss; its gradient into `learning`. take(group, lineup, workspace) may look at the answers.
  double differentiate(const Sequences& sequences, const Learning& learning, const Work& take) {
    const Network& network = setting_.network;
    const std::int64_t count = asked_for(network, sequences);
    const float scale = 2.0f / static_cast<float>(count);
    forward(sequences, [&](std::int64_t group, const Lineup& lineup, Workspace& own) {
      take(group, lineup, own);
      setting_.kernel->output_error(network, lineup, own, scale, &losses_[group * kGroup]);
      setting_.kernel->backward(network, *packed_, lineup, own,
                                learning.groups + group * parameter_count(network));
    });
    double sum = 0.0;
    for (const double loss : losses_) sum += loss;
    return sum / static_cast<double>(count);
  }

 private:
  // How many numbers a batch asks for.
  static std::int64_t asked_for(const Network& n, const Sequences& all) {
    std::int64_t answers = n.every ? 0 : all.batch;
    for (std::int64_t b = 0; n.every && b < all.batch; ++b) {
      const unsigned char* counted = all.counted ? all.counted + b * all.steps : nullptr;
      answers += counted ? std::count_if(counted, counted + all.lengths[b],
                                         [](unsigned char step) { return step != 0; })
                         : all.lengths[b];
    }
    return answers * n.outputs;
  }

  static Lineup line_up(const Network& n, const Sequences& sequences, std::int64_t group) {
    const std::int64_t first = group * kGroup;
    const int lanes = static_cast<int>(std::min<std::int64_t>(kGroup, sequences.batch - first));
    Lineup lineup{};
    for (int lane = 0; lane < lanes; ++lane) seat(n, sequences, first + lane, lane, lineup);
    lineup.longest = *std::max_element(lineup.lengths, lineup.lengths + lanes);
    lineup.shortest = *std::min_element(lineup.lengths, lineup.lengths + lanes);
    return lineup;
  }

  const Setting setting_;
  const bool keep_;
  Memory<Packed> packed_;
  std::vector<double> losses_;  // of each sequence
  Team<Workspace> team_;
};

void copy_answers(const Network& n, std::int64_t steps, std::int64_t group, const Lineup& lineup,
                  const Workspace& work, float* predictions) {
  for (int lane = 0; lane < kGroup; ++lane)
    if (lineup.lengths[lane])
      take_answers(n, work.answers, lineup.lengths[lane], lane,
                   predictions + (group * kGroup + lane) * answer_numbers(n, steps));
}

void copy_states(int hidden, std::int64_t steps, std::int64_t group, const Lineup& lineup,
                 const Workspace& work, float* const cells[6]) {
  static constexpr int kFrom[6] = {4, -1, 0, 1, 2, 3};  // place in the cache; -1: hidden state
  for (int lane = 0; lane < kGroup; ++lane)
    for (std::int64_t t = 0; t < lineup.lengths[lane]; ++t)
      for (int j = 0; j < hidden; ++j) {
        const float* cell =
            work.cache + (1 + t) * cache_step(hidden) + j * kCellVectors * kGroup + lane;
        const std::int64_t to = ((group * kGroup + lane) * steps + t) * hidden + j;
        for (int n = 0; n < 6; ++n)
          cells[n][to] =
              kFrom[n] < 0 ? cell[2 * kGroup] * cell[5 * kGroup] : cell[kFrom[n] * kGroup];
      }
}

}  // namespace

int threads_used(const Network& network, std::int64_t batch, std::int64_t steps, int threads) {
  return useful_threads(threads, group_count(batch),
                        static_cast<double>(steps) * step_operations(network, true));
}

void predict(const Setting& setting, const float* parameters, const Sequences& sequences,
             float* predictions) {
  const DenormalsAreZero denormals_are_zero;
  Batches batches(setting, sequences.batch, sequences.steps, false, false);
  batches.pack(parameters);
  batches.forward(sequences, [&](std::int64_t group, const Lineup& lineup, Workspace& work) {
    copy_answers(setting.network, sequences.steps, group, lineup, work, predictions);
  });
}

void states(const Setting& setting, const float* parameters, const Sequences& sequences,
            float* const cells[6]) {
  const DenormalsAreZero denormals_are_zero;
  Batches batches(setting, sequences.batch, sequences.steps, true, false);
  batches.pack(parameters);
  batches.forward(sequences, [&](std::int64_t group, const Lineup& lineup, Workspace& work) {
    copy_states(setting.network.hidden, sequences.steps, group, lineup, work, cells);
  });
}

double gradient(const Setting& setting, const float* parameters, const Sequences& sequences,
                float* predictions, float* gradient) {
  const DenormalsAreZero denormals_are_zero;
  const std::int64_t groups = group_count(sequences.batch);
  const std::int64_t count = parameter_count(setting.network);
  Memory<Learning> learning(setting.network, groups);
  Batches batches(setting, sequences.batch, sequences.steps, true, true);
  batches.pack(parameters);
  const double loss = batches.differentiate(
      sequences, *learning,
      [&](std::int64_t group, const Lineup& lineup, Workspace& work) {
        copy_answers(setting.network, sequences.steps, group, lineup, work, predictions);
      });
  setting.kernel->combine(*learning, groups, count);
  std::copy_n(learning->gradient, count, gradient);
  return loss;
}

namespace {

class Trainer {
 public:
  Trainer(const Setting& setting, const Training& training)
      : setting_(setting),
        training_(training),
        parameters_(parameter_count(setting.network)),
        batches_(setting, training.batch, training.sequences.steps, true, true),
        learning_(setting.network, group_count(training.batch)) {}

  Trained run(double* losses) {
    Trained done{0, 0};
    if (setting_.watch) setting_.watch->expected = work();
    for (std::int64_t n = 0; n < training_.iterations; ++n) {
      batches_.pack(training_.parameters);
      losses[n] = batches_.differentiate(sequences(n), *learning_,
                                         [](std::int64_t, const Lineup&, Workspace&) {});
      ++done.losses;
      if (!std::isfinite(losses[n]) || !update(n)) break;
      ++done.updates;
    }
    return done;
  }

 private:
  // What the passes of all iterations tell the watch.
  std::int64_t work() const {
    std::int64_t steps = 0;
    for (std::int64_t n = 0; n < training_.iterations; ++n) {
      const std::int64_t *lengths = sequences(n).lengths, *const end = lengths + training_.batch;
      for (; lengths < end; lengths += kGroup)
        steps += *std::max_element(lengths, std::min(lengths + kGroup, end));
    }
    return steps * (1 + kBackwardWork);
  }

  // Of iteration n.
  Sequences sequences(std::int64_t n) const {
    const Network& network = setting_.network;
    Sequences own = training_.sequences;
    const std::int64_t first = n * training_.batch;
    if (own.draws.streams) {
      own.draws.streams += first * 3;
      own.draws.at += first * own.draws.given_count;
      own.draws.given += first * own.draws.given_count * network.inputs;
    } else if (network.symbols)
      own.symbols += first * own.steps;
    else
      own.inputs += first * own.steps * network.inputs;
    own.targets += first * answer_numbers(network, own.steps);
    own.lengths += first;
    if (own.counted) own.counted += first * own.steps;
    own.batch = training_.batch;
    return own;
  }

  // False, and nothing changed, where the gradient or the update is not finite.
  bool update(std::int64_t n) {
    const Kernel& kernel = *setting_.kernel;
    const double norm = kernel.combine(*learning_, group_count(training_.batch), parameters_);
    if (!can_learn_from(norm, training_.update.clip)) return false;
    Update update = training_.update;
    update.learning_rate = training_.learning_rates[n];
    update.count = training_.updates_before + n + 1;
    if (!kernel.update(update, parameters_, *learning_, norm, training_.parameters,
                        training_.first_moment, training_.second_moment))
      return false;
    const std::size_t bytes = static_cast<std::size_t>(parameters_) * sizeof(float);
    std::memcpy(training_.parameters, learning_->next, bytes);
    if (update.adam) {
      std::memcpy(training_.first_moment, learning_->next + parameters_, bytes);
      std::memcpy(training_.second_moment, learning_->next + 2 * parameters_, bytes);
    }
    if (training_.average)
      kernel.average(update.average_decay, parameters_, training_.parameters, training_.average);
    return true;
  }

  const Setting setting_;
  const Training training_;
  const std::int64_t parameters_;
  Batches batches_;
  Memory<Learning> learning_;
};

}  // namespace

Trained train(const Setting& setting, const Training& training, double* losses) {
  const DenormalsAreZero denormals_are_zero;
  return Trainer(setting, training).run(losses);
}

}  // namespace longlag
