// Work beside the interpreter, which a signal ends.
#pragma once

#include <nanobind/nanobind.h>

#include "watch.hpp"

namespace longlag {

namespace nb = nanobind;

// Lets the handlers of signals run, and calls observe(share); true: one has raised an exception.
inline bool raised(nb::handle observe, double share) {
  const nb::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals()) return true;
  if (observe.is_none()) return false;
  PyObject* const result = PyObject_CallFunction(observe.ptr(), "d", share);
  Py_XDECREF(result);
  return !result;
}

// work(watch) without the interpreter's lock; an exception of a signal's handler or of `observe`,
// which is told the share that is done now and then, ends it.
template <typename Work>
void freely(const Work& work, nb::handle observe = nb::handle(Py_None)) {
  Watch watch([observe](double share) { return raised(observe, share); });
  try {
    const nb::gil_scoped_release release;
    work(&watch);
  } catch (const Ended&) {
    throw nb::python_error();
  }
}

}  // namespace longlag
