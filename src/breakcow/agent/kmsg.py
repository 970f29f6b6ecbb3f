"""The kernel's own words, as /dev/kmsg gives them (kernel/printk/printk.c: devkmsg_read): one record a read, in the order of printk()."""

import os
import re

from .gather import NEXT, Gather

WARNING = 4  # KERN_WARNING; lower is worse


class Kmsg:
    """The kernel's log from now on. OSError where there is none, or none for this user."""

    def __init__(self) -> None:
        self.file = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self.file, 0, os.SEEK_END)
        self.next = Gather([(self.file, 8192, NEXT)])

    def news(self) -> str:
        """The lines since the last call that are warnings or worse. What a system call printed is there when it returns."""
        lines: list[str] = []
        while True:
            try:
                record = self.next.one()
            except BrokenPipeError:  # printed over before it was read: the next read goes on with the oldest that is left
                continue
            if record is None:
                return "".join(lines)
            head, _, text = record.partition(b";")
            if int(head.split(b",")[0]) & 7 <= WARNING:
                lines.append(_plain(text.partition(b"\n")[0].decode("ascii", "replace")) + "\n")

    def close(self) -> None:
        """Release the file."""
        os.close(self.file)


def _plain(text: str) -> str:
    """The text without the escapes that the kernel puts in for line breaks, tabs and backslashes; all other escapes stay."""
    return re.sub(r"\\x(0a|09|5c)", lambda found: chr(int(found[1], 16)), text)
