// One trial of Experiment 1: the LSTM of 1997 on the embedded Reber grammar, on-line, by the
// truncated gradient. In double precision, with what table1_readings.py varies as fields.
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { kSymbols = 7, kSteps = 64, kCells = 16, kBlocks = 8, kUnits = kCells + 2 * kBlocks,
       kSources = kSymbols + kUnits + 1 };

typedef struct {
  int blocks, size;
  int every_step;                // weights change at every step, not after a string
  int output_biases, cell_biases;
  int gates_lead;                // gates lead to cells and gates, as in the paper
  int possible;                  // targets: the next symbol (0), all possible ones at 1 (1), at 1 / n (2)
  int entropy;                   // the error of the output units is t - y, without their slope
  int most_active;               // a step is right where the most active output is a possible symbol
  int test_every, most;
  double rate, factor, range;    // factor 2 is that of eq. 16, 1 that of eq. 19
  double output_gate, output_gate_step, input_gate, input_gate_step;  // first bias, and from block to block
} Reading;

// Strings: symbols and, as bits, all that could have come in their place.
typedef struct { int8_t symbols[kSteps]; uint8_t possible[kSteps]; int32_t length; } String;

typedef struct { double hidden[kUnits][kSources], out[kSymbols][kCells + 1]; } Weights;
typedef struct {
  double from[kSources], g[kCells], s[kCells], h[kCells], in[kBlocks], shown[kBlocks];
  double units[kUnits], y[kSymbols];
} State;

static uint64_t random_state;
static double uniform(void) {
  random_state ^= random_state << 13; random_state ^= random_state >> 7; random_state ^= random_state << 17;
  return (double)(random_state >> 11) / 9007199254740992.0;
}
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static int cells(const Reading* r) { return r->blocks * r->size; }
static int sources(const Reading* r) {
  return kSymbols + cells(r) + (r->gates_lead ? 2 * r->blocks : 0) + 1;
}

static void step(const Reading* r, const Weights* w, int symbol, State* at) {
  const int C = cells(r), B = r->blocks, n = sources(r);
  for (int k = 0; k < kSymbols; k++) at->from[k] = k == symbol;
  memcpy(at->from + kSymbols, at->units, sizeof(double) * (n - kSymbols - 1));
  at->from[n - 1] = 1;
  double out[kUnits];
  for (int u = 0; u < C + 2 * B; u++) {
    double net = 0;
    for (int k = 0; k < n; k++) net += w->hidden[u][k] * at->from[k];
    out[u] = sigmoid(net);
  }
  for (int b = 0; b < B; b++) {
    at->in[b] = at->units[C + b] = out[C + b];
    at->shown[b] = at->units[C + B + b] = out[C + B + b];
  }
  for (int c = 0; c < C; c++) {
    at->g[c] = 4 * out[c] - 2;
    at->s[c] += at->in[c / r->size] * at->g[c];
    at->h[c] = 2 * sigmoid(at->s[c]) - 1;
    at->units[c] = at->shown[c / r->size] * at->h[c];
  }
  for (int k = 0; k < kSymbols; k++) {
    double net = w->out[k][C];
    for (int c = 0; c < C; c++) net += w->out[k][c] * at->units[c];
    at->y[k] = sigmoid(net);
  }
}

static int right(const Reading* r, const double* y, int possible) {
  double low = 2, high = -1;  // the least of the possible symbols, the largest of the others
  double top = -1;
  for (int k = 0; k < kSymbols; k++) {
    if (possible >> k & 1) { low = fmin(low, y[k]); top = fmax(top, y[k]); }
    else high = fmax(high, y[k]);
  }
  return (r->most_active ? top : low) > high;
}

// Of n strings: wrong[0], those with a wrong step; wrong[1], with the last symbol but one wrong;
// wrong[2], with that one alone. `first`: whether the first wrong string is enough.
static void judge(const Reading* r, const Weights* w, int n, const String* strings, int first, int* wrong) {
  memset(wrong, 0, 3 * sizeof *wrong);
  for (int i = 0; i < n; i++) {
    State at; memset(&at, 0, sizeof at);
    int others = 0, telling = 0;
    for (int t = 0; t < strings[i].length - 1; t++) {
      step(r, w, strings[i].symbols[t], &at);
      if (right(r, at.y, strings[i].possible[t + 1])) continue;
      if (t == strings[i].length - 3) telling = 1; else others = 1;
      if (first) { wrong[0] = 1; return; }
    }
    wrong[0] += telling || others; wrong[1] += telling; wrong[2] += telling && !others;
  }
}

