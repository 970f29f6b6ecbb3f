"""What a copier can be asked to do: an image into a file, an image piece by piece, a series."""

import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import layout, wire
from .copying import Memory
from .cut import Cut
from .errors import SnapshotError
from .increments import Increments, meanwhile
from .layout import Draft
from .sink import Sink

LOOK = 64  # pieces between two looks whether the program still wants the image
Job = Callable[[socket.socket, dict[str, Any], list[int]], None]


def to_file(program: socket.socket, request: dict[str, Any], fds: list[int]) -> None:
    """Freeze, say so, copy everything into the file, and give it its name once the program asks for that."""
    memory, file = Memory(*fds[:3]), fds[3]
    ranges = _ranges(request)
    sink = Sink(file, Draft(0, ranges, request["said"], bool(request["pack"])), request["strangers"], packer(request["pack"]))
    cut = Cut(memory, ranges, sink.save)
    try:
        sink.open()
        cut.register(program.fileno())
        cut.freeze()
        wire.send(program, {"frozen": vars(cut.tally)})
        cut.divide()
        copy(program, cut)
        _let_go(cut, fds)
        sink.close()
        wire.receive(program)  # it wants the file indeed
        publish(request["temporary"], request["final"])
    except (SnapshotError, OSError) as error:
        if len(fds) == 4:
            _let_go(cut, fds)
        _remove(request["temporary"])
        wire.send(program, {"failed": sentence(error)})
    except EOFError:
        _remove(request["temporary"])
        raise
    else:
        wire.send(program, {"done": vars(cut.tally) | {"holes": sink.holes, "bytes": sink.stored}})
    finally:
        cut.end()


def pieces(program: socket.socket, request: dict[str, Any], fds: list[int]) -> None:
    """Freeze, and hand out the pieces in order, each into the window (the last descriptor) when it is asked for.

    What must be copied before its turn goes into a file without a name, so that no writer waits for whoever takes the pieces.
    """
    memory, window = Memory(*fds[:3]), fds[3]
    early: dict[int, int] = {}  # address -> position in `spill`
    turn = 0  # the piece that is wanted now
    import tempfile

    def save(address: int, view: memoryview) -> None:
        if address == turn:
            os.pwrite(window, view, 0)
        else:
            early[address] = spill.seek(0, os.SEEK_END)
            os.pwrite(spill.fileno(), view, early[address])

    cut = Cut(memory, _ranges(request), save)
    try:
        with tempfile.TemporaryFile(buffering=0) as spill:
            cut.register(program.fileno())
            cut.freeze()
            wire.send(program, {"frozen": vars(cut.tally)})
            cut.divide()
            for start, end in zip(cut.starts, cut.ends, strict=True):
                attend(program, cut)
                wire.receive(program)
                if start in early:
                    os.pwrite(window, os.pread(spill.fileno(), end - start, early.pop(start)), 0)
                else:
                    turn = start
                    cut.copying.copy(start)
                wire.send(program, {"piece": [start, end]})
            _let_go(cut, fds)
            wire.receive(program)
            wire.send(program, {"done": vars(cut.tally)})
    except (SnapshotError, OSError) as error:
        _let_go(cut, fds)
        wire.send(program, {"failed": sentence(error)})
    finally:
        cut.end()


def series(program: socket.socket, request: dict[str, Any], fds: list[int]) -> None:
    """Take cuts when asked to, each appended to the file, until the program says "end"."""
    memory, file = Memory(*fds[:3]), fds[3]
    end = 0

    def save(address: int, view: memoryview) -> None:
        sink.save(address, view)

    cut = Increments(memory, _ranges(request), save)
    try:
        cut.register(program.fileno())
        wire.send(program, {"frozen": vars(cut.tally)})
        while True:
            attend(program, cut)
            if wire.receive(program)[0]["do"] == "end":
                break
            cut.ahead()
            cut.stop()
            cut.freeze()
            wire.send(program, {"frozen": vars(cut.tally)})
            cut.prove()
            cut.divide()
            draft = Draft(layout.aligned(end), cut.changed, request["said"] | {"whole": request["ranges"]}, bool(request["pack"]))
            sink = Sink(file, draft, request["strangers"], packer(request["pack"]))
            sink.open()
            copy(program, cut)
            meanwhile(cut, sink.close)
            cut.saved()
            if not end:
                publish(request["temporary"], request["final"])
            end = draft.end
            wire.send(program, {"done": vars(cut.tally) | {"holes": sink.holes, "bytes": sink.stored}})
    except (SnapshotError, OSError) as error:
        _let_go(cut, fds)
        _undo(file, end, request["temporary"])
        wire.send(program, {"failed": sentence(error)})
    except EOFError:
        _undo(file, end, request["temporary"])
        raise
    else:
        _let_go(cut, fds)
        wire.send(program, {"ended": end})
    finally:
        cut.end()


def attend(program: socket.socket, cut: Cut) -> None:
    """Answer faults, if anything was frozen yet, until the program has something to say."""
    poll = select.poll()
    poll.register(program, select.POLLIN)
    answering = cut.copying if cut.frozen else None
    if answering:
        poll.register(answering, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll()]
        if answering and answering.fileno() in ready:
            answering.attend()
        if program.fileno() in ready:
            return


def copy(program: socket.socket, cut: Cut) -> None:
    """All pieces; EOFError if the program gives up or is gone."""
    poll = select.poll()
    poll.register(program, select.POLLIN)
    rest = LOOK
    while cut.copying.step():
        rest -= 1
        if not rest:
            rest = LOOK
            if poll.poll(0) and not program.recv(1, socket.MSG_PEEK):
                raise EOFError


def publish(temporary: str, final: str) -> None:
    """Give a file that is whole and durable its name, and make that durable."""
    os.replace(temporary, final)
    directory = os.open(os.path.dirname(final), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def packer(name: str | None) -> Callable[[bytes], bytes] | None:
    """The function that packs a block."""
    if name is None:
        return None
    import zstandard

    compress: Callable[[bytes], bytes] = zstandard.ZstdCompressor(level=1).compress
    return compress


def sentence(error: Exception) -> str:
    """An error as a sentence."""
    if isinstance(error, OSError):
        return f"{error.filename or 'the image cannot be written'}: {error.strerror}"
    return str(error)


def _ranges(request: dict[str, Any]) -> list[tuple[int, int]]:
    return [(start, end) for start, end in request["ranges"]]


def _let_go(cut: Cut, fds: list[int]) -> None:
    """End, and close the userfaultfd, the first of the descriptors: whoever still waits goes on, and nothing is protected any more."""
    cut.end()
    os.close(fds.pop(0))


def _undo(file: int, end: int, temporary: str) -> None:
    """Forget what was not finished: the file keeps the takes that are safe."""
    with suppress(OSError):
        os.ftruncate(file, end)
    if not end:
        _remove(temporary)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


JOBS: dict[str, Job] = {"to_file": to_file, "pieces": pieces, "series": series}
