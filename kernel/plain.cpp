#include "plain.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace longlag::plain {
namespace {

template <typename Real>
Real sigmoid(Real x) {
  return 1 / (1 + std::exp(-x));
}

// Chris Doty-Humphrey's generator of three words and a counter, as numpy has it.
struct SFC64 {
  std::uint64_t a, b, c, counter = 1;
  std::uint64_t word = 0;
  bool half = false;  // the upper half of the word is still to come

  std::uint32_t next() {
    half = !half;
    if (!half) return static_cast<std::uint32_t>(word >> 32);
    word = a + b + counter++;
    a = b ^ (b >> 11);
    b = c + (c << 3);
    c = ((c << 24) | (c >> 40)) + word;
    return static_cast<std::uint32_t>(word);
  }
};

// ---------------------------------------------------------------------------------------------
// What both networks share: an input, the answers, the error

// Of one step: x (D,), or a symbol.
template <typename Real>
struct Input {
  const Real* x;
  std::int64_t symbol;
};

template <typename Real>
Input<Real> input_at(const Asked& asked, const Batch<Real>& batch, std::int64_t b,
                     std::int64_t t) {
  const std::int64_t at = b * batch.T + t;
  return batch.x ? Input<Real>{batch.x + at * asked.D, 0} : Input<Real>{nullptr, batch.symbols[at]};
}

// z (G,) += x W, where W[d, g] lies at W[d * row + g * column]; of a symbol, its row of W
template <typename Real>
void input_forward(int D, int G, const Input<Real>& input, const Real* W, int row, int column,
                   Real* z) {
  for (int d = 0; d < D; ++d) {
    const Real x = input.x ? input.x[d] : Real(d == input.symbol);
    for (int g = 0; g < G; ++g) z[g] += x * W[d * row + g * column];
  }
}

// dW (D, G) += x' dz
template <typename Real>
void input_backward(int D, int G, const Input<Real>& input, const Real* dz, int row, int column,
                    Real* dW) {
  for (int d = 0; d < D; ++d) {
    const Real x = input.x ? input.x[d] : Real(d == input.symbol);
    for (int g = 0; g < G; ++g) dW[d * row + g * column] += x * dz[g];
  }
}

// y (K,) = W h + bias, or its sigmoid; W[k, j] lies at W[k * row + j * column]
template <typename Real>
void answer_forward(const Asked& asked, int H, const Real* h, const Real* W, int row, int column,
                    const Real* bias, int bias_step, Real* y) {
  for (int k = 0; k < asked.K; ++k) {
    y[k] = bias[k * bias_step];
    for (int j = 0; j < H; ++j) y[k] += W[k * row + j * column] * h[j];
    if (asked.sigmoid) y[k] = sigmoid(y[k]);
  }
}

// From dy (K,): dW += dy h', dbias += dy, dh (H,) += W' dy
template <typename Real>
void answer_backward(const Asked& asked, int H, const Real* h, const Real* W, int row, int column,
                     const Real* y, const Real* dy, int bias_step, Real* dW, Real* dbias,
                     Real* dh) {
  for (int k = 0; k < asked.K; ++k) {
    const Real dnet = asked.sigmoid ? dy[k] * y[k] * (1 - y[k]) : dy[k];
    dbias[k * bias_step] += dnet;
    for (int j = 0; j < H; ++j) {
      dW[k * row + j * column] += dnet * h[j];
      dh[j] += dnet * W[k * row + j * column];
    }
  }
}

// Where the answer of step t stands in (B, K) or (B, T, K); -1: there is none.
template <typename Real>
std::int64_t answer_at(const Asked& asked, const Batch<Real>& batch, std::int64_t b,
                       std::int64_t t) {
  if (asked.every) return (b * batch.T + t) * asked.K;
  return t == batch.lengths[b] - 1 ? b * asked.K : -1;
}

// Whether it counts.
template <typename Real>
bool counts(const Asked& asked, const Batch<Real>& batch, std::int64_t b, std::int64_t t) {
  return answer_at(asked, batch, b, t) >= 0 && (!batch.counted || batch.counted[b * batch.T + t]);
}

// How many numbers a batch asks for.
template <typename Real>
std::int64_t asked_for(const Asked& asked, const Batch<Real>& batch) {
  std::int64_t answers = 0;
  for (std::int64_t b = 0; b < batch.B; ++b)
    for (std::int64_t t = 0; t < batch.lengths[b]; ++t) answers += counts(asked, batch, b, t);
  return answers * asked.K;
}

// Returns Σ (y - t)² over the answers y (L, K) of sequence b that count, and copies all to `answers`.
template <typename Real>
double error_forward(const Asked& asked, const Batch<Real>& batch, std::int64_t b, const Real* y,
                     Real* answers) {
  double sum = 0;
  for (std::int64_t t = 0; t < batch.lengths[b]; ++t) {
    const std::int64_t at = answer_at(asked, batch, b, t);
    for (int k = 0; at >= 0 && k < asked.K; ++k) {
      const double error = double(y[t * asked.K + k]) - double(batch.targets[at + k]);
      if (counts(asked, batch, b, t)) sum += error * error;
      answers[at + k] = y[t * asked.K + k];
    }
  }
  return sum;
}

// dy (L, K) of `scale` times that sum; zero at steps that do not count
template <typename Real>
void error_backward(const Asked& asked, const Batch<Real>& batch, std::int64_t b, const Real* y,
                    Real scale, Real* dy) {
  for (std::int64_t t = 0; t < batch.lengths[b]; ++t) {
    const std::int64_t at = answer_at(asked, batch, b, t);
    for (int k = 0; k < asked.K; ++k)
      dy[t * asked.K + k] = counts(asked, batch, b, t)
                                ? 2 * scale * (y[t * asked.K + k] - batch.targets[at + k])
                                : 0;
  }
}

// ---------------------------------------------------------------------------------------------
// The LSTM with a forget gate

// Where the arrays lie in a vector (P,) of parameters or of their gradient.
template <typename Real>
struct Parameters {
  Real* Wx;  // (D, 4H)
  Real* Wh;  // (H, 4H)
  Real* b;   // (4H,)
  Real* Wy;  // (H, K)
  Real* by;  // (K,)

