"""What /proc/PID/maps and smaps say of ranges of memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from .pagemap import Range


@dataclass(frozen=True)
class Mapping:
    """A line of /proc/PID/maps. name: a path, "[heap]", or empty. inode: 0 if it is anonymous."""

    start: int
    end: int
    permissions: str
    inode: int
    name: str

    @property
    def anonymous(self) -> bool:
        """It is private and of no file: what userfaultfd can protect, and nobody else can write."""
        return self.permissions[3] == "p" and self.inode == 0 and not self.name.startswith(("[v", "anon_inode:", "/"))


def mappings(pid: int | str = "self") -> Iterator[Mapping]:
    """All mappings, in order."""
    with open(f"/proc/{pid}/maps") as file:
        for line in file:
            addresses, permissions, _, _, inode, *name = line.rstrip("\n").split(None, 5)
            start, _, end = addresses.partition("-")
            yield Mapping(int(start, 16), int(end, 16), permissions, int(inode), name[0] if name else "")


def strange(ranges: list[Range]) -> str:
    """Why userfaultfd cannot vouch for these ranges of this process, as a sentence; empty if they are private anonymous memory."""
    for mapping in mappings():
        if mapping.anonymous or not any(start < mapping.end and mapping.start < end for start, end in ranges):
            continue
        what = f"of the file {mapping.name}" if mapping.inode and mapping.name.startswith("/") else f"{mapping.name or 'special'}"
        if mapping.permissions[3] == "s":
            return (
                f"the memory at {mapping.start:#x} is shared ({what}): others can write it past this process's page tables. "
                "Use private memory, as mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)"
            )
        return f"the memory at {mapping.start:#x} is a mapping {what}, which userfaultfd does not write-protect"
    return ""


def pinned(pid: int | str = "self") -> str:
    """Why pinned memory forbids an image of this process, as a sentence; empty if none is pinned."""
    with open(f"/proc/{pid}/status") as file:
        size = next((line.split(None, 1)[1].strip() for line in file if line.startswith("VmPin:")), "0 kB")
    if size == "0 kB":
        return ""
    return f"{size} of this process are pinned (VmPin: buffers of io_uring or RDMA): a device may write them past its page tables"


def mergeable(ranges: list[Range], pid: int | str = "self") -> list[Range]:
    """What of the ranges KSM may merge (VmFlags "mg" of smaps)."""
    if not _ever_mergeable(pid):
        return []
    found: list[Range] = []
    span = (0, 0)
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            first, _, rest = line.partition(" ")
            if first == "VmFlags:":
                if "mg" in rest.split():
                    found += [(max(span[0], start), min(span[1], end)) for start, end in ranges if start < span[1] and span[0] < end]
            elif not first.endswith(":"):
                start, _, end = first.partition("-")
                span = int(start, 16), int(end, 16)
    return found


def _ever_mergeable(pid: int | str) -> bool:
    """Some memory of the process is mergeable; True where the kernel does not say (before 6.16)."""
    try:
        with open(f"/proc/{pid}/ksm_stat") as file:
            return "ksm_mergeable: no" not in file.read()
    except FileNotFoundError:  # built without KSM
        return False
