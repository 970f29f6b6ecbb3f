"""The machine code does what its docstring says."""

from collections.abc import Iterator

import pytest

from breakcow.agent import abi, stub
from breakcow.agent.process import FIRST_AREA, Nursery, Process

NOWHERE = 0x2000000000


@pytest.fixture
def process() -> Iterator[Process]:
    nursery = Nursery()
    process = nursery.birth([FIRST_AREA], [abi.PAGE])
    process.call(abi.MMAP, FIRST_AREA, abi.PAGE, abi.PROT_RW, abi.MAP_PRIVATE | abi.MAP_ANONYMOUS, -1, 0)
    yield process
    process.bury()
    nursery.close()


def ask(process: Process, *arguments: int, payload: bytes = b"", wanted: int = 0) -> tuple[int, bytes]:
    process.ask(stub.request(arguments[0], arguments[1:], payload, wanted))
    return process.reply()


def test_a_copy_moves_bytes_both_ways(process: Process) -> None:
    data = bytes(range(256)) * 16
    assert ask(process, stub.COPY, FIRST_AREA, stub.BUFFER, abi.PAGE, payload=data) == (0, b"")
    ask(process, abi.PRCTL, abi.PR_SET_NAME, stub.BUFFER, payload=bytes(abi.PAGE))  # another content of the buffer
    assert ask(process, stub.COPY, stub.BUFFER, FIRST_AREA, abi.PAGE, wanted=abi.PAGE) == (0, data)


def test_a_fault_is_a_result_and_the_process_goes_on(process: Process) -> None:
    for _ in range(3):
        assert ask(process, stub.COPY, NOWHERE, stub.BUFFER, 1)[0] == stub.SIGNAL_BASE - 11
        assert ask(process, stub.COPY, stub.BUFFER, NOWHERE, 1)[0] == stub.SIGNAL_BASE - 11
    assert ask(process, abi.MADVISE, NOWHERE, abi.PAGE, abi.MADV_DONTNEED)[0] == -12
    assert ask(process, 39)[0] == process.pid


def test_all_six_arguments_arrive(process: Process) -> None:
    address = ask(process, abi.MMAP, 0, abi.PAGE, abi.PROT_READ, 2, Nursery.MEMFD, 1)[0]
    assert address == -22  # an offset that is no multiple of a page
    assert ask(process, abi.MMAP, NOWHERE, abi.PAGE, abi.PROT_READ, abi.MAP_PRIVATE, Nursery.MEMFD, abi.PAGE)[0] == NOWHERE


def test_a_child_answers_on_its_own_socket() -> None:
    nursery = Nursery()
    parent = nursery.birth([FIRST_AREA], [abi.PAGE])
    pid = parent.call(abi.CLONE, abi.CLONE_PARENT | abi.SIGCHLD, 0, 0, 0, 0, stub.SOCKET + 2)
    child = Process("B", pid, nursery.sockets[2], parent.addresses, parent.sizes, set())
    assert child.call(39) == pid != parent.call(39) == parent.pid
    parent.bury()
    assert child.call(39) == pid
    child.bury()
    nursery.close()
