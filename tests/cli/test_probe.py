"""`breakcow probe`: the profiles of real kernels, measured. Kernels that are not cached are skipped."""

import json

import pytest

from breakcow.backend.vm.kernels import cached
from breakcow.cli.main import run
from breakcow.kernel import PROFILES

MEASURED_ALWAYS = {"6.1", "7.2"}
SHIPPED = {
    "5.10": "5.10",
    "6.1": "6.1.192",
    "6.12": "6.12",
    "6.16": "6.16",
    "6.18": "6.18.15",
    "7.1": "7.2",
    "7.2": "7.2",
    "7.3": "7.3",
}


@pytest.mark.vm
@pytest.mark.parametrize(
    ("series", "profile"),
    [pytest.param(*one, marks=() if one[0] in MEASURED_ALWAYS else pytest.mark.long) for one in SHIPPED.items()],
)
def test_the_measured_profile_of_a_stock_kernel_is_the_shipped_one(series: str, profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    if series not in {kernel.series for kernel in cached()}:
        pytest.skip(f"needs breakcow kernels fetch {series}")
    assert run(["probe", "--on", f"vm:{series}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["profile"] == profile
    assert found["differs"] == {}
    values = {one["behaviour"]: one["value"] for one in found["behaviours"]}
    assert values["break_ksm"] == ("unshare" if PROFILES[profile].break_ksm else "fake-write")
    assert all(one["how"] == "measured" or one["how"].startswith("as ") for one in found["behaviours"])


def test_a_model_is_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["probe", "--on", "model:6.1"]) == 2
    assert "name a kernel, as host or vm:6.1" in capsys.readouterr().err


def test_a_file_that_is_no_kernel_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["probe", "--on", "vm:/etc/passwd"]) == 3
    assert capsys.readouterr().err == "breakcow: /etc/passwd is not a bzImage for x86-64.\n"
