// Forward pass, gradients and update of the 1997 LSTM, a trial in each lane: compiled once for
// each instruction set. This is the same mathematics as plain.cpp, where to begin reading.
//
// Weights and states are kept in units in which 1/(1 + 2^x) is the logistic function (simd.hpp).
#include "online1997.hpp"

#include "draws.hpp"
#include "lanes.hpp"
#include "simd.hpp"

#if defined(__AVX512F__)
namespace longlag::avx2 {
extern const OnlineKernel kOnlineKernel;
}
#endif

namespace longlag::LONGLAG_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kTileColumns = 8;  // weight gradients: columns of a tile, times kTileRows rows
#else
constexpr int kTileColumns = 4;
#endif
constexpr int kTileRows = 3;

constexpr int kRow = kGroup;  // floats of a row: one a lane

template <bool VALUE>
struct Flag {
  static constexpr bool value = VALUE;
};

// What a step takes in: two numbers, known when compiling; D numbers; or a symbol.
enum class Inputs { kPair, kReal, kSymbols };

// The network's sizes: known when compiling, for one of usual steps, or (B = 0) when running.
template <int B, int S, Inputs INPUTS>
struct Shape {
  static constexpr int kCells = B ? B * S : kMaxUnits;
  static constexpr int kUnits = B ? B * (S + 2) : kMaxUnits;
  BlockNetwork runtime;

  LONGLAG_INLINE int inputs() const { return INPUTS == Inputs::kPair ? 2 : first_unit(runtime); }
  LONGLAG_INLINE int blocks() const { return B ? B : runtime.blocks; }
  LONGLAG_INLINE int size() const { return B ? S : runtime.size; }
  LONGLAG_INLINE int cells() const { return blocks() * size(); }
  LONGLAG_INLINE int units() const { return cells() + 2 * blocks(); }
  LONGLAG_INLINE int columns() const { return inputs() + units() + 1; }
  LONGLAG_INLINE bool output_gate() const { return B || runtime.output_gate; }
  LONGLAG_INLINE bool logistic_g() const { return !B && runtime.logistic_g; }
  LONGLAG_INLINE bool identity_h() const { return !B && runtime.identity_h; }
};

// ---------------------------------------------------------------------------------------------
// Forward

LONGLAG_INLINE std::int64_t start(const Lineup& lineup, int lane) {
  return lineup.longest - lineup.lengths[lane];
}

// Sequences to lanes, aligned at their ends; zero before a start, and after the end.
void gather_inputs(const BlockNetwork& n, const Lineup& lineup, const OnlineWorkspace& work) {
  Run runs[kGroup];
  Span rows{0, lineup.longest + 1, {}, {}};
  for (int lane = 0; lane < lineup.lanes; ++lane) {
    const std::int64_t begin = start(lineup, lane);
    // Outputs that read late cells may see the last step's input.
    const bool used = lineup.inputs[lane] || lineup.symbols[lane] || lineup.streams[lane];
    const std::int64_t end = used ? lineup.longest + lateness(n) : begin;
    runs[lane] = {lineup.inputs[lane], n.inputs * begin, n.inputs * end};
    rows.begin[lane] = used ? begin : 0;
    rows.end[lane] = used ? end : 0;
    for (std::int64_t t = 0; t < lineup.longest - lineup.shortest; ++t)
      work.live[t * kRow + lane] = t < begin ? 0.0f : 1.0f;
    if (n.symbols)
      for (std::int64_t t = 0; t <= lineup.longest; ++t)
        work.symbols[t * kRow + lane] =
            t >= begin && t < end ? lineup.symbols[lane][t - begin] : 0;
  }
  std::uint64_t streams[4 * kGroup];
  if (lineup.draws)
    draw_inputs<true>(n, lineup, rows, streams, work.x);
  else if (!n.symbols)
    lay_out(runs, lineup.lanes, n.inputs * (lineup.longest + 1), work.x);
}

// What step t's symbols have in the floats begin..end of their tables, in the lanes from `part` on: to
// rows.
LONGLAG_INLINE void look_up(const BlockNetwork& n, const OnlineWorkspace& work,
                            std::int64_t lane_floats, std::int64_t t, int begin, int end,
                            int part) {
  for (int first = part; first < part + kWidth; first += 4) {
    const float* from[4];
    for (int k = 0; k < 4; ++k)
      from[k] = work.table + (first + k) * lane_floats +
                std::int64_t{work.symbols[t * kRow + first + k]} * symbol_floats(n);
    for (int r = begin; r < end; r += 4) {
      Quad in[4], out[4];
      for (int k = 0; k < 4; ++k) in[k] = *reinterpret_cast<const Quad*>(from[k] + r);
      transpose(in, out);
      for (int k = 0; k < 4; ++k)
        *reinterpret_cast<Quad*>(work.looked_up + (r + k) * kRow + first) = out[k];
    }
  }
}

// f(net) of the first `count` of x.
template <bool FIXED, int N>
LONGLAG_INLINE void squash(Lanes (&x)[N], int count) {
  if constexpr (FIXED) {
    sigmoid_of_scaled(x);
  } else {
    for (int n = 0; n < count; ++n) {
      Lanes one[1] = {x[n]};
      sigmoid_of_scaled(one);
      x[n] = one[0];
    }
  }
}

