"""A state graph as a page to walk through: no network, no script. Columns are steps; a click on a state shows all about it."""

from collections.abc import Iterator
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement

from breakcow.backend.observation import PageSeen
from breakcow.explore.bound import Bound
from breakcow.explore.graph import Edge, Graph, Node
from breakcow.explore.program import PROCESSES
from breakcow.litmus import to_text
from breakcow.litmus.operations import phrase
from breakcow.mm.actions import FEATURES
from breakcow.mm.promises import PROMISES
from breakcow.mm.schema import State
from breakcow.report.markup import add, document, written
from breakcow.report.printable import printable
from breakcow.report.storyboard import cell, ending

WIDE, GAP, LINE, APART = 270, 210, 16, 14  # of a state, between columns, of a line, between states: CSS pixels
MARKS = {
    "a = 1": "the frame a is mapped, and holds 1",
    "W, ro": "the entry is writable, read-only",
    "wp": "write-protected by userfaultfd",
    "sd": "reads soft-dirty",
    "ksm": "a KSM page",
    "x2": "the frame is mapped two times",
    "*": "changed by the step that leads here",
}
BITS = (("uffd_wp", "wp"), ("soft_dirty", "sd"), ("ksm", "ksm"))
FACTS = (  # what a page table entry does not show: grid, field, word
    ("vma", "mergeable", "mergeable"),
    ("vma", "registered", "registered"),
    ("ghost", "armed", "armed"),
    ("ghost", "unmerged", "unmerged"),
    ("ref", "pinned", "pinned"),
    ("ref", "spliced", "spliced"),
    ("rmap", "exists", "visited"),
)


def page(graph: Graph) -> str:
    """The whole document."""
    rules = (_rule(node.number) for node in graph.nodes)
    root, main = document("breakcow: states", "page.css", "graph.css", "\n".join(rules))
    places = _places(graph)
    box = SubElement(main, "div", {"class": "graph", "tabindex": "0", "role": "region", "aria-label": "states"})
    width = max(x + WIDE for x, _, _ in places) + APART
    height = max(y + tall for _, y, tall in places) + APART
    room = SubElement(box, "div", {"class": "room", "style": f"width:{width}px;height:{height}px"})
    drawing = SubElement(room, "svg", {"width": str(width), "height": str(height), "aria-hidden": "true"})
    for pair in _pairs(graph):
        _edge(drawing, graph, pair, places)
    for node in graph.nodes:
        _state(room, graph, node, places[node.number])
    beside = SubElement(main, "aside")
    _about(beside, graph)
    for node in graph.nodes:
        _details(beside, graph, node)
    return written(root)


def _rule(number: int) -> str:
    """What shows while a state is chosen: its details, and the edges from and to it."""
    chosen = f"body:has(#s{number}:target)"
    return (
        f"{chosen} #d{number} {{ display: block; }} {chosen} :is(.f{number}, .t{number}, .f{number} text) {{ display: inline; }} "
        f"{chosen} .f{number} path {{ opacity: 1; stroke-width: 2; }} {chosen} .t{number} path {{ opacity: 1; }}"
    )


def _places(graph: Graph) -> list[tuple[int, int, int]]:
    """Left, top and height of each state: a column for each depth, a state not above the one that it comes from."""
    free: dict[int, int] = {}
    places: list[tuple[int, int, int]] = []
    for node in graph.nodes:
        tall = LINE * len(list(_lines(graph, node))) + 8
        above = places[node.before][1] if node.before >= 0 else APART
        top = max(free.get(node.depth, APART), above)
        free[node.depth] = top + tall + APART
        places.append((APART + node.depth * (WIDE + GAP), top, tall))
    return places


def _pairs(graph: Graph) -> list[list[Edge]]:
    """The edges between two states that are not one, together."""
    ends = sorted(graph.edges, key=lambda edge: (edge.source, edge.target))
    return [list(edges) for (source, target), edges in groupby(ends, lambda edge: (edge.source, edge.target)) if source != target]