  Parameters(const LSTM& n, Real* vector)
      : Wx(vector),
        Wh(Wx + n.asked.D * 4 * n.H),
        b(Wh + n.H * 4 * n.H),
        Wy(b + 4 * n.H),
        by(Wy + n.H * n.asked.K) {}
};

// z = x_t Wx + h_{t-1} Wh + b                                                            (1)
template <typename Real>
void gates_forward(const LSTM& n, const Parameters<const Real>& p, const Input<Real>& x,
                   const Real* h_before, Real* z) {
  const int G = 4 * n.H;
  for (int g = 0; g < G; ++g) z[g] = p.b[g];
  input_forward(n.asked.D, G, x, p.Wx, G, 1, z);
  for (int j = 0; j < n.H; ++j)
    for (int g = 0; g < G; ++g) z[g] += h_before[j] * p.Wh[j * G + g];
}

// dWx += x_t' dz, dWh += h_{t-1}' dz, db += dz, dh_{t-1} = dz Wh'
template <typename Real>
void gates_backward(const LSTM& n, const Parameters<const Real>& p, const Input<Real>& x,
                    const Real* h_before, const Real* dz, const Parameters<Real>& d,
                    Real* dh_before) {
  const int G = 4 * n.H;
  for (int g = 0; g < G; ++g) d.b[g] += dz[g];
  input_backward(n.asked.D, G, x, dz, G, 1, d.Wx);
  for (int j = 0; j < n.H; ++j) {
    dh_before[j] = 0;
    for (int g = 0; g < G; ++g) {
      d.Wh[j * G + g] += h_before[j] * dz[g];
      dh_before[j] += dz[g] * p.Wh[j * G + g];
    }
  }
}

// i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g), in place of z (4H,)                     (2)
// c_t = f c_{t-1} + i g                                                                   (3)
// h_t = o tanh(c_t)                                                                       (4)
template <typename Real>
void cells_forward(const LSTM& n, Real* gates, const Real* c_before, Real* c, Real* h) {
  for (int j = 0; j < n.H; ++j) {
    Real &i = gates[j], &f = gates[n.H + j], &o = gates[2 * n.H + j], &g = gates[3 * n.H + j];
    i = sigmoid(i);
    f = n.forget_gate ? sigmoid(f) : 1;
    o = sigmoid(o);
    g = std::tanh(g);
    c[j] = f * c_before[j] + i * g;
    h[j] = o * std::tanh(c[j]);
  }
}

// From dh_t and what reaches dc_t from later steps: dz (4H,), and dc_{t-1} in place of dc_t
template <typename Real>
void cells_backward(const LSTM& n, const Real* gates, const Real* c_before, const Real* c,
                    const Real* dh, Real* dc, Real* dz) {
  for (int j = 0; j < n.H; ++j) {
    const Real i = gates[j], f = gates[n.H + j], o = gates[2 * n.H + j], g = gates[3 * n.H + j];
    const Real tanh_c = std::tanh(c[j]);
    dc[j] += dh[j] * o * (1 - tanh_c * tanh_c);
    dz[j] = dc[j] * g * i * (1 - i);
    dz[n.H + j] = dc[j] * c_before[j] * f * (1 - f);  // zero where f is fixed at 1
    dz[2 * n.H + j] = dh[j] * tanh_c * o * (1 - o);
    dz[3 * n.H + j] = dc[j] * i * (1 - g * g);
    dc[j] *= f;
  }
}

// All steps back; dy (L, K): dE/d(answers). Adds to the gradients.
template <typename Real>
void backward(const LSTM& n, const Parameters<const Real>& p, const Batch<Real>& batch,
              std::int64_t b, const States<Real>& s, const Real* dy, const Parameters<Real>& d) {
  const int H = n.H, K = n.asked.K;
  std::vector<Real> dh(H), dc(H), dz(4 * H);
  for (std::int64_t t = batch.lengths[b] - 1; t >= 0; --t) {
    const Real *h_before = s.h + t * H, *c_before = s.c + t * H;
    if (answer_at(n.asked, batch, b, t) >= 0)
      answer_backward(n.asked, H, h_before + H, p.Wy, 1, K, s.y + t * K, dy + t * K, 1, d.Wy, d.by,
                      dh.data());
    cells_backward(n, s.gates + t * 4 * H, c_before, c_before + H, dh.data(), dc.data(),
                   dz.data());
    gates_backward(n, p, input_at(n.asked, batch, b, t), h_before, dz.data(), d, dh.data());
  }
}

}  // namespace