// What a step's units receive, but for the cells' outputs, which are the last to be known: bias,
// inputs `from` (or what is taken from symbols), and the gates at the step before.
template <int B, int S, Inputs INPUTS>
LONGLAG_INLINE void begin_sums(const Shape<B, S, INPUTS>& shape, const float* weights,
                               const float* from, const Lanes* gates, Lanes* net) {
  const int columns = shape.columns(), first_gate = shape.inputs() + shape.cells();
  for (int r = 0; r < shape.units(); ++r)
    net[r] = load(weights + (r * columns + columns - 1) * kRow);
  if (INPUTS == Inputs::kSymbols)
    for (int r = 0; r < shape.units(); ++r)
      net[r] = fma(broadcast(kSigmoidScale), load(from + r * kRow), net[r]);
  for (int k = 0; k < shape.inputs(); ++k) {
    const Lanes x = load(from + k * kRow);
    for (int r = 0; r < shape.units(); ++r)
      net[r] = fma(load(weights + (r * columns + k) * kRow), x, net[r]);
  }
  for (int k = 0; k < 2 * shape.blocks(); ++k)
    for (int r = 0; r < shape.units(); ++r)
      net[r] = fma(load(weights + (r * columns + first_gate + k) * kRow), gates[k], net[r]);
}

// One step. `net` holds the sums that begin_sums made for this step, and then for the next, whose
// inputs are `next_from`.
template <int B, int S, Inputs INPUTS, bool STAGGERED>
LONGLAG_INLINE void step(const Shape<B, S, INPUTS>& shape, const float* weights,
                         const float* next_from, const float* live, Lanes* hidden, Lanes* state,
                         Lanes (&net)[Shape<B, S, INPUTS>::kUnits], float* record,
                         float* squashed) {
  constexpr int kUnits = Shape<B, S, INPUTS>::kUnits, kCells = Shape<B, S, INPUTS>::kCells;
  const int cells = shape.cells(), blocks = shape.blocks(), units = shape.units();
  const float* from_cells = weights + shape.inputs() * kRow;
  for (int k = 0; k < cells; ++k)
    for (int r = 0; r < units; ++r)
      net[r] = fma(load(from_cells + (r * shape.columns() + k) * kRow), hidden[k], net[r]);
  squash<B != 0>(net, units);
  Lanes gates[kUnits], h[kCells];
  for (int k = blocks; k < 2 * blocks && !shape.output_gate(); ++k) net[cells + k] = broadcast(1.0f);
  for (int k = 0; k < 2 * blocks; ++k) {
    gates[k] = STAGGERED ? mul(net[cells + k], load(live)) : net[cells + k];
    store(record + (cells + k) * kRow, gates[k]);
  }
  const Lanes steep = broadcast((shape.logistic_g() ? 1.0f : 4.0f) * kSigmoidScale);
  const Lanes low = broadcast((shape.logistic_g() ? 0.0f : -2.0f) * kSigmoidScale);
  for (int k = 0; k < cells; ++k) {
    store(record + (units + k) * kRow, net[k]);
    state[k] = fma(gates[k / shape.size()], fma(steep, net[k], low), state[k]);
    h[k] = state[k];
  }
  if (!shape.identity_h()) squash<B != 0>(h, cells);
  begin_sums(shape, weights, next_from, gates, net);
  for (int k = 0; k < cells; ++k) {
    h[k] = shape.identity_h() ? mul(broadcast(1.0f / kSigmoidScale), h[k])
                              : fma(broadcast(2.0f), h[k], broadcast(-1.0f));
    store(squashed + k * kRow, h[k]);
    hidden[k] = mul(gates[blocks + k / shape.size()], h[k]);
    store(record + k * kRow, hidden[k]);
  }
}

// What an answer is made of, in the lanes from one on.
struct Read {
  const float* output;   // Wk, scaled
  const float* hidden;   // what the cells put out, at the head of a record
  const float* x;        // the step's inputs, where they are numbers and lead here
  const float* symbols;  // what the step's symbols lead here, or null
};

// The answers of N outputs from output k on.
template <int N>
LONGLAG_INLINE void answer_tile(const BlockNetwork& n, const Read& read, int k, float* answers) {
  const int cells = cell_count(n), direct = direct_columns(n), columns = output_columns(n);
  const float* own = read.output + k * columns * kRow;
  Lanes y[N];
  for (int r = 0; r < N; ++r) y[r] = load(own + (r * columns + columns - 1) * kRow);
  for (int c = 0; c < cells; ++c)
    for (int r = 0; r < N; ++r)
      y[r] = fma(load(own + (r * columns + c) * kRow), load(read.hidden + c * kRow), y[r]);
  for (int d = 0; d < direct; ++d)
    for (int r = 0; r < N; ++r)
      y[r] = fma(load(own + (r * columns + cells + d) * kRow), load(read.x + d * kRow), y[r]);
  const Lanes scale = broadcast(n.sigmoid_output ? kSigmoidScale : 1.0f);
  for (int r = 0; r < N && read.symbols; ++r)
    y[r] = fma(scale, load(read.symbols + (k + r) * kRow), y[r]);
  if (n.sigmoid_output) sigmoid_of_scaled(y);
  for (int r = 0; r < N; ++r) store(answers + (k + r) * kRow, y[r]);
}

