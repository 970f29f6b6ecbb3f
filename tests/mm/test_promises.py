"""Each promise: a state that keeps it and one that breaks it, and its documented exceptions."""

from collections.abc import Callable

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.actions import VERBS
from breakcow.mm.promises import (
    PROMISES,
    broken,
    broken_on_page,
    consistent_counters,
    consistent_page,
    consistent_tree,
    holds_value,
    isolated,
    ksm_zero_entries,
    mappings,
    pin_misses_stores,
    protected_unasked,
    soft_dirty,
    soft_dirty_missing,
    soft_dirty_spurious,
    unmerge_leaves_ksm,
)
from mm.machine import Machine, random_program

NAMES = [name for name, _ in PROMISES]


def machine_with(content: int = 7, kernel: str = "6.12") -> Machine:
    machine = Machine(kernel)
    machine.do("write", c=content)
    return machine


def test_unmerge_leaves_no_ksm() -> None:
    machine = Machine("6.12").merged()
    assert not unmerge_leaves_ksm(machine.s, 0, 0), "nobody asked"
    machine.s.ghost[0, 0].unmerged = 1
    assert unmerge_leaves_ksm(machine.s, 0, 0)
    assert broken_on_page(machine.s, 0, 0) == 1
    machine.page().ksm = 0
    assert not unmerge_leaves_ksm(machine.s, 0, 0)
    machine.s.ghost[0, 2].unmerged = 1
    assert not unmerge_leaves_ksm(machine.s, 0, 2), "nothing is mapped"


def test_unmerge_leaves_no_zero_page_of_ksm_but_any_other() -> None:
    machine = Machine("6.12")
    machine.do("read")
    machine.s.ghost[0, 0].unmerged = 1
    assert not unmerge_leaves_ksm(machine.s, 0, 0)
    machine.s.ghost[0, 0].ksm_zero = 1
    assert unmerge_leaves_ksm(machine.s, 0, 0)


@pytest.mark.parametrize(("bit", "number"), [(1, 1), (2, 2), (4, 5)])
def test_breaches_of_a_step(bit: int, number: int) -> None:
    machine = machine_with()
    machine.s.ghost[0, 0].breach = bit
    assert broken_on_page(machine.s, 0, 0) == 1 << number == broken(machine.s)


def test_soft_dirty_is_complete() -> None:
    machine = machine_with()
    machine.do("clear_refs")
    assert not soft_dirty_missing(machine.s, 0, 0)
    machine.s.ghost[0, 0].written = 1
    assert soft_dirty_missing(machine.s, 0, 0)
    assert broken_on_page(machine.s, 0, 0) == 8
    machine.s.vma[0, 0].soft_dirty = 1
    assert not soft_dirty_missing(machine.s, 0, 0), "the vma shows as well as the entry"
    machine.s.vma[0, 0].soft_dirty = 0
    machine.pte().soft_dirty = 1
    assert not soft_dirty_missing(machine.s, 0, 0)
    machine.pte().soft_dirty = 0
    machine.s.seen.soft_dirty = 0
    assert not soft_dirty_missing(machine.s, 0, 0), "nobody can see it"
    machine.s.seen.soft_dirty = 1
    machine.s.ghost[0, 0].mapped = 0
    assert not soft_dirty_missing(machine.s, 0, 0)


def test_soft_dirty_is_precise() -> None:
    machine = machine_with()
    machine.do("clear_refs")
    assert not soft_dirty_spurious(machine.s, 0, 0)
    machine.pte().soft_dirty = 1
    assert soft_dirty_spurious(machine.s, 0, 0) == soft_dirty(machine.s, 0, 0) == 1
    assert broken_on_page(machine.s, 0, 0) == 16


@pytest.mark.parametrize(
    ("part", "field", "value"), [("ghost", "written", 1), ("ghost", "exempt", 1), ("ghost", "mapped", 0), ("seen", "soft_dirty", 0)]
)
def test_soft_dirty_is_precise_but_for_the_documented(part: str, field: str, value: int) -> None:
    machine = machine_with()
    machine.do("clear_refs")
    machine.pte().soft_dirty = 1
    setattr(machine.s.seen if part == "seen" else machine.s.ghost[0, 0], field, value)
    assert not soft_dirty_spurious(machine.s, 0, 0)


