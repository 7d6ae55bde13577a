// Forward pass, gradients and update of the 1997 LSTM, a trial in each lane: compiled once for
// each instruction set. The reference is src/longlag/networks/lstm1997.py; this is the same
// mathematics.
//
// Weights and states are kept in units in which 1/(1 + 2^x) is the logistic function (simd.hpp).
#include "online1997.hpp"

#include "lanes.hpp"
#include "simd.hpp"

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

// The network's sizes: known when compiling, or (B = 0) when running.
template <int B, int S>
struct Shape {
  static constexpr int kCells = B ? B * S : kMaxUnits;
  static constexpr int kUnits = B ? B * (S + 2) : kMaxUnits;
  Cells runtime;

  LONGLAG_INLINE int blocks() const { return B ? B : runtime.blocks; }
  LONGLAG_INLINE int size() const { return B ? S : runtime.size; }
  LONGLAG_INLINE int cells() const { return blocks() * size(); }
  LONGLAG_INLINE int units() const { return cells() + 2 * blocks(); }
  LONGLAG_INLINE int columns() const { return 3 + units(); }
};

// ---------------------------------------------------------------------------------------------
// Forward

// Sequences to lanes, aligned at their ends; zero before a start, and after the end.
void gather_inputs(const Lineup& lineup, const OnlineWorkspace& work) {
  Run runs[kGroup];
  for (int lane = 0; lane < kGroup; ++lane) {
    const std::int64_t start = lineup.longest - lineup.lengths[lane];
    runs[lane] = {lineup.inputs[lane], 2 * start, 2 * lineup.longest};
    for (std::int64_t t = 0; t < lineup.longest - lineup.shortest; ++t)
      work.live[t * kRow + lane] = t < start ? 0.0f : 1.0f;
  }
  lay_out(runs, 2 * (lineup.longest + 1), work.x);
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
// inputs x, and the gates at the step before.
template <int B, int S>
LONGLAG_INLINE void begin_sums(const Shape<B, S>& shape, const float* weights, const float* x,
                               const Lanes* gates, Lanes* net) {
  const int columns = shape.columns(), first_gate = 2 + shape.cells();
  const Lanes x0 = load(x), x1 = load(x + kRow);
  for (int r = 0; r < shape.units(); ++r)
    net[r] = load(weights + (r * columns + columns - 1) * kRow);
  for (int r = 0; r < shape.units(); ++r)
    net[r] = fma(load(weights + r * columns * kRow), x0, net[r]);
  for (int r = 0; r < shape.units(); ++r)
    net[r] = fma(load(weights + (r * columns + 1) * kRow), x1, net[r]);
  for (int k = 0; k < 2 * shape.blocks(); ++k)
    for (int r = 0; r < shape.units(); ++r)
      net[r] = fma(load(weights + (r * columns + first_gate + k) * kRow), gates[k], net[r]);
}

// One step. `net` holds the sums that begin_sums made for this step, and then for the next.
template <int B, int S, bool STAGGERED>
LONGLAG_INLINE void step(const Shape<B, S>& shape, const float* weights, const float* next_x,
                         const float* live, Lanes* hidden, Lanes* state,
                         Lanes (&net)[Shape<B, S>::kUnits], float* record, float* squashed) {
  const int cells = shape.cells(), blocks = shape.blocks(), units = shape.units();
  for (int k = 0; k < cells; ++k)
    for (int r = 0; r < units; ++r)
      net[r] = fma(load(weights + (r * shape.columns() + 2 + k) * kRow), hidden[k], net[r]);
  squash<B != 0>(net, units);
  Lanes gates[Shape<B, S>::kUnits], h[Shape<B, S>::kCells];
  for (int k = 0; k < 2 * blocks; ++k) {
    gates[k] = STAGGERED ? mul(net[cells + k], load(live)) : net[cells + k];
    store(record + (cells + k) * kRow, gates[k]);
  }
  const Lanes four = broadcast(4.0f * kSigmoidScale), two = broadcast(-2.0f * kSigmoidScale);
  for (int k = 0; k < cells; ++k) {
    store(record + (units + k) * kRow, net[k]);
    state[k] = fma(gates[k / shape.size()], fma(four, net[k], two), state[k]);
    h[k] = state[k];
  }
  squash<B != 0>(h, cells);
  begin_sums(shape, weights, next_x, gates, net);
  for (int k = 0; k < cells; ++k) {
    h[k] = fma(broadcast(2.0f), h[k], broadcast(-1.0f));
    store(squashed + k * kRow, h[k]);
    hidden[k] = mul(gates[blocks + k / shape.size()], h[k]);
    store(record + k * kRow, hidden[k]);
  }
}

template <int B, int S>
LONGLAG_INLINE Lanes answer(const Shape<B, S>& shape, const float* weights, const Lanes* hidden) {
  const float* output = weights + shape.units() * shape.columns() * kRow;
  Lanes y[1] = {load(output + shape.cells() * kRow)};
  for (int k = 0; k < shape.cells(); ++k) y[0] = fma(load(output + k * kRow), hidden[k], y[0]);
  sigmoid_of_scaled(y);
  return y[0];
}

// Of the lanes from `part` on.
template <int B, int S>
void forward_lanes(const Shape<B, S>& shape, const Lineup& lineup, Record kept,
                   const OnlineWorkspace& work, int part) {
  const int units = shape.units(), rows = record_rows(shape.runtime, kept.full);
  const float* weights = work.scaled + part;
  const float* x = work.x + part;
  float* before = work.record + part;
  float* squashed = work.squashed + part;
  Lanes net[Shape<B, S>::kUnits], gates[Shape<B, S>::kUnits];
  Lanes hidden[Shape<B, S>::kCells], state[Shape<B, S>::kCells];
  for (int k = 0; k < units; ++k) store(before + k * kRow, broadcast(0.0f));
  for (int k = 0; k < 2 * shape.blocks(); ++k) gates[k] = broadcast(0.0f);
  for (int k = 0; k < shape.cells(); ++k) hidden[k] = state[k] = broadcast(0.0f);
  begin_sums(shape, weights, x, gates, net);
  const auto run = [&](std::int64_t t, auto staggered) LONGLAG_LAMBDA {
    float* record = work.record + part + (kept.keep ? 1 + t : 1) * rows * kRow;
    float* h = kept.full ? record + (units + shape.cells()) * kRow : squashed;
    step<B, S, decltype(staggered)::value>(shape, weights, x + (t + 1) * 2 * kRow,
                                           work.live + t * kRow + part, hidden, state, net,
                                           record, h);
  };
  std::int64_t t = 0;
  for (; t < lineup.longest - lineup.shortest; ++t) run(t, Flag<true>{});
  for (; t < lineup.longest; ++t) run(t, Flag<false>{});
  store(work.answers + part, answer(shape, weights, hidden));
}

template <int B, int S>
void forward_shape(Cells cells, const Lineup& lineup, Record kept, const OnlineWorkspace& work) {
  const Shape<B, S> shape{cells};
  for (int part = 0; part < kRow; part += kWidth)
    forward_lanes(shape, lineup, kept, work, part);
}

void forward(Cells cells, const Lineup& lineup, Record kept, const OnlineWorkspace& work) {
  gather_inputs(lineup, work);
  if (cells.blocks == 2 && cells.size == 2)
    forward_shape<2, 2>(cells, lineup, kept, work);
  else
    forward_shape<0, 0>(cells, lineup, kept, work);
}

// ---------------------------------------------------------------------------------------------
// Gradients

LONGLAG_INLINE Lanes slope(Lanes f) { return fnma(f, f, f); }  // of f, from its value

// What the gradient of a group goes through, for the lanes from `part` on.
struct Backward {
  Cells network;
  std::int64_t steps;
  bool full;
  const OnlineWorkspace& work;
  int part;

  int cells() const { return cell_count(network); }
  int units() const { return unit_count(network); }
  int columns() const { return column_count(network); }
  // Of the step before t.
  float* record(std::int64_t t) const {
    return work.record + part + t * record_rows(network, full) * kRow;
  }
  const float* x(std::int64_t t) const { return work.x + part + t * 2 * kRow; }
  float* gradient(int row) const { return work.gradient + part + row * columns() * kRow; }
  float* deltas(std::int64_t t) const {
    return work.deltas + part + t % kOnlineChunk * units() * kRow;
  }
};

// What the truncated gradient's steps share: the error of every state, times 4, and -2 times its
// sum over each block, since g = 4f - 2.
struct StateErrors {
  Lanes cell[kMaxUnits];
  Lanes block[kMaxUnits];
};

void add_outer(const Backward& at, std::int64_t t, Lanes delta, float* row) {
  const auto add_to = [&](int column, Lanes value) LONGLAG_LAMBDA {
    store(row + column * kRow, fma(delta, value, load(row + column * kRow)));
  };
  add_to(0, load(at.x(t)));
  add_to(1, load(at.x(t) + kRow));
  for (int k = 0; k < at.units(); ++k) add_to(2 + k, load(at.record(t) + k * kRow));
  add_to(at.columns() - 1, broadcast(1.0f));
}

// The output unit's gradient; dE/dy_c at the last step to `d_hidden` (C,).
void output_gradient(const Backward& at, Lanes* d_hidden) {
  const Lanes y = load(at.work.answers + at.part), target = load(at.work.targets + at.part);
  const Lanes error = mul(mul(broadcast(2.0f), sub(y, target)), slope(y));
  const float* own = at.work.weights + at.part + at.units() * at.columns() * kRow;
  const float* hidden = at.record(at.steps);
  float* gradient = at.gradient(at.units());
  for (int k = 0; k < at.cells(); ++k) {
    store(gradient + k * kRow, mul(error, load(hidden + k * kRow)));
    d_hidden[k] = mul(error, load(own + k * kRow));
  }
  store(gradient + at.cells() * kRow, error);
}

// The output gates' gradient, from the last step alone, and the errors of the states.
void last_step(const Backward& at, const Lanes* d_hidden, StateErrors& errors) {
  const int size = at.network.size, blocks = at.network.blocks;
  const float* record = at.record(at.steps);
  for (int block = 0; block < blocks; ++block) {
    const int row = at.cells() + blocks + block;
    const Lanes y_out = load(record + row * kRow);
    Lanes total = broadcast(0.0f), out = broadcast(0.0f);
    for (int k = block * size; k < (block + 1) * size; ++k) {
      const Lanes h = load(at.work.squashed + at.part + k * kRow);
      const Lanes twice = mul(mul(d_hidden[k], y_out), fnma(h, h, broadcast(1.0f)));
      errors.cell[k] = add(twice, twice);
      total = sub(total, twice);
      out = fma(d_hidden[k], h, out);
    }
    errors.block[block] = total;
    add_outer(at, at.steps - 1, mul(out, slope(y_out)), at.gradient(row));
  }
}

// dE/dnet of cells and input gates at step t, with ds(t)/ds(t-1) = 1.
template <int B, int S>
LONGLAG_INLINE void truncated_deltas(const Shape<B, S>& shape, const Backward& at,
                                     const StateErrors& errors, std::int64_t t) {
  const float* record = at.record(t + 1);
  float* deltas = at.deltas(t);
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

// dE/dnet of all units at step t, from what is carried back to it; then what goes to step t - 1.
void full_deltas(const Backward& at, std::int64_t t) {
  const int cells = at.cells(), units = at.units(), size = at.network.size;
  const float* record = at.record(t + 1);
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
      const Lanes d_s = fma(d_h, fnma(h, h, broadcast(1.0f)), load(d_state + k * kRow));
      store(d_state + k * kRow, d_s);
      store(deltas + k * kRow, mul(mul(mul(d_s, broadcast(4.0f)), y_in), slope(f)));
      d_in = fma(d_s, fma(broadcast(4.0f), f, broadcast(-2.0f)), d_in);
      d_out = fma(d_hidden, h, d_out);
    }
    store(deltas + in * kRow, mul(d_in, slope(y_in)));
    store(deltas + out * kRow, mul(d_out, slope(y_out)));
  }
  for (int k = 0; k < units; ++k) {
    const float* column = at.work.weights + at.part + (2 + k) * kRow;
    Lanes sum = broadcast(0.0f);
    for (int r = 0; r < units; ++r)
      sum = fma(load(column + r * at.columns() * kRow), load(deltas + r * kRow), sum);
    store(d_units + k * kRow, sum);
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
  Lanes sum[ROWS][COLUMNS], ones[ROWS];
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
  const int stride = at.columns() * kRow;
  for (; rows - row >= ROWS; row += ROWS) {
    float* gradient = at.gradient(row);
    sum_tile<ROWS, 2, true>(inputs, row, 0, gradient, stride, gradient + stride - kRow);
    sum_columns<ROWS, kTileColumns>(units, row, 0, gradient + 2 * kRow, stride);
  }
  if constexpr (ROWS > 1) sum_rows<ROWS - 1>(at, inputs, units, row, rows);
}

// Adds the steps first..last to the gradient of the first `rows` units.
void sum_chunk(const Backward& at, std::int64_t first, std::int64_t last, int rows) {
  const int delta_stride = at.units() * kRow;
  const int record_stride = record_rows(at.network, at.full) * kRow;
  const Chunk inputs{first, last, at.deltas(last), delta_stride, at.x(last), 2 * kRow, 2};
  const Chunk units{first,          last, at.deltas(last), delta_stride, at.record(last),
                    record_stride, at.units()};
  sum_rows<kTileRows>(at, inputs, units, 0, rows);
}

void clear(const Backward& at, float* rows, int count) {
  for (int k = 0; k < count; ++k) store(rows + at.part + k * kRow, broadcast(0.0f));
}

template <int B, int S>
void truncated_gradient(const Backward& at) {
  const Shape<B, S> shape{at.network};
  Lanes d_hidden[kMaxUnits];
  StateErrors errors;
  output_gradient(at, d_hidden);
  last_step(at, d_hidden, errors);
  for (std::int64_t t = at.steps - 1, last = t; t >= 0; --t) {
    truncated_deltas(shape, at, errors, t);
    if (t % kOnlineChunk) continue;
    sum_chunk(at, t, last, shape.cells() + shape.blocks());
    last = t - 1;
  }
}

void full_gradient(const Backward& at) {
  Lanes d_hidden[kMaxUnits];
  output_gradient(at, d_hidden);
  clear(at, at.work.carried, at.units() + at.cells());
  for (int k = 0; k < at.cells(); ++k) store(at.work.carried + at.part + k * kRow, d_hidden[k]);
  for (std::int64_t t = at.steps - 1, last = t; t >= 0; --t) {
    full_deltas(at, t);
    if (t % kOnlineChunk) continue;
    sum_chunk(at, t, last, at.units());
    last = t - 1;
  }
}

void gradient(Cells network, const Lineup& lineup, Record kept, const OnlineWorkspace& work) {
  for (int part = 0; part < kRow; part += kWidth) {
    const Backward at{network, lineup.longest, kept.full, work, part};
    clear(at, work.gradient, at.units() * at.columns());
    if (kept.full)
      full_gradient(at);
    else if (network.blocks == 2 && network.size == 2)
      truncated_gradient<2, 2>(at);
    else
      truncated_gradient<0, 0>(at);
  }
}

// ---------------------------------------------------------------------------------------------
// The update

void scale(Cells network, const float* weights, float* scaled) {
  const Lanes factor = broadcast(kSigmoidScale);
  for (std::int64_t k = 0; k < weight_count(network) * kRow; k += kWidth)
    store(scaled + k, mul(factor, load(weights + k)));
}

void update(Cells network, const OnlineWorkspace& work) {
  for (int part = 0; part < kRow; part += kWidth) {
    const Lanes rate = load(work.rates + part), factor = broadcast(kSigmoidScale);
    const Lanes zero = broadcast(0.0f);
    Lanes fault = zero;
    for (std::int64_t k = part; k < weight_count(network) * kRow; k += kRow) {
      const Lanes weight = fnma(rate, load(work.gradient + k), load(work.weights + k));
      fault = fma(weight, zero, fault);
      store(work.next + k, weight);
      store(work.scaled + k, mul(factor, weight));
    }
    store(work.faults + part, fault);
  }
}

}  // namespace

extern const OnlineKernel kOnlineKernel;
const OnlineKernel kOnlineKernel = {scale, forward, gradient, update};

}  // namespace longlag::LONGLAG_ISA