def _edge(drawing: Element, graph: Graph, edges: list[Edge], places: list[tuple[int, int, int]]) -> None:
    """A line from state to state and, where it ends, the operations that take it."""
    source, target = edges[0].source, edges[0].target
    tree = graph.nodes[target].before == source
    group = SubElement(drawing, "g", {"class": f"edge{' tree' if tree else ''} f{source} t{target}"})
    left, top, tall = places[source]
    x, y = left + WIDE, top + tall // 2
    to_x, to_y = places[target][0], places[target][1] + places[target][2] // 2
    bend = GAP // 2 if to_x > x else GAP
    SubElement(group, "path", {"d": f"M{x} {y} C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"})
    words = [_words(edge) for edge in edges]
    text = words[0] if len(words) == 1 else f"{words[0]}, {len(words) - 1} more"
    add(group, "text", text, x=str(to_x - 6), y=str(to_y - 5 if tree else to_y + 13))


def _words(edge: Edge) -> str:
    """An operation as a litmus test says it, and how it ended if it did not go well."""
    said = f"{edge.step.process} {phrase(edge.step)}"
    said += f" (choices {edge.choices:b})" if edge.choices else ""
    return said if edge.step.outcome == "ok" else f"{said}: {edge.step.outcome}"


def _state(room: Element, graph: Graph, node: Node, place: tuple[int, int, int]) -> None:
    """A state as a box: what its pages are, and which promises are broken."""
    left, top, tall = place
    style = f"left:{left}px;top:{top}px;width:{WIDE}px;height:{tall}px"
    box = SubElement(room, "a", {"id": f"s{node.number}", "href": f"#s{node.number}", "style": style})
    box.set("class", "state broken" if node.promises else "state")
    before = {text for _, text in _lines(graph, graph.nodes[node.before])} if node.before >= 0 else None
    for kind, text in _lines(graph, node):
        changed = before is not None and text not in before and kind not in ("head", "")
        add(box, "span", text, f"{kind} changed" if changed else kind)


def _lines(graph: Graph, node: Node) -> Iterator[tuple[str, str]]:
    """The lines in the box of a state: their kind, and the words."""
    yield "head", f"{node.number}"
    for promise in node.promises:
        yield "head", promise
    for p, (name, process) in enumerate(node.seen.processes.items()):
        if process.state != "running":
            yield "process", f"{name} {process.state}"
        for v, (page_, seen) in enumerate(process.pages.items()):
            yield "page", f"{name} {page_}  {_short(seen)}"
            facts = [word for grid, field, word in FACTS if getattr(getattr(node.state, grid)[p, v], field)]
            if facts:
                yield "facts", f"{' '.join(facts)}"
    yield from _settings(node.state, graph.bound)


def _short(seen: PageSeen) -> str:
    """A page in marks: `a = 1 W sd`."""
    bits = [word for field, word in BITS if getattr(seen, field)]
    if seen.state not in ("page", "zero"):
        return " ".join([seen.state, *bits])
    frame = f"{chr(ord('a') + seen.frame)} = {seen.content}" if seen.frame is not None else "zero page"
    times = [f"x{seen.mapcount}"] if seen.mapcount and seen.mapcount > 1 else []
    return " ".join([frame, "W" if seen.writable else "ro", *bits, *times])


def _settings(state: State, bound: Bound) -> Iterator[tuple[str, str]]:
    """Processes with a userfaultfd, and ksmd where it is not as it started."""
    for p in range(state.bounds.processes):
        if state.proc[p].uffd:
            features = [word for word, bit in FEATURES.items() if state.proc[p].features & bit]
            yield "process", " ".join(["userfaultfd of", PROCESSES[p], *features])
    if state.ksm.run != 1 and "ksm_run" in bound.operations:
        yield "process", f"ksm run {state.ksm.run}"


