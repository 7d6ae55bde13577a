// The kernel on a processor that is not there: reads a training, and sequences for an LSTM of 1997,
// from standard input, and writes what the kernel makes of them. See test_neon.py.
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <vector>

#include "driver.hpp"
#include "isas.hpp"
#include "online_driver.hpp"

namespace {

template <typename T>
std::vector<T> taken(std::int64_t count) {
  std::vector<T> values(count);
  if (std::fread(values.data(), sizeof(T), count, stdin) != std::size_t(count)) std::exit(3);
  return values;
}

template <typename T>
void give(const std::vector<T>& values) {
  std::fwrite(values.data(), sizeof(T), values.size(), stdout);
}

void train() {
  const auto head = taken<std::int64_t>(6);
  const std::int64_t B = head[3], T = head[4], N = head[5];
  const auto rates = taken<double>(N);
  const longlag::Network network{{2, 1, false, false, head[1] != 0}, int(head[0]), head[2] != 0};
  const std::int64_t P = longlag::parameter_count(network);
  auto parameters = taken<float>(P);
  const auto inputs = taken<float>(N * B * T * 2);
  const auto lengths = taken<std::int64_t>(N * B);
  const auto targets = taken<float>(N * B);
  std::vector<float> first(P), second(P);
  std::vector<double> losses(N);
  longlag::Training training{};
  training.sequences = {inputs.data(), nullptr, targets.data(), lengths.data(), N * B, T};
  training.learning_rates = rates.data();
  training.iterations = N;
  training.batch = B;
  training.update = {0.0, 0.9, 0.999, 1e-8, 1.0, 0.0, 0, true};
  training.parameters = parameters.data();
  training.first_moment = first.data();
  training.second_moment = second.data();
  const longlag::Setting setting{network, longlag::isa_of("neon").kernel, 1, nullptr};
  if (longlag::train(setting, training, losses.data()).updates != N) std::exit(4);
  give(losses);
  give(parameters);
  give(second);
}

void predict_1997() {
  const auto head = taken<std::int64_t>(4);
  const std::int64_t B = head[2], T = head[3];
  const longlag::Asked asked{2, 1, false, false, true};
  const longlag::BlockNetwork network{asked, int(head[0]), int(head[1]), true};
  const auto weights = taken<float>(longlag::weight_count(network));
  const auto inputs = taken<float>(B * T * 2);
  const auto lengths = taken<std::int64_t>(B);
  std::vector<float> predictions(B);
  const longlag::OnlineSetting setting{network, longlag::isa_of("neon").online_kernel, 1, nullptr};
  longlag::predict_online(setting, weights.data(),
                          {inputs.data(), nullptr, nullptr, lengths.data(), B, T},
                          predictions.data());
  give(predictions);
}

}  // namespace

int main() {
  train();
  predict_1997();
}
