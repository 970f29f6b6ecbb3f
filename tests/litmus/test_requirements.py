"""What a test needs is what it says and what it does."""

import pytest

from breakcow.litmus import REQUIREMENTS, parse, requirements
from breakcow.litmus.requirements import BY_FEATURE, BY_VERB
from breakcow.mm.actions import FEATURES, VERB


def needs(body: str, header: str = "") -> tuple[str, ...]:
    (test,) = parse(f"litmus a/b\n{header}memory x\n{body}\n")
    return requirements(test)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("A  read x", ()),
        ("A  madvise x mergeable", ("ksm",)),
        ("-  ksm scan 1", ("ksm",)),
        ("-  ksm set use_zero_pages 1", ("ksm",)),
        ("-  ksm set smart_scan 1", ("ksm", "smart-scan")),
        ("A  madvise x populate_read", ("populate",)),
        ("A  clear_refs", ("soft-dirty",)),
        ("A  uffd open", ("uffd",)),
        ("A  uffd open sigbus", ("uffd",)),
        ("A  uffd open user-mode-only event-fork", ("uffd", "uffd-event-fork", "uffd-user-mode-only")),
        ("A  uffd open wp-unpopulated wp-async", ("uffd", "uffd-wp-unpopulated", "uffd-wp-async")),
        ("A  uffd register x wp", ("uffd-wp",)),
        ("A  uffd protect x", ("uffd-wp",)),
        ("A  pin x", ("io-uring",)),
        ("A  read x\n-  expect counter ksm_zero_pages = 0", ("ksm-zero-pages",)),
    ],
)
def test_implied(body: str, expected: tuple[str, ...]) -> None:
    assert needs(body) == expected


def test_stated_and_implied_come_once_in_the_order_of_the_table() -> None:
    assert needs("-  ksm scan 1\nA  clear_refs", "require model-only, ksm\nrequire root\n") == ("ksm", "soft-dirty", "root", "model-only")


def test_the_tables_name_what_exists() -> None:
    assert set(BY_VERB) <= set(VERB)
    assert set(BY_FEATURE) <= set(FEATURES)
    assert {*BY_VERB.values(), *BY_FEATURE.values()} <= set(REQUIREMENTS)
