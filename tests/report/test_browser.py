"""The page in Chromium: it is opened from a file and clicked through, by mouse and by keys, on a desk, on a phone, and in the dark."""

import json
from itertools import pairwise

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from breakcow.report.html import page
from breakcow.suite.corpus import select
from breakcow.suite.record import VERDICTS, Record
from breakcow.suite.run import run
from breakcow.suite.trial import trial
from report.chromium import FAINT, NEEDS_CHROMIUM, log, look
from report.samples import EACH, EVIL, TEXT, sample

pytestmark = NEEDS_CHROMIUM
REAL = ("ksm/unmerge-uffd-wp", "uffd/protect-blocks-store", "cow/no-reuse-while-shared")
MARKUP = "<script>alert(1)</script></pre></style><img src=http://192.0.2.1/x onerror=alert(1)>"
SHOWN = "\\x1b]0;owned\\x07 # SKIP <b>&\\n"  # EVIL made harmless, in one line


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Three tests that really ran on two models, one record of each verdict, and one whose every text is hostile."""
    trials = [trial(*chosen) for chosen in select(REAL)]
    ran = list(run(trials, ["model:6.1", "model:6.12"], 1, lambda text: None))
    assert {record.test.partition("[")[0] for record in ran} == set(REAL)
    evil = sample("broken", MARKUP + EVIL, "host", "cow/evil", text=TEXT.replace("unshares.", MARKUP), console=MARKUP + EVIL)
    return [*ran, *(sample(each.verdict, each.why, "host", f"each/{each.verdict}") for each in EACH), evil]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> str:
    """Where the page is."""
    path = tmp_path_factory.mktemp("page") / "matrix.html"
    path.write_text(page(records), encoding="utf-8")
    return path.as_uri()


def links(browser: Chrome) -> dict[str, WebElement]:
    """The links of the table of tests by their accessible names."""
    return {link.accessible_name: link for link in browser.find_elements(By.CSS_SELECTOR, ".tables td a")}


def shown(browser: Chrome) -> list[WebElement]:
    """The sections that can be seen."""
    return [section for section in browser.find_elements(By.CSS_SELECTOR, "section.cell") if section.is_displayed()]


def opened(browser: Chrome, name: str) -> WebElement:
    """Click the cell of that accessible name; the one section that this shows."""
    links(browser)[name].click()
    (section,) = shown(browser)
    return section


def test_a_click_on_a_cell_shows_what_that_kernel_did_and_a_link_leads_back(browser: Chrome) -> None:
    assert shown(browser) == []
    section = opened(browser, "known: ksm/unmerge-uffd-wp on model:6.1")
    assert section.find_element(By.TAG_NAME, "h2").text == "ksm/unmerge-uffd-wp on model:6.1"
    assert "A  madvise x y unmergeable" in section.find_element(By.TAG_NAME, "pre").text
    assert section.find_element(By.TAG_NAME, "mark").text == "A  madvise x y unmergeable"
    board = section.find_element(By.TAG_NAME, "table")
    assert [head.text.split()[0] for head in board.find_elements(By.CSS_SELECTOR, "thead th")] == ["page", "model:6.1", "model:6.12"]
    assert "does not hold holds" in " ".join(board.text.split())
    assert any("unmerge-leaves-no-ksm" in row.text for row in board.find_elements(By.CSS_SELECTOR, ".promised"))
    section.find_element(By.LINK_TEXT, "back to the table").click()
    assert shown(browser) == []
    row = browser.find_element(By.CSS_SELECTOR, "tr:target")
    assert row.text.startswith("ksm/unmerge-uffd-wp")
    assert 0 <= browser.execute_script("return arguments[0].getBoundingClientRect().top", row) < 844


def test_from_one_kernel_to_the_next_and_with_the_browser_s_own_way_back(browser: Chrome) -> None:
    section = opened(browser, "known: ksm/unmerge-uffd-wp on model:6.1")
    section.find_element(By.LINK_TEXT, "model:6.12 ok").click()
    assert [section.find_element(By.TAG_NAME, "h2").text for section in shown(browser)] == ["ksm/unmerge-uffd-wp on model:6.12"]
    browser.back()
    browser.back()
    assert shown(browser) == []
    assert browser.find_element(By.TAG_NAME, "h1").is_displayed()


def test_behind_every_cell_is_its_record(browser: Chrome, records: list[Record]) -> None:
    browser.find_element(By.ID, "fine").click()
    found = {name: str(link.get_attribute("href")) for name, link in links(browser).items()}
    assert len(found) == len(records)
    for record in records:
        browser.get(found[f"{record.verdict}: {record.test} on {record.backend}"])
        (section,) = shown(browser)
        assert section.find_element(By.TAG_NAME, "h2").text == f"{record.test} on {record.backend}"
        assert len(section.find_elements(By.TAG_NAME, "table")) == bool(record.observations)
        assert ("\nConsole\n" in section.text) == bool(record.console or any(seen.console for seen in record.observations))


def test_keys_alone_reach_a_cell_and_lead_back(browser: Chrome) -> None:
    wanted = "known: ksm/unmerge-uffd-wp on model:6.1"
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.accessible_name == wanted:
            break
    assert browser.switch_to.active_element.accessible_name == wanted
    assert browser.switch_to.active_element.value_of_css_property("outline-style") == "solid"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert shown(browser) == [browser.switch_to.active_element]
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "back to the table"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert shown(browser) == []
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.accessible_name == wanted


def test_what_is_ok_everywhere_shows_when_asked_for(browser: Chrome) -> None:
    rows = browser.find_elements(By.CSS_SELECTOR, "tr:has(td a)")
    fine = [row for row in rows if {link.get_attribute("class") for link in row.find_elements(By.TAG_NAME, "a")} == {"ok"}]
    assert [row.is_displayed() for row in rows] == [row not in fine for row in rows]
    box = browser.find_element(By.ID, "fine")
    assert (box.aria_role, box.accessible_name) == ("checkbox", f"show also what is ok everywhere ({len(fine)} of {len(rows)} tests)")
    box.send_keys(Keys.SPACE)
    assert all(row.is_displayed() for row in rows)


def test_a_screen_reader_is_told_what_everything_is(browser: Chrome) -> None:
    browser.find_element(By.ID, "fine").click()
    names = [link.accessible_name for link in browser.find_elements(By.CSS_SELECTOR, ".tables td a")]
    assert {name.split(":")[0] for name in names} == set(VERDICTS)
    opened(browser, "known: ksm/unmerge-uffd-wp on model:6.1")
    assert all(cell.get_attribute("scope") for cell in browser.find_elements(By.TAG_NAME, "th"))
    assert browser.execute_script("return document.documentElement.lang") == "en"
    for part in browser.find_elements(By.CSS_SELECTOR, "section:target [tabindex='0']"):
        assert part.aria_role == "region"
        assert part.accessible_name
    levels = [int(head.tag_name[1]) for head in browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3")]
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_hostile_text_is_text(browser: Chrome) -> None:
    assert browser.execute_script("return document.querySelectorAll('script, img, [onerror]').length") == 0
    assert len(browser.find_elements(By.TAG_NAME, "style")) == 1
    section = opened(browser, "broken: cow/evil on host")
    assert section.find_element(By.CSS_SELECTOR, "p.broken").text == f"broken: {MARKUP}{SHOWN}"
    assert f"    MADV_UNMERGEABLE {MARKUP}\n" in section.find_element(By.CSS_SELECTOR, "pre.test").text
    assert section.find_element(By.CSS_SELECTOR, "pre[aria-label=Console]").text.startswith(MARKUP + SHOWN.removesuffix("\\n"))
    assert not any(char in browser.page_source for char in EVIL.replace("\n", "") if not char.isprintable())


def test_nothing_is_fetched_and_nothing_is_complained_of(browser: Chrome, address: str) -> None:
    log(browser, "performance")
    browser.refresh()
    opened(browser, "broken: cow/evil on host")
    messages = [json.loads(entry["message"])["message"] for entry in log(browser, "performance")]
    asked = [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    assert asked == [address]
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert log(browser, "browser") == []


@pytest.mark.parametrize("name", [None, "known: ksm/unmerge-uffd-wp on model:6.1", "broken: cow/evil on host"])
def test_on_a_phone_only_tables_scroll_sideways(browser: Chrome, name: str | None) -> None:
    look(browser, 390, "light")
    if name:
        opened(browser, name)
    assert browser.execute_script("return [innerWidth, document.documentElement.scrollWidth, document.body.scrollWidth <= 390]") == [
        390,
        390,
        True,
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [None, "known: ksm/unmerge-uffd-wp on model:6.1", "broken: cow/evil on host"])
def test_all_text_is_legible(browser: Chrome, scheme: str, name: str | None) -> None:
    look(browser, 1280, scheme)
    browser.find_element(By.ID, "fine").click()
    browser.find_element(By.TAG_NAME, "summary").click()
    if name:
        opened(browser, name)
    paper = browser.execute_script("return getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(paper[:3]) < 64) if scheme == "dark" else (min(paper[:3]) > 192)
    texts, faint = browser.execute_script(FAINT)
    assert texts > 20
    assert faint == []


def test_what_could_go_wrong_stays_in_its_colour(browser: Chrome) -> None:
    """Verdicts are words first; the bad ones are told from the good ones by more than the word."""
    colours = {link.text: link.value_of_css_property("color") for link in links(browser).values() if link.is_displayed()}
    assert colours["broken"] not in {colours["ok"], colours["known"], colours["skip"]}
