#include "driver.hpp"

#include "denormals.hpp"
#include "isas.hpp"
#include "threads.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace longlag {

#define LONGLAG_DECLARE(isa) \
  namespace isa {            \
  extern const Kernel kKernel; \
  }
LONGLAG_EACH_ISA(LONGLAG_DECLARE)

namespace {

struct Isa {
  std::string name;
  const Kernel* kernel;
};

const std::vector<Isa>& isa_table() {
  static const std::vector<Isa> table = [] {
    std::vector<Isa> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("fma"))
      found.push_back({"avx512", &avx512::kKernel});
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      found.push_back({"avx2", &avx2::kKernel});
    found.push_back({"baseline", &baseline::kKernel});
#else
    found.push_back({"neon", &neon::kKernel});
#endif
    return found;
  }();
  return table;
}

// Floats on a cache line's boundary; large arrays ask for large pages.
class Floats {
 public:
  explicit Floats(std::int64_t count) {
    constexpr std::size_t kLine = 64, kLarge = std::size_t{1} << 21;
    const std::size_t needed = std::max<std::size_t>(static_cast<std::size_t>(count), 1) * 4;
    const bool large = needed >= 2 * kLarge;
    const std::size_t unit = large ? kLarge : kLine;
    const std::size_t bytes = (needed + unit - 1) / unit * unit;
    data_ = static_cast<float*>(std::aligned_alloc(unit, bytes));
    if (!data_) throw std::bad_alloc();
#if defined(__linux__)
    if (large) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
  }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  ~Floats() { std::free(data_); }
  float* get() const { return data_; }

 private:
  float* data_;
};

class ThreadMemory {
 public:
  // Steps of the cache: as many as there are to go back through, or the two of a forward pass.
  ThreadMemory(int hidden, std::int64_t steps, bool keep, bool back)
      : rows_(std::int64_t{hidden} * kGroup),
        x_(steps * 2 * kGroup),
        cache_((1 + (keep ? steps : 2)) * cache_step(hidden)),
        small_(5 * rows_),
        chunk_h_(back ? kChunk * rows_ : 0),
        sums_(back ? sums_size(hidden) : 0) {}

  Workspace workspace() const {
    float* small = small_.get();
    return {x_.get(),          cache_.get(),      small,           small + 2 * rows_,
            small + 3 * rows_, small + 4 * rows_, chunk_h_.get(), sums_.get()};
  }

 private:
  std::int64_t rows_;
  Floats x_, cache_, small_, chunk_h_, sums_;
};

// One batch after another, in groups of sequences; a thread has its own memory.
class Runner {
 public:
  Runner(const Setting& setting, std::int64_t batch, std::int64_t steps, bool keep, bool back)
      : setting_(setting),
        batch_(batch),
        steps_(steps),
        keep_(keep),
        back_(back),
        groups_((batch + kGroup - 1) / kGroup),
        threads_(useful_threads(
            setting.threads, groups_,
            static_cast<double>(steps) * step_operations(setting.network.hidden, back))),
        forward_(gate_weights(setting.network.hidden)),
        backward_(back ? std::int64_t{4} * setting.network.hidden * setting.network.hidden : 0),
        group_gradients_(back ? groups_ * parameter_count(setting.network.hidden) : 0) {
    for (int n = 0; n < threads_; ++n)
      memory_.push_back(
          std::make_unique<ThreadMemory>(setting.network.hidden, steps, keep, back));
  }

  int threads() const { return threads_; }
  std::int64_t groups() const { return groups_; }
  float* group_gradients() const { return group_gradients_.get(); }
  Workspace workspace(int thread) const { return memory_[thread]->workspace(); }

  void pack(const float* parameters) {
    packed_ = {forward_.get(), back_ ? backward_.get() : nullptr,
               parameters + gate_weights(setting_.network.hidden)};
    setting_.kernel->pack(setting_.network, parameters, packed_);
  }