// Answer a, from a record, in the lanes from `part` on.
__attribute__((noinline)) void answer(const BlockNetwork& n, const OnlineWorkspace& work,
                                      std::int64_t lane_floats, const float* record,
                                      std::int64_t a, std::int64_t step, int part) {
  const bool symbols = output_floats(n) != 0;
  if (symbols) look_up(n, work, lane_floats, step, unit_floats(n), symbol_floats(n), part);
  const Read read{work.scaled + unit_rows(n) * kRow + part, record,
                  work.x + step * n.inputs * kRow + part,
                  symbols ? work.looked_up + unit_floats(n) * kRow + part : nullptr};
  float* answers = work.answers + a * n.outputs * kRow + part;
  int k = 0;
  for (; k + 4 <= n.outputs; k += 4) answer_tile<4>(n, read, k, answers);
  for (; k < n.outputs; ++k) answer_tile<1>(n, read, k, answers);
}

// Of the lanes from `part` on; returns the last record. EVERY when compiling: a call within the loop
// would keep the sums out of registers.
template <bool EVERY, int B, int S, Inputs INPUTS>
const float* forward_lanes(const Shape<B, S, INPUTS>& shape, const Lineup& lineup, Pass pass,
                   const OnlineWorkspace& work, int part) {
  const BlockNetwork n = shape.runtime;  // copies, which no store can change
  const bool with_squashed = records_squashed(n, pass);
  const int units = shape.units(), rows = record_rows(n, pass), late = lateness(n);
  const std::int64_t lane_floats = pass.keep ? table_floats(n) : 0;
  const float* weights = work.scaled + part;
  const float* from = (INPUTS == Inputs::kSymbols ? work.looked_up : work.x) + part;
  const int floats = unit_floats(n), from_step = INPUTS == Inputs::kSymbols ? 0 : shape.inputs() * kRow;
  float* before = work.record + part;
  float* squashed = work.squashed + part;
  Lanes net[Shape<B, S, INPUTS>::kUnits], gates[Shape<B, S, INPUTS>::kUnits];
  Lanes hidden[Shape<B, S, INPUTS>::kCells], state[Shape<B, S, INPUTS>::kCells];
  for (int k = 0; k < units; ++k) store(before + k * kRow, broadcast(0.0f));
  for (int k = 0; k < 2 * shape.blocks(); ++k) gates[k] = broadcast(0.0f);
  for (int k = 0; k < shape.cells(); ++k) hidden[k] = state[k] = broadcast(0.0f);
  if (INPUTS == Inputs::kSymbols) look_up(n, work, lane_floats, 0, 0, floats, part);
  begin_sums(shape, weights, from, gates, net);
  if (EVERY && late) answer(n, work, lane_floats, before, 0, 0, part);
  float* record = before;
  const auto run = [&](std::int64_t t, auto staggered) LONGLAG_LAMBDA {
    record = before + (pass.keep ? 1 + t : 1) * rows * kRow;
    float* h = with_squashed ? record + (units + shape.cells()) * kRow : squashed;
    if (INPUTS == Inputs::kSymbols) look_up(n, work, lane_floats, t + 1, 0, floats, part);
    step<B, S, INPUTS, decltype(staggered)::value>(shape, weights, from + (t + 1) * from_step,
                                                   work.live + t * kRow + part, hidden, state,
                                                   net, record, h);
    if (EVERY) answer(n, work, lane_floats, record, t + late, t + late, part);
  };
  std::int64_t t = 0;
  for (; t < lineup.longest - lineup.shortest; ++t) run(t, Flag<true>{});
  for (; t < lineup.longest; ++t) run(t, Flag<false>{});
  return record;
}

template <int B, int S, Inputs INPUTS>
void forward_shape(const BlockNetwork& network, const Lineup& lineup, Pass pass,
                   const OnlineWorkspace& work) {
  const Shape<B, S, INPUTS> shape{network};
  const std::int64_t last = lineup.longest - 1 + lateness(network);
  for (int part = 0; part < lineup.lanes; part += kWidth)
    if (network.every)
      forward_lanes<true>(shape, lineup, pass, work, part);
    else
      answer(network, work, pass.keep ? table_floats(network) : 0,
             forward_lanes<false>(shape, lineup, pass, work, part), 0, last, part);
}

bool two_by_two(const BlockNetwork& n) {
  return n.blocks == 2 && n.size == 2 && usual_step(n);
}

void forward(const BlockNetwork& network, const Lineup& lineup, Pass pass,
             const OnlineWorkspace& work) {
  gather_inputs(network, lineup, work);
  if (network.symbols)
    two_by_two(network) ? forward_shape<2, 2, Inputs::kSymbols>(network, lineup, pass, work)
                        : forward_shape<0, 0, Inputs::kSymbols>(network, lineup, pass, work);
  else if (network.inputs == 2 && two_by_two(network))
    forward_shape<2, 2, Inputs::kPair>(network, lineup, pass, work);
  else
    forward_shape<0, 0, Inputs::kReal>(network, lineup, pass, work);
}

// ---------------------------------------------------------------------------------------------
// Gradients

LONGLAG_INLINE Lanes slope(Lanes f) { return fnma(f, f, f); }  // of f, from its value

