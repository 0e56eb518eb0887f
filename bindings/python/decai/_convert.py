"""Python values to C arguments and back, by the rows of the library's own JSON.

The rules, one a kind of argument:
  handle in            a handle object; None where the header says nullable
  options in           a handle, or a dict {"room.name": value}, or None
  const char * in      str (or bytes, or a path object), without NUL inside
  buffer in            bytes, bytearray, memoryview, array, any buffer; str as
                       UTF-8. Its memory is lent, not copied. Number arrays take
                       sequences too; a buffer of the right numbers (array, numpy,
                       memoryview, read only or not) is lent as well.
  buffer out           bytes (uint8_t), str (char), list (numbers). The room is
                       found by trying: too small answers with the size.
  scalar out, text out int, float, str or None
  memory shown         a memoryview that cannot be written; it owns its handle
"""
import array
import ctypes
import os

SCALARS = {
    "int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64,
    "uint8_t": ctypes.c_uint8, "uint16_t": ctypes.c_uint16, "size_t": ctypes.c_size_t, "double": ctypes.c_double,
    "float": ctypes.c_float,
}
CODES = {"int32_t": "i", "int64_t": "q", "uint32_t": "I", "uint64_t": "Q", "float": "f", "double": "d", "uint16_t": "H"}
FIRST_ROOM = 1024          # elements a buffer starts with


def base_of(c_type):
    return c_type.replace("const ", "").replace("*", "").strip()


def text_in(value, name):
    """NUL-terminated UTF-8."""
    raw = value if isinstance(value, bytes) else os.fsencode(value) if isinstance(value, os.PathLike) else str.encode(value)
    if b"\0" in raw:
        raise ValueError("%s: a NUL inside the text" % name)
    return raw


class _View(ctypes.Structure):
    """Py_buffer."""
    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.py_object), ("len", ctypes.c_ssize_t), ("itemsize", ctypes.c_ssize_t),
                ("readonly", ctypes.c_int), ("ndim", ctypes.c_int), ("format", ctypes.c_char_p), ("shape", ctypes.c_void_p),
                ("strides", ctypes.c_void_p), ("suboffsets", ctypes.c_void_p), ("internal", ctypes.c_void_p)]


class Lent:
    """The memory of a contiguous buffer, which stays where it is while this lives.
    ctypes lends only what can be written; this lends what is read only too."""
    __slots__ = ("_as_parameter_", "_view")

    def __init__(self, view):
        self._view = None
        made = _View()
        ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(made), 0)
        self._view, self._as_parameter_ = made, ctypes.c_void_p(made.buf)

    def __del__(self):
        if self._view is not None:
            ctypes.pythonapi.PyBuffer_Release(ctypes.byref(self._view))


def bytes_in(value, name):
    """(something ctypes takes as a pointer, length) of a byte buffer."""
    if value is None:
        return None, 0
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return value, len(value)
    view = memoryview(value)
    if not view.contiguous:
        raise ValueError("%s: the buffer is not contiguous" % name)
    if not view.nbytes:
        return b"", 0
    if not view.readonly:
        return (ctypes.c_uint8 * view.nbytes).from_buffer(view.cast("B")), view.nbytes
    return (Lent(view) if view.c_contiguous else view.tobytes("A")), view.nbytes


def numbers_in(value, base, name):
    """(pointer, count) of an array of numbers."""
    if value is None:
        return None, 0
    kind = SCALARS[base]
    view = None
    if not isinstance(value, (list, tuple, range)):
        try:
            view = memoryview(value)
        except TypeError:
            pass
    if view is not None:
        form = view.format.lstrip("@=<")
        same = view.itemsize == ctypes.sizeof(kind) and form.lower() in (CODES[base].lower(), "l")
        if same and form.islower() == CODES[base].islower() and view.c_contiguous and view.nbytes:
            count = view.nbytes // view.itemsize
            return (Lent(view) if view.readonly else (kind * count).from_buffer(view)), count
    values = list(value)
    try:
        # array checks the range; a ctypes array would silently cut the bits off.
        checked = array.array(CODES[base], values)
    except (OverflowError, TypeError) as e:
        raise type(e)("%s: %s" % (name, e)) from None
    return (kind * len(values))(*checked), len(values)


BOUNDS = {name: (-(1 << 8 * ctypes.sizeof(k) - 1), (1 << 8 * ctypes.sizeof(k) - 1) - 1) if k(-1).value == -1
          else (0, (1 << 8 * ctypes.sizeof(k)) - 1) for name, k in SCALARS.items() if name not in ("float", "double")}


def scalar_in(value, base, name):
    if base in ("float", "double"):
        return float(value)
    value = value.__index__()
    low, high = BOUNDS[base]
    if not low <= value <= high:
        raise OverflowError("%s: %d is outside %d to %d" % (name, value, low, high))
    return value


def room_for(base, count):
    return (ctypes.c_char if base in ("char", "uint8_t", "void") else SCALARS[base]) * max(count, 1)


def buffer_out(buffer, base, count):
    if base in ("uint8_t", "void"):
        return ctypes.string_at(buffer, count)
    if base == "char":
        return ctypes.string_at(buffer, count).decode("utf-8")
    return buffer[:count]


def lent_out(pointer, count, owners):
    """Memory of a handle, for reading; the view keeps the handle alive."""
    if not count:
        return memoryview(b"")
    kind = type("Lent", (ctypes.c_uint8 * count,), {})
    memory = kind.from_address(pointer)
    memory.owners = owners
    return memoryview(memory).cast("B").toreadonly()


# ---- callbacks ---------------------------------------------------------------

def callback_types(prototype):
    """(result, [argument types]) of "int32_t (*)(void *user, uint8_t *out, size_t len)...". """
    head, rest = prototype.split("(*)(", 1)
    depth, end = 1, 0
    while depth:
        depth += {"(": 1, ")": -1}.get(rest[end], 0)
        end += 1
    args = [a.strip() for a in rest[:end - 1].split(",")]
    return head.strip(), [a.rsplit("*", 1)[0] + "*" if "*" in a else a.rsplit(" ", 1)[0] for a in args]


def ctype_of(c_type):
    c_type = c_type.strip()
    if c_type == "void":
        return None
    if c_type.replace(" ", "") == "constchar*":
        return ctypes.c_char_p
    return ctypes.c_void_p if "*" in c_type else SCALARS[c_type]


def callback(function, prototype, internal_error):
    """A C function pointer for a Python callable; the caller keeps it alive.

    `user` is not passed on. A byte pointer followed by its length arrives as
    one writable memoryview. An exception is printed, and answered with an
    error where the C side can take one.
    """
    result, args = callback_types(prototype)
    kinds = [ctype_of(a) for a in args]

    def call(_user, *values):
        given, i = [], 0
        while i < len(values):
            pair = i + 1 < len(values) and args[i + 1].startswith("uint8_t") and args[i + 2:i + 3] == ["size_t"]
            if pair:
                given.append(memoryview((ctypes.c_uint8 * values[i + 1]).from_address(values[i] or 0)).cast("B")
                             if values[i + 1] else memoryview(bytearray()))
                i += 2
            else:
                given.append(values[i].decode("utf-8", "replace") if isinstance(values[i], bytes) else values[i])
                i += 1
        try:
            answer = function(*given)
        except BaseException:
            import sys
            import traceback
            traceback.print_exc(file=sys.stderr)
            answer = internal_error if result == "int32_t" else 0
        return None if result == "void" else answer or 0
    return ctypes.CFUNCTYPE(ctype_of(result), *kinds)(call)
