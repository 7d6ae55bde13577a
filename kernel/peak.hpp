// The processor's own limit, measured: what `longlag bench` holds the kernel against.
#pragma once

#include <string>

namespace longlag {

// Fused multiply-adds in float32 on this thread's core with the vectors of an instruction set
// (one of usable_isas()), in 10^9 operations a second; a multiply-add is two operations.
double peak(const std::string& isa);

}  // namespace longlag
