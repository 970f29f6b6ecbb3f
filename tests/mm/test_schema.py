"""The state: its forms say the same, and nothing in it can overflow."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.ghost import follow
from breakcow.mm.schema import LAYOUT, RECORDS, TRANSIENT, Bounds, State, dtype
from breakcow.mm.step import boot, step
from mm.machine import Machine, random_program

SIZES = [(1, 1), (2, 2), (3, 3), (6, 2), (1, 6)]


def test_a_new_state_is_all_zero() -> None:
    assert not any(State(Bounds(2, 2), PROFILES["6.1"]).pack())


def test_pack_tells_any_two_fields_apart() -> None:
    bounds = Bounds(2, 2)
    seen = set()
    cells = 0
    for name, (record, axes) in LAYOUT.items():
        for index in range(len(getattr(State(bounds, None), name).cells) if axes else 1):
            for field in RECORDS[record]:
                state = State(bounds, None)
                part = getattr(state, name)
                setattr(part.cells[index] if axes else part, field, 1)
                seen.add(state.pack())
                cells += 1
    assert len(seen) == cells == len(State(bounds, None).pack())


def test_a_copy_is_equal_and_independent() -> None:
    machine = Machine("6.12").merged()
    machine.do("fork", c=1)
    twin = machine.s.copy()
    before = twin.pack()
    assert before == machine.s.pack()
    assert twin.kernel is machine.s.kernel
    machine.do("write", 0, c=9)
    machine.do("ksm_set", c=1001)
    assert twin.pack() == before != machine.s.pack()


def test_a_grid_is_indexed_as_an_array_is() -> None:
    state = State(Bounds(2, 3), None)
    state.pte[1, 2].frame = 5
    assert state.pte.shape == (2, 3)
    assert [cell.frame for cell in state.pte.cells] == [0, 0, 0, 0, 0, 5]
    assert state.proc[1] is state.proc.cells[1]


@pytest.mark.parametrize(("processes", "pages"), SIZES)
def test_the_record_type_has_the_same_fields_in_the_same_order(processes: int, pages: int) -> None:
    np = pytest.importorskip("numpy")
    bounds = Bounds(processes, pages)
    record = np.zeros(1, dtype(bounds))[0]
    assert record.dtype.names == tuple(LAYOUT)
    assert record.dtype.itemsize % 8 == record.dtype.fields[TRANSIENT[0]][1] % 8 == 0
    assert tuple(LAYOUT)[-len(TRANSIENT) :] == TRANSIENT
    for name, (kind, axes) in LAYOUT.items():
        assert record[name].dtype.names == tuple(RECORDS[kind])
        assert record[name].shape == (bounds.shape(axes) if axes else ())
        assert record[name].dtype.itemsize == sum(bits for bits, _ in RECORDS[kind].values()) // 8
    fields = sum(len(RECORDS[kind]) * record[name].size for name, (kind, _) in LAYOUT.items())
    assert fields == len(State(bounds, None).pack())


def test_a_record_type_can_leave_fields_out_and_have_others_narrower() -> None:
    pytest.importorskip("numpy")
    left_out = dict.fromkeys((("Reference", "pinned"), ("Reference", "spliced"), ("Pte", "swap")), 0)
    narrow = dtype(Bounds(2, 2), {**left_out, ("Page", "content"): 8})
    assert "ref" not in narrow.names
    assert "swap" not in narrow["pte"].base.names
    assert (narrow["page"].base["content"].itemsize, dtype(Bounds(2, 2))["page"].base["content"].itemsize) == (1, 2)


def test_every_field_is_a_signed_integer_of_a_width_that_exists() -> None:
    assert {bits for fields in RECORDS.values() for bits, _ in fields.values()} <= {8, 16, 32}
    assert all(meaning for fields in RECORDS.values() for _, meaning in fields.values())


def widest(state: State, found: dict[tuple[str, str], tuple[int, int]]) -> None:
    """Keep the smallest and the largest value of each field."""
    for name, (record, axes) in LAYOUT.items():
        cells = getattr(state, name).cells if axes else (getattr(state, name),)
        for field in RECORDS[record]:
            values = [getattr(cell, field) for cell in cells]
            low, high = found.get((record, field), (0, 0))
            found[record, field] = min(low, *values), max(high, *values)


@pytest.mark.parametrize("kernel", PROFILES)
def test_random_programs_keep_every_field_within_its_width(kernel: str) -> None:
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for seed, (processes, pages) in enumerate(SIZES):
        state = State(Bounds(processes, pages), PROFILES[kernel])
        boot(state)
        for operation, choices in random_program(seed, 200, processes, pages):
            state.step.choices = choices
            step(state, *operation)
            follow(state, *operation)
            widest(state, found)
    for (record, field), (low, high) in found.items():
        bits = RECORDS[record][field][0]
        assert -(1 << bits - 1) <= low <= high < 1 << bits - 1, (record, field, low, high)


def test_ranks_do_not_overflow_in_the_longest_program() -> None:
    """ksmd's list and the stable nodes count upwards: 200 steps of coming and going, of up to 20 scans each."""
    machine = Machine("6.12", 1, 6)
    for _ in range(25):
        machine.merged(6)
        machine.do("munmap", 5)
        machine.do("ksm_run", c=2)
        machine.do("ksm_run", c=1)
        machine.do("unmergeable", 0, 5)
        machine.do("ksm_scan", c=1)
        machine.s.vma[0, 5].mapped, machine.s.vma[0, 5].prot, machine.s.ghost[0, 5].mapped = 1, 3, 1
    assert machine.s.ksm.last_entered == 25
    for record, field in (("Process", "entered"), ("StableNode", "born"), ("Ksm", "last_entered"), ("Ksm", "last_born")):
        assert RECORDS[record][field][0] == 16


def test_bounds_that_a_compiled_state_cannot_hold_are_refused() -> None:
    pytest.importorskip("numpy")
    dtype(Bounds(6, 6))
    with pytest.raises(ValueError, match="6 processes of 12 pages are too many"):
        dtype(Bounds(6, 12))


@pytest.mark.parametrize("kernel", ["5.10", "7.2"])
def test_the_bounds_leave_a_frame_free_whatever_is_held(kernel: str) -> None:
    """The most that a program can hold: every entry, every pin and every pipe of each process holds a frame of its own."""
    processes, pages = 2, 2
    machine = Machine(kernel, processes, pages)
    machine.do("fork", c=1)
    for p in range(processes):
        for v in range(pages):
            for verb in ("vmsplice", "pin", "none"):
                machine.do("write", v, c=1, p=p)
                if verb != "none":
                    assert machine.do(verb, v, p=p) == 0
                    machine.do("dontneed", v, p=p)
    held = [
        f for f in range(1, machine.s.page.shape[0]) if machine.s.page[f].mapcount or machine.s.page[f].refs or machine.s.page[f].pincount
    ]
    assert len(held) == 3 * processes * pages
    assert machine.s.page.shape[0] - 1 > len(held)
    machine.do("write", 0, c=2)
    assert machine.broken() == set()
