// longlag._kernel, the LSTM of 1997: checks every argument, releases the interpreter, calls the
// driver.
#include "online_bindings.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "arguments.hpp"
#include "asked.hpp"
#include "freely.hpp"
#include "online_driver.hpp"
#include "results.hpp"

namespace longlag {
namespace {

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMostSeen = kAny / 2;  // which no call can count up to an overflow

// The arguments that say in what a network differs from that of Experiments 4 to 6.
struct Variant {
  nb::handle biases, inputs_to_outputs, output_gate, recurrent, g, h;
};

BlockNetwork network_of(const Asked& asked, nb::handle blocks, nb::handle block_size,
                        nb::handle reads_current, const Variant& variant) {
  const std::vector<std::string> all{"none", "gates", "hidden", "all"};  // as of Biases
  const auto biases = std::find(all.begin(), all.end(), choice(variant.biases, "biases", all));
  const BlockNetwork network{asked, static_cast<int>(integer(blocks, "blocks", 1, kMaxUnits)),
                             static_cast<int>(integer(block_size, "block_size", 1, kMaxUnits)),
                             flag(reads_current, "reads_current"),
                             static_cast<Biases>(biases - all.begin()),
                             flag(variant.inputs_to_outputs, "inputs_to_outputs"),
                             flag(variant.output_gate, "output_gate"),
                             flag(variant.recurrent, "recurrent"),
                             choice(variant.g, "g", {"centered", "logistic"}) == "logistic",
                             choice(variant.h, "h", {"centered", "identity"}) == "identity"};
  if (unit_count(network) > kMaxUnits)
    refuse("block_size", std::to_string(network.size) + " with " + std::to_string(network.blocks) +
                             " blocks, which are " + std::to_string(unit_count(network)) + " units",
           "such that blocks·(block_size + 2) is at most " + std::to_string(kMaxUnits));
  return network;
}

OnlineSetting setting_of(const BlockNetwork& network, nb::handle isa, nb::handle threads) {
  return {network, chosen_isa(isa).online_kernel,
          static_cast<int>(integer(threads, "threads", 1, 1024)),
          nullptr};
}

bool is_rate(double x) { return x > 0.0 && x <= std::numeric_limits<float>::max(); }
bool is_tolerance(double x) { return x >= 0.0 && std::isfinite(x); }
bool is_bound(double x) { return x > 0.0; }

void require_within(const Array& array, std::int64_t least, std::int64_t most) {
  const std::int64_t* values = array.data<const std::int64_t>();
  for (std::int64_t k = 0; k < array.size(); ++k)
    if (values[k] < least || values[k] > most)
      refuse(array.name(), std::to_string(values[k]) + " at flat position " + std::to_string(k),
             "from " + std::to_string(least) + " to " + std::to_string(most) + " throughout");
}

// A copy, as of lengths.
std::vector<std::int64_t> checked_thresholds(const Array& thresholds) {
  require_within(thresholds, 0, kAny);
  const std::int64_t* first = thresholds.data<const std::int64_t>();
  std::vector<std::int64_t> copy(first, first + thresholds.size());
  for (std::size_t s = 1; s < copy.size(); ++s)
    if (copy[s] >= copy[s - 1])
      refuse("thresholds",
             std::to_string(copy[s]) + " after " + std::to_string(copy[s - 1]), "falling");
  return copy;
}

// The arrays that learning writes to.
struct Trials {
  Trials(const BlockNetwork& n, nb::handle weights_object, nb::handle recent_object, nb::handle seen_object,
         nb::handle wrong_object, nb::handle stops_object, nb::handle stop_weights_object,
         nb::handle stop_errors_object)
      : weights(weights_object, "weights", Element::kFloat32, {"N", weight_count(n)}, true),
        recent(recent_object, "recent", Element::kFloat32, {count(), "R"}, true),
        seen(seen_object, "seen", Element::kInt64, {count()}, true),
        wrong(wrong_object, "wrong", Element::kInt64, {count()}, true),
        stops(stops_object, "stops", Element::kInt64, {count(), "S"}, true),
        stop_weights(stop_weights_object, "stop_weights", Element::kFloat32,
                     {count(), stops.extent(1), weight_count(n)}, true),
        stop_errors(stop_errors_object, "stop_errors", Element::kFloat64,
                    {count(), stops.extent(1), 2}, true) {
    weights.require_finite();
    recent.require_finite();
    require_within(seen, 0, kMostSeen);
    require_within(stops, -1, kMostSeen);
    const Array* all[] = {&weights, &recent, &seen, &wrong, &stops, &stop_weights, &stop_errors};
    for (const Array* a : all)
      for (const Array* b : all)
        if (a != b && a->overlaps(*b))
          refuse(b->name(), std::string("memory that it shares with ") + a->name(),
                 "an array of its own");
  }

