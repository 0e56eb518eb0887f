"""libdecai in Python: a thin, complete binding made from the library's own JSON.

    import decai
    with decai.Context() as context:
        model = decai.Model.load(context, "model.gguf")
        session = decai.Session(decai.Engine(model, {"infer.seed": 7}))
        ...
        for token in session:
            ...

Every exported function decai_<noun>_<verb> is decai.<noun>_<verb>(...), and a
method of the class of its first handle: decai_session_next is session.next().
Functions that make a handle are class methods of it (Model.load); where there
is a decai_<noun>_create, the class itself calls it. Outputs are returned: one
alone, several as a named tuple, none past the end of a list. Negative results
raise decai.Error or the subclass of that number. See help(decai.<function>).
"""
import ctypes
import json
import sys

from . import _convert, _library

_lib, library_path = _library.load()
_lib.decai_api_json.restype = ctypes.c_char_p
_lib.decai_error_detail.restype = ctypes.c_char_p
_lib.decai_destroy.restype = None
_lib.decai_destroy.argtypes = [ctypes.c_void_p]
_lib.decai_retain.argtypes = [ctypes.c_void_p]

api = json.loads(_lib.decai_api_json())
if not api.get("functions"):
    raise ImportError("%s does not describe itself; it was built without bindings/api.json" % library_path)
__version__ = api["version"]

recorder = None   # a set: names of functions that succeeded are added to it (the tests' coverage)


# ---- errors ------------------------------------------------------------------

class Error(Exception):
    """A failed call: code (negative), name ("DECAI_E_..."), detail (field and value)."""

    def __init__(self, code, name, detail, function):
        super().__init__("%s: %s%s" % (function, name, ": " + detail if detail else ""))
        self.code, self.name, self.detail, self.function = code, name, detail, function


def _camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


_ALSO = {"DECAI_E_INVALID": ValueError, "DECAI_E_NOMEM": MemoryError, "DECAI_E_NOT_FOUND": LookupError,
         "DECAI_E_IO": OSError, "DECAI_E_TIMEOUT": TimeoutError, "DECAI_E_UNSUPPORTED": NotImplementedError}
errors = {}       # code -> class
for _row in api["errors"]:
    _name = _camel(_row["name"][len("DECAI_E_"):].lower()) + "Error"
    _bases = (Error, _ALSO[_row["name"]]) if _row["name"] in _ALSO else (Error,)
    errors[_row["value"]] = globals()[_name] = type(_name, _bases, {"__doc__": _row["doc"], "__module__": __name__,
                                                                   "code": _row["value"], "name": _row["name"]})
    globals()[_row["name"][len("DECAI_"):]] = _row["value"]
for _row in api["constants"]:
    globals()[_row["name"][len("DECAI_"):]] = _row["value"]

_SPACE, _TIMEOUT, _INTERNAL = -3, -15, -17


def _raise(code, function):
    detail = (_lib.decai_error_detail() or b"").decode("utf-8", "replace")
    kind = errors.get(code, Error)
    raise kind(code, getattr(kind, "name", "DECAI_E_UNKNOWN"), detail, function)


# ---- handles -----------------------------------------------------------------

class Handle:
    """One owner of a native object. Close it, use it in `with`, or let it go."""

    __slots__ = ("_as_parameter_", "_keep", "__weakref__")

    def __new__(cls, *args, **kwargs):
        if cls._create is None:
            raise TypeError("%s is made by %s" % (cls.__name__, ", ".join(cls._makers) or "other functions"))
        made = cls._create(*args, **kwargs)
        # A create with several outputs: the class call gives the handle of its own kind.
        return made if isinstance(made, Handle) else next(m for m in made if isinstance(m, cls))

    @classmethod
    def _wrap(cls, pointer, keep):
        self = object.__new__(cls)
        # What it was made from stays: callbacks in options, lent memory of seams.
        self._as_parameter_, self._keep = ctypes.c_void_p(pointer), keep
        return self

    def close(self):
        """Drop this owner; a second time does nothing."""
        pointer, self._as_parameter_ = self._as_parameter_, None
        if pointer:
            _lib.decai_destroy(pointer)
            if recorder is not None:
                recorder.add("decai_destroy")
        self._keep = None

    def retain(self):
        """Another owner of the same native object."""
        pointer = self._pointer()
        code = _lib.decai_retain(pointer)
        if code:
            _raise(code, "decai_retain")
        if recorder is not None:
            recorder.add("decai_retain")
        return type(self)._wrap(pointer.value, self._keep)

    def _pointer(self):
        if not self._as_parameter_:
            raise ValueError("this %s is closed" % type(self).__name__)
        return self._as_parameter_

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_as_parameter_", None) and _lib is not None:
            self.close()

    def __repr__(self):
        return "<decai.%s %s>" % (type(self).__name__, hex(self._as_parameter_.value) if self._as_parameter_ else "closed")


