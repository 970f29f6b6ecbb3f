"""The agent's machine code is what the assembler makes of the column beside it."""

import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from breakcow.agent import gather, stub


@pytest.mark.skipif(not shutil.which("as") or not shutil.which("objcopy"), reason="needs as and objcopy of binutils")
@pytest.mark.parametrize("module", [gather, stub])
def test_bytes_are_what_the_assembler_makes(module: ModuleType, tmp_path: Path) -> None:
    source = ".intel_syntax noprefix\n" + "\n".join(line[1] for line in module.CODE) + "\n"
    (tmp_path / "code.s").write_text(source)
    for command in ("as code.s -o code.o", "objcopy -O binary -j .text code.o code.bin"):
        subprocess.run(command.split(), cwd=tmp_path, check=True)
    assert (tmp_path / "code.bin").read_bytes() == module.code()
