#pragma once

#include <nanobind/nanobind.h>

namespace longlag {

// Adds stack_depths to the module.
void add_movement(nanobind::module_& module);

}  // namespace longlag