void draw(const std::uint64_t* words, const Draws& draws, std::int64_t L, int D, float* x) {
  SFC64 stream{words[0], words[1], words[2]};
  for (std::int64_t t = 0; t < L; ++t) {
    std::fill_n(x + t * D, D, 0.0f);
    const float unit = static_cast<float>(stream.next() >> 8) * 0x1p-24f;
    x[t * D] = draws.span * unit + draws.low;
  }
  for (std::int64_t m = 0; m < draws.M; ++m)
    if (draws.at[m] >= 0 && draws.at[m] < L)
      std::copy_n(draws.given + m * D, D, x + draws.at[m] * D);
}

std::int64_t parameter_count(const LSTM& n) {
  return std::int64_t{4} * n.H * (n.asked.D + n.H + 1) + std::int64_t{n.asked.K} * (n.H + 1);
}

template <typename Real>
void forward(const LSTM& n, const Real* parameters, const Batch<Real>& batch, std::int64_t b,
             const States<Real>& s) {
  const Parameters<const Real> p(n, parameters);
  const int H = n.H, K = n.asked.K;
  for (int j = 0; j < H; ++j) s.c[j] = s.h[j] = 0;
  for (std::int64_t t = 0; t < batch.lengths[b]; ++t) {
    Real *gates = s.gates + t * 4 * H, *c = s.c + (t + 1) * H, *h = s.h + (t + 1) * H;
    gates_forward(n, p, input_at(n.asked, batch, b, t), h - H, gates);
    cells_forward(n, gates, c - H, c, h);
    if (answer_at(n.asked, batch, b, t) >= 0)                                           // (5)
      answer_forward(n.asked, H, h, p.Wy, 1, K, p.by, 1, s.y + t * K);
  }
}

