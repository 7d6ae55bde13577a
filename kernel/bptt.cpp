// Forward and backward pass of the forget-gate LSTM, and the update: compiled once for each
// instruction set. This is the same mathematics as plain.cpp, where to begin reading.
//
// A group's sixteen lanes are one, two or four vectors; a lane's arithmetic is the same in all of them.
#include "bptt.hpp"

#include "draws.hpp"
#include "lanes.hpp"
#include "simd.hpp"

namespace longlag::LONGLAG_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kTileCells = 2;    // forward: cells of a tile, so 8 gate rows of 1 vector
constexpr int kTileVectors = 1;  // vectors a row in a tile
constexpr int kTileBack = 16;    // backward: rows of dh in a tile
constexpr int kTileRows = 5;        // weight gradients: rows of h in a tile, times 4 gate rows
constexpr int kTileRowsWithX = 3;   // of them beside the bias and x
#elif defined(__AVX2__)
constexpr int kTileCells = 1;
constexpr int kTileVectors = 2;
constexpr int kTileBack = 4;
constexpr int kTileRows = 3;
constexpr int kTileRowsWithX = 0;
#else
constexpr int kTileCells = 1;
constexpr int kTileVectors = 1;
constexpr int kTileBack = 4;
constexpr int kTileRows = 3;
constexpr int kTileRowsWithX = 0;
#endif

constexpr int kRow = kGroup;                  // floats of a row: one a lane
constexpr int kCell = kCellVectors * kGroup;  // floats of a cell in the cache

enum Gate { kInput, kForget, kOutput, kCandidate, kCellState, kCellTanh };

// What a step takes in: two numbers, known when compiling; D numbers; or a symbol.
enum class Inputs { kPair, kReal, kSymbols };

// ---------------------------------------------------------------------------------------------
// Packing

// Row `input` of the gates' weights (D + H + 1, 4H): inputs, recurrent inputs, bias.
template <typename Float>
LONGLAG_INLINE Float* gate_row(const Network& n, Float* parameters, int input) {
  return parameters + std::int64_t{input} * 4 * n.hidden;
}

// The row of the k-th of the inputs that gates are sums over: the bias comes first.
LONGLAG_INLINE int summed_row(const Network& n, int k) {
  if (n.symbols) return n.inputs + k;
  return k == 0 ? n.inputs + n.hidden : k - 1;
}

// A cell's four weights of a row (4H,), as the forward pass needs them: what sigmoid_of_scaled takes.
LONGLAG_INLINE Quad scaled(const float* row, int hidden, int cell) {
  return Quad{kSigmoidScale * row[cell], kSigmoidScale * row[hidden + cell],
              kSigmoidScale * row[2 * hidden + cell], row[3 * hidden + cell]};
}

void pack_forward(const Network& n, const float* parameters, float* packed) {
  const int inputs = summed_inputs(n);
  for (int k = 0; k < inputs; ++k) {
    const float* row = gate_row(n, parameters, summed_row(n, k));
    for (int first = 0; first < n.hidden; first += kTileCells) {
      const int cells = n.hidden - first < kTileCells ? n.hidden - first : kTileCells;
      Quad* to = reinterpret_cast<Quad*>(packed + std::int64_t{first} * 4 * inputs) + k * cells;
      for (int j = first; j < first + cells; ++j) *to++ = scaled(row, n.hidden, j);
    }
  }
}

void pack_table(const Network& n, const float* parameters, float* table) {
  const float* bias = gate_row(n, parameters, n.inputs + n.hidden);
  for (int symbol = 0; symbol < n.inputs; ++symbol) {
    const float* row = gate_row(n, parameters, symbol);
    for (int j = 0; j < n.hidden; ++j, table += 4)
      *reinterpret_cast<Quad*>(table) = scaled(row, n.hidden, j) + scaled(bias, n.hidden, j);
  }
}

constexpr int back_tile(int rows_left) {
  int tile = kTileBack;
  while (tile > rows_left) tile /= 2;
  return tile;
}

void pack_backward(const Network& n, const float* parameters, float* packed) {
  const int hidden = n.hidden;
  const float* wh = gate_row(n, parameters, n.inputs);
  for (int first = 0, tile = 0; first < hidden; first += tile) {
    tile = back_tile(hidden - first);
    for (int j = 0; j < hidden; ++j)
      for (int gate = 0; gate < 4; ++gate)
        for (int k = first; k < first + tile; ++k)
          *packed++ = wh[std::int64_t{k} * 4 * hidden + gate * hidden + j];
  }
}

void pack(const Network& network, const float* parameters, const Packed& packed) {
  pack_forward(network, parameters, packed.forward);
  if (network.symbols) pack_table(network, parameters, packed.table);
  if (packed.backward) pack_backward(network, parameters, packed.backward);
  for (std::int64_t k = 0; k < output_weights(network); ++k)
    packed.output[k] = parameters[gate_weights(network) + k];
}

// ---------------------------------------------------------------------------------------------
// Forward

