// What the bindings call: whole batches and whole training runs, on up to any number of threads.
#pragma once

#include <cstdint>

#include "bptt.hpp"

namespace longlag {

struct Setting {
  Network network;
  const Kernel* kernel;
  int threads;  // at most; small work takes fewer
  Watch* watch;  // or null; where it ends a call, the call throws Ended
};

// How many of so many threads a training of these sizes takes.
int threads_used(const Network&, std::int64_t batch, std::int64_t steps, int threads);

// predictions (B, K), or (B, T, K) where every step answers, zero before; so are targets.
void predict(const Setting&, const float* parameters, const Sequences&, float* predictions);

// cells[n] (B, T, H), zero before: cell state, hidden state, input, forget and output gate,
// candidate.
void states(const Setting&, const float* parameters, const Sequences&, float* const cells[6]);

double gradient(const Setting&, const float* parameters, const Sequences&, float* predictions,
                float* gradient);

struct Training {
  Sequences sequences;           // (N·B, ...)
  const double* learning_rates;  // (N,)
  std::int64_t iterations;       // N
  std::int64_t batch;            // B
  std::int64_t updates_before;
  Update update;                // learning rate and count are set for each iteration
  float* parameters;
  float* first_moment;          // null, as the second, for plain gradient descent
  float* second_moment;
  float* average;               // or null
};

struct Trained {
  std::int64_t losses;   // how many were written
  std::int64_t updates;  // how many were made
};

Trained train(const Setting&, const Training&, double* losses);

}  // namespace longlag
