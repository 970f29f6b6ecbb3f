"""Page contents: decoded only if whole, different in every run, ordered by value."""

from breakcow.agent.contents import Contents


def test_every_value_is_read_back() -> None:
    contents = Contents()
    for value in range(256):
        page = contents.page(value)
        assert len(page) == 4096
        assert contents.value(page) == value


def test_a_page_that_is_not_whole_is_none_of_ours() -> None:
    contents = Contents()
    page = contents.page(7)
    assert contents.value(page[:4000] + bytes(96)) == -1
    assert contents.value(contents.page(8)[:2048] + page[:2048]) == -1
    assert contents.value(bytes(4095) + b"\1") == -1


def test_another_run_has_other_patterns() -> None:
    one, other = Contents(), Contents()
    assert other.value(one.page(7)) == -1
    assert Contents(b"same").page(7) == Contents(b"same").page(7)


def test_pages_sort_by_value_whatever_the_nonce() -> None:
    contents = Contents()
    pages = [contents.page(value) for value in range(1, 256)]
    assert pages == sorted(pages)
