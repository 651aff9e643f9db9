"""Options that must be known before any folder of tests is read."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vectors",
        metavar="DIR",
        help="folder of vector files for tests/conformance (default: tests/vectors/<generation>)",
    )
