"""The picture of a state graph: what it says, and walking through it in Chromium."""

import pytest

pytest.importorskip("numba")

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from breakcow.explore.bound import Bound
from breakcow.explore.graph import Graph, graph
from breakcow.explore.search import ALL
from breakcow.kernel import PROFILES
from breakcow.litmus import parse, to_text
from breakcow.report.graph import page
from report.chromium import FAINT, NEEDS_CHROMIUM, log, look

UFFD = ("write", "uffd_open", "uffd_register", "uffd_protect", "uffd_close")


@pytest.fixture(scope="module")
def drawn() -> Graph:
    return graph(PROFILES["6.1"], Bound(1, 1, depth=5, operations=UFFD), ALL, True)


@pytest.fixture(scope="module")
def address(drawn: Graph, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("graph") / "states.html"
    path.write_text(page(drawn), encoding="utf-8")
    return path.as_uri()


def details(browser: Chrome) -> WebElement:
    """The one section that can be seen."""
    (section,) = [section for section in browser.find_elements(By.TAG_NAME, "section") if section.is_displayed()]
    return section


def heading(browser: Chrome) -> str:
    return details(browser).find_element(By.TAG_NAME, "h2").text


def test_every_state_stands_once_in_the_column_of_its_depth(drawn: Graph) -> None:
    text = page(drawn)
    assert [text.count(f'id="s{node.number}"') for node in drawn.nodes] == [1] * len(drawn.nodes)
    lefts = {text.split(f'id="s{node.number}"')[1].split("left:")[1].split("px")[0]: node.depth for node in drawn.nodes}
    assert sorted(lefts.values()) == list(range(6))
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


@NEEDS_CHROMIUM
def test_a_walk_from_state_to_state(browser: Chrome, drawn: Graph) -> None:
    """By the boxes, by the links beside them, and back."""
    assert heading(browser) == "State 0, after 0 steps"
    browser.find_element(By.ID, "s1").click()
    assert heading(browser) == "State 1, after 1 steps"
    edge = next(edge for edge in drawn.edges if edge.source == 1 and edge.target not in (0, 1))
    details(browser).find_element(By.LINK_TEXT, str(edge.target)).click()
    assert heading(browser).startswith(f"State {edge.target},")
    box = browser.find_element(By.ID, f"s{edge.target}")
    assert browser.execute_script("const r = arguments[0].getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight", box)
    browser.back()
    assert heading(browser) == "State 1, after 1 steps"


@NEEDS_CHROMIUM
def test_a_broken_promise_is_marked_and_its_program_can_be_copied(browser: Chrome, drawn: Graph) -> None:
    broken = next(node for node in drawn.nodes if node.promises)
    box = browser.find_element(By.ID, f"s{broken.number}")
    other = browser.find_element(By.ID, "s0")
    assert "protection-only-where-armed" in box.text
    assert box.value_of_css_property("border-top-color") != other.value_of_css_property("border-top-color")
    box.click()
    section = details(browser)
    assert "protection-only-where-armed is broken" in section.text
    program = section.find_element(By.CSS_SELECTOR, "pre.program")
    program.click()  # selects all of it
    copied = browser.execute_script("return getSelection().toString()")
    assert parse(copied) == (broken.test,)
    assert to_text(broken.test).strip() == copied.strip()


@NEEDS_CHROMIUM
def test_the_edges_of_the_chosen_state_show_and_name_their_operations(browser: Chrome, drawn: Graph) -> None:
    edge = next(edge for edge in drawn.edges if edge.source != edge.target and drawn.nodes[edge.target].before != edge.source)
    (line,) = browser.find_elements(By.CSS_SELECTOR, f"g.f{edge.source}.t{edge.target}")
    assert not line.is_displayed()
    browser.find_element(By.ID, f"s{edge.source}").send_keys(Keys.ENTER)
    assert line.is_displayed()
    assert edge.step.verb.split("_")[-1] in line.text
    tree = browser.find_elements(By.CSS_SELECTOR, "g.tree")
    assert len(tree) == len(drawn.nodes) - 1
    assert all(line.text for line in tree)


@NEEDS_CHROMIUM
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_is_legible(browser: Chrome, scheme: str) -> None:
    look(browser, 1280, scheme)
    browser.find_element(By.TAG_NAME, "summary").click()
    texts, faint = browser.execute_script(
        FAINT.replace("document.body.querySelectorAll('*')", "document.body.querySelectorAll('*:not(svg *)')")
    )
    assert texts > 100
    assert faint == []


@NEEDS_CHROMIUM
def test_nothing_is_fetched_and_nothing_is_complained_of(browser: Chrome) -> None:
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert log(browser, "browser") == []


@NEEDS_CHROMIUM
def test_a_phone_shows_the_picture_above_the_details(browser: Chrome) -> None:
    look(browser, 390, "light")
    assert browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [390, 390]
    assert details(browser).is_displayed()
