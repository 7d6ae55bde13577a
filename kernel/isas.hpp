// The instruction sets that the arithmetic is compiled for (CMakeLists.txt), a namespace each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#if defined(__x86_64__)
#define LONGLAG_EACH_ISA(DO) DO(avx512) DO(avx2) DO(baseline)
#else
#define LONGLAG_EACH_ISA(DO) DO(neon)
#endif

namespace longlag {

struct Kernel;        // bptt.hpp
struct OnlineKernel;  // online1997.hpp
struct PeakLoop;      // peak.hpp

struct Isa {
  std::string name;
  const Kernel* kernel;
  const OnlineKernel* online_kernel;
  const PeakLoop* peak_loop;
};

// Those that this machine can run, best first.
const std::vector<Isa>& usable_isas();

// By a name that is one of theirs.
const Isa& isa_of(const std::string& name);

}  // namespace longlag
