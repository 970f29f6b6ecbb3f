"""Hypothesis strategies: random valid tests, drawn from the action table and the table of claims."""

import itertools

from hypothesis import strategies as st

from breakcow.litmus.operations import HIGHEST, NUMBERS, PROCESSES
from breakcow.litmus.requirements import REQUIREMENTS
from breakcow.litmus.syntax import Atom, Comment, Expect, Fixed, PageRef, Step, Test
from breakcow.litmus.words import COUNTERS, KINDS, OUTCOMES, RESERVED
from breakcow.mm.actions import BIRTHS, KNOBS, LIMITS, PROTECTIONS, SCANS, VERBS, Verb

PRINTABLE = st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"])
TEXT = st.lists(st.text(PRINTABLE, min_size=1, max_size=8), min_size=1, max_size=5).map(" ".join)
COMMENT = st.one_of(st.just(""), TEXT.filter(lambda text: text.strip("# ") == text))
WORD = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)
PAGE = st.from_regex(r"[a-z][a-z0-9_]{0,4}", fullmatch=True).filter(lambda name: name not in RESERVED)
PAGES = st.lists(PAGE, min_size=1, max_size=LIMITS["pages"], unique=True)


@st.composite
def memories(draw: st.DrawFn) -> tuple[tuple[str, ...], ...]:
    pages = draw(PAGES)
    cuts = draw(st.sets(st.integers(1, len(pages))))
    edges = sorted({0, len(pages)} | cuts)
    return tuple(tuple(pages[low:high]) for low, high in itertools.pairwise(edges))


@st.composite
def arguments(draw: st.DrawFn, verb: Verb, children: list[str]) -> int:
    """`Step.argument`, built by hand from the pattern's holes as syntax.py words it."""
    if "{value}" in verb.pattern:
        return draw(st.integers(0, 255))
    if "{process}" in verb.pattern:
        return PROCESSES.index(draw(st.sampled_from(children)))
    for hole, names in (("{prot}", PROTECTIONS), ("{scan}", SCANS)):
        if hole in verb.pattern:
            return draw(st.sampled_from(list(names.values())))
    if "{features}" in verb.pattern:
        return draw(st.integers(0, 63))
    if "{knob}" in verb.pattern:
        knob = draw(st.sampled_from(list(KNOBS)))
        return KNOBS[knob] * 1000 + draw(st.integers(*NUMBERS[knob]))
    return draw(st.integers(*NUMBERS.get(verb.name, (0, HIGHEST)))) if "{number}" in verb.pattern else 0


@st.composite
def steps(draw: st.DrawFn, pages: list[str], alive: list[str], children: list[str]) -> Step:
    possible = [verb for verb in VERBS if (verb.kernel or alive) and (verb.name not in BIRTHS or children)]
    verb = draw(st.sampled_from(possible))
    process = "-" if verb.kernel else draw(st.sampled_from(alive))
    takes = "{each}" in verb.pattern or "{range}" in verb.pattern
    named = tuple(draw(st.lists(st.sampled_from(pages), min_size=1, unique=True))) if takes else ()
    value = draw(st.none() | st.integers(0, 255)) if verb.name == "read" else None
    outcome = "ok" if value is not None else draw(st.sampled_from(list(OUTCOMES.values())))
    return Step(process, verb.name, named, draw(arguments(verb, children)), outcome, value, draw(COMMENT))


@st.composite
def atoms(draw: st.DrawFn, process: str, pages: list[str], born: list[str]) -> Atom:
    owners = st.sampled_from(born)
    refs = st.builds(PageRef, owners, st.sampled_from(pages))
    if draw(st.integers(0, 4)) == 0:
        names = [name for name in COUNTERS if process != "-" or name != "ksm_merging_pages"]
        return Atom("counter", (), draw(st.integers(0, 9999)), draw(st.sampled_from(names)))
    fit = [kind for kind, how in KINDS.items() if how.pages <= len(born) * len(pages) and (process != "-" or how.pages)]
    kind = draw(st.sampled_from(fit))
    how = KINDS[kind]
    if kind == "event" and process != "-" and draw(st.booleans()):
        return Atom("event", (), None, "", True)
    named = tuple(draw(st.lists(refs, min_size=how.pages, max_size=how.pages + 3, unique=True))) if how.pages else ()
    if how.value:
        return Atom(kind, named, draw(st.integers(0, 255)))
    return Atom(kind, named, None, "", draw(st.booleans()))


@st.composite
def bodies(draw: st.DrawFn, pages: list[str]) -> tuple[Step | Expect | Comment, ...]:
    body: list[Step | Expect | Comment] = [Comment(text) for text in draw(st.lists(COMMENT, max_size=2))]
    alive, born = ["A"], ["A"]
    for _ in range(draw(st.integers(1, 12))):
        children = [name for name in PROCESSES if name not in born]
        step = draw(steps(pages, alive, children))
        body.append(step)
        if step.verb in BIRTHS:
            alive.append(PROCESSES[step.argument])
            born.append(PROCESSES[step.argument])
        if step.verb == "exit":
            alive.remove(step.process)
        if draw(st.booleans()):
            process = draw(st.sampled_from(["-", *born]))
            body.append(Expect(process, tuple(draw(st.lists(atoms(process, pages, born), min_size=1, max_size=4))), draw(COMMENT)))
        if draw(st.integers(0, 3)) == 0:
            body.append(Comment(draw(COMMENT)))
    return tuple(body)


@st.composite
def descriptions(draw: st.DrawFn) -> str:
    """Lines, some indented, some blank between; as `parse` leaves them: the first line says where the margin is."""
    lines = [draw(TEXT)]
    for _ in range(draw(st.integers(0, 3))):
        lines += [""] * draw(st.integers(0, 2))
        lines.append(" " * draw(st.integers(0, 3)) + draw(TEXT))
    return "\n".join(lines)


@st.composite
def valid_tests(draw: st.DrawFn) -> Test:
    memory = draw(memories())
    option = st.tuples(WORD, WORD).map("=".join)
    suffix = draw(st.just("") | st.lists(option, min_size=1, max_size=3).map(lambda options: f"[{','.join(options)}]"))
    release = st.from_regex(r"[0-9]\.[0-9]{1,2}", fullmatch=True)
    fixes = draw(st.lists(st.builds(Fixed, release, st.from_regex(r"[0-9a-f]{12}", fullmatch=True), TEXT), max_size=2))
    return Test(
        name=f"{draw(WORD)}/{draw(WORD)}{suffix}",
        description=draw(st.just("") | descriptions()),
        require=tuple(draw(st.lists(st.sampled_from(list(REQUIREMENTS)), unique=True, max_size=4))),
        memory=memory,
        body=draw(bodies([page for mapping in memory for page in mapping])),
        fixed=tuple(fixes),
        unfixed="" if fixes else draw(st.just("") | WORD.map(lambda word: f"docs/finds/{word}.md")),
        covers=tuple(draw(st.lists(TEXT, max_size=2))),
    )