template <typename Real>
double gradient(const LSTM& n, const Real* parameters, const Batch<Real>& batch, Real* answers,
                Real* gradient) {
  const std::int64_t count = asked_for(n.asked, batch);
  std::vector<Real> gates(batch.T * 4 * n.H), c((batch.T + 1) * n.H), h((batch.T + 1) * n.H);
  std::vector<Real> y(batch.T * n.asked.K), dy(batch.T * n.asked.K);
  const States<Real> s{gates.data(), c.data(), h.data(), y.data()};
  std::fill_n(gradient, parameter_count(n), Real(0));
  double sum = 0;
  for (std::int64_t b = 0; b < batch.B; ++b) {
    forward(n, parameters, batch, b, s);
    sum += error_forward(n.asked, batch, b, s.y, answers);                              // (6)
    error_backward(n.asked, batch, b, s.y, Real(1) / Real(count), dy.data());
    backward(n, Parameters<const Real>(n, parameters), batch, b, s, dy.data(),
             Parameters<Real>(n, gradient));
  }
  return sum / double(count);
}

// ---------------------------------------------------------------------------------------------
// The update

template <typename Real>
double update(const Rule& rule, std::int64_t P, const Real* gradient, Real* parameters,
              Real* first, Real* second) {
  double squares = 0;
  for (std::int64_t p = 0; p < P; ++p) squares += double(gradient[p]) * double(gradient[p]);
  const double norm = std::sqrt(squares);
  const double scale = norm > rule.clip ? rule.clip / norm : 1;
  // Moments that start at zero are too small by these factors.
  const double part1 = 1 - std::pow(rule.beta1, double(rule.count));
  const double part2 = 1 - std::pow(rule.beta2, double(rule.count));
  for (std::int64_t p = 0; p < P; ++p) {
    const double g = scale * double(gradient[p]);
    double step = g;
    if (rule.adam) {
      first[p] = Real(rule.beta1 * double(first[p]) + (1 - rule.beta1) * g);
      second[p] = Real(rule.beta2 * double(second[p]) + (1 - rule.beta2) * g * g);
      step = double(first[p]) / part1 / (std::sqrt(double(second[p]) / part2) + rule.epsilon);
    }
    parameters[p] = Real(double(parameters[p]) - rule.learning_rate * step);
  }
  return norm;
}

// ---------------------------------------------------------------------------------------------
// The LSTM of 1997 (Hochreiter & Schmidhuber; the equations' numbers are the paper's)

namespace {

int cell_count(const LSTM1997& n) { return n.N * n.S; }
int unit_count(const LSTM1997& n) { return cell_count(n) + 2 * n.N; }
int column_count(const LSTM1997& n) { return n.asked.D + unit_count(n) + 1; }
// What output units receive beside 1: R.
int read_count(const LSTM1997& n) {
  return cell_count(n) + (n.variant.inputs_to_outputs ? n.asked.D : 0);
}

// Where the arrays lie in a vector of all weights, with zeros for those that are missing, or of
// their gradient.
template <typename Real>
struct Weights {
  Real* W;   // (U, D + U + 1)
  Real* Wk;  // (K, R + 1)