// What the gradient of a group goes through, for the lanes from `part` on.
struct Backward {
  Backward(const BlockNetwork& n, std::int64_t steps, Pass pass, const OnlineWorkspace& work,
           int part)
      : network(n),
        steps(steps),
        full(pass.full),
        work(work),
        part(part),
        cells(cell_count(n)),
        units(unit_count(n)),
        columns(column_count(n)),
        record_stride(record_rows(n, pass) * kRow),
        delta_stride(unit_floats(n) * kRow) {}

  const BlockNetwork network;
  const std::int64_t steps;
  const bool full;
  const OnlineWorkspace& work;
  const int part;
  const int cells, units, columns, record_stride, delta_stride;

  // Of the step before t.
  float* record(std::int64_t t) const { return work.record + part + t * record_stride; }
  const float* x(std::int64_t t) const { return work.x + part + t * network.inputs * kRow; }
  float* gradient(int row) const {
    return work.gradient + part + std::int64_t{row} * columns * kRow;
  }
  float* deltas(std::int64_t t) const {
    return work.deltas + part + t % kOnlineChunk * delta_stride;
  }
  // Of output k: cells, inputs and bias, and their gradient.
  std::int64_t output_row(int k) const {
    return (unit_rows(network) + std::int64_t{k} * output_columns(network)) * kRow + part;
  }
  // dE/dnet of the output units at answer a.
  const float* errors(std::int64_t a) const {
    return work.errors + part + a * network.outputs * kRow;
  }
  // The step of answer a, from 0; and the record that it was read from.
  std::int64_t answered(std::int64_t a) const {
    return network.every ? a : steps - 1 + lateness(network);
  }
  float* answered_from(std::int64_t a) const {
    return record(answered(a) + 1 - lateness(network));
  }
};

// Targets to lanes, as many answers as there are; zero before a start and in lanes without one.
void gather_targets(const BlockNetwork& n, const Lineup& lineup, std::int64_t answers,
                    float* targets) {
  if (!n.every) {
    for (int lane = 0; lane < lineup.lanes; ++lane)
      for (int k = 0; k < n.outputs; ++k)
        targets[k * kRow + lane] = lineup.targets[lane] ? lineup.targets[lane][k] : 0.0f;
    return;
  }
  Run runs[kGroup];
  for (int lane = 0; lane < lineup.lanes; ++lane) {
    const std::int64_t begin = start(lineup, lane) * n.outputs;
    runs[lane] = {lineup.targets[lane], begin, lineup.targets[lane] ? answers * n.outputs : begin};
  }
  lay_out(runs, lineup.lanes, answers * n.outputs, targets);
}

// The largest error of a lane by what it is judged by, where that is not what it learns.
void judge(const BlockNetwork& n, const Lineup& lineup, int lane, const OnlineWorkspace& work) {
  const float* wanted = lineup.wanted[lane] ? lineup.wanted[lane] : lineup.targets[lane];
  const unsigned char* where = lineup.judged[lane] ? lineup.judged[lane] : lineup.counted[lane];
  const std::int64_t begin = n.every ? start(lineup, lane) : 0;
  const std::int64_t answers = answer_count(n, lineup.lengths[lane] + lateness(n));
  work.largest[lane] = 0.0f;
  for (std::int64_t k = 0; k < answers * n.outputs; ++k) {
    if (where && !where[k / n.outputs]) continue;
    const float error = work.answers[(begin * n.outputs + k) * kRow + lane] - wanted[k];
    if (__builtin_fabsf(error) > __builtin_fabsf(work.largest[lane])) work.largest[lane] = error;
  }
}

// The answers' errors, as dE/dnet, zero before a sequence's start; of each lane the largest, and the
// sum of their squares.
void output_errors(const BlockNetwork& n, const Lineup& lineup, const OnlineWorkspace& work) {
  const int late = lateness(n);
  const std::int64_t count = n.every ? lineup.longest + late : 1;
  const std::int64_t staggered = n.every ? lineup.longest - lineup.shortest : 0;
  gather_targets(n, lineup, count, work.errors);
  for (int lane = 0; lane < lineup.lanes; ++lane) {
    excuse(n, lineup, lane, start(lineup, lane), lineup.lengths[lane] + late, work.answers,
           work.errors);
    work.largest[lane] = work.loss[lane] = 0.0f;
  }
  for (std::int64_t row = 0; row < count * n.outputs; ++row) {
    const float* live = work.live + row / n.outputs * kRow;
    float* errors = work.errors + row * kRow;
    for (int part = 0; part < lineup.lanes; part += kWidth) {
      const Lanes y = load(work.answers + row * kRow + part);
      Lanes error = sub(y, load(errors + part));
      if (row / n.outputs < staggered) error = mul(error, load(live + part));
      store(errors + part, error);
      for (int lane = part; lane < part + kWidth; ++lane) {
        const float own = errors[lane], largest = work.largest[lane];
        work.largest[lane] = __builtin_fabsf(own) > __builtin_fabsf(largest) ? own : largest;
        work.loss[lane] += own * own;
      }
      const Lanes twice = mul(broadcast(2.0f), error);
      store(errors + part, n.sigmoid_output ? mul(twice, slope(y)) : twice);
    }
  }
  for (int lane = 0; lane < lineup.lanes; ++lane)
    if (lineup.wanted[lane] || lineup.judged[lane]) judge(n, lineup, lane, work);
}

