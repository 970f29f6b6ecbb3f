"""Steps that were taken before. Compiled with the rules.

What the operations of a group read and change is known (`footprint.py`): their footprint, the bits of `masks`. So states that are alike
in it take the same steps, and each step changes the same bits to the same values. The first such state takes them by the rules, and what
became of the footprint is kept in `arena`; the next ones get it from there. What is kept is forgotten when the arena is full.

A place in the arena: transitions, how many of them change anything, and for each of these a word for action and choices, and the packed
words of the footprint. `keys` and `places` tell where the steps of a footprint with a hash are, in the slot of that hash.
"""

from breakcow.explore.packing import packed_words
from breakcow.explore.table import hash_row, hash_under
from breakcow.explore.words import Row, Words

TRANSITIONS = 0  # of `counts`
KEY = 0  # columns of `probes`, a row for each state of a block: the hash of its footprint,
STEPS = 1  # its transitions,
CHANGES = 2  # how many of them change anything, -1 if one breaks a promise,
WRITTEN = 3  # and where in the arena the next of them is written;
KNOWN = 4  # not 0: its steps came from the arena;
CHOSEN = 5  # the first rows name the states that the rules are asked about.
SHIFT = 32  # of the action in an entry, above the choices


def recall(
    frontier: Words,
    first: int,
    taken: int,
    number: int,
    masks: Words,
    group: int,
    keys: Row,
    places: Row,
    arena: Row,
    probes: Words,
    made: Words,
    fresh: Words,
    counts: Row,
) -> int:
    """The successors, by the operations of `group`, of the states from row `first` on whose footprints are known; `number` is that of the
    first. The row after the last."""
    for j in range(taken):
        probes[j, KEY] = hash_under(frontier, first + j, masks, group)
    for j in range(taken):
        probes[j, KNOWN] = keys[probes[j, KEY] & keys.shape[0] - 1] == probes[j, KEY]  # misses the caches, for all j at once
    k = 0
    for j in range(taken):
        if probes[j, KNOWN]:
            place = places[probes[j, KEY] & keys.shape[0] - 1]
            if k + arena[place + 1] > made.shape[0]:
                probes[j, KNOWN] = 0  # there is no room for so many: the rules are asked, who tell if there is none either
                continue
            counts[TRANSITIONS] += arena[place]
            k = replay(frontier, first + j, number + j, masks, group, arena, place, made, fresh, k)
    return k


def unknown(probes: Words, taken: int) -> int:
    """Choose the states of a block whose steps are not known; how many."""
    chosen = 0
    for j in range(taken):
        if not probes[j, KNOWN]:
            probes[chosen, CHOSEN] = j
            probes[j, STEPS] = 0
            chosen += 1
    return chosen


def replay(
    frontier: Words, i: int, number: int, masks: Words, group: int, arena: Row, place: int, made: Words, fresh: Words, k: int
) -> int:
    """The successors of row `i`, which is state `number`, from `place` of the arena: from row `k` on; the row after the last."""
    at = place + 2
    for _ in range(arena[place + 1]):
        made[k, 0] = number
        made[k, 1] = arena[at] >> SHIFT
        made[k, 2] = arena[at] & (1 << SHIFT) - 1
        for w in range(packed_words()):
            fresh[k, w] = frontier[i, w] & ~masks[group, w] | arena[at + 1 + w]
        made[k, 3] = hash_row(fresh, k)
        at += 1 + packed_words()
        k += 1
    return k


def keep_steps(
    made: Words, fresh: Words, k: int, first: int, chosen: int, masks: Words, group: int, keys: Row, places: Row, arena: Row, probes: Words
) -> None:
    """Keep the steps of the `chosen` states: the first `k` rows. `first` is the number of the first state of the block."""
    for x in range(chosen):
        probes[probes[x, CHOSEN], CHANGES] = 0
    for row in range(k):
        j = made[row, 0] - first
        if not made[row, 3]:
            probes[j, CHANGES] = -1
        elif probes[j, CHANGES] >= 0:
            probes[j, CHANGES] += 1
    make_room(chosen, k, keys, arena)
    for x in range(chosen):
        open_place(keys, places, arena, probes, probes[x, CHOSEN])
    for row in range(k):
        j = made[row, 0] - first
        if probes[j, CHANGES] >= 0:
            at = probes[j, WRITTEN]
            arena[at] = made[row, 1] << SHIFT | made[row, 2]
            for w in range(packed_words()):
                arena[at + 1 + w] = fresh[row, w] & masks[group, w]
            probes[j, WRITTEN] = at + 1 + packed_words()


def make_room(chosen: int, k: int, keys: Row, arena: Row) -> None:
    """Forget everything if the arena, whose first word tells how much of it is used, has no room for the steps of so many states."""
    if arena[0] + 2 * chosen + k * (1 + packed_words()) > arena.shape[0]:
        arena[0] = 1
        for slot in range(keys.shape[0]):
            keys[slot] = 0


def open_place(keys: Row, places: Row, arena: Row, probes: Words, j: int) -> None:
    """A place for the steps of state `j`, unless one of them breaks a promise: that is noted anew for each."""
    if probes[j, CHANGES] < 0:
        return
    place = arena[0]
    arena[place] = probes[j, STEPS]
    arena[place + 1] = probes[j, CHANGES]
    probes[j, WRITTEN] = place + 2
    arena[0] = place + 2 + probes[j, CHANGES] * (1 + packed_words())
    slot = probes[j, KEY] & keys.shape[0] - 1
    keys[slot] = probes[j, KEY]
    places[slot] = place
