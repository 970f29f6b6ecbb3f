"""What goes over the wire is what has changed, and the backend makes the whole of it again."""

import pytest

from breakcow.agent.changes import Processes, changed, changes
from breakcow.agent.observe import Seen
from breakcow.backend.agent_link import _whole
from breakcow.backend.errors import LostBackend
from breakcow.backend.observation import PageSeen, ProcessSeen

X: Seen = {"state": "none"}
Y: Seen = {"state": "zero"}
Z: Seen = {"state": "page", "frame": 0}


def test_only_what_has_changed() -> None:
    before: Processes = {"A": {"state": "running", "pages": {"x": X, "y": X}}, "B": {"state": "running", "pages": {"x": X, "y": X}}}
    now: Processes = {
        "A": {"state": "running", "pages": {"x": X, "y": Z}},
        "B": before["B"],
        "C": {"state": "running", "pages": {"x": Y, "y": X}},
    }
    assert changes(now, before) == {"A": {"state": "running", "pages": {"y": Z}}, "B": None, "C": now["C"]}
    assert changes({"A": {"state": "exited"}}, before) == {"A": {"state": "exited"}}
    assert changed({"pages_shared": 2, "cow_ksm": 0}, {"pages_shared": 1, "cow_ksm": 0}) == {"pages_shared": 2}


def test_the_whole_of_it() -> None:
    before = {name: ProcessSeen("running", {"x": PageSeen("none"), "y": PageSeen("zero")}, merging=1) for name in "AB"}
    whole = _whole({"A": ProcessSeen("blocked", {"y": PageSeen("swap")}), "B": None}, before)
    assert whole == {"A": ProcessSeen("blocked", {"x": PageSeen("none"), "y": PageSeen("swap")}), "B": before["B"]}
    assert _whole({"A": ProcessSeen("exited")}, before) == {"A": ProcessSeen("exited")}
    with pytest.raises(LostBackend, match="there was none"):
        _whole({"C": None}, before)