  Group group(const Sequences& sequences, std::int64_t n) const {
    const std::int64_t first = n * kGroup;
    const std::int64_t* lengths = sequences.lengths + first;
    const int lanes = static_cast<int>(std::min<std::int64_t>(kGroup, batch_ - first));
    return {sequences.inputs + first * steps_ * 2,
            lengths,
            lanes,
            steps_,
            *std::max_element(lengths, lengths + lanes),
            *std::min_element(lengths, lengths + lanes)};
  }

  void forward(const Sequences& sequences, std::int64_t n, int thread, float* predictions) const {
    setting_.kernel->forward(setting_.network, packed_, group(sequences, n), workspace(thread),
                             keep_, predictions + n * kGroup);
  }

  // Forward and backward of one group.
  void differentiate(const Sequences& sequences, const float* targets, std::int64_t n, int thread,
                     float* predictions) const {
    const float scale = 2.0f / static_cast<float>(batch_);
    float error[kGroup];
    forward(sequences, n, thread, predictions);
    const Group own = group(sequences, n);
    setting_.kernel->output_error(setting_.network, predictions + n * kGroup,
                                  targets + n * kGroup, own.lanes, scale, error);
    setting_.kernel->backward(
        setting_.network, packed_, own, workspace(thread), error,
        group_gradients_.get() + n * parameter_count(setting_.network.hidden));
  }

 private:
  Setting setting_;
  std::int64_t batch_, steps_;
  bool keep_, back_;
  std::int64_t groups_;
  int threads_;
  Floats forward_, backward_, group_gradients_;
  Packed packed_{};
  std::vector<std::unique_ptr<ThreadMemory>> memory_;
};

double mean_squared_error(const float* predictions, const float* targets, std::int64_t batch) {
  double sum = 0.0;
  for (std::int64_t b = 0; b < batch; ++b) {
    const double error = static_cast<double>(predictions[b]) - static_cast<double>(targets[b]);
    sum += error * error;
  }
  return sum / static_cast<double>(batch);
}

void copy_states(const Network& network, const Group& group, const Workspace& work,
                 std::int64_t first, float* const cells[6]) {
  static constexpr int kFrom[6] = {4, -1, 0, 1, 2, 3};  // place in the cache; -1: hidden state
  const int hidden = network.hidden;
  for (int lane = 0; lane < group.lanes; ++lane)
    for (std::int64_t t = 0; t < group.lengths[lane]; ++t)
      for (int j = 0; j < hidden; ++j) {
        const float* cell =
            work.cache + (1 + t) * cache_step(hidden) + j * kCellVectors * kGroup + lane;
        const std::int64_t to = ((first + lane) * group.steps + t) * hidden + j;
        for (int n = 0; n < 6; ++n)
          cells[n][to] =
              kFrom[n] < 0 ? cell[2 * kGroup] * cell[5 * kGroup] : cell[kFrom[n] * kGroup];
      }
}

}  // namespace

const std::vector<std::string>& usable_isas() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> found;
    for (const Isa& isa : isa_table()) found.push_back(isa.name);
    return found;
  }();
  return names;
}

const Kernel& kernel_of(const std::string& name) {
  for (const Isa& isa : isa_table())
    if (isa.name == name) return *isa.kernel;
  std::abort();  // the bindings have checked the name
}

int threads_used(int hidden, std::int64_t batch, std::int64_t steps, int threads) {
  return useful_threads(threads, (batch + kGroup - 1) / kGroup,
                        static_cast<double>(steps) * step_operations(hidden, true));
}

void predict(const Setting& setting, const float* parameters, const Sequences& sequences,
             float* predictions) {
  const DenormalsAreZero denormals_are_zero;
  Runner runner(setting, sequences.batch, sequences.steps, false, false);
  runner.pack(parameters);
  Crew(runner.threads(), runner.groups(), [&](int thread, std::int64_t n) {
    runner.forward(sequences, n, thread, predictions);
  }).round();
}