// Steps first .. last - 1 of the sequences to lanes; zero beyond a sequence's end and in lanes
// without one.
__attribute__((noinline)) void gather_inputs(const Network& n, const Lineup& lineup,
                                             std::int64_t first, std::int64_t last,
                                             const Workspace& work) {
  if (n.symbols) {
    for (int lane = 0; lane < kGroup; ++lane)
      for (std::int64_t t = first; t < last; ++t)
        work.symbols[(t - first) * kGroup + lane] =
            t < lineup.lengths[lane] ? lineup.symbols[lane][t] : 0;
    return;
  }
  if (lineup.draws) {
    Span rows{first, last, {}, {}};
    for (int lane = 0; lane < kGroup; ++lane) rows.end[lane] = lineup.lengths[lane];
    return draw_inputs<false>(n, lineup, rows, work.streams, work.x);
  }
  Run runs[kGroup];
  for (int lane = 0; lane < kGroup; ++lane) {
    const std::int64_t end = lineup.lengths[lane] < last ? lineup.lengths[lane] : last;
    if (end > first)
      runs[lane] = {lineup.inputs[lane] + n.inputs * first, 0, n.inputs * (end - first)};
    else
      runs[lane] = {nullptr, 0, 0};
  }
  lay_out(runs, lineup.lanes, n.inputs * (last - first), work.x);
}

// What the gates take from a step's symbols (16,): rows of the table (D, H, 4) to z (H, 4, 16).
template <int H>
LONGLAG_INLINE void look_up(int runtime_hidden, const float* table, const std::int32_t* symbols,
                            float* z) {
  const int hidden = H ? H : runtime_hidden;
  for (int first = 0; first < kGroup; first += 4) {
    const float* from[4];
    for (int n = 0; n < 4; ++n)
      from[n] = table + std::int64_t{symbols[first + n]} * 4 * hidden;
    for (int j = 0; j < hidden; ++j) {
      Quad in[4], out[4];
      for (int n = 0; n < 4; ++n) in[n] = *reinterpret_cast<const Quad*>(from[n] + 4 * j);
      transpose(in, out);
      for (int gate = 0; gate < 4; ++gate)
        *reinterpret_cast<Quad*>(z + (4 * j + gate) * kRow + first) = out[gate];
    }
  }
}

// The gates of COUNT vectors of cells, from z; cell n lies at offset `at[n]` in the cache and in
// the step before. Returns h in place of the output gate's z.
template <int COUNT, bool FORGET>
LONGLAG_INLINE void forward_cells(Lanes (&z)[4][COUNT], const int (&at)[COUNT],
                                  const float* previous, float* cache) {
  Lanes sigmoids[(FORGET ? 3 : 2) * COUNT];
  for (int n = 0; n < COUNT; ++n) {
    sigmoids[n] = z[kInput][n];
    sigmoids[COUNT + n] = z[kOutput][n];
    if (FORGET) sigmoids[2 * COUNT + n] = z[kForget][n];
  }
  sigmoid_of_scaled(sigmoids);
  tanh(z[kCandidate]);
  Lanes c[COUNT];
  for (int n = 0; n < COUNT; ++n) {
    const Lanes i = sigmoids[n], f = FORGET ? sigmoids[2 * COUNT + n] : broadcast(1.0f);
    const Lanes g = z[kCandidate][n], before = load(previous + at[n] + kCellState * kRow);
    c[n] = FORGET ? fma(f, before, mul(i, g)) : fma(i, g, before);
    float* cell = cache + at[n];
    store(cell + kInput * kRow, i);
    store(cell + kForget * kRow, f);
    store(cell + kOutput * kRow, sigmoids[COUNT + n]);
    store(cell + kCandidate * kRow, g);
    store(cell + kCellState * kRow, c[n]);
  }
  tanh(c);
  for (int n = 0; n < COUNT; ++n) {
    store(cache + at[n] + kCellTanh * kRow, c[n]);
    z[kOutput][n] = mul(sigmoids[COUNT + n], c[n]);
  }
}

// CELLS neighbouring cells at one step, in VECTORS vectors: all their gate rows in registers. `from`
// is the step's inputs, or what its gates take from symbols, for the first of the cells.
template <int CELLS, int VECTORS, int H, Inputs INPUTS, bool FORGET>
LONGLAG_INLINE void forward_tile(const Network& n, const float* weights, const float* from,
                                 const float* h, const float* previous, float* cache,
                                 float* h_out) {
  constexpr int kRows = 4 * CELLS;
  const int hidden = H ? H : n.hidden, inputs = INPUTS == Inputs::kPair ? 2 : n.inputs;
  Lanes z[4][CELLS * VECTORS];
  for (int r = 0; r < kRows; ++r)
    if (FORGET || r % 4 != kForget)
      for (int v = 0; v < VECTORS; ++v)
        z[r % 4][r / 4 * VECTORS + v] = INPUTS == Inputs::kSymbols
                                            ? load(from + r * kRow + v * kWidth)
                                            : broadcast(weights[r]);
  const auto accumulate = [&](const float* w, const float* values) LONGLAG_LAMBDA {
    Lanes input[VECTORS];
    for (int v = 0; v < VECTORS; ++v) input[v] = load(values + v * kWidth);
    for (int r = 0; r < kRows; ++r)
      if (FORGET || r % 4 != kForget) {
        const Lanes weight = broadcast(w[r]);
        for (int v = 0; v < VECTORS; ++v) {
          Lanes& sum = z[r % 4][r / 4 * VECTORS + v];
          sum = fma(weight, input[v], sum);
        }
      }
  };
  if (INPUTS != Inputs::kSymbols) {
    weights += kRows;
    for (int k = 0; k < inputs; ++k, weights += kRows) accumulate(weights, from + k * kRow);
  }
#pragma GCC unroll 8
  for (int k = 0; k < hidden; ++k) accumulate(weights + k * kRows, h + k * kRow);
  int at[CELLS * VECTORS];
  for (int n = 0; n < CELLS * VECTORS; ++n) at[n] = n / VECTORS * kCell + n % VECTORS * kWidth;
  forward_cells<CELLS * VECTORS, FORGET>(z, at, previous, cache);
  for (int n = 0; n < CELLS * VECTORS; ++n)
    store(h_out + n / VECTORS * kRow + n % VECTORS * kWidth, z[kOutput][n]);
}