static void learn(const Reading* r, Weights* w, const String* string) {
  const int C = cells(r), B = r->blocks, n = sources(r), biased = r->cell_biases ? n : n - 1;
  static double ds_cell[kCells][kSources], ds_in[kCells][kSources];  // ds/dw, eqs. 25 and 27
  static Weights change;
  Weights* changed = r->every_step ? w : &change;
  State at; memset(&at, 0, sizeof at);
  memset(ds_cell, 0, sizeof ds_cell); memset(ds_in, 0, sizeof ds_in); memset(&change, 0, sizeof change);
  for (int t = 0; t < string->length - 1; t++) {
    step(r, w, string->symbols[t], &at);
    const int possible = r->possible ? string->possible[t + 1] : 1 << string->symbols[t + 1];
    const double target = r->possible == 2 ? 1.0 / __builtin_popcount(possible) : 1;
    double error[kSymbols], back[kCells] = {0}, gate[kBlocks] = {0};
    for (int k = 0; k < kSymbols; k++) {
      const double slope = r->entropy ? 1 : at.y[k] * (1 - at.y[k]);
      error[k] = r->rate * r->factor * ((possible >> k & 1) * target - at.y[k]) * slope;
      for (int c = 0; c < C; c++) back[c] += w->out[k][c] * error[k];
    }
    for (int k = 0; k < kSymbols; k++) {
      for (int c = 0; c < C; c++) changed->out[k][c] += error[k] * at.units[c];
      if (r->output_biases) changed->out[k][C] += error[k];
    }
    for (int c = 0; c < C; c++) {
      const int b = c / r->size;
      const double into_cell = at.in[b] * (1 - at.g[c] * at.g[c] / 4);
      const double into_gate = at.g[c] * at.in[b] * (1 - at.in[b]);
      const double state = at.shown[b] * back[c] * (1 - at.h[c] * at.h[c]) / 2;
      gate[b] += at.h[c] * back[c];
      for (int k = 0; k < n; k++) {
        ds_cell[c][k] += into_cell * at.from[k];
        ds_in[c][k] += into_gate * at.from[k];
        if (k < biased) changed->hidden[c][k] += state * ds_cell[c][k];
        changed->hidden[C + b][k] += state * ds_in[c][k];
      }
    }
    for (int b = 0; b < B; b++) {
      const double d = gate[b] * at.shown[b] * (1 - at.shown[b]);
      for (int k = 0; k < n; k++) changed->hidden[C + B + b][k] += d * at.from[k];
    }
  }
  if (r->every_step) return;
  for (int u = 0; u < C + 2 * B; u++) for (int k = 0; k < n; k++) w->hidden[u][k] += change.hidden[u][k];
  for (int k = 0; k < kSymbols; k++) for (int c = 0; c <= C; c++) w->out[k][c] += change.out[k][c];
}

static void start(const Reading* r, Weights* w) {
  const int C = cells(r), B = r->blocks, n = sources(r);
  memset(w, 0, sizeof *w);
  for (int u = 0; u < C + 2 * B; u++)
    for (int k = 0; k < n; k++) w->hidden[u][k] = (2 * uniform() - 1) * r->range;
  for (int k = 0; k < kSymbols; k++)
    for (int c = 0; c <= C; c++) w->out[k][c] = (2 * uniform() - 1) * r->range * (c < C || r->output_biases);
  for (int c = 0; c < C; c++) w->hidden[c][n - 1] *= r->cell_biases;
  for (int b = 0; b < B; b++) {
    if (r->input_gate != 0) w->hidden[C + b][n - 1] = r->input_gate + b * r->input_gate_step;
    if (r->output_gate != 0) w->hidden[C + B + b][n - 1] = r->output_gate + b * r->output_gate_step;
  }
}

// Strings learned from until both sets are right, or -1; wrong (6): `judge` of both sets at the end.
int trial(const Reading* r, uint64_t seed, const String* training, const String* test, int n, int* wrong) {
  random_state = (seed + 1) * 0x9E3779B97F4A7C15ull;
  for (int k = 0; k < 20; k++) uniform();
  Weights w;
  start(r, &w);
  int solved = -1;
  for (int seen = 1; seen <= r->most && solved < 0; seen++) {
    learn(r, &w, training + (int)(uniform() * n));
    if (seen % r->test_every) continue;
    judge(r, &w, n, test, 1, wrong);
    if (!wrong[0]) judge(r, &w, n, training, 1, wrong);
    if (!wrong[0]) solved = seen;
  }
  judge(r, &w, n, training, 0, wrong);
  judge(r, &w, n, test, 0, wrong + 3);
  return solved;
}
