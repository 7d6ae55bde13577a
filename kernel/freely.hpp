// Work beside the interpreter, which a signal ends.
#pragma once

#include <nanobind/nanobind.h>

#include "watch.hpp"

namespace longlag {

namespace nb = nanobind;

// Lets the handlers of signals run; true: one of them has raised an exception.
inline bool signal_raised() {
  const nb::gil_scoped_acquire acquire;
  return PyErr_CheckSignals() != 0;
}

// work(watch) without the interpreter's lock; the exception of a signal's handler ends it.
template <typename Work>
void freely(const Work& work) {
  Watch watch(&signal_raised);
  try {
    const nb::gil_scoped_release release;
    work(&watch);
  } catch (const Ended&) {
    throw nb::python_error();
  }
}

}  // namespace longlag
