#pragma once

#include <nanobind/nanobind.h>

namespace longlag {

// Adds online1997 and predict1997 to the module.
void add_online1997(nanobind::module_& module);

}  // namespace longlag
