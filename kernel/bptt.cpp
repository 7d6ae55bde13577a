// Forward and backward pass of the forget-gate LSTM, and the update: compiled once for each
// instruction set. The reference is src/longlag/networks/lstm.py; this is the same mathematics.
//
// A group's sixteen lanes are one, two or four vectors; a lane's arithmetic is the same in all of them.
#include "bptt.hpp"

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

// ---------------------------------------------------------------------------------------------
// Packing

void pack_forward(int hidden, const float* parameters, float* packed) {
  const float* wh = parameters + 8 * hidden;
  const float* bias = wh + std::int64_t{4} * hidden * hidden;
  for (int k = 0; k < hidden + 3; ++k) {
    const float* row = k == 0 ? bias : k < 3 ? parameters + (k - 1) * 4 * hidden
                                             : wh + std::int64_t{k - 3} * 4 * hidden;
    for (int first = 0; first < hidden; first += kTileCells) {
      const int cells = hidden - first < kTileCells ? hidden - first : kTileCells;
      float* to = packed + std::int64_t{first} * 4 * (hidden + 3) + k * 4 * cells;
      for (int j = first; j < first + cells; ++j) {
        *to++ = kSigmoidScale * row[j];  // what sigmoid_of_scaled takes
        *to++ = kSigmoidScale * row[hidden + j];
        *to++ = kSigmoidScale * row[2 * hidden + j];
        *to++ = row[3 * hidden + j];
      }
    }
  }
}

constexpr int back_tile(int rows_left) {
  int tile = kTileBack;
  while (tile > rows_left) tile /= 2;
  return tile;
}

void pack_backward(int hidden, const float* parameters, float* packed) {
  const float* wh = parameters + 8 * hidden;
  for (int first = 0, tile = 0; first < hidden; first += tile) {
    tile = back_tile(hidden - first);
    for (int j = 0; j < hidden; ++j)
      for (int gate = 0; gate < 4; ++gate)
        for (int k = first; k < first + tile; ++k)
          *packed++ = wh[std::int64_t{k} * 4 * hidden + gate * hidden + j];
  }
}

void pack(const Network& network, const float* parameters, const Packed& packed) {
  pack_forward(network.hidden, parameters, packed.forward);
  if (packed.backward) pack_backward(network.hidden, parameters, packed.backward);
  for (int k = 0; k <= network.hidden; ++k)
    packed.output[k] = parameters[gate_weights(network.hidden) + k];
}

// ---------------------------------------------------------------------------------------------
// Forward

