"""Numbers of some bits, one after the other in 64-bit words. Compiled with the rules."""

from breakcow.explore.words import Words


def put(out: Words, i: int, at: int, value: int, bits: int) -> int:
    """Write `value` to bit `at` of row `i` of `out`, where zeros are; the bit after it."""
    word = at >> 6
    shift = at & 63
    out[i, word] |= value << shift
    if shift + bits > 64:
        out[i, word + 1] |= value >> (64 - shift)
    return at + bits


def get(words: Words, i: int, at: int, bits: int) -> int:
    """The number of `bits` bits at bit `at` of row `i`."""
    word = at >> 6
    shift = at & 63
    value: int = words[i, word] >> shift
    if shift:
        value &= (1 << (64 - shift)) - 1
    if shift + bits > 64:
        value |= words[i, word + 1] << (64 - shift)
    return value & (1 << bits) - 1
