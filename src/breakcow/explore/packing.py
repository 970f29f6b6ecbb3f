"""A state as bits: the generated pair of functions that write a normal state to 64-bit words and read it back.

The widths follow from the bounds. A field that the table does not name keeps its full width in the schema. A value that does not fit is
reported by `pack()`, never cut off.
"""

from collections.abc import Collection, Iterator
from typing import TypeAlias

from breakcow.explore.words import Words
from breakcow.mm.actions import VERBS
from breakcow.mm.schema import LAYOUT, RECORDS, TRANSIENT, Bounds, State

CHUNK = 62  # bits that are written at once
Fields: TypeAlias = Collection[tuple[str, str]]  # (record, field)


def pack(s: State, out: Words, i: int) -> int:
    """Write `s` to row `i` of `out`; not 0 if a value does not fit. Stands for the function that source() generates."""
    raise NotImplementedError


def unpack(s: State, words: Words, i: int) -> None:
    """Read row `i` of `words` into `s`. Stands for the function that source() generates."""
    raise NotImplementedError


def persistent() -> int:
    """How many 64-bit words of a state outlast a step: the first ones, an even number. Stands for the function that source() generates."""
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


def width(record: str, field: str, bounds: Bounds, contents: int) -> tuple[int, int]:
    """(bits, bias) of one field: a value x is written as x + bias, and that is never negative."""
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
        return int(kind), 0
    if kind == "checksum":
        return bits_for(contents + 1), 0
    if kind == "rank":
        return bits_for(bounds.processes + 1), 1
    if kind == "argument":
        return max(wide["content"], 4), 0
    if kind:
        return wide[kind], 0
    storage = RECORDS[record][field][0]
    return storage, 1 << storage - 1


# field, or Record.field -> bits, or what it counts
KINDS = {
    **dict.fromkeys(("present", "write", "dirty", "soft_dirty", "uffd_wp", "marker", "mapped", "mergeable", "registered"), "1"),
    **dict.fromkeys(("chained", "account", "seam", "exists", "unstable", "unmerged", "ksm_zero", "was_page", "armed"), "1"),
    **dict.fromkeys(("written", "exempt", "stored", "exclusive", "ksm", "used", "uffd", "use_zero_pages", "smart_scan", "internal"), "1"),
    **dict.fromkeys(("dontfork", "huge", "table", "dontcopy", "rest", "async_wp", "all_holes", "event_fork", "event_remap", "woken"), "1"),
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


def chunks(record: str, bounds: Bounds, contents: int, left_out: Fields) -> Iterator[list[tuple[str, int, int]]]:
    """The fields of one record as (name, bits, bias), in groups of at most CHUNK bits."""
    group: list[tuple[str, int, int]] = []
    for field in RECORDS[record]:
        bits, bias = width(record, field, bounds, contents) if (record, field) not in left_out else (0, 0)
        if bits and sum(one[1] for one in group) + bits > CHUNK:
            yield group
            group = []
        if bits:
            group.append((field, bits, bias))
    if group:
        yield group


def words(bounds: Bounds, contents: int, left_out: Fields) -> int:
    """How many 64-bit words a packed state takes, without the fields `left_out`."""
    total = 0
    for name, (record, axes) in LAYOUT.items():
        if name not in TRANSIENT:
            cells = 1
            for extent in bounds.shape(axes):
                cells *= extent
            total += cells * sum(bits for group in chunks(record, bounds, contents, left_out) for _, bits, _ in group)
    return -(-total // 64)


def source(bounds: Bounds, contents: int, left_out: Fields) -> str:
    """The text of pack(s, out, i), which gives 0 or a value that did not fit, unpack(s, words, i) and persistent()."""
    pack = ["@rule(int64(State, int64[:, ::1], int64))", "def pack(s, out, i):", "    at = 0", "    lost = 0"]
    unpack = ["@rule(void(State, int64[:, ::1], int64))", "def unpack(s, words, i):", "    at = 0"]
    pack.append(f"    for k in range({words(bounds, contents, left_out)}):\n        out[i, k] = 0")
    for name, (record, axes) in LAYOUT.items():
        groups = list(chunks(record, bounds, contents, left_out))
        if groups and name not in TRANSIENT:
            loops, cell, indent = _loops(name, axes, bounds)
            for lines, body in ((pack, _pack_cell), (unpack, _unpack_cell)):
                lines += [*loops, f"{indent}r = {cell}"]
                for group in groups:
                    lines += [indent + line for line in body(group)]
    persistent = "@rule(int64(), True)\ndef persistent():\n    return PERSISTENT"
    return "\n\n".join([persistent, "\n".join([*pack, "    return lost"]), "\n".join(unpack)])


def _loops(name: str, axes: str, bounds: Bounds) -> tuple[list[str], str, str]:
    """The loops over the cells of one grid, what a cell is called in them, and their indentation."""
    lines = [f"{'    ' * (depth + 1)}for {axis} in range({bounds.extent(axis)}):" for depth, axis in enumerate(axes)]
    cell = f"s.{name}[{', '.join(axes)}]" if axes else f"s.{name}"
    return lines, cell, "    " * (len(axes) + 1)


def _pack_cell(group: list[tuple[str, int, int]]) -> Iterator[str]:
    shift = 0
    terms, checks = [], []
    for field, bits, bias in group:
        value = f"(int64(r.{field}) + {bias})" if bias else f"int64(r.{field})"
        terms.append(f"{value} << {shift}")
        checks.append(f"{value} >> {bits}")
        shift += bits
    yield f"lost |= {' | '.join(checks)}"
    yield f"at = put(out, i, at, {' | '.join(terms)}, {shift})"


def _unpack_cell(group: list[tuple[str, int, int]]) -> Iterator[str]:
    total = sum(bits for _, bits, _ in group)
    yield f"x = get(words, i, at, {total})"
    yield f"at += {total}"
    shift = 0
    for field, bits, bias in group:
        taken = f"(x >> {shift} & {(1 << bits) - 1})"
        yield f"r.{field} = {taken} - {bias}" if bias else f"r.{field} = {taken}"
        shift += bits