template <int H, Inputs INPUTS, bool FORGET>
LONGLAG_INLINE void forward_step(const Network& n, const float* weights, const float* from,
                                 const float* h, const float* previous, float* cache,
                                 float* h_out) {
  const int hidden = H ? H : n.hidden;
  const std::int64_t weights_a_cell =
      4 * (INPUTS == Inputs::kPair ? 3 + hidden
                                   : INPUTS == Inputs::kReal ? 1 + n.inputs + hidden : hidden);
  constexpr int kFromACell = INPUTS == Inputs::kSymbols ? 4 * kRow : 0;
  for (int part = 0; part < kRow; part += kTileVectors * kWidth) {
    int j = 0;
    for (; j + kTileCells <= hidden; j += kTileCells)
      forward_tile<kTileCells, kTileVectors, H, INPUTS, FORGET>(
          n, weights + j * weights_a_cell, from + j * kFromACell + part, h + part,
          previous + j * kCell + part, cache + j * kCell + part, h_out + j * kRow + part);
    if (kTileCells > 1 && j < hidden)
      forward_tile<1, kTileVectors, H, INPUTS, FORGET>(
          n, weights + j * weights_a_cell, from + j * kFromACell + part, h + part,
          previous + j * kCell + part, cache + j * kCell + part, h_out + j * kRow + part);
  }
}

// The answers (K, 16) to what the cells put out, h (H, 16); N outputs from output k.
template <int N>
LONGLAG_INLINE void answer_tile(const Network& n, const float* output, const float* h, int k,
                                float* answers) {
  for (int part = 0; part < kRow; part += kWidth) {
    Lanes sum[N];
    for (int r = 0; r < N; ++r) sum[r] = broadcast(output[n.hidden * n.outputs + k + r]);
    for (int j = 0; j < n.hidden; ++j) {
      const Lanes from = load(h + j * kRow + part);
      for (int r = 0; r < N; ++r)
        sum[r] = fma(broadcast(output[j * n.outputs + k + r]), from, sum[r]);
    }
    if (n.sigmoid_output) {
      for (int r = 0; r < N; ++r) sum[r] = mul(sum[r], broadcast(kSigmoidScale));
      sigmoid_of_scaled(sum);
    }
    for (int r = 0; r < N; ++r) store(answers + (k + r) * kRow + part, sum[r]);
  }
}

void answer(const Network& n, const float* output, const float* h, float* answers) {
  int k = 0;
  for (; k + 4 <= n.outputs; k += 4) answer_tile<4>(n, output, h, k, answers);
  for (; k < n.outputs; ++k) answer_tile<1>(n, output, h, k, answers);
}

// After step t, which put out h (H, 16): its answers, or what a sequence's only answer is made of.
__attribute__((noinline)) void step_ends(const Network& n, const Packed& packed,
                                         const Lineup& lineup, const Workspace& work,
                                         std::int64_t t, const float* h) {
  if (n.every) return answer(n, packed.output, h, work.answers + t * n.outputs * kRow);
  for (int lane = 0; lane < kGroup; ++lane)
    if (lineup.lengths[lane] == t + 1)
      for (int k = 0; k < n.hidden; ++k) work.final_h[k * kRow + lane] = h[k * kRow + lane];
}

template <int H, Inputs INPUTS, bool FORGET>
void forward_steps(const Network& network, const Packed& packed, const Lineup& lineup,
                   const Workspace& work, bool keep) {
  const int hidden = H ? H : network.hidden;
  const std::int64_t stride = cache_step(hidden), steps = lineup.longest;
  const std::int64_t x_step = INPUTS == Inputs::kPair ? 2 * kRow : network.inputs * kRow;
  // From here on there is something to answer.
  const std::int64_t shortest = network.every ? 0 : lineup.shortest;
  const std::int64_t h_step = network.every && keep ? hidden * kRow : 0;
  const float* weights = packed.forward;
  const float* from = work.z;
  const std::int64_t at_once = keep ? steps : kStepsAtOnce;
  std::int64_t first = 0, last = 0;  // steps whose inputs are gathered
  float* h = work.h;
  float* h_out = work.h + hidden * kRow;
  const float* previous = work.cache;
  for (std::int64_t k = 0; k < stride; ++k) work.cache[k] = 0.0f;
  for (int k = 0; k < hidden * kRow; ++k) h[k] = work.final_h[k] = 0.0f;
  for (std::int64_t t = 0; t < steps; ++t) {
    if (t == last) {
      first = t;
      last = steps - first < at_once ? steps : first + at_once;
      gather_inputs(network, lineup, first, last, work);
      if (INPUTS != Inputs::kSymbols) from = work.x;
    }
    float* cache = work.cache + (1 + (keep ? t : t & 1)) * stride;
    if (INPUTS == Inputs::kSymbols)
      look_up<H>(hidden, packed.table, work.symbols + (t - first) * kGroup, work.z);
    forward_step<H, INPUTS, FORGET>(network, weights, from, h, previous, cache, h_out);
    if (INPUTS != Inputs::kSymbols) from += x_step;
    if (t + 1 >= shortest) step_ends(network, packed, lineup, work, t, h_out);
    previous = cache;
    float* next = h_step ? h_out + h_step : h;
    h = h_out;
    h_out = next;
    const std::int64_t done = t % kStepsBetweenLooks + 1;
    if ((done == kStepsBetweenLooks || t + 1 == steps) && ended(lineup.watch, done)) return;
  }
  if (!network.every) answer(network, packed.output, work.final_h, work.answers);
}