_classes = {}     # C name -> class
for _row in api["handles"]:
    _cls = type(_camel(_row["name"][len("decai_"):]), (Handle,), {
        "__slots__": (), "__doc__": _row["doc"], "__module__": __name__, "_create": None, "_makers": ()})
    _classes[_row["name"]] = globals()[_cls.__name__] = _cls


# ---- functions ---------------------------------------------------------------

_option_rows = {row["name"]: row for row in api["options"]}


def _make_options(values):
    """A handle of a dict; the type of each value is the one in the table."""
    made = options_create(None)   # noqa: F821
    for key, value in values.items():
        row = _option_rows.get(key, {"type": "I64"})
        globals()["options_set_" + row["type"].lower()](made, key, value)
    return made


class _Function:
    """One exported function: reads its row at the first call, then converts and calls."""

    def __init__(self, row):
        self.row, self.name, self.ready = row, row["name"], False
        self.__name__ = self.__qualname__ = row["name"][len("decai_"):]
        self.__doc__ = "%s(%s)\n\n%s\n\nReturns: %s" % (self.__name__, ", ".join(a["name"] for a in self.inputs()),
                                                       row["doc"], row["returns"])

    def inputs(self):
        """The arguments a Python caller gives: no outputs, no lengths, no callback users."""
        args = self.row["args"]
        hidden = {a["len"] for a in args if "len" in a} | {a["written"] for a in args if "written" in a}
        hidden |= {args[i + 1]["name"] for i, a in enumerate(args[:-1]) if a["type"] == "decai_fn"}
        return [a for a in args if a["dir"] != "out" and a["name"] not in hidden]

    def prepare(self):
        args, self.function = self.row["args"], getattr(_lib, self.name)
        self.function.restype = {"int32_t": ctypes.c_int32, "const char *": ctypes.c_char_p, "void": None}[self.row["result"]]
        self.function.argtypes = [_convert.SCALARS[a["type"]] if "*" not in a["type"] and a["type"] in _convert.SCALARS
                                  else ctypes.c_void_p for a in args]
        given = self.inputs()
        self.names = [a["name"] for a in given]
        # Trailing arguments that may be NULL may be left out.
        self.required = len(given)
        while self.required and given[self.required - 1].get("nullable"):
            self.required -= 1
        self.position = {a["name"]: i for i, a in enumerate(args)}
        self.outputs = [a["name"] for a in args if a["dir"] != "in" and a["name"] not in
                        {b[k] for b in args for k in ("written", "lent") if k in b}]
        self.items = self.row["returns"].startswith("1 ")
        self.steps = [(a, self.step_in(a)) for a in given if a["dir"] == "in"]
        self.tuple = None
        self.ready = True

    def step_in(self, arg):
        base, kind = _convert.base_of(arg["type"]), arg["type"]
        if base == "decai_options":
            return self.put_options
        if base in _classes or (base == "void" and "len" not in arg):
            return self.put_handle
        if base == "decai_fn":
            return self.put_callback
        if "*" not in kind:
            return self.put_scalar
        if base in ("uint8_t", "void") or (base == "char" and "len" in arg):
            return self.put_bytes
        return self.put_text if base == "char" else self.put_numbers

    # Each put_* fills the C argument and returns what must stay alive.
    def put_scalar(self, c, arg, value):
        c[self.position[arg["name"]]] = _convert.scalar_in(value, arg["type"], arg["name"])

    def put_text(self, c, arg, value):
        c[self.position[arg["name"]]] = None if value is None else _convert.text_in(value, arg["name"])

    def put_buffer(self, c, arg, pointer, count):
        c[self.position[arg["name"]]], c[self.position[arg["len"]]] = pointer, count
        return pointer

    def put_bytes(self, c, arg, value):
        return self.put_buffer(c, arg, *_convert.bytes_in(value, arg["name"]))

    def put_numbers(self, c, arg, value):
        return self.put_buffer(c, arg, *_convert.numbers_in(value, _convert.base_of(arg["type"]), arg["name"]))

    def put_handle(self, c, arg, value):
        if value is None:
            if not arg.get("nullable"):
                raise TypeError("%s: %s is None" % (self.name, arg["name"]))
            return None
        want = _classes.get(_convert.base_of(arg["type"]), Handle)
        if not isinstance(value, want):
            raise TypeError("%s: %s must be a %s, not %s" % (self.name, arg["name"], want.__name__, type(value).__name__))
        c[self.position[arg["name"]]] = value._pointer()
        return value

    def put_options(self, c, arg, value):
        return self.put_handle(c, arg, _make_options(value) if isinstance(value, dict) else value)

    def put_callback(self, c, arg, value):
        if value is None:
            return None
        key = c[self.position["key"]].decode()
        pointer = _convert.callback(value, _option_rows[key]["doc"], _INTERNAL)
        c[self.position[arg["name"]]] = ctypes.cast(pointer, ctypes.c_void_p)
        return pointer

    def bind(self, args, kwargs):
        if len(args) > len(self.names):
            raise TypeError("%s takes %d arguments, %d given" % (self.__name__, len(self.names), len(args)))
        values = list(args) + [None] * (len(self.names) - len(args))
        for name, value in kwargs.items():
            if name not in self.names or self.names.index(name) < len(args):
                raise TypeError("%s: argument %s is unknown or given twice" % (self.__name__, name))
            values[self.names.index(name)] = value
        missing = [n for n in self.names[len(args):self.required] if n not in kwargs]
        if missing:
            raise TypeError("%s: missing %s" % (self.__name__, ", ".join(missing)))
        return values

    def put_outputs(self, c, rooms, values):
        """Room for every output; {argument name: (argument, room)}."""
        made = {}
        for arg in self.row["args"]:
            if arg["dir"] == "in":
                continue
            base = _convert.base_of(arg["type"])
            if "len" in arg:
                count = arg.get("fixed") or rooms.get(arg["name"], _convert.FIRST_ROOM)
                room = _convert.room_for(base, count)()
                c[self.position[arg["len"]]] = count
                pointer = ctypes.addressof(room)
            else:
                kind = ctypes.c_void_p if "**" in arg["type"] and base != "char" else \
                    ctypes.c_char_p if "**" in arg["type"] else _convert.SCALARS[base]
                room = kind(_convert.scalar_in(values[arg["name"]], base, arg["name"])) if arg["dir"] == "inout" else kind()
                pointer = ctypes.addressof(room)
            c[self.position[arg["name"]]] = pointer
            made[arg["name"]] = (arg, room)
        return made

    def value_of(self, arg, room, made, keep):
        base = _convert.base_of(arg["type"])
        if "len" in arg:
            count = arg["fixed"] if "fixed" in arg else made[arg["written"]][1].value
            return _convert.buffer_out(room, base, count)
        if "lent" in arg:
            return _convert.lent_out(room.value, made[arg["lent"]][1].value, [h.retain() for h in keep])
        if base in _classes:
            return _classes[base]._wrap(room.value, keep) if room.value else None
        if base == "char":
            return None if room.value is None else room.value.decode("utf-8")
        return room.value

    def __call__(self, *args, **kwargs):
        if not self.ready:
            self.prepare()
        given = dict(zip(self.names, self.bind(args, kwargs)))
        c = [0 if t is not ctypes.c_void_p else None for t in self.function.argtypes]
        keep = [step(c, arg, given[arg["name"]]) for arg, step in self.steps]
        rooms = {}
        while True:
            made = self.put_outputs(c, rooms, given)
            code = self.function(*c)
            if code != _SPACE:
                break
            # Too small: the size needed is in the length. A length that fits says
            # that something else was too small, which is the caller's to hear.
            grown = {n: made[a["written"]][1].value for n, (a, _) in made.items() if "written" in a
                     and made[a["written"]][1].value > rooms.get(n, _convert.FIRST_ROOM)}
            if not grown:
                break
            rooms.update(grown)
        return self.finish(code, made, keep, args)

    def finish(self, code, made, keep, args):
        if self.row["result"] != "int32_t":
            if recorder is not None:
                recorder.add(self.name)
            return code.decode("utf-8") if isinstance(code, bytes) else code
        if code < 0:
            _raise(code, self.name)
        if recorder is not None:
            recorder.add(self.name)
        # A callback given to a handle lives as long as the handle.
        callbacks = [k for k in keep if isinstance(k, ctypes._CFuncPtr)]
        if callbacks and isinstance(args[0], Handle):
            args[0]._keep = (args[0]._keep, callbacks)
        if self.items and code == 0:
            return None
        if not self.outputs:
            return code if self.items else None
        keep = tuple(k for k in keep if isinstance(k, Handle))
        values = [self.value_of(*made[n], made, keep) for n in self.outputs]
        if len(values) == 1:
            return values[0]
        if self.tuple is None:
            from collections import namedtuple
            self.tuple = namedtuple(_camel(self.__name__) + "Result", self.outputs)
        return self.tuple(*values)

    def __get__(self, instance, owner):
        if instance is None:
            return self
        return lambda *args, **kwargs: self(instance, *args, **kwargs)

    def __repr__(self):
        return "<decai function %s>" % self.__name__