@pytest.mark.parametrize("what", ["never cleared", "moved", "prefaulted", "pinned over clear_refs", "stored by a device"])
def test_exceptions_that_the_kernel_documents(what: str) -> None:
    machine = machine_with()
    if what in {"pinned over clear_refs", "stored by a device"}:
        machine.do("pin")
    if what != "never cleared":
        machine.do("clear_refs")
    if what == "moved":
        machine.do("mremap")
    elif what == "prefaulted":
        machine.do("populate_write")
    elif what == "stored by a device":
        machine.do("dma", c=3)
    assert soft_dirty(machine.s, 0, 0)
    assert machine.broken() == set()


def test_isolation() -> None:
    machine = machine_with()
    assert isolated(machine.s, 0, 0)
    machine.page().content = 8
    assert not isolated(machine.s, 0, 0)
    assert broken_on_page(machine.s, 0, 0) == 32
    machine.s.ghost[0, 0].mapped = 0
    assert isolated(machine.s, 0, 0)
    machine.s.ghost[0, 0].breach = 4
    assert not isolated(machine.s, 0, 0)


def test_what_holds_a_value() -> None:
    machine = machine_with()
    assert holds_value(machine.s, 0, 0) and holds_value(machine.s, 0, 1)
    machine.page().content = -2
    assert holds_value(machine.s, 0, 0), "what cannot be seen is believed"
    machine.page().content = -1
    assert not holds_value(machine.s, 0, 0)
    machine.s.ghost[0, 1].value = 3
    assert not holds_value(machine.s, 0, 1), "where nothing is mapped the page holds zeros"


def test_isolation_through_a_pipe() -> None:
    machine = machine_with()
    machine.do("vmsplice")
    machine.page().content = machine.s.ghost[0, 0].value = 8
    assert not isolated(machine.s, 0, 0), "the pipe changed though its process did not store"
    machine.s.ghost[0, 0].stored = 1
    assert isolated(machine.s, 0, 0)
    machine.s.ghost[0, 0].stored = 0
    machine.page().content = machine.s.ghost[0, 0].value = 7
    assert isolated(machine.s, 0, 0)
    machine.s.ghost[0, 0].splice_value = 5
    for part, field in ((machine.s.ref[0, 0], "spliced"), (machine.s.ghost[0, 0], "spliced")):
        assert not isolated(machine.s, 0, 0)
        kept = getattr(part, field)
        setattr(part, field, 0)
        assert isolated(machine.s, 0, 0), "nothing is in the pipe, or nothing can be seen there"
        setattr(part, field, kept)


def test_pin_sees_stores() -> None:
    machine = machine_with()
    machine.do("pin")
    frame = machine.pte().frame
    assert not pin_misses_stores(machine.s, 0, 0)
    machine.pte().frame = frame + 1
    machine.s.page[frame + 1].content = 9
    machine.s.page[frame + 1].mapcount = 1
    assert pin_misses_stores(machine.s, 0, 0), "the page went on without the buffer"
    machine.s.ghost[0, 0].value = 9
    assert pin_misses_stores(machine.s, 0, 0), "the buffer does not hold what was stored"
    machine.s.page[frame].content = 9
    assert not pin_misses_stores(machine.s, 0, 0), "both hold it: nobody can tell"


def test_a_missed_store_counts_as_such_and_not_as_lost_isolation() -> None:
    machine = machine_with()
    machine.do("pin")
    machine.s.ghost[0, 0].value = 9
    assert broken_on_page(machine.s, 0, 0) == 64


@pytest.mark.parametrize("field", ["pinned", "mapped"])
def test_a_pin_that_was_given_up_promises_nothing(field: str) -> None:
    machine = machine_with()
    machine.do("pin")
    machine.s.ref[0, 0].pinned = 3
    assert pin_misses_stores(machine.s, 0, 0)
    setattr(machine.s.ghost[0, 0], field, 0)
    assert not pin_misses_stores(machine.s, 0, 0)
    setattr(machine.s.ghost[0, 0], field, 1)
    machine.s.ref[0, 0].pinned = 0
    assert not pin_misses_stores(machine.s, 0, 0)


def test_protection_only_where_armed() -> None:
    machine = machine_with()
    machine.pte().uffd_wp = 1
    assert protected_unasked(machine.s, 0, 0)
    assert broken_on_page(machine.s, 0, 0) == 128
    machine.s.ghost[0, 0].registered = 1
    assert not protected_unasked(machine.s, 0, 0)
    machine.s.ghost[0, 0].registered = 0
    machine.s.seen.uffd_wp = 0
    assert not protected_unasked(machine.s, 0, 0)