template <bool FORGET>
void forward_by_size(const Network& network, const Packed& packed, const Lineup& lineup,
                     const Workspace& work, bool keep) {
  const bool eight = network.hidden == 8;
  if (network.symbols)
    return eight ? forward_steps<8, Inputs::kSymbols, FORGET>(network, packed, lineup, work, keep)
                 : forward_steps<0, Inputs::kSymbols, FORGET>(network, packed, lineup, work, keep);
  if (network.inputs != 2)
    return forward_steps<0, Inputs::kReal, FORGET>(network, packed, lineup, work, keep);
  return eight ? forward_steps<8, Inputs::kPair, FORGET>(network, packed, lineup, work, keep)
               : forward_steps<0, Inputs::kPair, FORGET>(network, packed, lineup, work, keep);
}

void forward(const Network& network, const Packed& packed, const Lineup& lineup,
             const Workspace& work, bool keep) {
  if (network.forget_gate)
    forward_by_size<true>(network, packed, lineup, work, keep);
  else
    forward_by_size<false>(network, packed, lineup, work, keep);
}

// ---------------------------------------------------------------------------------------------
// Backward: the recurrence

// From dLoss/dh and dLoss/dc of a cell to dLoss/dz of its gates, which take the gates' place.
// Leaves what the cell state before receives, and writes the h of the step before.
template <bool FORGET>
LONGLAG_INLINE void backward_cell(const float* previous, float* cell, Lanes dh, float* dc_row,
                                  float* h_before) {
  const Lanes one = broadcast(1.0f);
  const Lanes i = load(cell + kInput * kRow);
  const Lanes o = load(cell + kOutput * kRow);
  const Lanes g = load(cell + kCandidate * kRow);
  const Lanes c_tanh = load(cell + kCellTanh * kRow);
  const Lanes dc = fma(mul(dh, o), fnma(c_tanh, c_tanh, one), load(dc_row));
  store(cell + kInput * kRow, mul(mul(dc, g), fnma(i, i, i)));
  store(cell + kOutput * kRow, mul(mul(dh, c_tanh), fnma(o, o, o)));
  store(cell + kCandidate * kRow, mul(mul(dc, i), fnma(g, g, one)));
  if (FORGET) {
    const Lanes f = load(cell + kForget * kRow);
    const Lanes c_before = load(previous + kCellState * kRow);
    store(cell + kForget * kRow, mul(mul(dc, c_before), fnma(f, f, f)));
    store(dc_row, mul(dc, f));
  } else {
    store(dc_row, dc);
  }
  store(h_before, mul(load(previous + kOutput * kRow), load(previous + kCellTanh * kRow)));
}

// ROWS rows of dh of the step before: the recurrent weights times dLoss/dz of every gate.
template <int ROWS, int VECTORS, int H, bool FORGET>
LONGLAG_INLINE void backward_tile(int runtime_hidden, const float* weights, const float* dz,
                                  float* dh) {
  const int hidden = H ? H : runtime_hidden;
  Lanes sum[VECTORS][ROWS];
  for (int v = 0; v < VECTORS; ++v)
    for (int r = 0; r < ROWS; ++r) sum[v][r] = broadcast(0.0f);
#pragma GCC unroll 2
  for (int j = 0; j < hidden; ++j)
    for (int gate = 0; gate < 4; ++gate)
      if (FORGET || gate != kForget)
        for (int v = 0; v < VECTORS; ++v) {
          const Lanes d = load(dz + j * kCell + gate * kRow + v * kWidth);
          for (int r = 0; r < ROWS; ++r)
            sum[v][r] = fma(broadcast(weights[(j * 4 + gate) * ROWS + r]), d, sum[v][r]);
        }
  for (int v = 0; v < VECTORS; ++v)
    for (int r = 0; r < ROWS; ++r) store(dh + r * kRow + v * kWidth, sum[v][r]);
}

template <int ROWS, int H, bool FORGET>
LONGLAG_INLINE void backward_tiles(int hidden, int first, int part, const float* weights,
                                   const float* dz, float* dh) {
  while (hidden - first >= ROWS) {
    backward_tile<ROWS, kTileVectors, H, FORGET>(
        hidden, weights + std::int64_t{first} * 4 * hidden, dz + part, dh + first * kRow + part);
    first += ROWS;
  }
  if constexpr (ROWS > 1)
    backward_tiles<ROWS / 2, H, FORGET>(hidden, first, part, weights, dz, dh);
}

// What dLoss/dh (H, 16) takes from the errors (16,) of output k.
LONGLAG_INLINE void inject_output(const Network& n, const float* output, const float* errors,
                                  int k, float* dh) {
  for (int part = 0; part < kRow; part += kWidth)
    for (int j = 0; j < n.hidden; ++j) {
      float* row = dh + j * kRow + part;
      store(row, fma(broadcast(output[j * n.outputs + k]), load(errors + part), load(row)));
    }
}

// What it takes from the answers at step t.
void inject(const Network& n, const Lineup& lineup, std::int64_t t, const float* output,
            const Workspace& work) {
  if (n.every) {
    for (int k = 0; k < n.outputs; ++k)
      inject_output(n, output, work.errors + (t * n.outputs + k) * kRow, k, work.dh);
    return;
  }
  for (int k = 0; k < n.outputs; ++k) {
    float here[kGroup] = {};  // of sequences that end at this step
    for (int lane = 0; lane < kGroup; ++lane)
      if (lineup.lengths[lane] == t + 1) here[lane] = work.errors[k * kRow + lane];
    inject_output(n, output, here, k, work.dh);
  }
}