def _destroy(handle):
    """Drop one owner of a handle: handle.close()."""
    if handle is not None:
        handle.close()


def _attach(function):
    """Put a function where people look for it: its noun's class, its first handle's class."""
    name, args = function.__name__, function.row["args"]
    owned = [_convert.base_of(a["type"]) for a in args if a.get("owned")]
    for made in owned:
        noun = made[len("decai_"):]
        if name.startswith(noun + "_"):
            cls, verb = _classes[made], name[len(noun) + 1:]
            setattr(cls, verb, staticmethod(function))
            cls._makers += ("%s.%s()" % (cls.__name__, verb),)
            if verb == "create":
                cls._create = staticmethod(function)
    first = next((a for a in args if a["dir"] == "in"), None)
    cls = _classes.get(_convert.base_of(first["type"])) if first else None
    if cls is None:
        return
    noun = cls.__name__ if cls else ""
    prefix = _convert.base_of(first["type"])[len("decai_"):] + "_"
    method = name[len(prefix):] if name.startswith(prefix) else name
    if method not in vars(cls):
        setattr(cls, method, function)


for _row in api["functions"]:
    if _row["name"] == "decai_retain":
        globals()["retain"] = Handle.retain
    elif _row["name"] == "decai_destroy":
        globals()["destroy"] = _destroy
    else:
        _function = _Function(_row)
        globals()[_function.__name__] = _function
        _attach(_function)


