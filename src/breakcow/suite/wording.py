"""What was seen, in the words of the litmus language."""

from breakcow.backend.observation import Event, Outcome, PageSeen

BITS = (
    ("ksm", "ksm"),
    ("uffd_wp", "protected"),
    ("soft_dirty", "soft-dirty"),
    ("writable", "writable"),
    ("dirty", "dirty"),
    ("exclusive", "exclusive"),
)


def page_words(page: PageSeen) -> str:
    """A page in words, all that is known of it: `frame 0, = 7, ksm, protected, mapped 2 times`."""
    words = [page.state if page.frame is None else f"frame {page.frame}"]
    if page.content is not None:
        words.append(f"= {page.content}" if page.content >= 0 else "content that the test never wrote")
    words += bits(page)
    if page.mapcount is not None:
        words.append("mapped once" if page.mapcount == 1 else f"mapped {page.mapcount} times")
    return ", ".join(words)


def bits(page: PageSeen) -> list[str]:
    """The bits that are set, by the names that `expect` has for them."""
    return [word for field, word in BITS if getattr(page, field)]


def outcome_words(outcome: Outcome) -> str:
    """How an operation ended: `ok`, `EIO`, `blocked`, `ok -> 7`, `ok, reported x y`."""
    if outcome.pages is not None:
        return f"{outcome.result}, reported {' '.join(outcome.pages) or 'nothing'}"
    return outcome.result if outcome.value is None else f"{outcome.result} -> {outcome.value}"


def event_words(event: Event) -> str:
    """A userfaultfd message: `event wp A x`."""
    return f"event {event.kind} {event.process} {event.page}".rstrip()
