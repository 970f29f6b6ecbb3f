"""userfaultfd write-protection on this machine's kernel: who waits, who is woken, and what is told of it."""

from dataclasses import replace

import pytest

from backend.host_programs import flat, on_host, page
from breakcow.backend.host import HostBackend
from breakcow.backend.observation import Event, Outcome
from breakcow.litmus.program import Action

pytestmark = on_host


@pytest.mark.needs("uffd-wp", "uffd-wp-bit")
def test_a_store_to_a_protected_page_waits_for_its_release(host: HostBackend) -> None:
    body = """A write x 3
    A uffd open
    A uffd register x y wp
    A uffd protect x
    A write x 7 -> blocks
    A uffd release x"""
    *_, protected, blocked, released = host.run(flat(body))
    assert page(protected, "x").uffd_wp
    assert blocked.outcome == Outcome("blocked")
    assert blocked.events == (Event("wp", "A", "x"),)
    assert (blocked.processes["A"].state, page(blocked, "x").content) == ("blocked", 3)
    assert released.resumed == {"A": Outcome("ok", faults=1)}
    assert (released.processes["A"].state, page(released, "x").content) == ("running", 7)


@pytest.mark.needs("uffd-wp")
def test_releasing_another_page_wakes_nobody(host: HostBackend) -> None:
    body = """A write x 3
    A write y 3
    A uffd open
    A uffd register x y wp
    A uffd protect x y
    A write x 7 -> blocks
    A uffd release y
    A uffd protect y
    A uffd unregister y
    A uffd close"""
    seen = host.run(flat(body))
    assert [each.processes["A"].state for each in seen[5:]] == ["blocked"] * 4 + ["running"]
    assert seen[-1].resumed == {"A": Outcome("ok", faults=1)}
    assert page(seen[-1], "x").content == 7


@pytest.mark.needs("uffd-wp")
def test_features_of_userfaultfd(host: HostBackend) -> None:
    arm = "A uffd register x wp\nA uffd protect x\n"
    sigbus = host.run(flat("A write x 3\nA uffd open sigbus\n" + arm + "A write x 4"))
    assert (sigbus[-1].outcome.result, sigbus[-1].events) == ("SIGBUS", ())
    remap = host.run(flat("A write x 3\nA uffd open event-remap\n" + arm + "A mremap x\nA write x 4 -> blocks"))
    assert remap[-2].outcome == Outcome("ok")
    assert [event.kind for event in remap[-2].events] == ["remap"]
    assert remap[-1].events == (Event("wp", "A", "x"),)


@pytest.mark.needs("uffd-wp", "uffd-event-fork")
def test_event_fork_arms_the_child(host: HostBackend) -> None:
    body = """A write x 3
    A uffd open event-fork
    A uffd register x wp
    A uffd protect x
    A fork B
    B write x 4 -> blocks
    B uffd release x"""
    *_, forked, blocked, released = host.run(flat(body))
    assert [event.kind for event in forked.events] == ["fork"]
    assert blocked.events == (Event("wp", "B", "x"),)
    assert released.resumed == {"B": Outcome("ok", faults=1)}
    assert (page(released, "x").content, page(released, "x", "B").content) == (3, 4)


@pytest.mark.needs("uffd-wp")
@pytest.mark.parametrize("verb", ["uffd_unregister", "uffd_protect", "uffd_release"])
@pytest.mark.parametrize("moved", ["x", "y"])
def test_what_has_exited_has_no_pages_that_could_lie_apart(host: HostBackend, verb: str, moved: str) -> None:
    """No test says such a thing, but tours do."""
    before = flat(f"A uffd open\nA uffd register x y wp\nA fork B\nA mremap {moved}\nA exit")
    *_, last = host.run(replace(before, actions=(*before.actions, Action("A", verb, 0, 2, 0, len(before.actions)))))
    assert last.outcome.result in {"ENOMEM", "ESRCH"}
