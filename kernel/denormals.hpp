// Denormals, which vanishing gradients are made of, count as zero: some machines are slow on them.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace longlag {

class DenormalsAreZero {
 public:
#if defined(__x86_64__)
  DenormalsAreZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~DenormalsAreZero() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#else
  DenormalsAreZero() {}
#endif
};

}  // namespace longlag