// What the truncated gradient's steps share: the error of every state, times 4, and -2 times its
// sum over each block, since g = 4f - 2; or times 1 and 0, where g = f.
struct StateErrors {
  Lanes cell[kMaxUnits];
  Lanes block[kMaxUnits];
};

void add_outer(const Backward& at, std::int64_t t, Lanes delta, float* row) {
  const auto add_to = [&](int column, Lanes value) LONGLAG_LAMBDA {
    store(row + column * kRow, fma(delta, value, load(row + column * kRow)));
  };
  const int first = first_unit(at.network);
  for (int k = 0; k < first; ++k) add_to(k, load(at.x(t) + k * kRow));
  for (int k = 0; k < at.units; ++k) add_to(first + k, load(at.record(t) + k * kRow));
  add_to(at.columns - 1, broadcast(1.0f));
}

// Adds N answers, from answer a on, to the gradient of Wk.
template <int N>
LONGLAG_INLINE void add_answers(const Backward& at, std::int64_t a) {
  const int cells = at.cells, outputs = at.network.outputs, direct = direct_columns(at.network);
  const float* errors[N];
  const float* hidden[N];
  const float* x[N];
  for (int n = 0; n < N; ++n) {
    errors[n] = at.errors(a + n);
    hidden[n] = at.answered_from(a + n);
    x[n] = at.x(at.answered(a + n));
  }
  float* gradient = at.work.gradient + at.output_row(0);
  for (int k = 0; k < outputs; ++k, gradient += kRow) {
    Lanes error[N];
    for (int n = 0; n < N; ++n) error[n] = load(errors[n] + k * kRow);
    const auto multiply = [&](const float* const (&from)[N], int count) LONGLAG_LAMBDA {
      for (int c = 0; c < count; ++c, gradient += kRow) {
        Lanes sum = load(gradient);
        for (int n = 0; n < N; ++n) sum = fma(error[n], load(from[n] + c * kRow), sum);
        store(gradient, sum);
      }
    };
    multiply(hidden, cells);
    multiply(x, direct);
    Lanes bias = load(gradient);
    for (int n = 0; n < N; ++n) bias = add(bias, error[n]);
    store(gradient, bias);
  }
}

// Rows to the floats begin..end of step t's symbols: lane by lane.
LONGLAG_INLINE void add_to_tables(const Backward& at, std::int64_t t, const float* rows, int begin,
                                  int end) {
  const std::int32_t* symbols = at.work.symbols + t * kRow;
  for (int first = at.part; first < at.part + kWidth; first += 4) {
    float* to[4];
    for (int k = 0; k < 4; ++k)
      to[k] = at.work.table_gradient + (first + k) * table_floats(at.network) +
              std::int64_t{symbols[first + k]} * symbol_floats(at.network);
    const float* row = rows - at.part + first;
    for (int r = begin; r < end; r += 4, row += 4 * kRow) {
      Quad in[4], out[4];
      for (int k = 0; k < 4; ++k) in[k] = *reinterpret_cast<const Quad*>(row + k * kRow);
      transpose(in, out);
      for (int k = 0; k < 4; ++k) *reinterpret_cast<Quad*>(to[k] + r) += out[k];
    }
  }
}

// dE/dnet of all units at step t.
void add_units_to_tables(const Backward& at, std::int64_t t) {
  add_to_tables(at, t, at.deltas(t), 0, unit_floats(at.network));
}

// dE/dnet of the output units at answer a.
void add_answer_to_tables(const Backward& at, std::int64_t a) {
  const int outputs = at.network.outputs, floats = output_floats(at.network);
  float* rows = at.work.looked_up + at.part;  // to whole fours
  for (int k = 0; k < floats; ++k)
    store(rows + k * kRow, k < outputs ? load(at.errors(a) + k * kRow) : broadcast(0.0f));
  add_to_tables(at, at.answered(a), rows, unit_floats(at.network), symbol_floats(at.network));
}

void output_gradient(const Backward& at, std::int64_t answers) {
  std::int64_t a = 0;
  for (; a + 4 <= answers; a += 4) add_answers<4>(at, a);
  for (; a < answers; ++a) add_answers<1>(at, a);
  for (a = 0; a < answers && output_floats(at.network); ++a) add_answer_to_tables(at, a);
}

// dE/dy_c (C,) from the errors of answer a.
void error_of_cells(const Backward& at, std::int64_t a, Lanes* d_hidden) {
  const float* own = at.work.weights + at.output_row(0);
  const float* errors = at.errors(a);
  const int stride = output_columns(at.network) * kRow;
  for (int c = 0; c < at.cells; ++c) {
    d_hidden[c] = mul(load(errors), load(own + c * kRow));
    for (int k = 1; k < at.network.outputs; ++k)
      d_hidden[c] = fma(load(errors + k * kRow), load(own + k * stride + c * kRow), d_hidden[c]);
  }
}

// Twice the slope of h, from its value.
LONGLAG_INLINE Lanes twice_slope(const BlockNetwork& n, Lanes h) {
  return n.identity_h ? broadcast(2.0f) : fnma(h, h, broadcast(1.0f));
}