  Weights(const LSTM1997& n, Real* vector) : W(vector), Wk(W + unit_count(n) * column_count(n)) {}
};

// Whether unit u has a weight in that column of W.
bool connected(const LSTM1997& n, int u, int column) {
  const Variant& has = n.variant;
  const int C = cell_count(n), D = n.asked.D, first_output_gate = C + n.N;
  if (!has.output_gate && u >= first_output_gate) return false;
  if (column < D) return true;
  if (column == column_count(n) - 1) return u < C ? has.cell_biases : has.gate_biases;
  return has.recurrent && (has.output_gate || column - D < first_output_gate);
}

// Of all weights, in order, whether each is there.
std::vector<bool> connections(const LSTM1997& n) {
  std::vector<bool> there;
  for (int u = 0; u < unit_count(n); ++u)
    for (int column = 0; column < column_count(n); ++column)
      there.push_back(connected(n, u, column));
  for (int k = 0; k < n.asked.K; ++k) {
    there.insert(there.end(), read_count(n), true);
    there.push_back(n.variant.output_biases);
  }
  return there;
}

// From a vector (P,) to all weights, and back.
template <typename Real>
std::vector<Real> all_weights(const LSTM1997& n, const Real* weights) {
  std::vector<Real> all;
  for (const bool there : connections(n)) all.push_back(there ? *weights++ : Real(0));
  return all;
}

template <typename Real>
void leave_out(const LSTM1997& n, const std::vector<Real>& all, Real* weights) {
  const std::vector<bool> there = connections(n);
  for (std::size_t w = 0; w < all.size(); ++w)
    if (there[w]) *weights++ = all[w];
}

// What the steps of one sequence hold; step 0 is before the first input, and zero.
template <typename Real>
struct Trace {
  std::vector<Real> units;  // (L + 1, U): outputs y_c of cells, y_in and y_out of gates
  std::vector<Real> g;      // (L + 1, C): squashed cell inputs
  std::vector<Real> s;      // (L + 1, C): cell states
  std::vector<Real> y;      // (L, K): answers