void states(const Setting& setting, const float* parameters, const Sequences& sequences,
            float* const cells[6]) {
  const DenormalsAreZero denormals_are_zero;
  Runner runner(setting, sequences.batch, sequences.steps, true, false);
  std::vector<float> predictions(sequences.batch);
  runner.pack(parameters);
  Crew(runner.threads(), runner.groups(), [&](int thread, std::int64_t n) {
    runner.forward(sequences, n, thread, predictions.data());
    copy_states(setting.network, runner.group(sequences, n), runner.workspace(thread),
                n * kGroup, cells);
  }).round();
}

double gradient(const Setting& setting, const float* parameters, const Sequences& sequences,
                const float* targets, float* predictions, float* gradient) {
  const DenormalsAreZero denormals_are_zero;
  Runner runner(setting, sequences.batch, sequences.steps, true, true);
  runner.pack(parameters);
  Crew(runner.threads(), runner.groups(), [&](int thread, std::int64_t n) {
    runner.differentiate(sequences, targets, n, thread, predictions);
  }).round();
  setting.kernel->combine(runner.group_gradients(), static_cast<int>(runner.groups()),
                          parameter_count(setting.network.hidden), gradient);
  return mean_squared_error(predictions, targets, sequences.batch);
}

namespace {

// A training run: threads share the groups of each batch, the caller's does the update.
class Trainer {
 public:
  Trainer(const Setting& setting, const Training& training, double* losses)
      : setting_(setting),
        training_(training),
        parameters_(parameter_count(setting.network.hidden)),
        runner_(setting, training.batch, training.steps, true, true),
        gradient_(parameters_),
        next_(3 * parameters_),
        predictions_(training.batch),
        losses_(losses) {}

  Trained run() {
    const DenormalsAreZero denormals_are_zero;
    std::int64_t n = 0;
    Crew crew(runner_.threads(), runner_.groups(), [&](int thread, std::int64_t group) {
      runner_.differentiate(sequences(n), targets(n), group, thread, predictions_.data());
    });
    for (; n < training_.iterations; ++n) {
      runner_.pack(training_.parameters);
      crew.round();
      if (!update(n)) break;
    }
    return done_;
  }

 private:
  Sequences sequences(std::int64_t n) const {
    return {training_.inputs + n * training_.batch * training_.steps * 2,
            training_.lengths + n * training_.batch, training_.batch, training_.steps};
  }
  const float* targets(std::int64_t n) const { return training_.targets + n * training_.batch; }

  // False, and nothing changed, where the loss, the gradient or the update is not finite.
  bool update(std::int64_t n) {
    const double loss = mean_squared_error(predictions_.data(), targets(n), training_.batch);
    losses_[done_.losses++] = loss;
    const double norm =
        setting_.kernel->combine(runner_.group_gradients(), static_cast<int>(runner_.groups()),
                                 parameters_, gradient_.get());
    // The square of a gradient, Adam's second moment, must be a float32 too.
    if (!std::isfinite(loss) || !(norm * norm <= std::numeric_limits<float>::max())) return false;
    Update update = training_.update;
    update.learning_rate = training_.learning_rates[n];
    update.count = training_.updates_before + n + 1;
    if (!setting_.kernel->update(update, parameters_, gradient_.get(), norm,
                                 training_.parameters, training_.first_moment,
                                 training_.second_moment, next_.get()))
      return false;
    const std::size_t bytes = static_cast<std::size_t>(parameters_) * sizeof(float);
    std::memcpy(training_.parameters, next_.get(), bytes);
    if (update.adam) {
      std::memcpy(training_.first_moment, next_.get() + parameters_, bytes);
      std::memcpy(training_.second_moment, next_.get() + 2 * parameters_, bytes);
    }
    if (training_.average)
      setting_.kernel->average(update.average_decay, parameters_, training_.parameters,
                               training_.average);
    ++done_.updates;
    return true;
  }

  Setting setting_;
  Training training_;
  std::int64_t parameters_;
  Runner runner_;
  Floats gradient_, next_;
  std::vector<float> predictions_;
  double* losses_;
  Trained done_{0, 0};
};

}  // namespace

Trained train(const Setting& setting, const Training& training, double* losses) {
  return Trainer(setting, training, losses).run();
}

}  // namespace longlag
