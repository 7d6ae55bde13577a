// longlag._kernel: checks every argument, releases the interpreter, calls the driver.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <optional>

#include "arguments.hpp"
#include "asked.hpp"
#include "driver.hpp"
#include "freely.hpp"
#include "isas.hpp"
#include "movement_bindings.hpp"
#include "online_bindings.hpp"
#include "peak.hpp"
#include "results.hpp"

namespace longlag {
namespace {

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();

Network network_of(nb::handle hidden, nb::handle sigmoid_output, nb::handle forget_gate,
                   nb::handle input_size, nb::handle output_size, nb::handle symbols,
                   nb::handle every) {
  return {asked_of(input_size, output_size, symbols, every, sigmoid_output),
          static_cast<int>(integer(hidden, "hidden", 1, kMaxHidden)),
          flag(forget_gate, "forget_gate")};
}

Setting setting_of(const Network& network, nb::handle isa, nb::handle threads) {
  return {network, chosen_isa(isa).kernel, static_cast<int>(integer(threads, "threads", 1, 1024)),
          nullptr};
}

// What predict, states and gradient share.
struct Batch {
  Batch(const Network& network, nb::handle parameters_object, nb::handle inputs_object,
        nb::handle lengths_object)
      : parameters(parameters_object, "parameters", Element::kFloat32, {parameter_count(network)}),
        given(network, inputs_object, {"B", "T"}),
        lengths(checked_lengths(Array(lengths_object, "lengths", Element::kInt64, {batch()}),
                                steps())) {
    parameters.require_finite();
  }
  std::int64_t batch() const { return given.extent(0); }
  std::int64_t steps() const { return given.extent(1); }
  Sequences sequences(const float* targets = nullptr,
                      const unsigned char* counted = nullptr) const {
    return {given.inputs(), given.symbols(), targets, lengths.data(), batch(), steps(), counted,
            nullptr, nullptr, given.draws()};
  }
  Result<float> answers(const Network& network) const {
    return Result<float>(
        answers_shape(network, std::vector<std::size_t>{std::size_t(batch())}, steps()));
  }

  Array parameters;
  Given given;
  std::vector<std::int64_t> lengths;
};

nb::object py_predict(nb::handle parameters, nb::handle inputs, nb::handle lengths,
                      nb::handle hidden, nb::handle sigmoid_output, nb::handle forget_gate,
                      nb::handle input_size, nb::handle output_size, nb::handle symbols,
                      nb::handle every, nb::handle isa, nb::handle threads) {
  const Network network = network_of(hidden, sigmoid_output, forget_gate, input_size, output_size,
                                     symbols, every);
  Setting setting = setting_of(network, isa, threads);
  const Batch batch(network, parameters, inputs, lengths);
  Result<float> predictions = batch.answers(network);
  freely([&](Watch* watch) {
    setting.watch = watch;
    predict(setting, batch.parameters.data<const float>(), batch.sequences(), predictions.data());
  });
  return predictions.array();
}

nb::dict py_states(nb::handle parameters, nb::handle inputs, nb::handle lengths,
                   nb::handle hidden, nb::handle sigmoid_output, nb::handle forget_gate,
                   nb::handle input_size, nb::handle output_size, nb::handle symbols,
                   nb::handle every, nb::handle isa, nb::handle threads) {
  static constexpr const char* kNames[6] = {"cell",        "hidden",      "input_gate",
                                            "forget_gate", "output_gate", "candidate"};
  const Network network = network_of(hidden, sigmoid_output, forget_gate, input_size, output_size,
                                     symbols, every);
  Setting setting = setting_of(network, isa, threads);
  const Batch batch(network, parameters, inputs, lengths);
  std::vector<Result<float>> cells;
  float* data[6];
  for (int n = 0; n < 6; ++n) {
    cells.emplace_back(std::vector<std::size_t>{
        std::size_t(batch.batch()), std::size_t(batch.steps()), std::size_t(network.hidden)});
    data[n] = cells.back().data();
  }
  freely([&](Watch* watch) {
    setting.watch = watch;
    states(setting, batch.parameters.data<const float>(), batch.sequences(), data);
  });
  nb::dict result;
  for (int n = 0; n < 6; ++n) result[kNames[n]] = cells[n].array();
  return result;
}

nb::tuple py_gradient(nb::handle parameters, nb::handle inputs, nb::handle lengths,
                      nb::handle targets, nb::handle hidden, nb::handle sigmoid_output,
                      nb::handle forget_gate, nb::handle input_size, nb::handle output_size,
                      nb::handle symbols, nb::handle every, nb::handle isa, nb::handle threads,
                      nb::handle counted) {
  const Network network = network_of(hidden, sigmoid_output, forget_gate, input_size, output_size,
                                     symbols, every);
  Setting setting = setting_of(network, isa, threads);
  const Batch batch(network, parameters, inputs, lengths);
  const Array wanted(targets, "targets", Element::kFloat32,
                     answers_shape(network, std::vector<Extent>{batch.batch()}, batch.steps()));
  const Counted counting(network, counted, {batch.batch(), batch.steps()}, batch.lengths,
                         batch.steps(), batch.batch());
  wanted.require_finite();
  Result<float> predictions = batch.answers(network);
  Result<float> gradients({std::size_t(parameter_count(network))});
  double loss = 0.0;
  freely([&](Watch* watch) {
    setting.watch = watch;
    loss = gradient(setting, batch.parameters.data<const float>(),
                    batch.sequences(wanted.data<const float>(), counting.data()), predictions.data(),
                    gradients.data());
  });
  return nb::make_tuple(loss, predictions.array(), gradients.array());
}

bool is_decay(double x) { return x >= 0.0 && x < 1.0; }
bool is_fraction(double x) { return x >= 0.0 && x <= 1.0; }
bool is_positive(double x) { return x > 0.0; }
bool is_positive_finite(double x) { return x > 0.0 && std::isfinite(x); }

void check_rates(const Array& rates) {
  const double* rate = rates.data<const double>();
  for (std::int64_t n = 0; n < rates.size(); ++n)
    if (!(rate[n] >= 0.0 && std::isfinite(rate[n])))
      refuse("learning_rates", std::to_string(rate[n]) + " at position " + std::to_string(n),
             "finite and at least 0 throughout");
}

// The arrays that training writes to; plain gradient descent takes no notice of the moments.
struct Learned {
  Learned(std::int64_t size, bool adam, nb::handle parameters_object, nb::handle first_object,
          nb::handle second_object, nb::handle average_object)
      : parameters(parameters_object, "parameters", Element::kFloat32, {size}, true) {
    written.push_back(&parameters);
    const auto take = [&](std::optional<Array>& array, nb::handle object, const char* name) {
      array.emplace(object, name, Element::kFloat32, std::vector<Extent>{size}, true);
      written.push_back(&*array);
    };
    if (adam) take(first, first_object, "first_moment");
    if (adam) take(second, second_object, "second_moment");
    if (!average_object.is_none()) take(average, average_object, "average");
    check_values();
  }

