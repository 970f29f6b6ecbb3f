"""An initramfs made of the Python that is running and the agent: no compiler, no distribution image.

A child of the same interpreter imports the agent and says which modules and shared libraries that took; these, the interpreter and a
short /init go into a cpio archive. Modules go in compiled, ELF files without their debug information.
"""

import hashlib
import importlib.util
import json
import marshal
import os
import stat
import subprocess
import sys
from pathlib import Path

from breakcow.backend.vm import cpio, elf
from breakcow.backend.vm.cache import UnavailableError, folder, fresh, locked
from breakcow.backend.vm.cpio import Entry

_HERE = Path(__file__).parent
_BREAKCOW = Path(__file__).parents[2]
STDLIB = f"usr/{sys.platlibdir}/python{sys.version_info.major}.{sys.version_info.minor}"
_INIT = "#!/usr/bin/python -IS\nimport guest\nguest.main({agent!r})\n"
_LISTING = """
import importlib, json, os, pkgutil, sys
from importlib.machinery import SourceFileLoader
guest, agent, root, breakcow = sys.argv[1:]
SourceFileLoader("guest", guest).load_module()
sys.path += [root, breakcow]
package = importlib.import_module(agent.rpartition(".")[0] or agent)
for found in pkgutil.iter_modules(getattr(package, "__path__", [])):
    if found.name != "__main__":
        importlib.import_module(package.__name__ + "." + found.name)
importlib.import_module(agent)
files = {os.path.realpath(line.split(None, 5)[5].strip()) for line in open("/proc/self/maps") if "/" in line}
modules = {name: module.__file__ for name, module in sys.modules.items() if getattr(module, "__file__", None)}
packages = [name for name, module in sys.modules.items() if hasattr(module, "__path__")]
json.dump({"exe": os.path.realpath("/proc/self/exe"), "mapped": sorted(files), "modules": modules, "packages": packages}, sys.stdout)
"""
LIBRARY_PATH = "/lib"
"""Where the guest's loader must look for libraries: `LD_LIBRARY_PATH` of the kernel command line."""


def image(agent: str = "breakcow.agent.controller") -> Path:
    """The initramfs whose init runs `main()` of the module `agent`; made when the cache has none for this Python and these sources."""
    root = _root(agent)
    target = folder("initramfs", _key(agent, root))
    if not (target / "initramfs").exists():
        with locked(target):
            if not (target / "initramfs").exists():
                with fresh(target) as part:
                    (part / "initramfs").write_bytes(cpio.archive(_entries(agent, root)))
    return target / "initramfs"


def _root(agent: str) -> Path:
    """The folder that `agent`'s outermost package is imported from."""
    spec = importlib.util.find_spec(agent)
    if spec is None or spec.origin is None:
        raise UnavailableError(f"There is no module {agent} to run in a VM.")
    return Path(spec.origin).parents[agent.count(".")]


def _key(agent: str, root: Path) -> str:
    """A hash of all that the archive depends on."""
    own = [_HERE / name for name in ("guest.py", "initramfs.py", "cpio.py", "elf.py")]
    sources = sorted(root.joinpath(*agent.split(".")[:-1]).glob("*.py")) if "." in agent else [root / f"{agent}.py"]
    digest = hashlib.sha256(f"{sys.version} {agent}".encode())
    for path in [*own, *sorted(_BREAKCOW.glob("agent/*.py")), *sorted(_BREAKCOW.glob("snapshots/*.py")), *sources]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for path in (Path(sys.executable).resolve(), Path(os.__file__)):
        digest.update(f"{path} {path.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _entries(agent: str, root: Path) -> list[Entry]:
    command = [sys.executable, "-I", "-S", "-B", "-c", _LISTING, str(_HERE / "guest.py"), agent, str(root), str(_BREAKCOW.parent)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode != 0:
        raise UnavailableError(f"This Python cannot import the agent by itself: {child.stderr.strip().splitlines()[-1]}")
    listing = json.loads(child.stdout)
    devices = [
        Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        Entry("dev/null", stat.S_IFCHR | 0o666, device=(1, 3)),
        Entry("dev/urandom", stat.S_IFCHR | 0o666, device=(1, 9)),  # Python wants it before anything is mounted
        Entry("dev/ttyS1", stat.S_IFCHR | 0o600, device=(4, 65)),
    ]
    folders = [Entry(name, stat.S_IFDIR | 0o755) for name in ("proc", "sys", "tmp")]
    init = Entry("init", stat.S_IFREG | 0o755, _INIT.format(agent=agent).encode())
    return [*devices, *folders, init, *_binaries(listing["exe"], listing["mapped"]), *_modules(listing["modules"], listing["packages"])]


def _binaries(exe: str, mapped: list[str]) -> list[Entry]:
    """The interpreter as /usr/bin/python, its loader where it asks for it, and all libraries in /lib by the name they are linked by."""
    program = Path(exe).read_bytes()
    loader = elf.interpreter(program)
    entries = [Entry("usr/bin/python", stat.S_IFREG | 0o755, elf.loaded_part(program))]
    if loader:
        entries.append(Entry(loader.lstrip("/"), stat.S_IFREG | 0o755, Path(loader).read_bytes()))
    for path in mapped:
        data = Path(path).read_bytes() if path not in (exe, os.path.realpath(loader)) and ".so" in path else b""
        if elf.is_elf(data) and "lib-dynload" not in path:
            name = elf.soname(data) or Path(path).name
            entries.append(Entry(f"lib/{name}", stat.S_IFREG | 0o755, elf.loaded_part(data)))
    return entries


def _modules(modules: dict[str, str], packages: list[str]) -> list[Entry]:
    """Every module at its place in the standard library's folder."""
    entries = []
    for name, file in sorted(modules.items()):
        place = f"{STDLIB}/{name.replace('.', '/')}" + ("/__init__" if name in packages else "")
        if file.endswith(".py"):
            code = compile(Path(file).read_bytes(), place + ".py", "exec", dont_inherit=True)
            header = importlib.util.MAGIC_NUMBER + bytes(12)
            entries.append(Entry(place + ".pyc", stat.S_IFREG | 0o644, header + marshal.dumps(code)))
        elif ".so" in file:
            entries.append(Entry(f"{STDLIB}/lib-dynload/{Path(file).name}", stat.S_IFREG | 0o755, elf.loaded_part(Path(file).read_bytes())))
    return entries