# ---- comforts ------------------------------------------------------------------

def _iterate(self):
    while True:
        item = self.next()
        if item is None:
            return
        yield item


def _events(self):
    """Events, until there is nothing to do any more."""
    while (event := self.next(0)) is not None:
        yield event


def _result(self, progress=None, poll_ms=50):
    """Wait for the end of a task; Ctrl-C cancels it.

    progress(phase, done, total) is called about every poll_ms milliseconds, and
    once at the end.
    """
    while True:
        try:
            self.wait(poll_ms)
            break
        except errors[_TIMEOUT]:
            if progress:
                progress(*self.progress())
        except KeyboardInterrupt:
            self.cancel()
            self.wait(-1)
            raise
    if progress:
        progress(*self.progress())


for _cls in _classes.values():
    if "next" in vars(_cls):
        _cls.__iter__ = _iterate
if "decai_scheduler" in _classes:
    _classes["decai_scheduler"].__iter__ = _events
if "decai_task" in _classes:
    _classes["decai_task"].result = _result


def features():
    """{name: is it there} of the optional parts of this build."""
    found, i = {}, 0
    while (item := feature_at(i)) is not None:   # noqa: F821
        found[item.name] = bool(item.present)
        i += 1
    return found


if sys.byteorder != "little":
    raise ImportError("libdecai needs a little-endian machine")

from . import tensor  # noqa: E402,F401 - it needs the names made above

from . import tokens as _tokens  # noqa: E402 - it needs what stands above

_tokens.attach()