  void check_values() const {
    for (std::size_t a = 0; a < written.size(); ++a) {
      written[a]->require_finite();
      for (std::size_t b = 0; b < a; ++b)
        if (written[a]->overlaps(*written[b]))
          refuse(written[a]->name(),
                 std::string("memory that it shares with ") + written[b]->name(),
                 "an array of its own");
    }
    if (!second) return;
    const float* values = second->data<const float>();
    for (std::int64_t p = 0; p < second->size(); ++p)
      if (values[p] < 0.0f)
        refuse("second_moment", std::to_string(values[p]) + " at position " + std::to_string(p),
               "at least 0 throughout");
  }

  static float* data(const std::optional<Array>& array) {
    return array ? array->data<float>() : nullptr;
  }

  Array parameters;
  std::optional<Array> first, second, average;
  std::vector<const Array*> written;
};

nb::tuple py_train(nb::handle parameters, nb::handle first_moment, nb::handle second_moment,
                   nb::handle step, nb::handle inputs, nb::handle lengths, nb::handle targets,
                   nb::handle learning_rates, nb::handle hidden, nb::handle sigmoid_output,
                   nb::handle forget_gate, nb::handle input_size, nb::handle output_size,
                   nb::handle symbols, nb::handle every, nb::handle optimizer, nb::handle beta1,
                   nb::handle beta2, nb::handle epsilon, nb::handle clip, nb::handle isa,
                   nb::handle threads, nb::handle average, nb::handle average_decay,
                   nb::handle counted, nb::handle observe) {
  const Network network = network_of(hidden, sigmoid_output, forget_gate, input_size, output_size,
                                     symbols, every);
  Setting setting = setting_of(network, isa, threads);
  const bool adam = choice(optimizer, "optimizer", {"adam", "sgd"}) == "adam";
  const Update update{0.0,
                      real(beta1, "beta1", is_decay, "a number from 0 to below 1"),
                      real(beta2, "beta2", is_decay, "a number from 0 to below 1"),
                      real(epsilon, "epsilon", is_positive_finite, "a finite number above 0"),
                      real(clip, "clip", is_positive, "a number above 0, or inf for none"),
                      real(average_decay, "average_decay", is_fraction, "a number from 0 to 1"),
                      0,
                      adam};
  require_callable(observe, "observe");
  const std::int64_t before = integer(step, "step", 0, kAny / 2);
  const Learned learned(parameter_count(network), adam, parameters, first_moment,
                        second_moment, average);
  const Given given(network, inputs, {"N", "B", "T"});
  const std::int64_t iterations = given.extent(0), batch = given.extent(1);
  const std::int64_t steps = given.extent(2);
  const std::vector<std::int64_t> lasts =
      checked_lengths(Array(lengths, "lengths", Element::kInt64, {iterations, batch}), steps);
  const Array wanted(targets, "targets", Element::kFloat32,
                     answers_shape(network, std::vector<Extent>{iterations, batch}, steps));
  const Array rates(learning_rates, "learning_rates", Element::kFloat64, {iterations});
  const Counted counting(network, counted, {iterations, batch, steps}, lasts, steps, batch);
  wanted.require_finite();
  check_rates(rates);
  const Training training{{given.inputs(), given.symbols(), wanted.data<const float>(),
                           lasts.data(), iterations * batch, steps, counting.data(), nullptr,
                           nullptr, given.draws()},
                          rates.data<const double>(),
                          iterations,
                          batch,
                          before,
                          update,
                          learned.parameters.data<float>(),
                          Learned::data(learned.first),
                          Learned::data(learned.second),
                          Learned::data(learned.average)};
  Result<double> losses({static_cast<std::size_t>(iterations)});
  Trained done{};
  freely([&](Watch* watch) {
    setting.watch = watch;
    done = train(setting, training, losses.data());
  }, observe);
  return nb::make_tuple(losses.array(static_cast<std::size_t>(done.losses)), done.updates);
}

int py_threads_used(nb::handle hidden, nb::handle batch, nb::handle steps, nb::handle threads,
                    nb::handle input_size, nb::handle output_size, nb::handle symbols,
                    nb::handle every) {
  const Network network = network_of(hidden, nb::bool_(false), nb::bool_(true), input_size,
                                     output_size, symbols, every);
  return threads_used(network, integer(batch, "batch", 1, kAny / 2),
                      integer(steps, "steps", 1, kAny),
                      static_cast<int>(integer(threads, "threads", 1, 1024)));
}

double py_peak(nb::handle isa) {
  const PeakLoop& loop = *chosen_isa(isa).peak_loop;
  const nb::gil_scoped_release release;
  return peak(loop);
}

double py_needed(nb::handle isa, nb::handle products, nb::handle sigmoids, nb::handle tanhs) {
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  const PeakLoop& loop = *chosen_isa(isa).peak_loop;
  const Needs needs{integer(products, "products", 0, kMost),
                    integer(sigmoids, "sigmoids", 0, kMost), integer(tanhs, "tanhs", 0, kMost)};
  if (needs.products + needs.sigmoids + needs.tanhs == 0) refuse("products", "0", "above 0");
  const nb::gil_scoped_release release;
  return needed(loop, needs);
}

constexpr const char* kThreadsDoc =
    "How many of so many threads train() takes for batches of `batch` sequences of `steps` steps:\n"
    "no more than there are cores or groups of 16 sequences, and none that less than 2 million\n"
    "operations of an iteration would fall to. The bits do not depend on it.";
constexpr const char* kPredictDoc =
    "Answers (B,) float32 at each sequence's last step; with K outputs (B, K); if every step\n"
    "answers (B, T) or (B, T, K), zero after a sequence's end.\n\n"
    "parameters (P,), inputs (B, T, D) float32, or symbols (B, T) int64 from 0 to D - 1, and\n"
    "lengths (B,) int64, all C-contiguous; or inputs that are drawn: a tuple of streams (B, 3)\n"
    "uint64, at (B, M) int64, given (B, M, D) float32, T, low and span, as of longlag.tasks.drawn;\n"
    "steps `at` behind a sequence's end are passed over. input_size: D; output_size: K; hidden: 1 to 128\n"
    "cells; forget_gate=False: the gate is 1; isa: one of isas(); threads: at most; small work\n"
    "takes fewer.";
constexpr const char* kStatesDoc =
    "Six (B, T, H) float32 arrays: cell, hidden, input_gate, forget_gate, output_gate,\n"
    "candidate; zero after a sequence's end. Arguments as of predict.";
constexpr const char* kGradientDoc =
    "(loss, answers, gradient (P,)) of the mean of (y - t)² over all numbers asked for.\n\n"
    "targets float32, in the shape of the answers; other arguments as of predict. counted (B, T)\n"
    "bool, if every step answers: which answers are asked for; all where it is None. The\n"
    "gradient is not clipped.";
constexpr const char* kTrainDoc =
    "N iterations of forward, backward, clip and update; returns (losses, updates_done).\n\n"
    "Writes to parameters, first_moment, second_moment and, if given, average: (P,) float32,\n"
    "none sharing memory with another. step: updates made before this call. inputs\n"
    "(N, B, T, D) or symbols (N, B, T), lengths (N, B), targets (N, B, ...), counted (N, B, T) as\n"
    "of gradient, learning_rates (N,) float64.\n"
    "optimizer \"adam\" (with bias correction) or \"sgd\" (takes no notice of the moments, which\n"
    "may be None); clip bounds the global norm, inf for none. After each update\n"
    "average = average_decay·average + (1 - average_decay)·parameters.\n"
    "observe: called with the share of the work that is done, 20 times a second at most; what it\n"
    "raises ends the call, and leaves the arrays at the last update that was made.\n\n"
    "losses (n,) float64: each before its update. updates_done equals N, and n equals N, in\n"
    "a run that stays finite. Otherwise the run stopped at iteration updates_done, before its\n"
    "update: the loss, the gradient once clipped or the updated values were not finite;\n"
    "n = updates_done + 1, and the arrays hold what the last finite update left.";

}  // namespace

NB_MODULE(_kernel, module) {
  using namespace nb::literals;
  module.doc() =
      "Native kernels, in float32: the forget-gate LSTM, and the LSTM of 1997 learning on-line.";
  // Handles instead of types: the checks are this module's, and say what is wrong in a sentence.
  module.def("isas", &isa_names,
             "The instruction sets this machine can run, best first.");
  module.def("peak", &py_peak, "isa"_a.none(),
             "Measured multiply-adds of one core, in GFLOP/s (2 operations each); takes 50 ms.");
  module.def("needed", &py_needed, "isa"_a.none(), "products"_a.none(), "sigmoids"_a.none(),
             "tanhs"_a.none(),
             "Measured seconds of a step of one sequence that has so many products and sums, and\n"
             "activations, all in registers and independent; takes 50 ms.");
  module.def("threads_used", &py_threads_used, "hidden"_a.none(), "batch"_a.none(),
             "steps"_a.none(), "threads"_a.none(), nb::kw_only(), "input_size"_a.none() = 2,
             "output_size"_a.none() = 1, "symbols"_a.none() = false, "every"_a.none() = false,
             kThreadsDoc);
  module.def("predict", &py_predict, "parameters"_a.none(), "inputs"_a.none(),
             "lengths"_a.none(), nb::kw_only(), "hidden"_a.none(), "sigmoid_output"_a.none(),
             "forget_gate"_a.none(), "input_size"_a.none() = 2, "output_size"_a.none() = 1,
             "symbols"_a.none() = false, "every"_a.none() = false, "isa"_a.none(),
             "threads"_a.none() = 1, kPredictDoc);
  module.def("states", &py_states, "parameters"_a.none(), "inputs"_a.none(), "lengths"_a.none(),
             nb::kw_only(), "hidden"_a.none(), "sigmoid_output"_a.none(), "forget_gate"_a.none(),
             "input_size"_a.none() = 2, "output_size"_a.none() = 1, "symbols"_a.none() = false,
             "every"_a.none() = false, "isa"_a.none(), "threads"_a.none() = 1, kStatesDoc);
  module.def("gradient", &py_gradient, "parameters"_a.none(), "inputs"_a.none(),
             "lengths"_a.none(), "targets"_a.none(), nb::kw_only(), "hidden"_a.none(),
             "sigmoid_output"_a.none(), "forget_gate"_a.none(), "input_size"_a.none() = 2,
             "output_size"_a.none() = 1, "symbols"_a.none() = false, "every"_a.none() = false,
             "isa"_a.none(), "threads"_a.none() = 1, "counted"_a.none() = nb::none(),
             kGradientDoc);
  module.def("train", &py_train, "parameters"_a.none(), "first_moment"_a.none(),
             "second_moment"_a.none(), "step"_a.none(), "inputs"_a.none(), "lengths"_a.none(),
             "targets"_a.none(), "learning_rates"_a.none(), nb::kw_only(), "hidden"_a.none(),
             "sigmoid_output"_a.none(), "forget_gate"_a.none(), "input_size"_a.none() = 2,
             "output_size"_a.none() = 1, "symbols"_a.none() = false, "every"_a.none() = false,
             "optimizer"_a.none(),
             "beta1"_a.none(), "beta2"_a.none(), "epsilon"_a.none(), "clip"_a.none(),
             "isa"_a.none(), "threads"_a.none() = 1, "average"_a.none() = nb::none(),
             "average_decay"_a.none() = 0.0, "counted"_a.none() = nb::none(),
             "observe"_a.none() = nb::none(), kTrainDoc);
  add_online1997(module);
  add_movement(module);
}

}  // namespace longlag
