// What the bindings of the 1997 LSTM call: many trials, each learning on-line, on any number of
// threads.
#pragma once

#include <cstdint>

#include "online1997.hpp"

namespace longlag {

struct OnlineSetting {
  Cells cells;
  bool reads_current;  // the output unit reads this step's cells, not the previous step's
  const OnlineKernel* kernel;
  int threads;  // at most; small work takes fewer
};

struct Stopping {
  const std::int64_t* thresholds;  // (S,), falling
  std::int64_t count;              // S
  double tolerance;
  double mean_error_below;
  std::int64_t check_every;
};

// N trials, K sequences each; arrays as `online1997` documents them.
struct OnlineTraining {
  std::int64_t trials, sequences, steps, ring;
  const float* inputs;
  const std::int64_t* lengths;
  const float* targets;
  float rate;
  bool full_gradient;
  Stopping stopping;
  float* weights;
  float* recent;
  std::int64_t* seen;
  std::int64_t* wrong;
  std::int64_t* stops;
  float* stop_weights;
  double* stop_errors;
  float* outputs;
};

void learn_online(const OnlineSetting&, const OnlineTraining&);

// inputs (B, T, 2), lengths (B,) to predictions (B,), all with the weights (P,).
void predict_online(const OnlineSetting&, const float* weights, const float* inputs,
                    const std::int64_t* lengths, std::int64_t batch, std::int64_t steps,
                    float* predictions);

}  // namespace longlag