def _about(beside: Element, graph: Graph) -> None:
    """What the picture shows."""
    add(beside, "h1", f"{graph.profile.name}: {len(graph.nodes)} states, {len(graph.edges)} steps")
    bound = graph.bound
    words = f"{bound.processes} processes, {bound.pages} pages, {bound.contents} contents and zeros, {bound.depth} steps of "
    add(beside, "p", f"Every program of {words}{', '.join(bound.operations)}.")
    broken = sum(bool(node.promises) for node in graph.nodes)
    add(beside, "p", f"{broken} states break a promise; no program goes on from there." if broken else "No promise is broken.")
    box = SubElement(beside, "details")
    add(box, "summary", "How to read it")
    add(
        box,
        "p",
        "A column for each number of steps. Drawn is the first way to each state; a click on a state shows all ways from it and to it.",
    )
    add(box, "p", "Contents are interchangeable: a step may lead to a state whose own program stores other contents in the same places.")
    listed = SubElement(box, "dl")
    for mark, meaning in MARKS.items():
        add(listed, "dt", mark)
        add(listed, "dd", meaning)


def _details(beside: Element, graph: Graph, node: Node) -> None:
    """All about one state: how one comes here, what is here, what follows."""
    section = SubElement(beside, "section", {"id": f"d{node.number}"})
    add(section, "h2", f"State {node.number}, after {node.depth} steps")
    meanings = dict(PROMISES)
    for promise in node.promises:
        add(section, "p", f"{promise} is broken: {meanings[promise]}", "broken")
    if node.steps:
        add(section, "p", f"The last step: {ending([node.seen])}")
    _pages(section, node)
    _follows(section, graph, node)
    _leads_here(section, graph, node)
    _changes(section, node)
    if not node.steps:
        add(section, "p", "Every program starts here.")
        return
    add(section, "h3", "A shortest program that leads here")
    add(section, "pre", kind="program", tabindex="0", **{"aria-label": "program"}).text = to_text(node.test)


def _pages(section: Element, node: Node) -> None:
    """What a perfect observer sees of each page."""
    table = SubElement(SubElement(section, "table", {"class": "board"}), "tbody")
    for name, process in node.seen.processes.items():
        for page_, seen in process.pages.items():
            row = SubElement(table, "tr")
            add(row, "th", f"{name} {page_}", scope="row")
            add(row, "td", cell(seen))


def _follows(section: Element, graph: Graph, node: Node) -> None:
    """The steps from here, each a link to where it leads; those that change nothing in one line."""
    leaving = [edge for edge in graph.edges if edge.source == node.number]
    if not leaving:
        add(section, "p", "Nothing follows: a promise is broken." if node.promises else "Nothing follows: no more steps are allowed.")
        return
    add(section, "h3", "What follows")
    listed = SubElement(section, "ul")
    for edge in leaving:
        if edge.target != node.number:
            _link(SubElement(listed, "li"), graph.nodes[edge.target], _words(edge))
    same = [_words(edge) for edge in leaving if edge.target == node.number]
    if same:
        add(section, "p", f"Changes nothing: {', '.join(same)}.")


def _leads_here(section: Element, graph: Graph, node: Node) -> None:
    """The steps that end here, each a link to where it starts."""
    coming = [edge for edge in graph.edges if edge.target == node.number != edge.source]
    if coming:
        add(section, "h3", "What leads here")
        listed = SubElement(section, "ul")
        for edge in coming:
            _link(SubElement(listed, "li"), graph.nodes[edge.source], _words(edge))


def _link(item: Element, node: Node, words: str) -> None:
    """Words, and a link to a state."""
    item.text = f"{printable(words)}: "
    kind = "broken" if node.promises else "to"
    add(item, "a", f"{node.number} {' '.join(node.promises)}".rstrip(), kind, href=f"#s{node.number}")


def _changes(section: Element, node: Node) -> None:
    """The fields of the specification's state that the last step changed."""
    if not node.changes:
        return
    add(section, "h3", "What the last step changed")
    table = SubElement(SubElement(section, "div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "changes"}), "table")
    for change in node.changes:
        row = SubElement(table, "tr")
        add(row, "th", f"{change.place} {change.field}", scope="row")
        add(row, "td", f"{change.before} \N{RIGHTWARDS ARROW} {change.after}")
        add(row, "td", change.meaning, "meaning")
