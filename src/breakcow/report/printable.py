"""The one place where text of tests, guests and files is made harmless for terminals, markup and line formats."""

import re
import unicodedata

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # control, format (bidi), surrogates, private, unassigned, separators
ORDINARY = re.compile(r"[ -~]*")


def printable(text: str) -> str:
    """`text` as one harmless line: what a terminal or a parser could act on is shown as an escape such as \\x1b or \\n."""
    if ORDINARY.fullmatch(text):
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in HARMFUL else char for char in text)


def printable_lines(text: str) -> list[str]:
    """The lines of `text`, each harmless; a tab becomes spaces."""
    return [printable(line.expandtabs(4)) for line in text.split("\n")]


def _escaped(char: str) -> str:
    """A character as the escape that Python has for it."""
    return char.encode("unicode_escape").decode() if char.isascii() or ord(char) > 0xFF else f"\\x{ord(char):02x}"