// The output gates' gradient, from the last step alone, and the errors of the states.
void last_step(const Backward& at, const Lanes* d_hidden, StateErrors& errors) {
  const int size = at.network.size, blocks = at.network.blocks;
  const float* record = at.record(at.steps);
  for (int block = 0; block < blocks; ++block) {
    const int row = at.cells + blocks + block;
    const Lanes y_out = load(record + row * kRow);
    Lanes total = broadcast(0.0f), out = broadcast(0.0f);
    for (int k = block * size; k < (block + 1) * size; ++k) {
      const Lanes h = load(at.work.squashed + at.part + k * kRow);
      const Lanes twice = mul(mul(d_hidden[k], y_out), twice_slope(at.network, h));
      errors.cell[k] = at.network.logistic_g ? mul(twice, broadcast(0.5f)) : add(twice, twice);
      if (!at.network.logistic_g) total = sub(total, twice);
      out = fma(d_hidden[k], h, out);
    }
    errors.block[block] = total;
    const Lanes delta = mul(out, slope(y_out));
    add_outer(at, at.steps - 1, delta, at.gradient(row));
    store(at.deltas(at.steps - 1) + row * kRow, delta);
  }
}

// dE/dnet of cells and input gates at the step of that record, with ds(t)/ds(t-1) = 1.
template <int B, int S>
LONGLAG_INLINE void truncated_deltas(const Shape<B, S, Inputs::kReal>& shape, const float* record,
                                     const StateErrors& errors, float* deltas) {
  for (int block = 0; block < shape.blocks(); ++block) {
    const Lanes y_in = load(record + (shape.cells() + block) * kRow);
    Lanes sum = errors.block[block];
    for (int k = block * shape.size(); k < (block + 1) * shape.size(); ++k) {
      const Lanes f = load(record + (shape.units() + k) * kRow);
      store(deltas + k * kRow, mul(mul(errors.cell[k], y_in), slope(f)));
      sum = fma(errors.cell[k], f, sum);
    }
    store(deltas + (shape.cells() + block) * kRow, mul(sum, slope(y_in)));
  }
}

// dE/dnet of all units at step t, from what is carried back to it; leaves dE/d(state) of step t - 1.
void unit_deltas(const Backward& at, std::int64_t t) {
  const int cells = at.cells, units = at.units, size = at.network.size;
  const float* record = at.record(t + 1);
  const Lanes steep = broadcast(at.network.logistic_g ? 1.0f : 4.0f);
  const Lanes low = broadcast(at.network.logistic_g ? 0.0f : -2.0f);
  float* deltas = at.deltas(t);
  float* d_units = at.work.carried + at.part;
  float* d_state = d_units + units * kRow;
  for (int block = 0; block < at.network.blocks; ++block) {
    const int in = cells + block, out = in + at.network.blocks;
    const Lanes y_in = load(record + in * kRow), y_out = load(record + out * kRow);
    Lanes d_in = load(d_units + in * kRow), d_out = load(d_units + out * kRow);
    for (int k = block * size; k < (block + 1) * size; ++k) {
      const Lanes f = load(record + (units + k) * kRow);
      const Lanes h = load(record + (units + cells + k) * kRow);
      const Lanes d_hidden = load(d_units + k * kRow);
      const Lanes d_h = mul(mul(d_hidden, y_out), broadcast(0.5f));
      const Lanes d_s = fma(d_h, twice_slope(at.network, h), load(d_state + k * kRow));
      store(d_state + k * kRow, d_s);
      store(deltas + k * kRow, mul(mul(mul(d_s, steep), y_in), slope(f)));
      d_in = fma(d_s, fma(steep, f, low), d_in);
      d_out = fma(d_hidden, h, d_out);
    }
    store(deltas + in * kRow, mul(d_in, slope(y_in)));
    store(deltas + out * kRow, mul(d_out, slope(y_out)));
  }
}

// dE/d(unit's output) of step t - 1 from dE/dnet of step t.
void carry_back(const Backward& at, std::int64_t t) {
  const int units = at.units, stride = at.columns * kRow;
  const float* deltas = at.deltas(t);
  const float* weights = at.work.weights + at.part + first_unit(at.network) * kRow;
  float* carried = at.work.carried + at.part;
  for (int k = 0; k < units; ++k) {
    Lanes sum = broadcast(0.0f);
    for (int r = 0; r < units; ++r)
      sum = fma(load(weights + r * stride + k * kRow), load(deltas + r * kRow), sum);
    store(carried + k * kRow, sum);
  }
}

// The steps first..last of a chunk, and one kind of their inputs.
struct Chunk {
  std::int64_t first, last;
  const float* deltas;  // of the last step
  int delta_stride;
  const float* inputs;  // of the last step
  int input_stride;
  int columns;
};

