// Every pass of both networks and the update as plain loops: the definition in C++, to be read
// first. The fast forms (bptt.cpp, online1997.cpp) are the same mathematics, and are tested against
// this one; the order of their sums differs. The definition in numpy is src/longlag/networks/.
//
// Dimensions: B sequences, T steps, L the length of one sequence, D inputs, K outputs;
// H cells, G = 4H gate columns (i, f, o, g), P weights. Of the LSTM of 1997: N blocks of S cells,
// C = N·S cells, U = C + 2N units (cells, input gates, output gates).
//
// Real is float or double. Functions come in pairs, forward and backward; a backward function adds
// to the gradients of weights. dX stands for dE/dX.
#pragma once

#include <cstdint>

namespace longlag::plain {

// What is asked of a network.
struct Asked {
  int D;         // inputs; or how many symbols there are, each one input that is 1
  int K;         // outputs
  bool every;    // an answer at every step, or at the last one alone
  bool sigmoid;  // the answers are squashed
};

template <typename Real>
struct Batch {
  std::int64_t B, T;
  const Real* x;                // (B, T, D), or null: then symbols are given
  const std::int64_t* symbols;  // (B, T), from 0 to D - 1
  const std::int64_t* lengths;  // (B,), from 1 to T; nothing behind a sequence's end is read
  const Real* targets;          // (B, K), or (B, T, K) at every step
  const bool* counted;          // (B, T), at every step: which answers count; null: all
};

// ---------------------------------------------------------------------------------------------
// Inputs that are drawn

// Steps of a sequence that are given, and how its other numbers lie.
struct Draws {
  std::int64_t M;
  const std::int64_t* at;  // (M,): which steps; of two that are the same the later counts
  const float* given;      // (M, D)
  float low, span;
};

// The inputs x (L, D) of one sequence: of a step low + span·u and then zeros, u being the next
// float32 of the stream of SFC64 that starts from three words, as of numpy's random().
void draw(const std::uint64_t* words, const Draws&, std::int64_t L, int D, float* x);

// ---------------------------------------------------------------------------------------------
// The LSTM with a forget gate

struct LSTM {
  Asked asked;
  int H;
  bool forget_gate;  // false: f = 1
};

std::int64_t parameter_count(const LSTM&);  // P = 4H(D + H + 1) + K(H + 1)

// What the steps of one sequence hold.
template <typename Real>
struct States {
  Real* gates;  // (L, 4H): i, f, o, g
  Real* c;      // (L + 1, H): cell states, the initial zeros first
  Real* h;      // (L + 1, H): hidden states
  Real* y;      // (L, K): answers; where the last one alone is asked for, the others are not set
};

// Sequence b of the batch; parameters (P,): Wx (D, 4H), Wh (H, 4H), b (4H), Wy (H, K), by (K).
template <typename Real>
void forward(const LSTM&, const Real* parameters, const Batch<Real>&, std::int64_t b,
             const States<Real>&);

// Mean squared error of a batch (no 1/2) and its gradient (P,); answers (B, K) or (B, T, K), in
// which what lies behind a sequence's end is left as it is.
template <typename Real>
double gradient(const LSTM&, const Real* parameters, const Batch<Real>&, Real* answers,
                Real* gradient);

// ---------------------------------------------------------------------------------------------
// The update

struct Rule {
  bool adam;  // or plain gradient descent
  double learning_rate;
  double beta1, beta2, epsilon;
  double clip;         // of the gradient's global norm
  std::int64_t count;  // of updates, this one included
};

// Changes parameters, and with Adam both moments, each (P,); returns the norm before clipping.
template <typename Real>
double update(const Rule&, std::int64_t P, const Real* gradient, Real* parameters, Real* first,
              Real* second);

// ---------------------------------------------------------------------------------------------
// The LSTM of 1997

// In what a network can differ from that of Experiments 4 to 6, which has all of the first five and
// neither of the last three.
struct Variant {
  bool cell_biases, gate_biases, output_biases;  // units that have one
  bool output_gate;                              // or y_out = 1
  bool recurrent;          // cells and gates receive cells and gates, or inputs alone
  bool inputs_to_outputs;  // output units receive x_t, too
  bool logistic_g;         // g = f
  bool identity_h;         // h(s) = s
};

struct LSTM1997 {
  Asked asked;
  int N, S;            // blocks, and cells in each
  bool reads_current;  // output units read this step's cells, or those of the step before
  bool truncated;      // the gradient
  Variant variant;
};

std::int64_t weight_count(const LSTM1997&);  // P; U(D + U + 1) + K(C + 1) where none is missing

// As for the LSTM; weights (P,): W (U, D + U + 1), whose columns are inputs, units and bias, then
// Wk (K, C + 1): cells and bias, or (K, C + D + 1) where inputs lead there, between these. Weights
// that a variant is without are left out.
template <typename Real>
double gradient(const LSTM1997&, const Real* weights, const Batch<Real>&, Real* answers,
                Real* gradient);

// One sequence of the batch after another, an update of the weights each: weights -= rate · dE/dw,
// with E the sum, not the mean, of a sequence's squared errors. answers: before each update.
template <typename Real>
void learn(const LSTM1997&, Real rate, const Batch<Real>&, Real* weights, Real* answers);

}  // namespace longlag::plain
