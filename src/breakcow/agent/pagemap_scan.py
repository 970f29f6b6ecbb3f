"""ioctl(PAGEMAP_SCAN) of /proc/PID/pagemap: which pages of a range are written, and write-protecting them (include/uapi/linux/fs.h)."""

import struct

from . import abi

PAGEMAP_SCAN = 0xC0606610
WRITTEN, PRESENT, SWAPPED, PFNZERO, SOFT_DIRTY = 1 << 1, 1 << 3, 1 << 4, 1 << 5, 1 << 7  # PAGE_IS_*
WP_MATCHING, CHECK_WPASYNC = 1, 2  # PM_SCAN_*
# number of the scan, as in the action table -> flags, category_inverted, category_mask, category_anyof_mask, return_mask
SCANS = (
    (0, 0, WRITTEN, 0, WRITTEN),
    (WP_MATCHING, 0, WRITTEN, 0, WRITTEN),
    (WP_MATCHING | CHECK_WPASYNC, 0, WRITTEN, 0, WRITTEN),
    (WP_MATCHING | CHECK_WPASYNC, 0, WRITTEN, 0, 0),
    (0, 0, 0, WRITTEN, WRITTEN),
    (0, WRITTEN, WRITTEN, 0, WRITTEN),
    *((0, 0, category, 0, category) for category in (PRESENT, SWAPPED, PFNZERO, SOFT_DIRTY)),
)
PROTECT = 3  # the one without a place for what it finds
REGIONS = 16  # of a range; no two of a test's pages need more


def scan(pagemap: int, start: int, length: int, number: int) -> tuple[str, set[int]]:
    """Scan a range of the process whose pagemap is open: "ok" or the errno's name, and the addresses of the pages that were reported."""
    flags, *masks = SCANS[number]
    regions = bytearray(REGIONS * 24)
    place = (0, 0) if number == PROTECT else (abi.address_of(regions), REGIONS)
    argument = struct.pack("<12Q", 96, flags, start, start + length, 0, *place, 0, *masks)
    outcome = abi.ioctl(pagemap, PAGEMAP_SCAN, bytearray(argument))
    found = [struct.unpack_from("<QQ", regions, at) for at in range(0, len(regions), 24)]
    return outcome, {page for first, end in found for page in range(first, end, abi.PAGE)}
