"""Marks of the tests that compile."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "compiled: compiles all of the specification, 20 s of processor time the first time")
