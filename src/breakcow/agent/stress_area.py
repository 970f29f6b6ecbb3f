"""A mapping of a stress process, and what the process knows of each of its pages: content, protection, who may have changed its frame."""

import ctypes
import os
import struct
from dataclasses import dataclass

from . import abi
from .abi import PAGE
from .observe import KPF_KSM, KPF_ZERO_PAGE, Bits
from .reading import PFN, PRESENT, SOFT_DIRTY, UFFD_WP

HOLE = bytes(PAGE)


@dataclass(slots=True)
class Page:
    """What is known of one page.

    content: its bytes. present: something is mapped. stored: the process has stored to it since it was mapped. own: it has stored to it
    since its last fork, so that its frame is no relative's. mergeable: of its vma. protected: the user has write-protected it.
    dirty: stored to since clear_refs. frame: pfn when last looked, 0 for none. left: a known bug has left a KSM page here.
    stale: it was protected when mremap moved it, and not stored to since: before 6.14 the bit stays, and counts again once registered.
    read_at_fork: nobody had stored to it when this process was born: before 5.19 fork need not have copied its entry.
    replaced_protected, replaced_dirty: ksmd has changed its frame, or may have, since it was protected, since it was stored to.
    """

    content: bytes = HOLE
    present: bool = False
    stored: bool = False
    own: bool = False
    mergeable: bool = False
    protected: bool = False
    dirty: bool = False
    frame: int = 0
    left: bool = False
    stale: bool = False
    replaced_protected: bool = False
    replaced_dirty: bool = False
    read_at_fork: bool = False

    def replaced(self) -> None:
        """Its frame is, or may be, another than before, by ksmd's doing."""
        self.replaced_protected = self.replaced_dirty = True


class Area:
    """One mapping.

    armed: "" or "plain" or "fork", the events of the userfaultfd that it is registered with. opener: the process that opened that, whose
    descendants have copies of their own if it tells of forks. ours: it is our own.
    """

    def __init__(self, start: int, pages: int) -> None:
        self.start = start
        self.pages = [Page() for _ in range(pages)]
        self.armed = self.opener = ""
        self.ours = False
        self.map()

    def map(self) -> None:
        """Map it anew: nothing is there."""
        flags = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS | abi.MAP_FIXED_NOREPLACE
        abi.syscall(abi.MMAP, self.start, self.length, abi.PROT_RW, flags, -1, 0)
        self.pages = [Page() for _ in self.pages]
        self.armed, self.ours = "", False

    @property
    def length(self) -> int:
        """In bytes."""
        return len(self.pages) * PAGE

    def address(self, page: int) -> int:
        """Where a page lies."""
        return self.start + page * PAGE

    def load(self, page: int) -> bytes:
        """The page, as a load sees it."""
        return ctypes.string_at(self.address(page), PAGE)


class Looker:
    """Reads page table entries of the process that it is made in, and flags and mapcounts of frames."""

    def __init__(self, bits: Bits, files: tuple[int, int]) -> None:
        self.bits = bits
        self.kpageflags, self.kpagecount = files
        self.pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        self.mem = os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC)

    def close(self) -> None:
        """Release what belongs to this process."""
        os.close(self.pagemap)
        os.close(self.mem)

    def entries(self, area: Area, first: int, count: int) -> list[int]:
        """The pagemap entries of pages."""
        data = os.pread(self.pagemap, count * 8, area.address(first) // PAGE * 8)
        return list(struct.unpack(f"<{count}Q", data))

    def shared(self, entry: int, own: bool) -> bool:
        """It maps a KSM page. Where KPF_KSM lies: a page of our own that is mapped twice; other KSM pages then stay unseen."""
        if not entry & PRESENT:
            return False
        if self.bits.ksm:
            return bool(self._flags(entry) & KPF_KSM)
        return own and not self.zero(entry) and self._number(self.kpagecount, entry) > 1

    def may_be_shared(self, entry: int, own: bool) -> bool:
        """It maps a KSM page, or this kernel does not tell."""
        return bool(entry & PRESENT) and (self.shared(entry, own) or not (self.bits.ksm or own))

    def zero(self, entry: int) -> bool:
        """It maps the zero page."""
        return bool(entry & PRESENT and self._flags(entry) & KPF_ZERO_PAGE)

    def lost_protection(self, entry: int) -> bool:
        """This kernel shows the uffd-wp bit, and it is not there."""
        return self.bits.uffd_wp and not entry & UFFD_WP

    def lost_dirt(self, entry: int) -> bool:
        """This kernel shows the soft-dirty bit, and it is not there."""
        return self.bits.soft_dirty and not entry & SOFT_DIRTY

    def _flags(self, entry: int) -> int:
        return self._number(self.kpageflags, entry)

    def _number(self, file: int, entry: int) -> int:
        return int(struct.unpack("<Q", os.pread(file, 8, (entry & PFN) * 8))[0])


def frame(entry: int) -> int:
    """The pfn of an entry, 0 if nothing is present."""
    return entry & PFN if entry & PRESENT else 0