template <int H, bool FORGET>
LONGLAG_INLINE void backward_step(int runtime_hidden, const Packed& packed,
                                  const Workspace& work, std::int64_t t,
                                  std::int64_t t_in_chunk) {
  const int hidden = H ? H : runtime_hidden;
  const std::int64_t stride = cache_step(hidden);
  float* cache = work.cache + (1 + t) * stride;
  const float* previous = cache - stride;
  float* h_before = work.chunk_h + t_in_chunk * kRow;
  for (int part = 0; part < kRow; part += kWidth)
    for (int j = 0; j < hidden; ++j)
      backward_cell<FORGET>(previous + j * kCell + part, cache + j * kCell + part,
                            load(work.dh + j * kRow + part), work.dc + j * kRow + part,
                            h_before + j * kChunk * kRow + part);
  if (t > 0)
    for (int part = 0; part < kRow; part += kTileVectors * kWidth)
      backward_tiles<kTileBack, H, FORGET>(hidden, 0, part, packed.backward, cache, work.dh);
}

// ---------------------------------------------------------------------------------------------
// Backward: the weight gradients of a chunk of steps

// Sum over the lanes of four rows, by one fixed tree: l + 8, then + 4, + 2, + 1.
LONGLAG_INLINE Quad sum_lanes(const float* rows) {
  const auto eight = [](const float* row) LONGLAG_LAMBDA {
    const Quad* q = reinterpret_cast<const Quad*>(row);
    return (q[0] + q[2]) + (q[1] + q[3]);
  };
  const Quad a = eight(rows), b = eight(rows + kRow);
  const Quad c = eight(rows + 2 * kRow), d = eight(rows + 3 * kRow);
  const Quad ab = __builtin_shufflevector(a, b, 0, 1, 4, 5) +
                  __builtin_shufflevector(a, b, 2, 3, 6, 7);
  const Quad cd = __builtin_shufflevector(c, d, 0, 1, 4, 5) +
                  __builtin_shufflevector(c, d, 2, 3, 6, 7);
  return __builtin_shufflevector(ab, cd, 0, 2, 4, 6) +
         __builtin_shufflevector(ab, cd, 1, 3, 5, 7);
}

// The steps first..last of a chunk, and where their inputs lie.
struct Chunk {
  std::int64_t first, last;
  bool fresh;  // the first one: its sums start at zero
  int hidden, inputs;
  const float* x;      // of step 0
  const float* dz;     // of step 0, cell 0
  const float* h;      // of step `first`, cell 0
  std::int64_t stride;  // of dz, a step
};

// dLoss/dz of one cell's gates, back from a chunk's last step.
struct CellErrors {
  const float* last;
  std::int64_t stride;
};

// For large H the steps lie so far apart that they push each other out of the cache: a copy.
template <bool COPY>
LONGLAG_INLINE CellErrors cell_errors(const Chunk& chunk, int cell, float* copy) {
  const float* from = chunk.dz + chunk.last * chunk.stride + cell * kCell;
  if (!COPY) return {from, chunk.stride};
  const std::int64_t steps = chunk.last - chunk.first;
  for (std::int64_t t = steps; t >= 0; --t, from -= chunk.stride)
    for (int k = 0; k < 4 * kRow; k += kWidth) store(copy + t * 4 * kRow + k, load(from + k));
  return {copy + steps * 4 * kRow, 4 * kRow};
}

// What the rows of a tile of inputs are: of h of the step before, or of x.
enum class Rows { kHidden, kInput };

// 4 gate rows of a cell times its inputs, summed over the chunk's steps, last step first. The
// inputs are FIRST of 1, x0, x1, and then ROWS rows from row k.
template <int FIRST, int ROWS, Rows FROM, bool FORGET, bool LANE_SUMS>
LONGLAG_INLINE void gradient_tile(const Chunk& chunk, const CellErrors& errors, int k,
                                  float* sums) {
  constexpr int kInputs = FIRST + ROWS, kStride = FROM == Rows::kHidden ? kChunk * kRow : kRow;
  const std::int64_t step = FROM == Rows::kHidden ? kRow : chunk.inputs * kRow;
  float tile[LANE_SUMS ? 1 : kInputs * 4 * kRow];
  float* lanes = LANE_SUMS ? sums : tile;
  const bool fresh = !LANE_SUMS || chunk.fresh;
  for (int part = 0; part < kRow; part += kWidth) {
    Lanes sum[kInputs][4];
    for (int n = 0; n < kInputs; ++n)
      for (int gate = 0; gate < 4; ++gate)
        sum[n][gate] = fresh ? broadcast(0.0f) : load(lanes + (n * 4 + gate) * kRow + part);
    const float* dz = errors.last + part;
    const float* x = chunk.x + chunk.last * 2 * kRow + part;
    const float* rows = (FROM == Rows::kHidden
                             ? chunk.h + (k * kChunk + chunk.last - chunk.first) * kRow
                             : chunk.x + chunk.last * step + k * kRow) +
                        part;
    for (std::int64_t t = chunk.last; t >= chunk.first; --t) {
      Lanes input[kInputs];
      for (int n = 1; n < FIRST; ++n) input[n] = held(load(x + (n - 1) * kRow));
      for (int n = 0; n < ROWS; ++n) input[FIRST + n] = held(load(rows + n * kStride));
      for (int gate = 0; gate < 4; ++gate)
        if (FORGET || gate != kForget) {
          const Lanes d = held(load(dz + gate * kRow));
          if (FIRST) sum[0][gate] = add(sum[0][gate], d);
          for (int n = FIRST ? 1 : 0; n < kInputs; ++n)
            sum[n][gate] = fma(input[n], d, sum[n][gate]);
        }
      dz -= errors.stride;
      x -= 2 * kRow;
      rows -= step;
    }
    for (int n = 0; n < kInputs; ++n)
      for (int gate = 0; gate < 4; ++gate)
        store(lanes + (n * 4 + gate) * kRow + part, sum[n][gate]);
  }
  if (LANE_SUMS) return;
  for (int n = 0; n < kInputs; ++n) {
    Quad* total = reinterpret_cast<Quad*>(sums + n * 4);
    const Quad here = sum_lanes(tile + n * 4 * kRow);
    *total = chunk.fresh ? here : *total + here;
  }
}

