"""States as bits: there and back, with the processor's instructions and with the loops that do the same."""

import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")

import numpy as np
from numba import njit

from breakcow.explore import compiled, together
from breakcow.explore.bits import gather, scatter
from breakcow.explore.bound import ALWAYS, KINDS, Bound
from breakcow.explore.search import Search
from breakcow.kernel import PROFILES

ONES = (1 << 64) - 1
WORDS = [0, 1, ONES, 1 << 63, *(random.Random(7).getrandbits(64) for _ in range(60))]


@njit
def _both(word: Any, kept: Any) -> Any:
    return together.pext(word, kept), together.pdep(word, kept)


@pytest.mark.skipif(not together.has_bmi2(), reason="this processor has neither pext nor pdep")
def test_the_loops_do_what_the_instructions_do() -> None:
    for word in WORDS:
        for kept in WORDS:
            both: Any = _both(*np.array([word, kept], np.uint64).view(np.int64))
            assert (gather(word, kept), scatter(word, kept)) == tuple(number & ONES for number in both), (hex(word), hex(kept))


@pytest.mark.compiled
def test_a_processor_without_them_searches_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank on ksmd's list may be -1, which lies in the highest byte of a word here and there."""
    bound = Bound(2, 1, contents=1, depth=6, operations=(*ALWAYS, *KINDS["ksm"], *KINDS["fork"]))
    tallies = [Search(PROFILES["7.2"], bound, symmetric=False).run()]
    compiled.load.cache_clear()
    monkeypatch.setattr(together, "has_bmi2", lambda: False)
    search = Search(PROFILES["7.2"], bound, symmetric=False)
    tallies.append(search.run())
    assert "gather(x" in Path(str(search.rules.__file__)).read_text()
    compiled.load.cache_clear()
    one, other = ((tally.states, tally.transitions, len(tally.finds)) for tally in tallies)
    assert one == other
    assert one[0] > 1000