  Trace(const LSTM1997& n, std::int64_t L)
      : units((L + 1) * unit_count(n)),
        g((L + 1) * cell_count(n)),
        s((L + 1) * cell_count(n)),
        y(L * n.asked.K) {}
};

// net (U,) = W v, where v = (x_t, units at t - 1, 1)
template <typename Real>
void net_forward(const LSTM1997& n, const Weights<const Real>& w, const Input<Real>& x,
                 const Real* units_before, Real* net) {
  const int D = n.asked.D, U = unit_count(n), columns = column_count(n);
  for (int u = 0; u < U; ++u) {
    const Real* row = w.W + u * columns;
    net[u] = row[columns - 1];
    for (int k = 0; k < U; ++k) net[u] += row[D + k] * units_before[k];
  }
  input_forward(D, U, x, w.W, 1, columns, net);
}

// dW += dnet v', and dunits_{t-1} (U,) = W' dnet, which the truncated gradient leaves out
template <typename Real>
void net_backward(const LSTM1997& n, const Weights<const Real>& w, const Input<Real>& x,
                  const Real* units_before, const Real* dnet, const Weights<Real>& d,
                  Real* dunits_before) {
  const int D = n.asked.D, U = unit_count(n), columns = column_count(n);
  std::fill_n(dunits_before, U, Real(0));
  for (int u = 0; u < U; ++u) {
    Real* row = d.W + u * columns;
    row[columns - 1] += dnet[u];
    for (int k = 0; k < U; ++k) {
      row[D + k] += dnet[u] * units_before[k];
      if (!n.truncated) dunits_before[k] += w.W[u * columns + D + k] * dnet[u];
    }
  }
  input_backward(D, U, x, dnet, 1, columns, d.W);
}

template <typename Real>
Real h_of(const LSTM1997& n, Real s) {
  return n.variant.identity_h ? s : 2 * sigmoid(s) - 1;
}

// y_in, y_out = f(net), or y_out = 1                            f(x) = sigmoid(x)         eq. 3
// g = 4 f(net_c) - 2, or f(net_c)                                                         eq. 5
// s_t = s_{t-1} + y_in g,  y_c = y_out h(s_t)                   h(x) = 2 f(x) - 1     eqs. 4, 9
template <typename Real>
void blocks_forward(const LSTM1997& n, const Real* net, const Real* s_before, Real* s, Real* g,
                    Real* units) {
  const int C = cell_count(n);
  for (int k = C; k < unit_count(n); ++k)
    units[k] = n.variant.output_gate || k < C + n.N ? sigmoid(net[k]) : 1;
  for (int c = 0; c < C; ++c) {
    const Real y_in = units[C + c / n.S], y_out = units[C + n.N + c / n.S];
    g[c] = n.variant.logistic_g ? sigmoid(net[c]) : 4 * sigmoid(net[c]) - 2;
    s[c] = s_before[c] + y_in * g[c];
    units[c] = y_out * h_of(n, s[c]);
  }
}

// From dunits (U,) and what reaches ds_t from later steps, which goes on to s_{t-1}: dnet (U,).
// f' = f (1 - f), which is 0 where y_out = 1; g' = 1 - g² / 4, h' = (1 - h²) / 2
template <typename Real>
void blocks_backward(const LSTM1997& n, const Real* s, const Real* g, const Real* units,
                     const Real* dunits, Real* ds, Real* dnet) {
  const int C = cell_count(n);
  for (int block = 0; block < n.N; ++block) {
    const int in = C + block, out = C + n.N + block;
    Real din = dunits[in], dout = dunits[out];
    for (int c = block * n.S; c < (block + 1) * n.S; ++c) {
      const Real h = h_of(n, s[c]);
      ds[c] += dunits[c] * units[out] * (n.variant.identity_h ? 1 : (1 - h * h) / 2);
      dnet[c] = ds[c] * units[in] * (n.variant.logistic_g ? g[c] * (1 - g[c]) : 1 - g[c] * g[c] / 4);
      din += ds[c] * g[c];
      dout += dunits[c] * h;
    }
    dnet[in] = din * units[in] * (1 - units[in]);
    dnet[out] = dout * units[out] * (1 - units[out]);
  }
}

// The step whose cells the answer of step t (from 0) is read from, counted from 1; 0: the zeros.
std::int64_t read_step(const LSTM1997& n, std::int64_t t) { return n.reads_current ? t + 1 : t; }

// What the output units receive at step t: cells, and x_t where it leads there.
template <typename Real>
std::vector<Real> received(const LSTM1997& n, const Batch<Real>& batch, std::int64_t b,
                           std::int64_t t, const Trace<Real>& trace) {
  const Real* cells = &trace.units[read_step(n, t) * unit_count(n)];
  std::vector<Real> all(cells, cells + cell_count(n));
  const Input<Real> input = input_at(n.asked, batch, b, t);
  for (int d = 0; n.variant.inputs_to_outputs && d < n.asked.D; ++d)
    all.push_back(input.x ? input.x[d] : Real(d == input.symbol));
  return all;
}

template <typename Real>
void forward(const LSTM1997& n, const Weights<const Real>& w, const Batch<Real>& batch,
             std::int64_t b, Trace<Real>& trace) {
  const int C = cell_count(n), U = unit_count(n), R = read_count(n);
  std::vector<Real> net(U);
  for (std::int64_t t = 0; t < batch.lengths[b]; ++t) {
    Real *units = &trace.units[(t + 1) * U], *s = &trace.s[(t + 1) * C];
    net_forward(n, w, input_at(n.asked, batch, b, t), units - U, net.data());
    blocks_forward(n, net.data(), s - C, s, &trace.g[(t + 1) * C], units);
    if (answer_at(n.asked, batch, b, t) >= 0)
      answer_forward(n.asked, R, received(n, batch, b, t, trace).data(), w.Wk, R + 1, 1, w.Wk + R,
                     R + 1, &trace.y[t * n.asked.K]);
  }
}

// All steps back; dy (L, K): dE/d(answers). Adds to the gradients.
template <typename Real>
void backward(const LSTM1997& n, const Weights<const Real>& w, const Batch<Real>& batch,
              std::int64_t b, const Trace<Real>& trace, const Real* dy, const Weights<Real>& d) {
  const int C = cell_count(n), U = unit_count(n), K = n.asked.K, R = read_count(n);
  const std::int64_t L = batch.lengths[b];
  std::vector<Real> dnet(U), ds(C), dunits(U);
  for (std::int64_t step = L; step >= 0; --step) {  // counted from 1; nothing is learned of step 0
    const std::int64_t asking = n.reads_current ? step - 1 : step;  // the answer that reads it
    if (asking >= 0 && asking < L && answer_at(n.asked, batch, b, asking) >= 0) {
      std::vector<Real> dreceived(R);
      answer_backward(n.asked, R, received(n, batch, b, asking, trace).data(), w.Wk, R + 1, 1,
                      &trace.y[asking * K], dy + asking * K, R + 1, d.Wk, d.Wk + R,
                      dreceived.data());
      for (int c = 0; c < C; ++c) dunits[c] += dreceived[c];
    }
    if (step == 0) break;
    blocks_backward(n, &trace.s[step * C], &trace.g[step * C], &trace.units[step * U],
                    dunits.data(), ds.data(), dnet.data());
    net_backward(n, w, input_at(n.asked, batch, b, step - 1), &trace.units[(step - 1) * U],
                 dnet.data(), d, dunits.data());
  }
}

// One sequence forward and back; returns Σ (y - t)², and adds `scale` times its gradient to that of
// all weights.
template <typename Real>
double sequence_gradient(const LSTM1997& n, const Real* weights, const Batch<Real>& batch,
                         std::int64_t b, Real scale, Real* answers, Real* gradient) {
  const Weights<const Real> w(n, weights);
  Trace<Real> trace(n, batch.lengths[b]);
  std::vector<Real> dy(batch.lengths[b] * n.asked.K);
  forward(n, w, batch, b, trace);
  const double sum = error_forward(n.asked, batch, b, trace.y.data(), answers);  // eqs. 16, 17
  error_backward(n.asked, batch, b, trace.y.data(), scale, dy.data());
  backward(n, w, batch, b, trace, dy.data(), Weights<Real>(n, gradient));
  return sum;
}

}  // namespace