// The rows k..count - 1; sums: of row 0.
template <int ROWS, Rows FROM, bool FORGET, bool LANE_SUMS>
LONGLAG_INLINE void gradient_tiles(const Chunk& chunk, const CellErrors& errors, int k, int count,
                                   float* sums) {
  constexpr int kElement = 4 * (LANE_SUMS ? kRow : 1);
  for (; count - k >= ROWS; k += ROWS)
    gradient_tile<0, ROWS, FROM, FORGET, LANE_SUMS>(chunk, errors, k, sums + k * kElement);
  if constexpr (ROWS > 1)
    gradient_tiles<(ROWS + 1) / 2, FROM, FORGET, LANE_SUMS>(chunk, errors, k, count, sums);
}

template <Inputs INPUTS, bool FORGET, bool LANE_SUMS>
void gradient_chunk(const Chunk& chunk, float* sums) {
  constexpr int kElement = 4 * (LANE_SUMS ? kRow : 1);
  constexpr int kFirst = INPUTS == Inputs::kPair ? 3 : 1;
  const int before = kFirst + (INPUTS == Inputs::kReal ? chunk.inputs : 0);  // the rows of h
  float copy[LANE_SUMS ? 1 : kChunk * 4 * kRow];
  for (int cell = 0; cell < chunk.hidden; ++cell) {
    const CellErrors errors = cell_errors<!LANE_SUMS>(chunk, cell, copy);
    float* own = sums + std::int64_t{cell} * (before + chunk.hidden) * kElement;
    // Some rows of h beside the first inputs, where these are followed by them.
    const bool with_h = INPUTS != Inputs::kReal && chunk.hidden >= kTileRowsWithX;
    if (with_h)
      gradient_tile<kFirst, kTileRowsWithX, Rows::kHidden, FORGET, LANE_SUMS>(chunk, errors, 0,
                                                                              own);
    else
      gradient_tile<kFirst, 0, Rows::kHidden, FORGET, LANE_SUMS>(chunk, errors, 0, own);
    if (INPUTS == Inputs::kReal)
      gradient_tiles<kTileRows, Rows::kInput, FORGET, LANE_SUMS>(chunk, errors, 0, chunk.inputs,
                                                                 own + kFirst * kElement);
    gradient_tiles<kTileRows, Rows::kHidden, FORGET, LANE_SUMS>(
        chunk, errors, with_h ? kTileRowsWithX : 0, chunk.hidden, own + before * kElement);
  }
}

// dLoss/dz of a chunk's steps, last step first, to the sums of the steps' symbols: lane by lane.
template <bool FORGET>
void symbol_gradient(const Chunk& chunk, const std::int32_t* symbols, float* sums) {
  for (std::int64_t t = chunk.last; t >= chunk.first; --t)
    for (int first = 0; first < kGroup; first += 4) {
      float* to[4];
      for (int n = 0; n < 4; ++n)
        to[n] = sums + std::int64_t{symbols[t * kGroup + first + n]} * 4 * chunk.hidden;
      const float* dz = chunk.dz + t * chunk.stride + first;
      for (int j = 0; j < chunk.hidden; ++j) {
        Quad in[4], out[4];
        for (int gate = 0; gate < 4; ++gate)
          in[gate] = FORGET || gate != kForget
                         ? *reinterpret_cast<const Quad*>(dz + j * kCell + gate * kRow)
                         : Quad{};
        transpose(in, out);
        for (int n = 0; n < 4; ++n) *reinterpret_cast<Quad*>(to[n] + 4 * j) += out[n];
      }
    }
}

// Chunks of much the same size, none above kChunk.
std::int64_t chunk_steps(std::int64_t steps) {
  const std::int64_t chunks = (steps + kChunk - 1) / kChunk;
  return (steps + chunks - 1) / chunks;
}

template <int H, Inputs INPUTS, bool FORGET>
void backward_steps(const Network& network, const Packed& packed, const Lineup& lineup,
                    const Workspace& work) {
  const int hidden = H ? H : network.hidden;
  const bool lane_sums = hidden <= kLaneSumsUpTo;
  const std::int64_t stride = cache_step(hidden);
  const std::int64_t size = chunk_steps(lineup.longest);
  for (int k = 0; k < hidden * kRow; ++k) work.dh[k] = work.dc[k] = 0.0f;
  if (INPUTS == Inputs::kSymbols)
    for (std::int64_t k = 0; k < std::int64_t{4} * hidden * network.inputs; ++k)
      work.symbol_sums[k] = 0.0f;
  for (std::int64_t t = lineup.longest - 1, last = t; t >= 0; --t) {
    if (network.every || t + 1 >= lineup.shortest) inject(network, lineup, t, packed.output, work);
    backward_step<H, FORGET>(hidden, packed, work, t, t % size);
    if (t % size) continue;
    const bool fresh = last == lineup.longest - 1;
    const Chunk chunk = {t,      last,   fresh,  hidden, network.inputs,
                         work.x, work.cache + stride, work.chunk_h, stride};
    if (lane_sums)
      gradient_chunk<INPUTS, FORGET, true>(chunk, work.sums);
    else
      gradient_chunk<INPUTS, FORGET, false>(chunk, work.sums);
    if (INPUTS == Inputs::kSymbols)
      symbol_gradient<FORGET>(chunk, work.symbols, work.symbol_sums);
    if (ended(lineup.watch, kBackwardWork * (last - t + 1))) return;
    last = t - 1;
  }
}

