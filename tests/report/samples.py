"""Records written by hand, one of each verdict."""

from breakcow.backend.observation import Event, Observation, Outcome, PageSeen, ProcessSeen
from breakcow.suite.record import Reason, Record, digest

TEXT = """litmus ksm/unmerge
    MADV_UNMERGEABLE unshares.

memory x y

A  madvise x y unmergeable
A  expect not ksm x y

fixed 6.2  6cce3314b928 mm/ksm: fix
"""
PAGES = {"x": PageSeen("page", 0, False, 7, 2, True, True), "y": PageSeen("page", 0, False, 7, 2, True, True)}
SEEN = Observation(Outcome("ok"), {"A": ProcessSeen("running", PAGES)}, events=(Event("wp", "A", "x"),), console="a WARNING\n")
REASONS = tuple(Reason("expect", 0, 7, "ksm", "not ksm", "frame 0, = 7, ksm", "A", page) for page in "xy")
EVIL = "\x1b]0;owned\x07 # SKIP <b>&\n"


def sample(verdict: str, why: str = "", backend: str = "model:6.1", test: str = "ksm/unmerge", **fields: object) -> Record:
    """A record of that verdict; broken and known ones have reasons."""
    reasons = REASONS if verdict in {"broken", "known"} else ()
    blank = Record(test, backend, "6.1.170", verdict, digest(TEXT), test, TEXT, why, reasons, observations=(SEEN,), seconds=0.25)
    return Record(**{**{name: getattr(blank, name) for name in blank.__struct_fields__}, **fields})


EACH = (
    sample("ok", test="cow/fork"),
    sample("known", "fixed in 6.2 (6cce3314b928)"),
    sample("skip", "this kernel has no soft-dirty", test="sd/write", observations=()),
    sample("broken", "line 7, A x: expected not ksm, observed frame 0, = 7, ksm", "host"),
    sample("differs", "line 6", "host", "cow/fork"),
    sample("error", "host was lost: it died", "host", "cow/evil", observations=(), text=TEXT + EVIL),
)
