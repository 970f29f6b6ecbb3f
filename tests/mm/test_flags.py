"""Constants whose values a kernel prints, or that user space passes."""

import errno

from breakcow.mm import flags
from breakcow.mm.actions import FEATURES, PROTECTIONS


def test_errnos_are_those_of_this_system() -> None:
    for name in ("EIO", "ENOENT", "ENOMEM", "EFAULT", "EBUSY", "EINVAL", "ESRCH"):
        assert getattr(flags, name) == getattr(errno, name)


def test_the_flags_of_the_two_warnings() -> None:
    """What 5.10 and 6.1 print for the fake write of break_ksm()."""
    write = flags.FAULT_FLAG_WRITE | flags.FAULT_FLAG_REMOTE
    assert f"{write:x}" == "81"
    assert f"{write | flags.FAULT_FLAG_ORIG_PTE_VALID:x}" == "881"


def test_bits_of_one_kind_are_distinct() -> None:
    for prefix in ("FAULT_FLAG_", "VM_FAULT_", "FOLL_"):
        bits = [value for name, value in vars(flags).items() if name.startswith(prefix) and name != "FAULT_FLAG_DEFAULT"]
        assert len(set(bits)) == len(bits)
        assert all(bit & bit - 1 == 0 for bit in bits)


def test_features_are_those_of_the_language() -> None:
    named = {"user-mode-only": "UFFD_USER_MODE_ONLY"}
    for word, bit in FEATURES.items():
        assert getattr(flags, named.get(word, "UFFD_FEATURE_" + word.upper().replace("-", "_"))) == bit
    assert PROTECTIONS["rw"] == flags.PROT_READ | flags.PROT_WRITE


def test_outcomes_are_distinct_and_no_errno() -> None:
    outcomes = [flags.OK, flags.BLOCKED, flags.SIGBUS, flags.SIGSEGV, flags.BUSY]
    assert sorted(outcomes) == [0, 1, 2, 3, 4]
