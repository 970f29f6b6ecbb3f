"""Both ways to copy: in C, where a compiler is there, and in Python."""

import shutil

import pytest

from breakcow.snapshots import compiled, link


@pytest.fixture(params=["compiled", "python"])
def copied_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Snapshots of the test are copied so."""
    if request.param == "compiled" and not shutil.which("cc"):
        pytest.skip("copying.c cannot be compiled here: apt install gcc libc6-dev")
    monkeypatch.setenv(compiled.SWITCH, "1" if request.param == "compiled" else "0")
    for known in (compiled.path, compiled.found, compiled._multiplying):
        known.cache_clear()
    assert bool(compiled.path()) == (request.param == "compiled")
    request.addfinalizer(lambda: [known.cache_clear() for known in (compiled.path, compiled.found, compiled._multiplying)])
    while link._idle:
        link._idle.pop().close()
    return str(request.param)
