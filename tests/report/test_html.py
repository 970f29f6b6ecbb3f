"""The page: whole without a network, every link leads somewhere, and no text becomes markup."""

from html.parser import HTMLParser

from breakcow.report.html import page
from breakcow.suite.record import Record
from report.samples import EACH, EVIL, TEXT, sample

VOID = {"meta", "input"}


class Seen(HTMLParser):
    """What a browser's parser finds: elements with attributes, text by element, and whether all is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append((self.open[-1], data.strip()))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def seen(*records: Record) -> Seen:
    return Seen(page(records))


def test_it_is_well_formed_and_loads_nothing() -> None:
    found = seen(*EACH)
    assert found.open == []
    assert {"script", "img", "link", "iframe", "object", "base"} & {tag for tag, _ in found.elements} == set()
    assert {"http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"} in found.all("meta")
    assert {link["href"][0] for link in found.all("a")} == {"#"}


def test_every_link_leads_to_one_place() -> None:
    found = seen(*EACH)
    anchors = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(anchors) == len(set(anchors))
    assert {link["href"][1:] for link in found.all("a")} <= set(anchors)


def test_each_record_has_a_cell_that_says_what_it_is() -> None:
    labels = {link["aria-label"]: link["class"] for link in seen(*EACH).all("a") if "aria-label" in link}
    assert labels == {f"{record.verdict}: {record.test} on {record.backend}": record.verdict for record in EACH}


def test_tables_have_captions_and_headers_with_scope() -> None:
    found = seen(*EACH)
    assert all("scope" in header for header in found.all("th"))
    assert len(found.all("caption")) == len(found.all("table"))


def test_behind_a_broken_cell_are_the_marked_line_the_reasons_and_a_kernel_that_is_better() -> None:
    good = sample("ok", backend="model:6.12")
    found = seen(EACH[3], good)
    assert ("mark", "A  expect not ksm x y") in found.words
    assert ("li", "line 7, A x: expected not ksm, observed frame 0, = 7, ksm") in found.words
    assert [words for tag, words in found.words if tag == "th"].count("model:6.12") == 4


def test_hostile_text_stays_text() -> None:
    evil = "<script>alert(1)</script>\x1b[2J\"'><img src=x>"
    text = page([sample("error", evil, evil, evil, text=TEXT + EVIL, observations=(), console=evil)])
    found = Seen(text)
    assert {"script", "img"} & {tag for tag, _ in found.elements} == set()
    assert "\x1b" not in text


def test_a_column_for_each_kernel_and_a_line_for_each_subject() -> None:
    found = seen(*EACH)
    heads = [words for tag, words in found.words if tag == "th"]
    assert heads[: heads.index("test")] == ["subject", "model:6.1", "host"]
    assert [attributes["id"] for tag, attributes in found.elements if tag == "tr" and attributes.get("id", "").startswith("subject")] == [
        "subject-cow",
        "subject-ksm",
        "subject-sd",
    ]
