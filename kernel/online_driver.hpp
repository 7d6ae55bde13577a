// What the bindings of the 1997 LSTM call: many trials, each learning on-line, on any number of
// threads.
#pragma once

#include <cstdint>

#include "online1997.hpp"

namespace longlag {

struct OnlineSetting {
  BlockNetwork network;
  const OnlineKernel* kernel;
  int threads;  // at most; small work takes fewer
  Watch* watch;  // or null; where it ends a call, the call throws Ended
};

struct Stopping {
  const std::int64_t* thresholds;  // (S,), falling
  std::int64_t count;              // S
  double tolerance;
  double mean_error_below;
  std::int64_t check_every;
};

// N trials, as many sequences each; arrays as `online1997` documents them.
struct OnlineTraining {
  std::int64_t trials, each, ring;
  Sequences sequences;  // (N·each, ...)
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

// Sequences (B, T, ...) to predictions (B, ...), all with the weights (P,); nothing is written behind
// a sequence's end.
void predict_online(const OnlineSetting&, const float* weights, const Sequences&,
                    float* predictions);

}  // namespace longlag
