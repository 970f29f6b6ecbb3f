"""The elements of a page that needs nothing else: no network, no script; every text in it is made harmless."""

from importlib.resources import files
from xml.etree.ElementTree import Element, SubElement, tostring

from breakcow.report.printable import printable

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def add(parent: Element, tag: str, text: str = "", kind: str = "", **attributes: str) -> Element:
    """A new element below `parent`. text: made harmless. kind: its class."""
    added = SubElement(parent, tag, {**({"class": kind} if kind else {}), **attributes})
    added.text = printable(text)
    return added


def document(title: str, *styles: str) -> tuple[Element, Element]:
    """A page and its empty <main>, with the rule that nothing is ever loaded. styles: files of this folder, or rules."""
    root = Element("html", lang="en")
    head = SubElement(root, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": POLICY})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    SubElement(head, "title").text = printable(title)
    texts = [files("breakcow.report").joinpath(style).read_text() if style.endswith(".css") else style for style in styles]
    SubElement(head, "style").text = "\n".join(texts)
    return root, SubElement(SubElement(root, "body"), "main")


def written(root: Element) -> str:
    """The page as text."""
    return f"<!doctype html>\n{tostring(root, encoding='unicode', method='html')}\n"