  std::int64_t count() const { return weights.extent(0); }

  void require_counted(double tolerance) const {
    for (std::int64_t n = 0; n < count(); ++n) {
      std::int64_t ones = 0;
      for (std::int64_t r = 0; r < recent.extent(1); ++r)
        ones += std::fabs(recent.data<const float>()[n * recent.extent(1) + r]) > tolerance;
      const std::int64_t given = wrong.data<const std::int64_t>()[n];
      if (given != ones)
        refuse("wrong", std::to_string(given) + " at position " + std::to_string(n),
               "the number of errors in recent above the tolerance, here " +
                   std::to_string(ones));
    }
  }

  Array weights, recent, seen, wrong, stops, stop_weights, stop_errors;
};

nb::object py_online1997(nb::handle weights, nb::handle recent, nb::handle seen,
                         nb::handle wrong, nb::handle stops, nb::handle stop_weights,
                         nb::handle stop_errors, nb::handle inputs, nb::handle lengths,
                         nb::handle targets, nb::handle thresholds, nb::handle tolerance,
                         nb::handle check_every, nb::handle rate, nb::handle blocks,
                         nb::handle block_size, nb::handle reads_current,
                         nb::handle full_gradient, nb::handle input_size,
                         nb::handle output_size, nb::handle symbols, nb::handle every,
                         nb::handle sigmoid_output, nb::handle isa, nb::handle threads,
                         nb::handle mean_error_below, nb::handle counted, nb::handle wanted,
                         nb::handle judged, nb::handle biases, nb::handle inputs_to_outputs,
                         nb::handle output_gate, nb::handle recurrent, nb::handle g,
                         nb::handle h) {
  const BlockNetwork network =
      network_of(asked_of(input_size, output_size, symbols, every, sigmoid_output), blocks,
                 block_size, reads_current,
                 {biases, inputs_to_outputs, output_gate, recurrent, g, h});
  OnlineSetting setting = setting_of(network, isa, threads);
  const float step = static_cast<float>(
      real(rate, "rate", is_rate, "a number above 0 that float32 can hold"));
  const bool full = flag(full_gradient, "full_gradient");
  const Trials trials(network, weights, recent, seen, wrong, stops, stop_weights,
                      stop_errors);
  const std::vector<std::int64_t> limits = checked_thresholds(
      Array(thresholds, "thresholds", Element::kInt64, {trials.stops.extent(1)}));
  const Stopping stopping{
      limits.data(), trials.stops.extent(1),
      real(tolerance, "tolerance", is_tolerance, "a finite number of at least 0"),
      real(mean_error_below, "mean_error_below", is_bound, "a number above 0, or inf for none"),
      integer(check_every, "check_every", 1, kAny)};
  trials.require_counted(stopping.tolerance);
  const Given given(network, inputs, {trials.count(), "N", "T"});
  const std::int64_t each = given.extent(1), steps = given.extent(2);
  const std::vector<std::int64_t> lasts = checked_lengths(
      Array(lengths, "lengths", Element::kInt64, {trials.count(), each}), steps);
  const std::vector<Extent> asked =
      answers_shape(network, std::vector<Extent>{trials.count(), each}, steps);
  const Array learned(targets, "targets", Element::kFloat32, asked);
  learned.require_finite();
  const Counted counting(network, counted, {trials.count(), each, steps}, lasts, steps, 1);
  std::optional<Array> judging;
  if (!wanted.is_none()) {
    judging.emplace(wanted, "wanted", Element::kFloat32, asked);
    judging->require_finite();
  }
  const Steps where(network, judged, "judged", {trials.count(), each, steps});
  Result<float> outputs(answers_shape(
      network, std::vector<std::size_t>{std::size_t(trials.count()), std::size_t(each)}, steps));
  const OnlineTraining training{trials.count(),
                                each,
                                trials.recent.extent(1),
                                {given.inputs(), given.symbols(), learned.data<const float>(),
                                 lasts.data(), trials.count() * each, steps, counting.data(),
                                 judging ? judging->data<const float>() : nullptr, where.data(),
                                 given.draws()},
                                step,
                                full,
                                stopping,
                                trials.weights.data<float>(),
                                trials.recent.data<float>(),
                                trials.seen.data<std::int64_t>(),
                                trials.wrong.data<std::int64_t>(),
                                trials.stops.data<std::int64_t>(),
                                trials.stop_weights.data<float>(),
                                trials.stop_errors.data<double>(),
                                outputs.data()};
  freely([&](Watch* watch) {
    setting.watch = watch;
    learn_online(setting, training);
  });
  return outputs.array();
}

nb::object py_predict1997(nb::handle weights, nb::handle inputs, nb::handle lengths,
                          nb::handle blocks, nb::handle block_size, nb::handle reads_current,
                          nb::handle input_size, nb::handle output_size, nb::handle symbols,
                          nb::handle every, nb::handle sigmoid_output, nb::handle isa,
                          nb::handle threads, nb::handle biases, nb::handle inputs_to_outputs,
                          nb::handle output_gate, nb::handle recurrent, nb::handle g,
                          nb::handle h) {
  const BlockNetwork network =
      network_of(asked_of(input_size, output_size, symbols, every, sigmoid_output), blocks,
                 block_size, reads_current,
                 {biases, inputs_to_outputs, output_gate, recurrent, g, h});
  OnlineSetting setting = setting_of(network, isa, threads);
  const Array w(weights, "weights", Element::kFloat32, {weight_count(network)});
  const Given given(network, inputs, {"B", "T"});
  const std::int64_t batch = given.extent(0), steps = given.extent(1);
  const std::vector<std::int64_t> lasts =
      checked_lengths(Array(lengths, "lengths", Element::kInt64, {batch}), steps);
  w.require_finite();
  Result<float> predictions(
      answers_shape(network, std::vector<std::size_t>{std::size_t(batch)}, steps));
  freely([&](Watch* watch) {
    setting.watch = watch;
    predict_online(setting, w.data<const float>(),
                   {given.inputs(), given.symbols(), nullptr, lasts.data(), batch, steps, nullptr,
                    nullptr, nullptr, given.draws()},
                   predictions.data());
  });
  return predictions.array();
}

constexpr const char* kOnlineDoc =
    "M independent trials of the 1997 LSTM learn N sequences each, one sequence one update:\n"
    "weights -= rate·gradient of Σ (target - y)². Returns outputs float32, in the shape of the\n"
    "targets: the answers to each sequence before its update, zero after its end.\n\n"
    "Writes to, none sharing memory with another:\n"
    "  weights (M, P) float32: W row by row, then Wk (networks/lstm1997.py)\n"
    "  recent (M, R) float32: a ring of the errors y - target of the R most recent sequences,\n"
    "    the largest of each; that of the n-th sequence, counted from 0, at n mod R\n"
    "  seen (M,) int64: sequences learned so far\n"
    "  wrong (M,) int64: how many errors in recent are above the tolerance\n"
    "  stops (M, S) int64: `seen` when a threshold was first met; -1 before\n"
    "  stop_weights (M, S, P) float32: the weights then, after that sequence's update\n"
    "  stop_errors (M, S, 2) float64: mean squared and mean absolute error of recent then\n"
    "inputs (M, N, T, D) float32, or symbols (M, N, T) int64 from 0 to D - 1; lengths (M, N) int64;\n"
    "targets float32, (M, N), or (M, N, K) with K outputs; if every step answers (M, N, T) or\n"
    "(M, N, T, K). input_size: D; output_size: K; sigmoid_output=False: linear output units.\n"
    "counted (M, N, T) bool, if every step answers: which answers are asked for; all where it is\n"
    "None. The errors in recent are those to wanted, in the shape of the targets, at the steps\n"
    "judged (M, N, T) bool; where these are None, to the targets, at the steps that are counted.\n"
    "thresholds (S,) int64, falling: met when seen >= R, seen is a multiple of check_every,\n"
    "wrong < threshold, and the mean absolute error of recent is below mean_error_below.\n\n"
    "A trial that has met its last threshold learns no more, in this call and in later ones;\n"
    "one whose weights or squared errors would not be finite stops before that update. The\n"
    "outputs that are missing are NaN, and `seen` does not count them: a trial diverged in this\n"
    "call where outputs has a NaN though stops[:, -1] is -1.\n"
    "A trial's bits depend on neither its neighbours nor threads; blocks·(block_size + 2) is at\n"
    "most 32. reads_current=False: the output unit reads the previous step's cells. biases,\n"
    "inputs_to_outputs, output_gate, recurrent, g, h: as of networks/lstm1997.py, Variant; weights\n"
    "that the network is without are not among the P.";
constexpr const char* kPredictDoc =
    "Answers float32, (B,), (B, K), (B, T) or (B, T, K), of the 1997 LSTM with weights (P,)\n"
    "float32 to inputs (B, T, D) float32 or symbols (B, T) int64 of lengths (B,) int64; zero after\n"
    "a sequence's end. Other arguments as of online1997.";

}  // namespace

void add_online1997(nb::module_& module) {
  using namespace nb::literals;
  module.def("online1997", &py_online1997, "weights"_a.none(), "recent"_a.none(),
             "seen"_a.none(), "wrong"_a.none(), "stops"_a.none(), "stop_weights"_a.none(),
             "stop_errors"_a.none(), "inputs"_a.none(), "lengths"_a.none(), "targets"_a.none(),
             nb::kw_only(), "thresholds"_a.none(), "tolerance"_a.none(), "check_every"_a.none(),
             "rate"_a.none(), "blocks"_a.none(), "block_size"_a.none(),
             "reads_current"_a.none(), "full_gradient"_a.none(), "input_size"_a.none() = 2,
             "output_size"_a.none() = 1, "symbols"_a.none() = false, "every"_a.none() = false,
             "sigmoid_output"_a.none() = true, "isa"_a.none(),
             "threads"_a.none() = 1,
             "mean_error_below"_a.none() = std::numeric_limits<double>::infinity(),
             "counted"_a.none() = nb::none(), "wanted"_a.none() = nb::none(),
             "judged"_a.none() = nb::none(), "biases"_a.none() = "all",
             "inputs_to_outputs"_a.none() = false, "output_gate"_a.none() = true,
             "recurrent"_a.none() = true, "g"_a.none() = "centered", "h"_a.none() = "centered",
             kOnlineDoc);
  module.def("predict1997", &py_predict1997, "weights"_a.none(), "inputs"_a.none(),
             "lengths"_a.none(), nb::kw_only(), "blocks"_a.none(), "block_size"_a.none(),
             "reads_current"_a.none(), "input_size"_a.none() = 2, "output_size"_a.none() = 1,
             "symbols"_a.none() = false, "every"_a.none() = false,
             "sigmoid_output"_a.none() = true, "isa"_a.none(), "threads"_a.none() = 1,
             "biases"_a.none() = "all",
             "inputs_to_outputs"_a.none() = false, "output_gate"_a.none() = true,
             "recurrent"_a.none() = true, "g"_a.none() = "centered", "h"_a.none() = "centered", kPredictDoc);
}

}  // namespace longlag
