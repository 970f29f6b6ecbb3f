"""Lines for a slow wire: a byte over an emulated serial port takes as long as hundreds of instructions.

A line that begins with `z` is one deflated stream's next piece, in base64: lines that are like those before them become short. Any other
line is as it is. Whoever is asked in deflated lines answers in them.
"""

import binascii
import zlib

MARK = b"z"
TAIL = b"\0\0\xff\xff"  # how every flushed piece ends (RFC 7692, 7.2.1): it need not be sent


class Wire:
    """One end: what it sends, and what it has been sent. deflated: it was sent a deflated line, or is to begin with one."""

    def __init__(self, deflated: bool = False) -> None:
        self.deflated = deflated
        self._deflate = zlib.compressobj(1, wbits=-12, memLevel=5)
        self._inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)

    def pack(self, line: bytes) -> bytes:
        """A line, with its newline, as it is sent."""
        if not self.deflated:
            return line
        piece = self._deflate.compress(line) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return MARK + binascii.b2a_base64(piece.removesuffix(TAIL))

    def unpack(self, sent: bytes) -> bytes:
        """The line that was sent. ValueError for what no `pack` made."""
        if not sent.startswith(MARK):
            return sent
        self.deflated = True
        try:
            return self._inflate.decompress(binascii.a2b_base64(sent[1:]) + TAIL)
        except zlib.error as error:
            raise ValueError(f"no deflated line: {error}") from None
