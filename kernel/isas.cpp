#include "isas.hpp"

#include <cstdlib>

namespace longlag {

#define LONGLAG_DECLARE(isa)               \
  namespace isa {                          \
  extern const Kernel kKernel;             \
  extern const OnlineKernel kOnlineKernel; \
  extern const PeakLoop kPeakLoop;         \
  }
LONGLAG_EACH_ISA(LONGLAG_DECLARE)

namespace {

bool usable(const std::string& name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (name == "avx512")  // which leaves small groups to avx2
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (name == "avx2") return avx2;
#endif
  return name == "baseline" || name == "neon";
}

}  // namespace

const std::vector<Isa>& usable_isas() {
  static const std::vector<Isa> isas = [] {
    std::vector<Isa> found;
#define LONGLAG_ADD(isa) \
  if (usable(#isa))      \
    found.push_back({#isa, &isa::kKernel, &isa::kOnlineKernel, &isa::kPeakLoop});
    LONGLAG_EACH_ISA(LONGLAG_ADD)
    return found;
  }();
  return isas;
}

const Isa& isa_of(const std::string& name) {
  for (const Isa& isa : usable_isas())
    if (isa.name == name) return isa;
  std::abort();  // the bindings have checked the name
}

}  // namespace longlag
