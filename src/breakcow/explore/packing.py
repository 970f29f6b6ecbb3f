"""A state as bits: the generated pair of functions that write a normal state to 64-bit words and read it back.

The widths follow from the bounds. A field that the table does not name keeps its full width in the schema. A value that does not fit is
reported by `pack()`, never cut off.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from breakcow.explore.words import Words
from breakcow.mm.actions import VERBS
from breakcow.mm.schema import LAYOUT, RECORDS, TRANSIENT, Bounds, dtype

WORD = 64
ONES = (1 << WORD) - 1
Fields: TypeAlias = Collection[tuple[str, str]]  # (record, field)
Cell: TypeAlias = tuple[str, tuple[int, ...], str]  # attribute of the state, index, field


def pack(raw: Words, k: int, out: Words, i: int) -> int:
    """Write the state in row `k` of `raw`, the memory of states, to row `i` of `out`; not 0 if a value does not fit. Stands for the
    function that source() generates."""
    raise NotImplementedError


def unpack(raw: Words, k: int, words: Words, i: int) -> None:
    """Read row `i` of `words` into row `k` of `raw`. Stands for the function that source() generates."""
    raise NotImplementedError


def persistent() -> int:
    """How many 64-bit words of a state outlast a step: the first ones, an even number. Stands for the function that source() generates."""
    raise NotImplementedError


def packed_words() -> int:
    """How many 64-bit words a packed state takes. Stands for the function that source() generates."""
    raise NotImplementedError


def narrow(bounds: Bounds, contents: int) -> dict[tuple[str, str], int]:
    """The fields that the schema gives 16 bits, and that hold no more than 8 in states of this size: 8 for each."""
    return {
        (record, field): 8
        for record, fields in RECORDS.items()
        for field, (bits, _) in fields.items()
        if bits == 16 and field not in ("argument", "pending_argument") and width(record, field, bounds, contents)[0] < 8
    }


def bits_for(highest: int) -> int:
    """The bits that hold 0 up to `highest`."""
    return max(1, highest.bit_length())


def width(record: str, field: str, bounds: Bounds, contents: int) -> tuple[int, bool]:
    """The bits that one field needs, and whether it may be -1."""
    mapped = bounds.processes * bounds.pages
    wide = {
        "frame": bits_for(bounds.extent("f")),
        "content": bits_for(contents),
        "node": bits_for(bounds.extent("n")),
        "page": bits_for(bounds.pages),
        "process": bits_for(bounds.processes),
        "count": bits_for(mapped),
    }
    kind = KINDS.get(f"{record}.{field}", KINDS.get(field, ""))
    if kind.isdigit():
        return int(kind), False
    if kind == "checksum":
        return bits_for(contents + 1), False
    if kind == "rank":
        return bits_for(bounds.processes + 1), True
    if kind == "argument":
        return max(wide["content"], 4), False
    if kind:
        return wide[kind], False
    return RECORDS[record][field][0], False


# field, or Record.field -> bits, or what it counts
KINDS = {
    **dict.fromkeys(("present", "write", "dirty", "soft_dirty", "uffd_wp", "marker", "mapped", "mergeable", "registered"), "1"),
    **dict.fromkeys(("chained", "account", "seam", "exists", "unstable", "unmerged", "ksm_zero", "was_page", "armed"), "1"),
    **dict.fromkeys(("written", "exempt", "stored", "exclusive", "ksm", "used", "uffd", "use_zero_pages", "smart_scan", "internal"), "1"),
    **dict.fromkeys(("dontfork", "huge", "table", "dontcopy", "rest", "async_wp", "all_holes", "event_fork", "event_remap"), "1"),
    **dict.fromkeys(("prot", "run", "asked_run", "state"), "2"),
    **dict.fromkeys(("Ghost.pinned", "Ghost.spliced"), "1"),
    "Pte.frame": "frame",
    "Vma.huge": "page",
    "folio": "frame",
    "StableNode.frame": "frame",
    "Reference.pinned": "frame",
    "Reference.spliced": "frame",
    "area": "6",
    "moved": "7",
    "anon_vma": "page",
    "anon_vmas": "page",
    "checksum": "checksum",
    "saved": "checksum",
    "value": "content",
    "splice_value": "content",
    "content": "content",
    "RmapItem.node": "node",
    "Page.node": "node",
    "born": "node",
    "last_born": "node",
    "pages_shared": "node",
    "sharers": "count",
    "pages_sharing": "count",
    "mapcount": "count",
    "pincount": "count",
    "refs": "count",
    "skips": "4",
    "age": "8",
    "Process.waiting": "page",
    "first": "page",
    "count": "page",
    "gup": "page",
    "gup_foll": "15",
    "gup_content": "content",
    "begun_first": "page",
    "begun_argument": "content",
    "pending_first": "page",
    "pending_count": "page",
    "verb": str(bits_for(len(VERBS))),
    "pending_verb": str(bits_for(len(VERBS))),
    "argument": "argument",
    "pending_argument": "argument",
    "entered": "rank",
    "last_entered": "process",
    "Ksm.waiting": "process",
    "max_page_sharing": "9",
    "Ghost.breach": "0",
}


@dataclass(frozen=True, slots=True)
class Lane:
    """Where a field of a cell is in a state's memory: its first bit, how many it needs and how many it has. signed: -1 is a value too, and
    the highest that fits is not."""

    cell: Cell
    at: int
    bits: int
    storage: int
    signed: bool

    @property
    def rest(self) -> int:
        """The bits of its word that it does not need: set for -1."""
        return (1 << self.storage) - (1 << self.bits) << self.at % WORD


class Form:
    """How the states of one search are packed: of each 64-bit word of a state's memory the bits that are needed, one after the other.

    bits: the widths of fields in memory, as `schema.dtype()` takes them. left_out: what is no part of the state.
    """

    def __init__(self, bounds: Bounds, contents: int, left_out: Fields, bits: Mapping[tuple[str, str], int]) -> None:
        form = dtype(bounds, bits)
        self.lanes = list(_lanes(form, bounds, contents, left_out))
        self.kept = sum(((1 << lane.bits) - 1) << lane.at for lane in self.lanes)
        self.signed = [lane for lane in self.lanes if lane.signed]
        self.persistent = min(form.fields[name][1] for name in TRANSIENT if name in form.names) // 8
        assert not any(lane.at // WORD != (lane.at + lane.storage - 1) // WORD for lane in self.signed)

    @property
    def bits(self) -> int:
        """Of a packed state."""
        return self.kept.bit_count()

    @property
    def words(self) -> int:
        """64-bit words of a packed state."""
        return -(-self.bits // WORD)

    def places(self) -> Iterator[tuple[Cell, int]]:
        """Every field of every cell, and its bits of a packed state, as a number that has these set."""
        for lane in self.lanes:
            first = (self.kept & (1 << lane.at) - 1).bit_count()
            yield lane.cell, ((1 << lane.bits) - 1) << first

    def source(self, gather: str, scatter: str) -> str:
        """The text of pack(), unpack(), persistent() and packed_words(). gather, scatter: the names of the functions of bits.py, or of what
        does the same."""
        pack = ["@rule(int64(int64[:, ::1], int64, int64[:, ::1], int64))", "def pack(raw, k, out, i):", "    lost = 0"]
        unpack = ["@rule(void(int64[:, ::1], int64, int64[:, ::1], int64))", "def unpack(raw, k, words, i):"]
        parts: list[list[str]] = [[] for _ in range(self.words)]
        at = 0
        for number in range(self.persistent):
            kept = self.kept >> WORD * number & ONES
            signed = [lane for lane in self.signed if lane.at // WORD == number]
            pack += _pack_word(number, kept, signed, gather)
            unpack += _unpack_word(number, kept, signed, at, scatter)
            for word, part in _parts(number, kept.bit_count(), at):
                parts[word].append(part)
            at += kept.bit_count()
        pack += [f"    out[i, {word}] = {' | '.join(part)}" for word, part in enumerate(parts)]
        sizes = {"persistent": self.persistent, "packed_words": self.words}
        texts = [f"@rule(int64(), True)\ndef {name}():\n    return {size}" for name, size in sizes.items()]
        return "\n\n".join([*texts, "\n".join([*pack, "    return lost"]), "\n".join(unpack)])


def _pack_word(number: int, kept: int, signed: list[Lane], gather: str) -> Iterator[str]:
    """Word `number` of a state's memory, of which the bits `kept` go together; `lost` is not 0 if there are others."""
    yield f"    x = raw[k, {number}]"
    yield f"    x{number} = {gather}(x, {_word(kept)})"
    for lane in signed:
        up, down = WORD - lane.at % WORD - lane.storage, WORD - lane.storage
        yield f"    lost |= (x << {up} >> {down}) + 1 >> {lane.bits}"
    yield f"    lost |= x & {_word(~kept & ~sum(lane.rest for lane in signed))}"