// Sequences to lanes; zero beyond a sequence's end and in lanes without one.
void gather_inputs(const Lineup& lineup, float* x) {
  Run runs[kGroup];
  for (int lane = 0; lane < kGroup; ++lane)
    runs[lane] = {lineup.inputs[lane], 0, 2 * lineup.lengths[lane]};
  lay_out(runs, 2 * lineup.longest, x);
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

// CELLS neighbouring cells at one step, in VECTORS vectors: all their gate rows in registers.
template <int CELLS, int VECTORS, int H, bool FORGET>
LONGLAG_INLINE void forward_tile(int runtime_hidden, const float* weights, const float* x,
                                 const float* h, const float* previous, float* cache,
                                 float* h_out) {
  constexpr int kRows = 4 * CELLS;
  const int hidden = H ? H : runtime_hidden;
  Lanes z[4][CELLS * VECTORS];
  for (int r = 0; r < kRows; ++r)
    if (FORGET || r % 4 != kForget)
      for (int v = 0; v < VECTORS; ++v) z[r % 4][r / 4 * VECTORS + v] = broadcast(weights[r]);
  const auto accumulate = [&](const float* w, const float* from) LONGLAG_LAMBDA {
    Lanes input[VECTORS];
    for (int v = 0; v < VECTORS; ++v) input[v] = load(from + v * kWidth);
    for (int r = 0; r < kRows; ++r)
      if (FORGET || r % 4 != kForget) {
        const Lanes weight = broadcast(w[r]);
        for (int v = 0; v < VECTORS; ++v) {
          Lanes& sum = z[r % 4][r / 4 * VECTORS + v];
          sum = fma(weight, input[v], sum);
        }
      }
  };
  accumulate(weights + kRows, x);
  accumulate(weights + 2 * kRows, x + kRow);
#pragma GCC unroll 8
  for (int k = 0; k < hidden; ++k) accumulate(weights + (3 + k) * kRows, h + k * kRow);
  int at[CELLS * VECTORS];
  for (int n = 0; n < CELLS * VECTORS; ++n) at[n] = n / VECTORS * kCell + n % VECTORS * kWidth;
  forward_cells<CELLS * VECTORS, FORGET>(z, at, previous, cache);
  for (int n = 0; n < CELLS * VECTORS; ++n)
    store(h_out + n / VECTORS * kRow + n % VECTORS * kWidth, z[kOutput][n]);
}

template <int H, bool FORGET>
LONGLAG_INLINE void forward_step(int runtime_hidden, const float* weights, const float* x,
                                 const float* h, const float* previous, float* cache,
                                 float* h_out) {
  const int hidden = H ? H : runtime_hidden;
  const std::int64_t weights_a_cell = 4 * (hidden + 3);
  for (int part = 0; part < kRow; part += kTileVectors * kWidth) {
    int j = 0;
    for (; j + kTileCells <= hidden; j += kTileCells)
      forward_tile<kTileCells, kTileVectors, H, FORGET>(
          hidden, weights + j * weights_a_cell, x + part, h + part, previous + j * kCell + part,
          cache + j * kCell + part, h_out + j * kRow + part);
    if (kTileCells > 1 && j < hidden)
      forward_tile<1, kTileVectors, H, FORGET>(
          hidden, weights + j * weights_a_cell, x + part, h + part, previous + j * kCell + part,
          cache + j * kCell + part, h_out + j * kRow + part);
  }
}

void take_final(const Lineup& lineup, std::int64_t length, int hidden, const float* h,
                float* final_h) {
  for (int lane = 0; lane < kGroup; ++lane)
    if (lineup.lengths[lane] == length)
      for (int k = 0; k < hidden; ++k) final_h[k * kRow + lane] = h[k * kRow + lane];
}

template <int H, bool FORGET>
void forward_steps(const Network& network, const Packed& packed, const Lineup& lineup,
                   const Workspace& work, bool keep) {
  const int hidden = H ? H : network.hidden;
  const std::int64_t stride = cache_step(hidden);
  float* h = work.h;
  float* h_out = work.h + hidden * kRow;
  const float* previous = work.cache;
  for (std::int64_t k = 0; k < stride; ++k) work.cache[k] = 0.0f;
  for (int k = 0; k < hidden * kRow; ++k) h[k] = work.final_h[k] = 0.0f;
  for (std::int64_t t = 0; t < lineup.longest; ++t) {
    float* cache = work.cache + (1 + (keep ? t : t & 1)) * stride;
    forward_step<H, FORGET>(hidden, packed.forward, work.x + 2 * t * kRow, h, previous, cache,
                            h_out);
    if (t + 1 >= lineup.shortest) take_final(lineup, t + 1, hidden, h_out, work.final_h);
    previous = cache;
    float* swap = h;
    h = h_out;
    h_out = swap;
  }
}

void answer(const Network& network, const float* output, const Workspace& work) {
  for (int part = 0; part < kRow; part += kWidth) {
    Lanes sum[1] = {broadcast(output[network.hidden])};
    for (int k = 0; k < network.hidden; ++k)
      sum[0] = fma(broadcast(output[k]), load(work.final_h + k * kRow + part), sum[0]);
    if (network.sigmoid_output) {
      sum[0] = mul(sum[0], broadcast(kSigmoidScale));
      sigmoid_of_scaled(sum);
    }
    store(work.answers + part, sum[0]);
  }
}

template <bool FORGET>
void forward_by_size(const Network& network, const Packed& packed, const Lineup& lineup,
                     const Workspace& work, bool keep) {
  switch (network.hidden) {
    case 8: return forward_steps<8, FORGET>(network, packed, lineup, work, keep);
    default: return forward_steps<0, FORGET>(network, packed, lineup, work, keep);
  }
}

void forward(const Network& network, const Packed& packed, const Lineup& lineup,
             const Workspace& work, bool keep) {
  gather_inputs(lineup, work.x);
  if (network.forget_gate)
    forward_by_size<true>(network, packed, lineup, work, keep);
  else
    forward_by_size<false>(network, packed, lineup, work, keep);
  answer(network, packed.output, work);
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

// dLoss/dh of sequences that end at this step.
void inject(const Lineup& lineup, std::int64_t length, const float* output, const float* error,
            int hidden, float* dh) {
  float here[kGroup] = {};
  for (int lane = 0; lane < kGroup; ++lane)
    if (lineup.lengths[lane] == length) here[lane] = error[lane];
  for (int part = 0; part < kRow; part += kWidth)
    for (int k = 0; k < hidden; ++k) {
      float* row = dh + k * kRow + part;
      store(row, fma(broadcast(output[k]), load(here + part), load(row)));
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
  int hidden;
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

// 4 gate rows of a cell times its inputs, summed over the chunk's steps, last step first. The
// inputs are 1, x0, x1 (if WITH_X) and ROWS rows of h from row k.
template <bool WITH_X, int ROWS, bool FORGET, bool LANE_SUMS>
LONGLAG_INLINE void gradient_tile(const Chunk& chunk, const CellErrors& errors, int k,
                                  float* sums) {
  constexpr int kFirst = WITH_X ? 3 : 0, kInputs = kFirst + ROWS;
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
    const float* h = chunk.h + (k * kChunk + chunk.last - chunk.first) * kRow + part;
    for (std::int64_t t = chunk.last; t >= chunk.first; --t) {
      Lanes input[kInputs];
      for (int n = 1; n < kFirst; ++n) input[n] = held(load(x + (n - 1) * kRow));
      for (int n = 0; n < ROWS; ++n) input[kFirst + n] = held(load(h + n * kChunk * kRow));
      for (int gate = 0; gate < 4; ++gate)
        if (FORGET || gate != kForget) {
          const Lanes d = held(load(dz + gate * kRow));
          if (WITH_X) sum[0][gate] = add(sum[0][gate], d);
          for (int n = WITH_X; n < kInputs; ++n)
            sum[n][gate] = fma(input[n], d, sum[n][gate]);
        }
      dz -= errors.stride;
      x -= 2 * kRow;
      h -= kRow;
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

template <int ROWS, bool FORGET, bool LANE_SUMS>
LONGLAG_INLINE void gradient_tiles(const Chunk& chunk, const CellErrors& errors, int k,
                                   float* sums) {
  constexpr int kElement = 4 * (LANE_SUMS ? kRow : 1);
  for (; chunk.hidden - k >= ROWS; k += ROWS)
    gradient_tile<false, ROWS, FORGET, LANE_SUMS>(chunk, errors, k, sums + (3 + k) * kElement);
  if constexpr (ROWS > 1)
    gradient_tiles<(ROWS + 1) / 2, FORGET, LANE_SUMS>(chunk, errors, k, sums);
}

template <bool FORGET, bool LANE_SUMS>
void gradient_chunk(const Chunk& chunk, float* sums) {
  constexpr int kElement = 4 * (LANE_SUMS ? kRow : 1);
  float copy[LANE_SUMS ? 1 : kChunk * 4 * kRow];
  for (int cell = 0; cell < chunk.hidden; ++cell) {
    const CellErrors errors = cell_errors<!LANE_SUMS>(chunk, cell, copy);
    float* own = sums + std::int64_t{cell} * (chunk.hidden + 3) * kElement;
    const int first = chunk.hidden < kTileRowsWithX ? 0 : kTileRowsWithX;
    if (first)
      gradient_tile<true, kTileRowsWithX, FORGET, LANE_SUMS>(chunk, errors, 0, own);
    else
      gradient_tile<true, 0, FORGET, LANE_SUMS>(chunk, errors, 0, own);
    gradient_tiles<kTileRows, FORGET, LANE_SUMS>(chunk, errors, first, own);
  }
}

// Chunks of much the same size, none above kChunk.
std::int64_t chunk_steps(std::int64_t steps) {
  const std::int64_t chunks = (steps + kChunk - 1) / kChunk;
  return (steps + chunks - 1) / chunks;
}

template <int H, bool FORGET>
void backward_steps(const Network& network, const Packed& packed, const Lineup& lineup,
                    const Workspace& work) {
  const int hidden = H ? H : network.hidden;
  const bool lane_sums = hidden <= kLaneSumsUpTo;
  const std::int64_t stride = cache_step(hidden);
  const std::int64_t size = chunk_steps(lineup.longest);
  for (int k = 0; k < hidden * kRow; ++k) work.dh[k] = work.dc[k] = 0.0f;
  for (std::int64_t t = lineup.longest - 1, last = t; t >= 0; --t) {
    if (t + 1 >= lineup.shortest) inject(lineup, t + 1, packed.output, work.error, hidden, work.dh);
    backward_step<H, FORGET>(hidden, packed, work, t, t % size);
    if (t % size) continue;
    const bool fresh = last == lineup.longest - 1;
    const Chunk chunk = {t, last, fresh, hidden, work.x, work.cache + stride, work.chunk_h, stride};
    if (lane_sums)
      gradient_chunk<FORGET, true>(chunk, work.sums);
    else
      gradient_chunk<FORGET, false>(chunk, work.sums);
    last = t - 1;
  }
}

// ---------------------------------------------------------------------------------------------
// Backward: the whole of it

// The sums, by cell and input, to the parameters' order.
void spread_gradient(int hidden, const float* sums, float* gradient) {
  const bool lane_sums = hidden <= kLaneSumsUpTo;
  float* wh = gradient + 8 * hidden;
  float* bias = wh + std::int64_t{4} * hidden * hidden;
  for (int k = 0; k < hidden + 3; ++k) {
    float* row = k == 0 ? bias : k < 3 ? gradient + (k - 1) * 4 * hidden
                                       : wh + std::int64_t{k - 3} * 4 * hidden;
    for (int j = 0; j < hidden; ++j) {
      const std::int64_t at = (std::int64_t{j} * (hidden + 3) + k) * 4;
      const Quad gates = lane_sums ? sum_lanes(sums + at * kRow)
                                   : *reinterpret_cast<const Quad*>(sums + at);
      for (int gate = 0; gate < 4; ++gate) row[gate * hidden + j] = gates[gate];
    }
  }
}

void output_gradient(int hidden, const float* final_h, const float* error, float* gradient) {
  for (int k = 0; k <= hidden; ++k) {
    float rows[4 * kRow] = {};
    for (int lane = 0; lane < kGroup; ++lane)
      rows[lane] = k < hidden ? final_h[k * kRow + lane] * error[lane] : error[lane];
    gradient[k] = sum_lanes(rows)[0];
  }
}

template <bool FORGET>
void backward_by_size(const Network& network, const Packed& packed, const Lineup& lineup,
                      const Workspace& work) {
  switch (network.hidden) {
    case 8: return backward_steps<8, FORGET>(network, packed, lineup, work);
    default: return backward_steps<0, FORGET>(network, packed, lineup, work);
  }
}

void backward(const Network& network, const Packed& packed, const Lineup& lineup,
              const Workspace& work, float* gradient) {
  if (network.forget_gate)
    backward_by_size<true>(network, packed, lineup, work);
  else
    backward_by_size<false>(network, packed, lineup, work);
  spread_gradient(network.hidden, work.sums, gradient);
  output_gradient(network.hidden, work.final_h, work.error,
                  gradient + gate_weights(network.hidden));
}

void output_error(const Network& network, const Lineup& lineup, const Workspace& work,
                  const float* targets, float scale) {
  for (int lane = 0; lane < kGroup; ++lane) {
    work.error[lane] = 0.0f;
    if (!lineup.lengths[lane]) continue;
    const float y = work.answers[lane];
    const float d = scale * (y - targets[lane]);
    work.error[lane] = network.sigmoid_output ? d * (y * (1.0f - y)) : d;
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
