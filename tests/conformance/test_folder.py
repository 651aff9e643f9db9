from __future__ import annotations

import pytest

from tests.conformance.reading import Stranger


def test_no_file_is_left_over(stranger: Stranger) -> None:
    """Runs once for each file that no module here reads: each is a failure."""
    pytest.fail(stranger.why, pytrace=False)
