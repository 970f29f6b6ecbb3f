"""Page table entries."""

from breakcow.mm.pgtable import copy_pte, is_anon_page, is_ksm_zero_pte, is_zero_pfn, pte_clear, pte_mkdirty, pte_none, set_pte, zap_pte
from breakcow.mm.schema import CLASSES, PTE
from mm.machine import Machine


def full() -> object:
    pte = CLASSES["Pte"]()
    for field in PTE:
        setattr(pte, field, 1)
    return pte


def values(pte: object) -> dict[str, int]:
    return {field: getattr(pte, field) for field in PTE}


def test_clear_clears_everything() -> None:
    pte = full()
    pte_clear(pte)
    assert not any(values(pte).values())
    assert pte_none(pte)


def test_set_pte_keeps_no_software_bit() -> None:
    pte = full()
    set_pte(pte, 5)
    assert values(pte) == dict.fromkeys(PTE, 0) | {"present": 1, "frame": 5}


def test_copy_copies_everything() -> None:
    for field in PTE:
        pte, twin = CLASSES["Pte"](), full()
        setattr(pte, field, 3)
        copy_pte(twin, pte)
        assert values(twin) == values(pte)


def test_a_marker_is_not_none_and_not_a_page() -> None:
    pte = CLASSES["Pte"]()
    assert pte_none(pte)
    pte.marker = 1
    assert not pte_none(pte)
    assert not is_anon_page(pte)
    assert not is_zero_pfn(pte)


def test_the_zero_page_is_no_anonymous_page() -> None:
    pte = CLASSES["Pte"]()
    set_pte(pte, 0)
    assert is_zero_pfn(pte) and not is_anon_page(pte) and not pte_none(pte)
    set_pte(pte, 1)
    assert not is_zero_pfn(pte) and is_anon_page(pte)


def test_a_dirty_zero_page_is_ksms_only_since_6_6() -> None:
    for kernel, told in (("6.1", 0), ("6.12", 1)):
        machine = Machine(kernel)
        machine.do("read")
        assert not is_ksm_zero_pte(machine.s, machine.pte())
        machine.pte().dirty = 1
        assert is_ksm_zero_pte(machine.s, machine.pte()) == told
    machine.pte().frame = 1
    assert not is_ksm_zero_pte(machine.s, machine.pte())


def test_dirty_is_soft_dirty_too_where_the_kernel_tracks_it() -> None:
    for kernel, tracked in (("6.12", 1), ("6.18", 0)):
        pte = CLASSES["Pte"]()
        pte_mkdirty(Machine(kernel).s, pte)
        assert (pte.dirty, pte.soft_dirty) == (1, tracked)


def test_zapping_gives_the_frame_back() -> None:
    machine = Machine()
    machine.do("write", c=7)
    frame = machine.pte().frame
    zap_pte(machine.s, 0, 0)
    assert pte_none(machine.pte())
    page = machine.s.page[frame]
    assert (page.mapcount, page.content, page.exclusive) == (0, 0, 0)


def test_zapping_a_zero_page_of_ksm_counts_it_off() -> None:
    machine = Machine("6.12")
    machine.do("ksm_set", c=1001)
    for v in range(2):
        machine.do("write", v)
    machine.do("mergeable", 0, 2)
    machine.do("ksm_scan", c=2)
    assert machine.s.ksm.zero_pages == 2
    machine.do("munmap", 0)
    assert machine.s.ksm.zero_pages == 1
    machine.do("dontneed", 1)
    assert machine.s.ksm.zero_pages == 0
