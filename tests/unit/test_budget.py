"""Ratios that a slow or busy machine does not change: each as CPU time, in turn with what it is compared with.

The margins are generous; what is measured, and how close it comes, is in ``docs/performance.md``.
"""

from __future__ import annotations

import pytest

from tests.bench import curve, gate


@pytest.mark.parametrize("threshold", [2, 7])
def test_the_cryptography_of_a_decryption_beside_its_curve_operations(threshold: int) -> None:
    took = curve.decryption(threshold, 15)
    assert took["ratio"] < 2, took


def test_session_sigs_beside_their_signatures() -> None:
    took = curve.session(30, 8)
    assert took["ratio"] < 3, took


def test_reading_a_message_back_is_a_trifle() -> None:
    took = curve.session(10, 8)
    assert took["reading"] < took["ours"] / 4, took


def test_sealing_1_kb_to_a_gate_beside_the_seals_alone() -> None:
    for row in gate.encryption(40, sizes=(1000,)):
        assert row["ratio"] < 3, row
