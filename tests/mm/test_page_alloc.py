"""Frames and their counts."""

from breakcow.mm.page_alloc import GUP_PIN_COUNTING_BIAS, alloc_page, page_count, page_maybe_dma_pinned, put_page
from mm.machine import Machine


def test_the_zero_page_is_never_given_out() -> None:
    assert alloc_page(Machine().s, 5) == 1


def test_a_frame_that_is_held_in_any_way_is_not_free() -> None:
    for field in ("mapcount", "pincount", "refs"):
        machine = Machine()
        setattr(machine.s.page[1], field, 1)
        assert alloc_page(machine.s, 5) == 2
        assert machine.s.page[2].content == 5


def test_a_new_frame_is_clean_of_what_it_was() -> None:
    machine = Machine()
    page = machine.s.page[1]
    page.exclusive, page.ksm, page.node = 1, 1, 1
    alloc_page(machine.s, 0)
    assert (page.exclusive, page.ksm, page.node) == (0, 0, 0)


def test_counts() -> None:
    machine = Machine()
    page = machine.s.page[1]
    page.mapcount, page.refs = 3, 2
    assert page_count(machine.s, 1) == 5
    assert not page_maybe_dma_pinned(machine.s, 1)
    page.pincount = 1
    assert page_count(machine.s, 1) == 5 + GUP_PIN_COUNTING_BIAS
    assert page_maybe_dma_pinned(machine.s, 1)


def test_put_page_frees_only_with_the_last_reference() -> None:
    machine = Machine()
    page = machine.s.page[1]
    page.content, page.exclusive, page.ksm, page.refs = 7, 1, 1, 1
    put_page(machine.s, 1)
    assert (page.content, page.exclusive, page.ksm) == (7, 1, 1)
    page.refs = 0
    put_page(machine.s, 1)
    assert (page.content, page.exclusive, page.ksm) == (0, 0, 0)


def test_the_node_of_a_freed_ksm_page_goes_stale_and_is_free_once_nobody_shares_it() -> None:
    for sharers, used in ((1, 1), (0, 0)):
        machine = Machine()
        node = machine.s.node[0]
        node.used, node.frame, node.sharers = 1, 2, sharers
        machine.s.page[1].node = 1
        put_page(machine.s, 1)
        assert (node.frame, node.used, machine.s.page[1].node) == (0, used, 0)
