"""The set of all states seen: an open-addressing table of 64-bit hashes, which several threads fill at once. Compiled with the rules."""

from breakcow.explore.packing import packed_words, persistent
from breakcow.explore.together import compare_and_swap, copy_words, fold_product
from breakcow.explore.words import Row, Words

ODD = -7046029254386353131  # odd 64-bit constants with no pattern in their bits
MIX = -4658895280553007687


def copy_row(raw: Words, i: int, k: int) -> None:
    """Row `k` becomes row `i`, but for what the next step clears."""
    copy_words(raw, i, k, persistent())  # type: ignore[call-arg]  # Numba gives the first argument


def same_row(raw: Words, i: int, k: int) -> int:
    """Whether rows `i` and `k` are the same state: the step between them changed nothing that outlasts it."""
    changed = 0
    for word in range(persistent()):  # all of them: without a way out they are compared several at a time
        changed |= raw[k, word] ^ raw[i, word]
    return 0 if changed else 1


def hash_row(words: Words, i: int) -> int:
    """The hash of the packed state in row `i`, never 0, for 0 is an empty slot of the table: products of two words each, every word with a
    key of its own."""
    h = 0
    for w in range(0, packed_words() - 1, 2):
        h ^= fold_product(words[i, w] ^ ODD ^ w << 32, words[i, w + 1] ^ MIX ^ w << 32)  # type: ignore[call-arg]
    if packed_words() & 1:
        h ^= fold_product(words[i, packed_words() - 1] ^ ODD ^ packed_words() << 32, MIX)  # type: ignore[call-arg]
    h = fold_product(h ^ MIX, ODD)  # type: ignore[call-arg]
    return h if h else 1


def hash_under(words: Words, i: int, masks: Words, group: int) -> int:
    """The hash of the bits of row `i` that row `group` of `masks` has, and of the group; never 0."""
    h = group + 1
    for w in range(packed_words()):
        h = fold_product(h ^ words[i, w] & masks[group, w], ODD)  # type: ignore[call-arg]
    h = fold_product(h ^ MIX, ODD)  # type: ignore[call-arg]
    return h if h else 1


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
