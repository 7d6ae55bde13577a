// The plain form of the kernels (kernel/plain.hpp) for tests: plain.py calls it.
#include "plain.hpp"

namespace {

using namespace longlag::plain;

// In the order of plain.py's arguments.
struct Sizes {
  int D, K, H, N, S;
  bool every, sigmoid, forget_gate, reads_current, truncated;
  Variant variant;

  Asked asked() const { return {D, K, every, sigmoid}; }
  LSTM lstm() const { return {asked(), H, forget_gate}; }
  LSTM1997 lstm1997() const { return {asked(), N, S, reads_current, truncated, variant}; }
};

}  // namespace

extern "C" void draw_inputs(const std::uint64_t* words, const Draws* draws, std::int64_t L, int D,
                            float* x) {
  draw(words, *draws, L, D, x);
}

#define LONGLAG_EXPORT(Real)                                                                    \
  extern "C" void states_##Real(const Sizes* n, const Real* weights, const Batch<Real>* batch,  \
                                std::int64_t b, const States<Real>* states) {                   \
    forward(n->lstm(), weights, *batch, b, *states);                                            \
  }                                                                                             \
  extern "C" double gradient_##Real(const Sizes* n, const Real* weights,                        \
                                    const Batch<Real>* batch, Real* answers, Real* gradient) {  \
    return longlag::plain::gradient(n->lstm(), weights, *batch, answers, gradient);             \
  }                                                                                             \
  extern "C" double update_##Real(const Rule* rule, std::int64_t P, const Real* gradient,       \
                                  Real* weights, Real* first, Real* second) {                   \
    return update(*rule, P, gradient, weights, first, second);                                  \
  }                                                                                             \
  extern "C" double gradient1997_##Real(const Sizes* n, const Real* weights,                    \
                                        const Batch<Real>* batch, Real* answers,                \
                                        Real* gradient) {                                       \
    return longlag::plain::gradient(n->lstm1997(), weights, *batch, answers, gradient);         \
  }                                                                                             \
  extern "C" void learn1997_##Real(const Sizes* n, double rate, const Batch<Real>* batch,       \
                                   Real* weights, Real* answers) {                              \
    learn(n->lstm1997(), Real(rate), *batch, weights, answers);                                 \
  }
LONGLAG_EXPORT(float)
LONGLAG_EXPORT(double)
