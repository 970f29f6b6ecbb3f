"""What the pages of a run contain: value 0 is all zero bytes, any other a 16-byte pattern that only this run has.

The nonce keeps pages of others from merging with ours. The value comes last, so the order of pages in KSM's trees is the same in every run.
"""

import os

from .abi import PAGE


class Contents:
    """The patterns of one run. `nonce`: 15 bytes, random if not given."""

    def __init__(self, nonce: bytes = b"") -> None:
        self.nonce = (nonce or os.urandom(15)).ljust(15, b"\x5a")[:15]
        self.made = {0: bytes(PAGE)}

    def page(self, value: int) -> bytes:
        """The bytes of a page with that value."""
        if value not in self.made:
            self.made[value] = (self.nonce + bytes((value,))) * (PAGE // 16)
        return self.made[value]

    def value(self, page: bytes) -> int:
        """The value of a page with those bytes, -1 if it is none of ours."""
        return page[15] if page == self.page(page[15]) else -1