// ROWS units times COLUMNS inputs, summed over the chunk's steps, last step first. BIAS: and 1.
template <int ROWS, int COLUMNS, bool BIAS>
LONGLAG_INLINE void sum_tile(const Chunk& chunk, int row, int column, float* gradient, int stride,
                             float* bias) {
  Lanes sum[ROWS][COLUMNS ? COLUMNS : 1], ones[ROWS];
  for (int r = 0; r < ROWS; ++r) {
    for (int k = 0; k < COLUMNS; ++k) sum[r][k] = load(gradient + r * stride + k * kRow);
    if (BIAS) ones[r] = load(bias + r * stride);
  }
  const float* delta = chunk.deltas + row * kRow;
  const float* input = chunk.inputs + column * kRow;
  for (std::int64_t t = chunk.last; t >= chunk.first; --t) {
    Lanes d[ROWS];
    for (int r = 0; r < ROWS; ++r) d[r] = load(delta + r * kRow);
    for (int k = 0; k < COLUMNS; ++k) {
      const Lanes from = load(input + k * kRow);
      for (int r = 0; r < ROWS; ++r) sum[r][k] = fma(d[r], from, sum[r][k]);
    }
    if (BIAS)
      for (int r = 0; r < ROWS; ++r) ones[r] = add(ones[r], d[r]);
    delta -= chunk.delta_stride;
    input -= chunk.input_stride;
  }
  for (int r = 0; r < ROWS; ++r) {
    for (int k = 0; k < COLUMNS; ++k) store(gradient + r * stride + k * kRow, sum[r][k]);
    if (BIAS) store(bias + r * stride, ones[r]);
  }
}

template <int ROWS, int COLUMNS>
LONGLAG_INLINE void sum_columns(const Chunk& chunk, int row, int column, float* gradient,
                                int stride) {
  for (; chunk.columns - column >= COLUMNS; column += COLUMNS)
    sum_tile<ROWS, COLUMNS, false>(chunk, row, column, gradient + column * kRow, stride, nullptr);
  if constexpr (COLUMNS > 1)
    sum_columns<ROWS, COLUMNS / 2>(chunk, row, column, gradient, stride);
}

template <int ROWS>
LONGLAG_INLINE void sum_rows(const Backward& at, const Chunk& inputs, const Chunk& units, int row,
                             int rows) {
  const int stride = at.columns * kRow;
  for (; rows - row >= ROWS; row += ROWS) {
    float* gradient = at.gradient(row);
    float* bias = gradient + stride - kRow;
    if (inputs.columns == 2) {
      sum_tile<ROWS, 2, true>(inputs, row, 0, gradient, stride, bias);
    } else {
      sum_tile<ROWS, 0, true>(inputs, row, 0, gradient, stride, bias);
      sum_columns<ROWS, kTileColumns>(inputs, row, 0, gradient, stride);
    }
    sum_columns<ROWS, kTileColumns>(units, row, 0, gradient + inputs.columns * kRow, stride);
  }
  if constexpr (ROWS > 1) sum_rows<ROWS - 1>(at, inputs, units, row, rows);
}

// Adds the steps first..last to the gradient of the first `rows` units.
void sum_chunk(const Backward& at, std::int64_t first, std::int64_t last, int rows) {
  const int columns = first_unit(at.network);
  const Chunk inputs{first, last,           at.deltas(last), at.delta_stride,
                     at.x(last), columns * kRow, columns};
  const Chunk units{first, last,           at.deltas(last), at.delta_stride,
                    at.record(last), at.record_stride, at.units};
  sum_rows<kTileRows>(at, inputs, units, 0, rows);
}

void clear(const Backward& at, float* rows, std::int64_t count) {
  for (std::int64_t k = 0; k < count; ++k) store(rows + at.part + k * kRow, broadcast(0.0f));
}

// From the answer at the last step alone.
template <int B, int S>
void truncated_gradient(const Backward& at) {
  const Shape<B, S, Inputs::kReal> shape{at.network};
  const bool symbols = at.network.symbols;
  const int rows = shape.cells() + shape.blocks();  // output gates had theirs in the last step
  const std::int64_t record_stride = at.record_stride, delta_stride = at.delta_stride;
  const float* record = at.record(at.steps);
  float* deltas = at.deltas(0);
  Lanes d_hidden[kMaxUnits];
  StateErrors errors;
  error_of_cells(at, 0, d_hidden);
  if (symbols) clear(at, at.work.deltas, kOnlineChunk * unit_floats(at.network));
  last_step(at, d_hidden, errors);
  for (std::int64_t t = at.steps - 1, last = t; t >= 0; --t, record -= record_stride) {
    truncated_deltas(shape, record, errors, deltas + t % kOnlineChunk * delta_stride);
    if (symbols) {
      add_units_to_tables(at, t);
      if (t == at.steps - 1) clear(at, at.deltas(t) - at.part + rows * kRow, shape.blocks());
    }
    if (t % kOnlineChunk) continue;
    sum_chunk(at, t, last, rows);
    last = t - 1;
  }
}

// The full one, or from answers at every step.
void general_gradient(const Backward& at) {
  const int cells = at.cells;
  Lanes d_hidden[kMaxUnits];
  clear(at, at.work.carried, at.units + cells);
  if (at.network.symbols) clear(at, at.work.deltas, kOnlineChunk * unit_floats(at.network));
  for (std::int64_t t = at.steps - 1, last = t; t >= 0; --t) {
    if (at.network.every || t == at.steps - 1) {
      const std::int64_t answer = !at.network.every ? 0 : at.network.reads_current ? t : t + 1;
      error_of_cells(at, answer, d_hidden);
      for (int k = 0; k < cells; ++k) {
        float* to = at.work.carried + at.part + k * kRow;
        store(to, add(load(to), d_hidden[k]));
      }
    }
    unit_deltas(at, t);
    if (at.full)
      carry_back(at, t);
    else
      clear(at, at.work.carried, at.units);
    if (at.network.symbols) add_units_to_tables(at, t);
    if (t % kOnlineChunk) continue;
    sum_chunk(at, t, last, at.units);
    last = t - 1;
  }
}

