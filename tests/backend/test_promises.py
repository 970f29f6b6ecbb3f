"""The promises on what a backend observed, made by the specification or bent by hand."""

from typing import Any

import msgspec
import pytest

from backend.programs import MERGED, UNMERGE, flat
from breakcow.backend.model import ModelBackend
from breakcow.backend.observation import Event, Observation, Outcome, PageSeen
from breakcow.backend.promises import Broken, broken
from breakcow.kernel import PROFILES
from breakcow.mm.promises import PROMISES

Path = tuple[Observation, ...]
SHOWN = ("writable", "dirty", "exclusive")  # what only the specification shows


def run(text: str, kernel: str = "6.12") -> Path:
    return ModelBackend(PROFILES[kernel]).run(flat(text))


def bent(path: Path, step: int, page: str = "", process: str = "A", **fields: Any) -> Path:
    """`path` with fields of one page after one step changed, or of the observation itself."""
    changed = list(path)
    seen = path[step]
    if page:
        one = seen.processes[process]
        pages = one.pages | {page: msgspec.structs.replace(one.pages[page], **fields)}
        fields = {"processes": seen.processes | {process: msgspec.structs.replace(one, pages=pages)}}
    changed[step] = msgspec.structs.replace(seen, **fields)
    return tuple(changed)


def found(text: str, path: Path) -> list[tuple[int, str, str, str]]:
    return [(one.step, one.promise, one.process, one.page) for one in broken(flat(text), path)]


@pytest.mark.parametrize("kernel", PROFILES)
@pytest.mark.parametrize(
    "text",
    [
        "A write x 7; A fork B; A write x 8; B read x",
        "A write x 7; A uffd open; A uffd register x wp; A uffd protect x; A write x 8; A uffd release x",
        "A write x 7; A clear_refs; A read x; A write y 3",
        "A write x 7; A pin x; A fork B; A write x 8; A dma x 9",
        MERGED + "A write x 8; A madvise x y unmergeable",
    ],
)
def test_kept(text: str, kernel: str) -> None:
    assert found(text, run(text, kernel)) == []


def test_unmerge_leaves_no_ksm_on_two_kernels() -> None:
    program = flat(UNMERGE)
    last = len(program.actions) - 1
    sentence = dict(PROMISES)["unmerge-leaves-no-ksm"]
    assert broken(program, run(UNMERGE, "6.1")) == tuple(Broken(last, "unmerge-leaves-no-ksm", "A", page, sentence) for page in ("x", "y"))
    assert broken(program, run(UNMERGE, "6.12")) == ()


def test_where_the_ksm_bit_cannot_be_seen_a_frame_that_one_process_maps_twice_is_a_ksm_page() -> None:
    path = run(UNMERGE, "6.1")
    for step in range(len(path)):
        for page in ("x", "y"):
            path = bent(path, step, page, ksm=None)
    assert [one[1:] for one in found(UNMERGE, path)] == [("unmerge-leaves-no-ksm", "A", "x"), ("unmerge-leaves-no-ksm", "A", "y")]


def test_protect_traps_every_write() -> None:
    text = "A write x 7; A uffd open; A uffd register x wp; A uffd protect x; A write x 8"
    path = bent(run(text), 4, outcome=Outcome("ok"), events=())
    path = bent(path, 4, "x", content=8)
    assert found(text, path) == [(4, "protect-traps-every-write", "A", "x")]


def test_no_event_without_a_write() -> None:
    text = "A write x 7; A uffd open; A uffd register x wp; A uffd protect x; A read x"
    assert found(text, bent(run(text), 4, events=(Event("wp", "A", "x"),))) == [(4, "no-event-without-a-write", "A", "x")]
    assert found(text, bent(run(text), 4, events=(Event("fork", "A"),))) == []
    many = tuple(Event("wp", "A", "x") for _ in range(20))
    assert found(text, bent(run(text), 4, events=many)) == [(4, "no-event-without-a-write", "A", "x")]


def test_soft_dirty_is_complete_and_precise() -> None:
    text = "A write x y 7; A clear_refs; A write x 8"
    assert found(text, bent(run(text), 3, "x", soft_dirty=False)) == [(3, "soft-dirty-is-complete", "A", "x")]
    assert found(text, bent(run(text), 3, "y", soft_dirty=True)) == [(3, "soft-dirty-is-precise", "A", "y")]


def test_isolation() -> None:
    text = "A write x 7; A fork B; B write x 8; A read x"
    assert found(text, bent(run(text), 2, "x", content=8)) == [(2, "isolation", "A", "x")]
    assert found(text, bent(run(text), 3, outcome=Outcome("ok", 8))) == [(3, "isolation", "A", "x")]
    assert found(text, bent(run(text), 3, outcome=Outcome("EIO"))) == []


def test_pin_sees_stores() -> None:
    text = "A write x 7; A pin x; A write x 8"
    path = run(text)
    one = msgspec.structs.replace(path[2].processes["A"], pinned={"x": 7})
    assert found(text, bent(path, 2, processes={"A": one})) == [(2, "pin-sees-stores", "A", "x")]


def test_protection_only_where_armed() -> None:
    text = "A write x 7; A uffd open"
    assert found(text, bent(run(text), 0, "x", uffd_wp=True)) == [(0, "protection-only-where-armed", "A", "x")]
    text = "A write x 7; A uffd open; A uffd register x wp; A uffd protect x; A uffd close"
    assert [one[:2] for one in found(text, run(text, "6.1"))] == [(4, "protection-only-where-armed")]


def test_each_is_told_once_where_it_first_shows() -> None:
    text = UNMERGE + "; A read z; A write z 1"
    assert {one[0] for one in found(text, run(text, "6.1"))} == {len(flat(UNMERGE).actions) - 1}


@pytest.mark.parametrize("field", ["soft_dirty", "uffd_wp", "content", "ksm", "frame", "mapcount", *SHOWN])
def test_what_cannot_be_observed_breaks_no_promise(field: str) -> None:
    for text in ("A write x 7; A clear_refs; A write x 8; A fork B; B write x 3; A read x", UNMERGE):
        path = run(text)
        for step, seen in enumerate(path):
            for process, one in seen.processes.items():
                for page in one.pages:
                    path = bent(path, step, page, process, **{field: None})
        assert found(text, path) == []


def test_a_child_may_be_gone_and_a_page_may_be_swapped_out() -> None:
    text = "A write x 7; A fork B; B exit; A read x"
    path = bent(run(text), 3, "x", state="swap", frame=None, content=None)
    assert found(text, path) == []
    killed = {name: msgspec.structs.replace(one, state="killed", pages={}) for name, one in path[3].processes.items()}
    assert found(text, bent(path, 3, processes=killed)) == []


def test_what_was_resumed_counts_by_its_result() -> None:
    text = "A write x 7; A uffd open; A uffd register x wp; A uffd protect x; A write x 8; A uffd release x"
    path = run(text)
    assert found(text, bent(path, 5, "x", content=7)) == [(5, "isolation", "A", "x")]
    assert found(text, bent(bent(path, 5, "x", content=7), 5, resumed={"A": Outcome("SIGBUS")})) == []


def test_a_marker_and_an_unmapped_page_hold_nothing() -> None:
    text = "A uffd open wp-unpopulated; A uffd register x wp; A uffd protect x; A munmap y"
    assert found(text, run(text)) == []
    assert run(text)[-1].processes["A"].pages["y"] == PageSeen("unmapped")


def test_an_observation_that_ends_early_is_judged_as_far_as_it_goes() -> None:
    assert found(UNMERGE, run(UNMERGE, "6.1")[:-1]) == []
