"""Tensors of a model, shared with numpy, PyTorch, JAX and others without a copy.

    model = decai.Model.load(context, "model.safetensors")
    weight = decai.tensor.of(model, "output_norm.weight")
    torch.from_dlpack(weight)            # DLPack; numpy.from_dlpack, jax.dlpack too
    numpy.asarray(weight)                # F32 and F16, by the array interface
    memoryview(weight.data)              # the bytes, whatever the type

Shapes are as these libraries write them: the contiguous dimension last, which in
the file's dims is the first. F32, F16 and BF16 are shared; blocks of quantised
types are bytes. The memory belongs to the model and is only to be read: versions
of DLPack that know the flag are told so, others are given a copy.

DLPack 1.0: dlpack.h, struct DLManagedTensorVersioned and its predecessor.
"""
import ctypes

from . import TENSOR_BF16, TENSOR_F16, TENSOR_F32  # noqa: F401 - made from the library's JSON

_FLOATS = {TENSOR_F32: (2, 32, "<f4"), TENSOR_F16: (2, 16, "<f2"), TENSOR_BF16: (4, 16, None)}
_CPU = (1, 0)


class _Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)), ("offset", ctypes.c_uint64)]


_deleter_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _deleter_type)]


class _Versioned(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p), ("deleter", _deleter_type),
                ("flags", ctypes.c_uint64), ("tensor", _Tensor)]


_READ_ONLY, _COPIED = 1, 2
_lent = {}        # address of a managed tensor -> what it stands on, until it is given back


@_deleter_type
def _give_back(address):
    _lent.pop(address, None)


_api = ctypes.pythonapi
_destructor_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _destructor_type]
_api.PyCapsule_IsValid.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]


@_destructor_type
def _unused(capsule):
    """A capsule that nobody took (who takes it renames it)."""
    for name in (b"dltensor", b"dltensor_versioned"):
        if _api.PyCapsule_IsValid(capsule, name):
            _lent.pop(_api.PyCapsule_GetPointer(capsule, name), None)


class Tensor:
    """name, type (decai.TENSOR_*), shape, data (bytes, read only)."""

    def __init__(self, name, kind, shape, data):
        self.name, self.type, self.shape, self.data = name, kind, shape, data

    def __repr__(self):
        return "<decai.tensor.Tensor %s type %d %s>" % (self.name, self.type, list(self.shape))

    def _float(self):
        if self.type not in _FLOATS:
            raise BufferError("%s: type %d comes in blocks; only F32, F16 and BF16 are arrays" % (self.name, self.type))
        return _FLOATS[self.type]

    @property
    def __array_interface__(self):
        _, _, kind = self._float()
        if kind is None:
            raise AttributeError("%s: numpy has no BF16" % self.name)
        return {"version": 3, "shape": tuple(self.shape), "typestr": kind, "data": self.data}

    def __dlpack_device__(self):
        return _CPU

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        code, bits, _ = self._float()
        if stream is not None or (dl_device is not None and tuple(dl_device) != _CPU):
            raise BufferError("%s: it lies in the processor's memory" % self.name)
        versioned = max_version is not None and tuple(max_version) >= (1, 0)
        if not versioned and copy is False:
            raise BufferError("%s: read only, which DLPack before 1.0 cannot say" % self.name)
        copied = bool(copy) or not versioned
        raw = (ctypes.c_uint8 * self.data.nbytes)
        memory = raw.from_buffer_copy(self.data) if copied else self.data.obj
        shape = (ctypes.c_int64 * max(len(self.shape), 1))(*self.shape)
        strides = (ctypes.c_int64 * max(len(self.shape), 1))()
        step = 1
        for i in reversed(range(len(self.shape))):
            strides[i], step = step, step * self.shape[i]
        tensor = _Tensor(ctypes.addressof(memory), *_CPU, len(self.shape), code, bits, 1, shape, strides, 0)
        if versioned:
            managed = _Versioned(1, 0, None, _give_back, _COPIED if copied else _READ_ONLY, tensor)
        else:
            managed = _Managed(tensor, None, _give_back)
        address = ctypes.addressof(managed)
        _lent[address] = (managed, memory, shape, strides, self)
        return _api.PyCapsule_New(address, b"dltensor_versioned" if versioned else b"dltensor", _unused)


def of(model, name):
    """The tensor of that name; LookupError if there is none."""
    data = model.tensor_get(name)
    for row in _rows(model):
        if row.name == name:
            return _tensor(row, data)
    raise LookupError(name)


def every(model):
    """All tensors, by name."""
    return {row.name: _tensor(row, model.tensor_get(row.name)) for row in _rows(model)}


def _rows(model):
    i = 0
    while (row := model.tensor_at(i)) is not None:
        yield row
        i += 1


def _tensor(row, data):
    dims = list(row.dims)
    while len(dims) > 1 and dims[-1] == 1:
        dims.pop()
    return Tensor(row.name, row.type, tuple(reversed(dims)), data)
