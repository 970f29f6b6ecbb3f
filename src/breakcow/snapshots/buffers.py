"""The memory behind Python objects: NumPy arrays, mmap objects, memoryviews, whatever has the buffer protocol."""

import ctypes
from dataclasses import asdict, dataclass
from typing import Any

from breakcow.agent.abi import PAGE

from .errors import SnapshotError
from .pagemap import Range

PYBUF_FORMAT, PYBUF_ND, PYBUF_ANY_CONTIGUOUS = 0x04, 0x08, 0x80 | 0x10  # object.h
POINTERS = set("OP&X")  # struct formats whose content means nothing in a file


class PyBuffer(ctypes.Structure):
    """Py_buffer (Include/cpython/object.h)."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
        ("internal", ctypes.c_void_p),
    )


_get, _release = ctypes.pythonapi.PyObject_GetBuffer, ctypes.pythonapi.PyBuffer_Release
_get.argtypes, _get.restype = (ctypes.py_object, ctypes.POINTER(PyBuffer), ctypes.c_int), ctypes.c_int
_release.argtypes, _release.restype = (ctypes.POINTER(PyBuffer),), None


@dataclass(frozen=True)
class Shape:
    """What a buffer is, as a file keeps it.

    address, length: in bytes. format: of the struct module. order: "C" or "F". dtype: NumPy's name if it is an array, else "".
    """

    address: int
    length: int
    format: str
    shape: tuple[int, ...]
    order: str
    dtype: str

    def wire(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @staticmethod
    def of(wire: dict[str, Any]) -> "Shape":
        """From JSON."""
        return Shape(**{**wire, "shape": tuple(wire["shape"])})


class Export:
    """Holds the memory of an object in its place until `release`: it can be neither resized nor freed. SnapshotError if it cannot be
    saved.
    """

    def __init__(self, thing: object) -> None:
        self._view = PyBuffer()
        self._held = False
        try:
            _get(thing, self._view, PYBUF_FORMAT | PYBUF_ND | PYBUF_ANY_CONTIGUOUS)
        except (TypeError, BufferError, ValueError) as error:
            raise SnapshotError(f"{type(thing).__name__} has no memory in one piece that could be saved: {error}") from None
        self._held = True
        view = self._view
        text = (view.format or b"B").decode()
        dtype = getattr(thing, "dtype", None)
        if getattr(dtype, "hasobject", False) or (dtype is None and POINTERS & set(text)):
            self.release()
            raise SnapshotError(f"an array of Python objects holds pointers, which mean nothing in a file (format {text})")
        self.readonly = bool(view.readonly)
        shape = tuple(view.shape[axis] for axis in range(view.ndim))
        order = "C" if _contiguous(view, shape) else "F"
        self.shape = Shape(view.buf or 0, view.len, text, shape, order, str(getattr(dtype, "str", "")))

    def release(self) -> None:
        """The object is free again."""
        if self._held:
            self._held = False
            _release(self._view)

    def __del__(self) -> None:
        self.release()


def _contiguous(view: PyBuffer, shape: tuple[int, ...]) -> bool:
    """It lies in memory in the order of C."""
    expected = view.itemsize
    for axis in range(view.ndim - 1, -1, -1):
        if view.strides and shape[axis] > 1 and view.strides[axis] != expected:
            return False
        expected *= shape[axis]
    return True


def page_ranges(shapes: list[Shape]) -> list[Range]:
    """The pages that the buffers touch, as ranges of addresses in order, joined where they meet."""
    found: list[Range] = []
    for shape in sorted((each for each in shapes if each.length), key=lambda each: each.address):
        start, end = shape.address // PAGE * PAGE, -(-(shape.address + shape.length) // PAGE) * PAGE
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def strangers(shapes: list[Shape], ranges: list[Range]) -> list[Range]:
    """What lies in the ranges and belongs to no buffer: neighbours on the heap, which are not to be saved."""
    found = []
    for start, end in ranges:
        at = start
        for shape in sorted(shapes, key=lambda each: each.address):
            if start <= shape.address < end and shape.length:
                if shape.address > at:
                    found.append((at, shape.address))
                at = max(at, shape.address + shape.length)
        if at < end:
            found.append((at, end))
    return found