// ---------------------------------------------------------------------------------------------
// Backward: the whole of it

// The sums, by cell and input, to the parameters' order.
void spread_gradient(const Network& n, const float* sums, float* gradient) {
  const bool lane_sums = n.hidden <= kLaneSumsUpTo;
  const int inputs = gradient_inputs(n);
  for (int k = 0; k < inputs; ++k) {
    // The bias comes first, though last among the parameters, and symbols are apart.
    const int input = k == 0 ? n.inputs + n.hidden : (n.symbols ? n.inputs : 0) + k - 1;
    float* row = gate_row(n, gradient, input);
    for (int j = 0; j < n.hidden; ++j) {
      const std::int64_t at = (std::int64_t{j} * inputs + k) * 4;
      const Quad gates = lane_sums ? sum_lanes(sums + at * kRow)
                                   : *reinterpret_cast<const Quad*>(sums + at);
      for (int gate = 0; gate < 4; ++gate) row[gate * n.hidden + j] = gates[gate];
    }
  }
}

// The same for symbols; sums (D, H, 4).
void spread_symbol_gradient(const Network& n, const float* sums, float* gradient) {
  for (int symbol = 0; symbol < n.inputs; ++symbol) {
    float* row = gate_row(n, gradient, symbol);
    for (int j = 0; j < n.hidden; ++j)
      for (int gate = 0; gate < 4; ++gate) row[gate * n.hidden + j] = *sums++;
  }
}

// Of Wy (H, K) and by (K,), from one answer a sequence.
void output_gradient(const Network& n, const Workspace& work, float* gradient) {
  for (int j = 0; j <= n.hidden; ++j)
    for (int k = 0; k < n.outputs; ++k) {
      float rows[4 * kRow] = {};
      const float* error = work.errors + k * kRow;
      for (int lane = 0; lane < kGroup; ++lane)
        rows[lane] = j < n.hidden ? work.final_h[j * kRow + lane] * error[lane] : error[lane];
      gradient[j * n.outputs + k] = sum_lanes(rows)[0];
    }
}

// The same from answers at every step: rows j..j + COUNT - 1 of h, beside a row of ones.
template <int COUNT>
LONGLAG_INLINE void output_tile(const Network& n, const Workspace& work, std::int64_t steps, int j,
                                int k, float* gradient) {
  float tile[4 * kRow] = {};
  for (int part = 0; part < kRow; part += kWidth) {
    Lanes sum[COUNT];
    for (int r = 0; r < COUNT; ++r) sum[r] = broadcast(0.0f);
    for (std::int64_t t = 0; t < steps; ++t) {
      const Lanes error = load(work.errors + (t * n.outputs + k) * kRow + part);
      const float* h = work.h + ((1 + t) * n.hidden + j) * kRow + part;
      for (int r = 0; r < COUNT; ++r)
        sum[r] = j + r < n.hidden ? fma(load(h + r * kRow), error, sum[r]) : add(sum[r], error);
    }
    for (int r = 0; r < COUNT; ++r) store(tile + r * kRow + part, sum[r]);
  }
  const Quad total = sum_lanes(tile);
  for (int r = 0; r < COUNT; ++r) gradient[(j + r) * n.outputs + k] = total[r];
}

void every_output_gradient(const Network& n, const Workspace& work, std::int64_t steps,
                           float* gradient) {
  for (int k = 0; k < n.outputs; ++k) {
    int j = 0;
    for (; j + 4 <= n.hidden; j += 4) output_tile<4>(n, work, steps, j, k, gradient);
    for (; j <= n.hidden; ++j) output_tile<1>(n, work, steps, j, k, gradient);
  }
}

template <bool FORGET>
void backward_by_size(const Network& network, const Packed& packed, const Lineup& lineup,
                      const Workspace& work) {
  const bool eight = network.hidden == 8;
  if (network.symbols)
    return eight ? backward_steps<8, Inputs::kSymbols, FORGET>(network, packed, lineup, work)
                 : backward_steps<0, Inputs::kSymbols, FORGET>(network, packed, lineup, work);
  if (network.inputs != 2)
    return backward_steps<0, Inputs::kReal, FORGET>(network, packed, lineup, work);
  return eight ? backward_steps<8, Inputs::kPair, FORGET>(network, packed, lineup, work)
               : backward_steps<0, Inputs::kPair, FORGET>(network, packed, lineup, work);
}

void backward(const Network& network, const Packed& packed, const Lineup& lineup,
              const Workspace& work, float* gradient) {
  if (network.forget_gate)
    backward_by_size<true>(network, packed, lineup, work);
  else
    backward_by_size<false>(network, packed, lineup, work);
  spread_gradient(network, work.sums, gradient);
  if (network.symbols) spread_symbol_gradient(network, work.symbol_sums, gradient);
  float* output = gradient + gate_weights(network);
  if (network.every)
    every_output_gradient(network, work, lineup.longest, output);
  else
    output_gradient(network, work, output);
}

