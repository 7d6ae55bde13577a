#include "arguments.hpp"

#include <nanobind/stl/string.h>

#include <cmath>
#include <cstring>

namespace longlag {

namespace {

std::string described(nb::handle object) {
  std::string text = nb::cast<std::string>(nb::str(nb::repr(object)));
  for (char& c : text)
    if (c == '\n') c = ' ';
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

std::string kind_of(nb::handle object) {
  return nb::cast<std::string>(nb::str(object.type().attr("__name__")));
}

const char* element_name(Element element) {
  switch (element) {
    case Element::kFloat32: return "float32";
    case Element::kFloat64: return "float64";
    case Element::kBool: return "bool";
    case Element::kUint64: return "uint64";
    default: return "int64";
  }
}

bool is_element(const Py_buffer& view, Element element) {
  const char* format = view.format ? view.format : "B";
  if (*format == '@' || *format == '=') ++format;
  if (std::strlen(format) != 1) return false;
  switch (element) {
    case Element::kFloat32: return *format == 'f';
    case Element::kFloat64: return *format == 'd';
    case Element::kBool: return *format == '?';
    case Element::kUint64: return (*format == 'Q' || *format == 'L') && view.itemsize == 8;
    default: return (*format == 'q' || *format == 'l') && view.itemsize == 8;
  }
}

std::string shape_text(const std::vector<Extent>& shape) {
  std::string text = "(";
  for (std::size_t n = 0; n < shape.size(); ++n) {
    if (n) text += ", ";
    text += shape[n].letter ? shape[n].letter : std::to_string(shape[n].size);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::string allowed_text(Element element, const std::vector<Extent>& shape, bool writable) {
  std::string text = std::string("a C-contiguous ") + (writable ? "writable " : "") +
                     element_name(element) + " array of shape " + shape_text(shape);
  std::string letters;
  for (const Extent& extent : shape)
    if (extent.letter) letters += (letters.empty() ? "" : " and ") + std::string(extent.letter);
  return letters.empty() ? text : text + " with " + letters + " of at least 1";
}

bool fits(const Py_buffer& view, const std::vector<Extent>& shape) {
  if (view.ndim != static_cast<int>(shape.size())) return false;
  for (int n = 0; n < view.ndim; ++n)
    if (shape[n].letter ? view.shape[n] < 1 : view.shape[n] != shape[n].size) return false;
  return true;
}

// The first thing about the array that is not as it must be; empty: nothing.
std::string fault(nb::handle object, const Py_buffer& view, Element element,
                  const std::vector<Extent>& shape, bool writable) {
  if (!is_element(view, element)) {
    const nb::object dtype = nb::getattr(object, "dtype", nb::none());
    if (dtype.is_none()) return "an array of another type";
    return "an array of " + nb::cast<std::string>(nb::str(dtype));
  }
  if (!fits(view, shape)) {
    std::vector<Extent> given;
    for (int n = 0; n < view.ndim; ++n) given.emplace_back(std::int64_t{view.shape[n]});
    return "an array of shape " + shape_text(given);
  }
  if (!PyBuffer_IsContiguous(&view, 'C')) return "an array in another memory order";
  if (reinterpret_cast<std::uintptr_t>(view.buf) % static_cast<std::size_t>(view.itemsize))
    return "an array that is not aligned in memory";
  if (writable && view.readonly) return "a read-only array";
  return "";
}

}  // namespace

void refuse(const std::string& name, const std::string& given, const std::string& allowed) {
  throw nb::value_error((name + " must be " + allowed + ", not " + given + ".").c_str());
}

Array::Array(nb::handle object, const char* name, Element element, std::vector<Extent> shape,
             bool writable)
    : name_(name) {
  const std::string allowed = allowed_text(element, shape, writable);
  if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_FORMAT | PyBUF_STRIDES) != 0) {
    PyErr_Clear();
    refuse(name, "an object of type " + kind_of(object), allowed);
  }
  std::string given;
  try {
    given = fault(object, view_, element, shape, writable);
  } catch (...) {
    PyBuffer_Release(&view_);
    throw;
  }
  if (given.empty()) return;
  PyBuffer_Release(&view_);
  refuse(name, given, allowed);
}

bool Array::overlaps(const Array& other) const {
  const char* a = static_cast<const char*>(view_.buf);
  const char* b = static_cast<const char*>(other.view_.buf);
  return a < b + other.view_.len && b < a + view_.len;
}

void Array::require_finite() const {
  // An exponent of all ones is an infinity or a NaN; a plain loop that the compiler vectorises.
  const std::uint32_t* bits = data<const std::uint32_t>();
  const std::int64_t count = size();
  std::uint32_t bad = 0;
  for (std::int64_t k = 0; k < count; ++k) bad |= (bits[k] & 0x7f800000u) == 0x7f800000u;
  if (!bad) return;
  std::int64_t k = 0;
  while ((bits[k] & 0x7f800000u) != 0x7f800000u) ++k;
  const float value = data<const float>()[k];
  refuse(name_, std::string(std::isnan(value) ? "NaN" : value > 0 ? "inf" : "-inf") +
                    " at flat position " + std::to_string(k),
         "finite throughout");
}

std::int64_t integer(nb::handle object, const char* name, std::int64_t least, std::int64_t most) {
  const std::string allowed =
      most == std::numeric_limits<std::int64_t>::max()
          ? "an integer of at least " + std::to_string(least)
          : "an integer from " + std::to_string(least) + " to " + std::to_string(most);
  if (PyBool_Check(object.ptr()) || !PyIndex_Check(object.ptr()))
    refuse(name, described(object), allowed);
  const nb::object index = nb::steal(PyNumber_Index(object.ptr()));
  int overflow = 0;
  const long long value =
      index.is_valid() ? PyLong_AsLongLongAndOverflow(index.ptr(), &overflow) : -1;
  if (!index.is_valid() || PyErr_Occurred()) {
    PyErr_Clear();
    refuse(name, described(object), allowed);
  }
  if (overflow || value < least || value > most) refuse(name, described(object), allowed);
  return value;
}

bool flag(nb::handle object, const char* name) {
  if (object.ptr() == Py_True) return true;
  if (object.ptr() == Py_False) return false;
  refuse(name, described(object), "True or False");
}

void require_callable(nb::handle object, const char* name) {
  if (!object.is_none() && !PyCallable_Check(object.ptr()))
    refuse(name, described(object), "a callable, or None");
}

std::string choice(nb::handle object, const char* name, const std::vector<std::string>& allowed) {
  std::string names;
  for (const std::string& one : allowed) names += (names.empty() ? "\"" : ", \"") + one + "\"";
  if (nb::isinstance<nb::str>(object)) {
    std::string text;
    if (nb::try_cast(object, text))
      for (const std::string& one : allowed)
        if (text == one) return one;
    PyErr_Clear();
  }
  refuse(name, described(object), (allowed.size() > 1 ? "one of " : "") + names);
}

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const Isa& isa : usable_isas()) names.push_back(isa.name);
  return names;
}

const Isa& chosen_isa(nb::handle object) { return isa_of(choice(object, "isa", isa_names())); }

double real(nb::handle object, const char* name, bool (*accepts)(double), const char* allowed) {
  const bool number = !PyBool_Check(object.ptr()) && PyNumber_Check(object.ptr()) &&
                      !PyObject_CheckBuffer(object.ptr());
  const bool scalar = number || PyFloat_Check(object.ptr());
  const double value = scalar ? PyFloat_AsDouble(object.ptr()) : 0.0;
  if (!scalar || PyErr_Occurred() || !accepts(value)) {
    PyErr_Clear();
    refuse(name, described(object), allowed);
  }
  return value;
}

}  // namespace longlag