std::int64_t weight_count(const LSTM1997& n) {
  const std::vector<bool> there = connections(n);
  return std::count(there.begin(), there.end(), true);
}

template <typename Real>
double gradient(const LSTM1997& n, const Real* weights, const Batch<Real>& batch, Real* answers,
                Real* gradient) {
  const std::int64_t count = asked_for(n.asked, batch);
  const std::vector<Real> all = all_weights(n, weights);
  std::vector<Real> dall(all.size());
  double sum = 0;
  for (std::int64_t b = 0; b < batch.B; ++b)
    sum += sequence_gradient(n, all.data(), batch, b, Real(1) / Real(count), answers, dall.data());
  leave_out(n, dall, gradient);
  return sum / double(count);
}

template <typename Real>
void learn(const LSTM1997& n, Real rate, const Batch<Real>& batch, Real* weights, Real* answers) {
  std::vector<Real> gradient(weight_count(n));
  for (std::int64_t b = 0; b < batch.B; ++b) {
    const std::vector<Real> all = all_weights(n, weights);
    std::vector<Real> dall(all.size());
    sequence_gradient(n, all.data(), batch, b, Real(1), answers, dall.data());
    leave_out(n, dall, gradient.data());
    for (std::size_t p = 0; p < gradient.size(); ++p) weights[p] -= rate * gradient[p];
  }
}

#define LONGLAG_PLAIN(Real)                                                                  \
  template void forward(const LSTM&, const Real*, const Batch<Real>&, std::int64_t,          \
                        const States<Real>&);                                                \
  template double gradient(const LSTM&, const Real*, const Batch<Real>&, Real*, Real*);      \
  template double update(const Rule&, std::int64_t, const Real*, Real*, Real*, Real*);       \
  template double gradient(const LSTM1997&, const Real*, const Batch<Real>&, Real*, Real*);  \
  template void learn(const LSTM1997&, Real, const Batch<Real>&, Real*, Real*);
LONGLAG_PLAIN(float)
LONGLAG_PLAIN(double)

}  // namespace longlag::plain
