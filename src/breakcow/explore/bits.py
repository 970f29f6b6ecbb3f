"""Some bits of a word moved together, and back. Compiled with the rules where the processor has no instruction for it (pext, pdep)."""


def gather(word: int, kept: int) -> int:
    """The bits of `word` that `kept` has, moved together to the low end."""
    gathered = 0
    at = 0
    for bit in range(64):
        if kept >> bit & 1:
            gathered |= (word >> bit & 1) << at
            at += 1
    return gathered


def scatter(word: int, kept: int) -> int:
    """The low bits of `word`, moved to where the bits of `kept` are."""
    scattered = 0
    at = 0
    for bit in range(64):
        if kept >> bit & 1:
            scattered |= (word >> at & 1) << bit
            at += 1
    return scattered