def inconsistent_pages() -> dict[str, Callable[[Machine], None]]:
    def ksm(field: str) -> Callable[[Machine], None]:
        def bend(machine: Machine) -> None:
            machine.merged()
            setattr(machine.pte() if field == "write" else machine.page(), field, 1)

        return bend

    def entry(verb: str, field: str) -> Callable[[Machine], None]:
        def bend(machine: Machine) -> None:
            machine.do(verb)
            setattr(machine.pte(), field, 1)

        return bend

    def shared_exclusive(machine: Machine) -> None:
        machine.do("write", c=7)
        machine.page().mapcount = 2

    def shared_writable(machine: Machine) -> None:
        machine.do("write", c=7)
        machine.page().exclusive = 0

    return {
        "a writable hole": entry("dontneed", "write"),
        "a dirty hole": entry("dontneed", "dirty"),
        "a writable zero page": entry("read", "write"),
        "a writable KSM page": ksm("write"),
        "an exclusive KSM page": ksm("exclusive"),
        "a pinned KSM page": ksm("pincount"),
        "exclusive and mapped twice": shared_exclusive,
        "writable and not exclusive": shared_writable,
    }


@pytest.mark.parametrize("name", inconsistent_pages())
def test_inconsistent_entries(name: str) -> None:
    machine = Machine("6.12")
    inconsistent_pages()[name](machine)
    assert not consistent_page(machine.s, 0, 0)
    assert broken_on_page(machine.s, 0, 0) & 256
    machine.s.seen.internal = 0
    assert not broken_on_page(machine.s, 0, 0) & 256


def test_consistent_entries() -> None:
    machine = Machine("6.12").merged()
    machine.do("read", 2)
    machine.pte(2).dirty = 1
    assert all(consistent_page(machine.s, 0, v) for v in range(3))
    machine = machine_with(kernel="5.10")
    machine.page().exclusive = 0
    assert consistent_page(machine.s, 0, 0), "before 5.19 there was no such bit"


def test_counters() -> None:
    def bent(change: Callable[[Machine], None], kernel: str = "6.12") -> bool:
        machine = Machine(kernel).merged()
        assert consistent_counters(machine.s)
        change(machine)
        return not consistent_counters(machine.s)

    def add(field: str) -> Callable[[Machine], None]:
        return lambda machine: setattr(machine.s.ksm, field, getattr(machine.s.ksm, field) + 1)

    def drop_mapping(machine: Machine) -> None:
        machine.page().mapcount -= 1

    def lose_node(machine: Machine) -> None:
        machine.s.node[0].used = 0

    assert bent(add("pages_shared")) and bent(add("pages_sharing")) and bent(add("zero_pages"))
    assert not bent(add("zero_pages"), "6.1"), "not counted there"
    assert bent(drop_mapping) and bent(lose_node)
    machine = Machine("6.12").merged()
    assert consistent_tree(machine.s)
    machine.do("read", 2)
    machine.pte(2).dirty = 1  # as if KSM had placed it
    assert not consistent_tree(machine.s), "the mm counts fewer zero pages than it maps"
    machine = Machine("6.12").merged()
    machine.s.ksm.pages_shared = 5
    assert machine.broken() == {"internal-consistency"}
    machine.s.seen.internal = 0
    assert machine.broken() == set()


def test_counting_entries() -> None:
    machine = Machine("6.12").merged()
    machine.do("fork", c=1)
    assert mappings(machine.s, machine.pte().frame) == 4
    assert mappings(machine.s, 5) == 0
    machine.do("read", 2)
    assert ksm_zero_entries(machine.s, 0) == 0
    machine.pte(2).dirty = 1
    assert ksm_zero_entries(machine.s, 0) == 1
    assert ksm_zero_entries(machine.s, 1) == 0


def test_only_running_processes_are_looked_at() -> None:
    machine = machine_with()
    machine.page().content = 8
    assert machine.broken() == {"isolation"}
    machine.s.proc[0].state = 2
    assert machine.broken() == set()


def test_each_promise_has_a_name_of_its_own_and_a_sentence() -> None:
    assert len(set(NAMES)) == len(NAMES) == 9
    assert all(sentence for _, sentence in PROMISES)


@pytest.mark.parametrize("kernel", PROFILES)
def test_random_programs_never_contradict_themselves(kernel: str) -> None:
    """The ninth promise is about the specification itself. On new kernels isolation holds whatever is done."""
    for seed in range(5):
        machine = Machine(kernel, 3, 3, (0, 0, 1))
        for operation, choices in random_program(seed, 60, 3, 3):
            verb, p, v, n, c = operation
            machine.do(VERBS[verb].name, v, n, c, p=p, choices=choices)
            assert "internal-consistency" not in machine.broken(), (kernel, seed)
            assert PROFILES[kernel].wp_reuse != 2 or "isolation" not in machine.broken(), (kernel, seed)
