"""Lines over a slow wire: what comes out is what went in, in order, and what repeats takes little room."""

import pytest

from breakcow.agent.wire import Wire

LINES = [b'{"run":{"processes":["A","B"],"actions":[["A","write",%d,1,7]]}}\n' % number for number in range(20)]


def test_a_line_comes_back_whole_and_a_like_one_is_short() -> None:
    one, other = Wire(deflated=True), Wire()
    sent = [one.pack(line) for line in LINES]
    assert [other.unpack(piece) for piece in sent] == LINES
    assert all(piece.startswith(b"z") and piece.count(b"\n") == 1 and piece.endswith(b"\n") for piece in sent)
    assert len(sent[0]) > 60 > 3 * max(map(len, sent[1:]))


def test_who_is_asked_in_plain_lines_answers_in_them() -> None:
    agent = Wire()
    assert agent.unpack(LINES[0]) == LINES[0]
    assert agent.pack(b"{}\n") == b"{}\n"
    agent.unpack(Wire(deflated=True).pack(LINES[0]))
    answer = agent.pack(b"{}\n")
    assert answer.startswith(b"z")
    assert Wire().unpack(answer) == b"{}\n"


@pytest.mark.parametrize("line", [b"z/w==\n", b"z" + b"/" * 40 + b"\n"])
def test_what_nobody_packed_is_said_so(line: bytes) -> None:
    with pytest.raises(ValueError, match="no deflated line"):
        Wire().unpack(line)