// Of weights that a variant is without, which so stay zero.
void leave_out(const Backward& at) {
  const BlockNetwork& n = at.network;
  if (n.biases == Biases::kAll && n.output_gate && n.recurrent) return;
  for (int unit = 0; unit < at.units; ++unit)
    for (int column = 0; column < at.columns; ++column)
      if (!connected(n, unit, column)) clear(at, at.gradient(unit) - at.part + column * kRow, 1);
  for (int k = 1; k <= n.outputs && n.biases != Biases::kAll; ++k)
    clear(at, at.work.gradient + at.output_row(k) - at.part - kRow, 1);
}

void gradient(const BlockNetwork& network, const Lineup& lineup, Pass pass,
              const OnlineWorkspace& work) {
  output_errors(network, lineup, work);
  const std::int64_t late = lateness(network);
  for (int part = 0; part < lineup.lanes; part += kWidth) {
    const Backward at{network, lineup.longest, pass, work, part};
    clear(at, work.gradient, weight_rows(network));
    output_gradient(at, network.every ? lineup.longest + late : 1);
    if (pass.full || network.every)
      general_gradient(at);
    else if (two_by_two(network))
      truncated_gradient<2, 2>(at);
    else
      truncated_gradient<0, 0>(at);
    leave_out(at);
  }
}

// ---------------------------------------------------------------------------------------------
// The update

// Linear output units are not scaled.
void scale(const BlockNetwork& n, const float* weights, float* scaled) {
  const std::int64_t squashed = n.sigmoid_output ? weight_rows(n) : unit_rows(n);
  for (std::int64_t k = 0; k < weight_rows(n) * kRow; k += kWidth)
    store(scaled + k, mul(broadcast(k < squashed * kRow ? kSigmoidScale : 1.0f), load(weights + k)));
}

// The floats of each symbol of a lane's sequence, as often as it occurs: each(weights, gradient).
template <typename Each>
LONGLAG_INLINE void each_symbol(const BlockNetwork& n, const Lineup& lineup, int lane,
                                const OnlineWorkspace& work, Each each) {
  const int floats = symbol_floats(n);
  // The last step's symbol may lead to the outputs alone.
  const std::int64_t steps = lineup.lengths[lane] + (output_floats(n) ? lateness(n) : 0);
  for (std::int64_t t = 0; lineup.symbols[lane] && t < steps; ++t) {
    const std::int64_t at = lane * table_floats(n) + std::int64_t{lineup.symbols[lane][t]} * floats;
    for (int r = 0; r < floats; r += 4)
      each(*reinterpret_cast<Quad*>(work.table + at + r),
           *reinterpret_cast<Quad*>(work.table_gradient + at + r));
  }
}

void update(const BlockNetwork& n, const Lineup& lineup, const OnlineWorkspace& work) {
  const std::int64_t squashed = n.sigmoid_output ? weight_rows(n) : unit_rows(n);
  for (int part = 0; part < lineup.lanes; part += kWidth) {
    const Lanes rate = load(work.rates + part), zero = broadcast(0.0f);
    Lanes fault = mul(load(work.loss + part), zero);
    for (std::int64_t row = 0; row < weight_rows(n); ++row) {
      const std::int64_t k = row * kRow + part;
      const Lanes weight = fnma(rate, load(work.gradient + k), load(work.weights + k));
      fault = fma(weight, zero, fault);
      store(work.next + k, weight);
      store(work.scaled + k, mul(broadcast(row < squashed ? kSigmoidScale : 1.0f), weight));
    }
    store(work.faults + part, fault);
  }
  if (!n.symbols) return;
  for (int lane = 0; lane < lineup.lanes; ++lane) {
    Quad fault = {};
    const float rate = work.rates[lane];
    each_symbol(n, lineup, lane, work, [&](Quad& weights, Quad& gradient) LONGLAG_LAMBDA {
      fault += (weights - rate * gradient) * 0.0f;
    });
    work.faults[lane] += (fault[0] + fault[1]) + (fault[2] + fault[3]);
  }
}

// A symbol that occurs again finds a gradient of zero.
void update_table(const BlockNetwork& n, const Lineup& lineup, int lane,
                  const OnlineWorkspace& work) {
  const float rate = work.rates[lane];
  each_symbol(n, lineup, lane, work, [&](Quad& weights, Quad& gradient) LONGLAG_LAMBDA {
    weights = weights - rate * gradient;
    gradient = Quad{};
  });
}

}  // namespace

extern const OnlineKernel kOnlineKernel;
#if defined(__AVX512F__)
const OnlineKernel kOnlineKernel = {kWidth, &avx2::kOnlineKernel, scale, forward, gradient, update,
                                    update_table};
#else
const OnlineKernel kOnlineKernel = {kWidth, nullptr, scale, forward, gradient, update,
                                    update_table};
#endif

}  // namespace longlag::LONGLAG_ISA
