"""Figures as a page that needs nothing else: for each benchmark a bar for each kernel, drawn as SVG, with the numbers beside it."""

from collections.abc import Sequence
from importlib.resources import files
from xml.etree.ElementTree import Element, SubElement, tostring

from breakcow.bench.figures import KINDS, Figure, Report
from breakcow.report.markup import POLICY
from breakcow.report.printable import printable

WIDTH, HEIGHT = 480, 22
STYLE = "svg { display: block; } rect { fill: #3584e4; } line { stroke: currentcolor; stroke-width: 2; } .tables { max-width: 70rem; }"


def page(reports: Sequence[Report], title: str = "breakcow: benchmarks") -> str:
    """The whole document."""
    root = Element("html", lang="en")
    _head(root, title)
    main = SubElement(SubElement(SubElement(root, "body"), "main"), "div", {"class": "tables"})
    _add(main, "h1", title)
    for number, report in enumerate(reports, 1):
        machine = report.machine
        words = f"{_name(reports, number - 1)}: {machine.kernel} on {machine.processor}, {machine.cpus} CPUs, {machine.memory} MiB"
        _add(main, "p", f"{words}; on {report.mib} MiB, after {report.warmup} rounds to warm up.")
    _add(main, "p", "A bar is the median, the line across its end goes from the lower to the upper quartile.")
    for name, kind in KINDS.items():
        found = [
            (_name(reports, number), figure) for number, report in enumerate(reports) for figure in report.figures if figure.name == name
        ]
        if found:
            _benchmark(main, f"{name}: {kind.what}", found)
    for number, report in enumerate(reports):
        for name, why in report.skipped.items():
            _add(main, "p", f"{name} on {_name(reports, number)}: no figure: {why}", **{"class": "skip"})
    return f"<!doctype html>\n{tostring(root, encoding='unicode', method='html')}\n"


def _name(reports: Sequence[Report], number: int) -> str:
    """What a report is called: its backend, with a number where two are of the same."""
    backends = [report.backend for report in reports]
    backend = backends[number]
    return f"{backend} [{backends[: number + 1].count(backend)}]" if backends.count(backend) > 1 else backend


def _head(root: Element, title: str) -> None:
    """Title, style, and the rule that nothing is ever loaded."""
    head = SubElement(root, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": POLICY})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    SubElement(head, "title").text = title
    SubElement(head, "style").text = files("breakcow.report").joinpath("page.css").read_text() + STYLE


def _add(parent: Element, tag: str, text: str = "", **attributes: str) -> Element:
    """A new element below `parent`. text: made harmless."""
    added = SubElement(parent, tag, attributes)
    added.text = printable(text)
    return added


def _benchmark(parent: Element, caption: str, found: Sequence[tuple[str, Figure]]) -> None:
    """A table with a row and a bar for each kernel."""
    box = SubElement(parent, "div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": caption})
    table = SubElement(box, "table")
    _add(table, "caption", caption)
    body = SubElement(table, "tbody")
    largest = max(max(figure.high, figure.median) for _, figure in found)
    more = "more is faster" if found[0][1].unit == "MiB/s" else "less is faster"
    for name, figure in found:
        row = SubElement(body, "tr")
        _add(row, "th", name, scope="row")
        _add(row, "td", f"{figure.median:.4g} {figure.unit}")
        _add(row, "td", f"{figure.low:.4g} to {figure.high:.4g}")
        _bar(SubElement(row, "td"), figure, WIDTH / largest)
    _add(box, "p", more)


def _bar(parent: Element, figure: Figure, scale: float) -> None:
    """The median as a bar, the quartiles as a line. What it says stands in numbers beside it."""
    size = {"width": str(WIDTH), "height": str(HEIGHT), "viewBox": f"0 0 {WIDTH} {HEIGHT}", "aria-hidden": "true"}
    svg = SubElement(parent, "svg", size)
    SubElement(svg, "rect", {"x": "0", "y": "4", "height": "14", "width": f"{figure.median * scale:.1f}"})
    SubElement(svg, "line", {"x1": f"{figure.low * scale:.1f}", "x2": f"{figure.high * scale:.1f}", "y1": "11", "y2": "11"})
