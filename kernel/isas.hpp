// The instruction sets that the arithmetic is compiled for (CMakeLists.txt), a namespace each.
#pragma once

#if defined(__x86_64__)
#define LONGLAG_EACH_ISA(DO) DO(avx512) DO(avx2) DO(baseline)
#else
#define LONGLAG_EACH_ISA(DO) DO(neon)
#endif