void output_error(const Network& network, const Lineup& lineup, const Workspace& work, float scale,
                  double* losses) {
  const int K = network.outputs;
  Run runs[kGroup];
  std::int64_t counts[kGroup];  // of answers that each lane is asked for
  const std::int64_t all = answer_count(network, lineup.longest) * K;
  for (int lane = 0; lane < kGroup; ++lane) {
    counts[lane] = lineup.lengths[lane] ? answer_count(network, lineup.lengths[lane]) * K : 0;
    runs[lane] = {lineup.targets[lane], 0, counts[lane]};
    losses[lane] = 0.0;
  }
  // The targets, for now.
  if (network.every)
    lay_out(runs, lineup.lanes, all, work.errors);
  else
    for (int lane = 0; lane < kGroup; ++lane)
      for (std::int64_t k = 0; k < counts[lane]; ++k)
        work.errors[k * kRow + lane] = lineup.targets[lane][k];
  for (int lane = 0; lane < kGroup; ++lane)
    excuse(network, lineup, lane, 0, lineup.lengths[lane], work.answers, work.errors);
  for (std::int64_t row = 0; row < all; ++row) {
    float* error = work.errors + row * kRow;
    const float* y = work.answers + row * kRow;
    for (int lane = 0; lane < kGroup; ++lane) {
      const double difference = static_cast<double>(y[lane]) - static_cast<double>(error[lane]);
      const float d = scale * (y[lane] - error[lane]);
      losses[lane] += row < counts[lane] ? difference * difference : 0.0;
      error[lane] = row >= counts[lane] ? 0.0f
                    : network.sigmoid_output ? d * (y[lane] * (1.0f - y[lane]))
                                             : d;
    }
  }
}

// ---------------------------------------------------------------------------------------------
// The update

double combine(const Learning& learning, std::int64_t groups, std::int64_t parameters) {
  float* gradient = learning.gradient;
  for (std::int64_t p = 0; p < parameters; ++p) gradient[p] = learning.groups[p];
  for (std::int64_t n = 1; n < groups; ++n) {
    const float* group = learning.groups + n * parameters;
    for (std::int64_t p = 0; p < parameters; ++p) gradient[p] += group[p];
  }
  double squares[16] = {};  // parameter p goes to sum p mod 16, so that the order is fixed
  std::int64_t p = 0;
  for (; p + 16 <= parameters; p += 16)
    for (int k = 0; k < 16; ++k) {
      const double g = gradient[p + k];
      squares[k] += g * g;
    }
  for (int k = 0; p < parameters; ++p, ++k) {
    const double g = gradient[p];
    squares[k] += g * g;
  }
  double total = 0.0;
  for (int k = 0; k < 16; ++k) total += squares[k];
  return __builtin_sqrt(total);
}

bool all_finite(const float* values, std::int64_t count) {
  int bad = 0;
  for (std::int64_t k = 0; k < count; ++k) bad |= !(__builtin_fabsf(values[k]) <= 3.40282347e38f);
  return !bad;
}

// 1 - beta^count by squaring: the mathematics library's pow differs between machines.
double bias_correction(double beta, std::int64_t count) {
  double power = 1.0;
  for (; count; count >>= 1, beta *= beta)
    if (count & 1) power *= beta;
  return 1.0 - power;
}

void adam(const Update& update, std::int64_t parameters, const float* __restrict gradient,
          float scale, const float* __restrict current, const float* __restrict first,
          const float* __restrict second, float* __restrict next) {
  const float beta1 = static_cast<float>(update.beta1);
  const float beta2 = static_cast<float>(update.beta2);
  const float rest1 = static_cast<float>(1.0 - update.beta1);
  const float rest2 = static_cast<float>(1.0 - update.beta2);
  const float rate =
      static_cast<float>(update.learning_rate / bias_correction(update.beta1, update.count));
  const float correct2 = static_cast<float>(1.0 / bias_correction(update.beta2, update.count));
  const float epsilon = static_cast<float>(update.epsilon);
  for (std::int64_t p = 0; p < parameters; ++p) {
    const float g = gradient[p] * scale;
    const float m = beta1 * first[p] + rest1 * g;
    const float v = beta2 * second[p] + rest2 * (g * g);
    next[parameters + p] = m;
    next[2 * parameters + p] = v;
    next[p] = current[p] - rate * m / (__builtin_sqrtf(v * correct2) + epsilon);
  }
}

bool update(const Update& update, std::int64_t parameters, const Learning& learning, double norm,
            const float* current, const float* first, const float* second) {
  const float* gradient = learning.gradient;
  float* next = learning.next;
  const float scale = norm > update.clip ? static_cast<float>(update.clip / norm) : 1.0f;
  if (update.adam) {
    adam(update, parameters, gradient, scale, current, first, second, next);
    return all_finite(next, 3 * parameters);
  }
  const float rate = static_cast<float>(update.learning_rate);
  for (std::int64_t p = 0; p < parameters; ++p)
    next[p] = current[p] - rate * (gradient[p] * scale);
  return all_finite(next, parameters);
}

void average(double decay, std::int64_t parameters, const float* current, float* average) {
  const float keep = static_cast<float>(decay);
  const float rest = static_cast<float>(1.0 - decay);
  for (std::int64_t p = 0; p < parameters; ++p)
    average[p] = keep * average[p] + rest * current[p];
}

}  // namespace

extern const Kernel kKernel;
const Kernel kKernel = {pack, forward, output_error, backward, combine, update, average};

}  // namespace longlag::LONGLAG_ISA
