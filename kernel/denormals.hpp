// Denormals, which vanishing gradients are made of, count as zero: some machines are slow on them,
// and all machines are to give the same bits.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace longlag {

class DenormalsAreZero {
 public:
  DenormalsAreZero() : before_(control()) { set_control(before_ | kFlush); }
  ~DenormalsAreZero() { set_control(before_); }

 private:
#if defined(__x86_64__)
  static constexpr unsigned kFlush = 0x8040;  // of operands and of results
  using Control = unsigned;
  static Control control() { return _mm_getcsr(); }
  static void set_control(Control value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
  static constexpr std::uint64_t kFlush = 1 << 24;  // of both
  using Control = std::uint64_t;
  static Control control() {
    Control value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void set_control(Control value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#endif

  const Control before_;
};

}  // namespace longlag
