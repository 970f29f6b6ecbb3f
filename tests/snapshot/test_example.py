"""The example that is in the docs: checkpoints of a program that trains."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from breakcow.snapshots import features

EXAMPLE = Path(__file__).parents[2] / "examples" / "checkpoint" / "train.py"


def test_checkpoints_are_not_torn(tmp_path: Path) -> None:
    """A plain copy in the background may be torn, and is where there is enough to copy; nothing else ever is."""
    if why := features.lacking(features.measured()):
        pytest.skip(why)
    chart = tmp_path / "step-times.svg"
    command = [sys.executable, str(EXAMPLE), "--mib", "32", "--steps", "400", "--chart", str(chart)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    torn = dict(re.findall(r"^(\S.*?) +(\d) of 5", done.stdout, re.MULTILINE))
    assert torn.pop("copy in the background") in set("012345")
    assert torn == {"stop the world": "0", "fork": "0", "breakcow": "0"}
    assert chart.read_text().startswith("<svg")
