"""Token ids as buffers: what a Tokenizer can do without making lists of numbers.

    ids = tokenizer.encode_buffer("some text")          # memoryview of int32
    tokenizer.decode(ids, 0)                            # any buffer of int32, lent
    numpy.frombuffer(ids, numpy.int32)                  # no copy either
    ids, spans = tokenizer.encode_offsets("some text")  # [(start, end), ...] in bytes
    rows = tokenizer.encode_batch(["one", "two"])       # rows[0] is a memoryview
    tokenizer.count_tokens("some text")                 # nothing is kept

The library writes into the memory that is given back. Texts are str (as UTF-8) or
any buffer of bytes. flags are decai.ENCODE_*, added up.
"""
import ctypes

import decai

from . import _convert

_INT32, _UINT64 = ctypes.c_int32, ctypes.c_uint64


def _view(memory, code, count):
    return memoryview(memory).cast("B").cast(code)[:count]


def _function(name):
    made = getattr(decai, name)
    if not made.ready:
        made.prepare()
    return made


def _finish(made, code, *also):
    if code < 0 and code not in also:
        decai._raise(code, made.name)
    if decai.recorder is not None:
        decai.recorder.add(made.name)


def encode_buffer(self, text, flags=0):
    """The ids of a text as a memoryview of int32."""
    pointer, size = _convert.bytes_in(text, "text")
    made, count, cap = _function("tokenizer_encode"), ctypes.c_size_t(), size // 2 + 16
    while True:
        # At most two rounds: the first says how many there are.
        memory = (_INT32 * cap)()
        code = made.function(self._pointer(), ctypes.addressof(memory), cap, ctypes.addressof(count), pointer, size, flags)
        if code != decai.E_SPACE:
            break
        cap = count.value
    _finish(made, code)
    return _view(memory, "i", count.value)


def count_tokens(self, text, flags=0):
    """How many ids a text has."""
    pointer, size = _convert.bytes_in(text, "text")
    made, count = _function("tokenizer_encode"), ctypes.c_size_t()
    code = made.function(self._pointer(), None, 0, ctypes.addressof(count), pointer, size, flags)
    _finish(made, code, decai.E_SPACE)
    return count.value


class Batch:
    """Rows of ids. ids, ends (or None) and rows are memoryviews: all ids one row after
    the other, where each id's bytes end in its text, where each row ends in ids."""
    __slots__ = ("ids", "ends", "rows")

    def __init__(self, ids, ends, rows):
        self.ids, self.ends, self.rows = ids, ends, rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        row = range(len(self.rows))[index]
        return self.ids[self.rows[row - 1] if row else 0:self.rows[row]]

    def spans(self, index):
        """[(start, end), ...] of the ids of a row, in bytes of its text."""
        row = range(len(self.rows))[index]
        places = self.ends[self.rows[row - 1] if row else 0:self.rows[row]].tolist()
        return list(zip([0] + places, places))


def _batch(self, texts, ends, row_max, flags, places):
    pointer, size = _convert.bytes_in(texts, "texts")
    made, count, rows = _function("tokenizer_batch_encode"), len(ends), (_UINT64 * max(len(ends), 1))()
    marks = (_UINT64 * max(count, 1))(*ends)
    lens = (ctypes.c_size_t * 3)()
    at = ctypes.addressof(lens)
    cap = size // 2 + 16 * (count + 1) + (row_max * count if flags & decai.ENCODE_PAD else 0)
    while True:
        ids, spots = (_INT32 * cap)(), (_UINT64 * cap)() if places else None
        code = made.function(self._pointer(), ctypes.addressof(ids), cap, at, ctypes.addressof(spots) if places else None,
                             cap if places else 0, at + ctypes.sizeof(ctypes.c_size_t), ctypes.addressof(rows), count,
                             at + 2 * ctypes.sizeof(ctypes.c_size_t), pointer, size, ctypes.addressof(marks), count, row_max, flags)
        if code != decai.E_SPACE:
            break
        cap = lens[0]
    _finish(made, code)
    return Batch(_view(ids, "i", lens[0]), _view(spots, "Q", lens[0]) if places else None, _view(rows, "Q", count))


def encode_batch(self, texts, flags=0, row_max=0, offsets=False):
    """The ids of many texts, on all threads of the context: a Batch. row_max and
    decai.ENCODE_PAD as for batch_encode."""
    raw = [t.encode() if isinstance(t, str) else bytes(t) for t in texts]
    ends, at = [], 0
    for t in raw:
        at += len(t)
        ends.append(at)
    return _batch(self, b"".join(raw), ends, row_max, flags, offsets)


def encode_offsets(self, text, flags=0):
    """The ids of a text and the bytes each stands for: (memoryview, [(start, end), ...])."""
    pointer, size = _convert.bytes_in(text, "text")
    del pointer
    made = _batch(self, text, [size], 0, flags, True)
    return made.ids, made.spans(0)


def attach():
    for method in (encode_buffer, count_tokens, encode_batch, encode_offsets):
        setattr(decai.Tokenizer, method.__name__, method)
