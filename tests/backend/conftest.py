"""Marks of the tests of real kernels."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(word, ...): skip where this machine's kernel lacks one of these abilities")
