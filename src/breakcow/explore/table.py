"""The set of all states seen: an open-addressing table of 64-bit hashes, which several threads fill at once. Compiled with the rules."""

from breakcow.explore.packing import persistent
from breakcow.explore.together import compare_and_swap
from breakcow.explore.words import Row, Words

ODD = -7046029254386353131  # odd 64-bit constants with no pattern in their bits
MIX = -4658895280553007687
LOW_32 = 0xFFFFFFFF


def copy_row(raw: Words, i: int, k: int) -> None:
    """Row `k` becomes row `i`, but for what the next step clears."""
    for word in range(persistent()):
        raw[k, word] = raw[i, word]


def same_row(raw: Words, i: int, k: int) -> int:
    """Whether rows `i` and `k` are the same state: the step between them changed nothing that outlasts it."""
    changed = 0
    for word in range(persistent()):  # all of them: without a way out they are compared several at a time
        changed |= raw[k, word] ^ raw[i, word]
    return 0 if changed else 1


def hash_row(raw: Words, i: int) -> int:
    """The hash of row `i`, never 0, for 0 is an empty slot of the table. Four lanes keep the multiplier busy."""
    a, b, c, d = ODD, MIX, ~ODD, ~MIX
    w = 0
    while w + 4 <= persistent():
        a = stir(a ^ raw[i, w])
        b = stir(b ^ raw[i, w + 1])
        c = stir(c ^ raw[i, w + 2])
        d = stir(d ^ raw[i, w + 3])
        w += 4
    while w < persistent():
        a = stir(a ^ raw[i, w])
        w += 1
    h = stir(stir(stir(a) ^ b) ^ c) ^ d
    h = stir(h ^ h >> 32 & LOW_32)
    return h if h else 1


def stir(h: int) -> int:
    """Spread every bit of `h` over the word."""
    h *= ODD
    return h ^ h >> 29 & 0x7FFFFFFFF


def find_or_insert(table: Row, h: int) -> int:
    """1 if `h` was not in the table; it is now. The table must have an empty slot."""
    mask = table.shape[0] - 1
    slot = h & mask
    while 1:
        seen = table[slot]
        if seen == 0:
            seen = compare_and_swap(table, slot, h)  # type: ignore[call-arg]  # Numba gives the first argument
            if seen == 0:
                return 1
        if seen == h:
            return 0
        slot = slot + 1 & mask


def move_all(old: Row, new: Row) -> None:
    """Insert every hash of `old` into the larger table `new`."""
    for slot in range(old.shape[0]):
        if old[slot]:
            find_or_insert(new, old[slot])
