"""Which operations a kernel can be asked for."""

from breakcow.litmus.requirements import BY_VERB
from breakcow.mm.actions import VERB

EVERY = tuple(verb for verb in VERB if BY_VERB.get(verb) != "model-only")
UNSAID = frozenset(
    {
        "soft-dirty",
        "uffd-user-mode-only",
        "uffd-wp-unpopulated",
        "uffd-wp-async",
        "pagemap-scan",
        "merge-any",
        "populate",
        "smart-scan",
        "ksm-zero-pages",
    }
)
# a kernel without these refuses the operation or does nothing, and its model says the same


def possible(verbs: tuple[str, ...], able: dict[str, str]) -> tuple[str, ...]:
    """Those of `verbs` that a kernel with these abilities can run, or refuses as its model does."""
    words = {verb: BY_VERB.get(verb, "") for verb in verbs}
    return tuple(verb for verb in verbs if not words[verb] or words[verb] in UNSAID or not able.get(words[verb]))