def _parts(number: int, count: int, at: int) -> Iterator[tuple[int, str]]:
    """Which packed words the `count` bits of word `number` go to, and how, from bit `at` on."""
    word, shift = divmod(at, WORD)
    if count:
        yield word, f"x{number} << {shift}"
    if shift + count > WORD:
        yield word + 1, f"x{number} >> {WORD - shift} & {(1 << shift + count - WORD) - 1}"


def _unpack_word(number: int, kept: int, signed: list[Lane], at: int, scatter: str) -> Iterator[str]:
    """The same word again, from the bits from `at` on."""
    word, shift = divmod(at, WORD)
    taken = f"words[i, {word}] >> {shift} & {ONES >> shift}" if shift else f"words[i, {word}]"
    if shift + kept.bit_count() > WORD:
        taken += f" | words[i, {word + 1}] << {WORD - shift}"
    yield f"    x = {scatter}({taken}, {_word(kept)})" if kept else "    x = 0"
    for lane in signed:
        highest = (1 << lane.bits) - 1
        yield f"    if x >> {lane.at % WORD} & {highest} == {highest}:"
        yield f"        x |= {_word(lane.rest)}"
    yield f"    raw[k, {number}] = x"


def _lanes(form: Any, bounds: Bounds, contents: int, left_out: Fields) -> Iterator[Lane]:
    """The fields that outlast a step."""
    for name, (record, axes) in LAYOUT.items():
        if name in TRANSIENT or name not in form.names:
            continue
        cells, start = form.fields[name][0].base, form.fields[name][1]
        for number, index in enumerate(product(*map(range, bounds.shape(axes)))):
            for field in cells.names:
                storage = 8 * cells.fields[field][0].itemsize
                needed, signed = width(record, field, bounds, contents)
                if (record, field) not in left_out:
                    at = start + number * cells.itemsize + cells.fields[field][1]
                    yield Lane((name, index, field), 8 * at, min(needed, storage), storage, signed)


def _word(bits: int) -> str:
    """The low 64 bits of a number as Numba reads an integer with a sign, of which it cannot write the lowest as such."""
    bits &= ONES
    return f"~{bits ^ ONES}" if bits >> WORD - 1 else str(bits)
