"""Many items, a bounded number at a time; what the local network makes of them, tests/client tries."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from lit_airflow.errors import CiphertextError, SettingsError
from lit_airflow.networks import batch
from lit_airflow.networks.contract import Decrypted


def test_no_more_are_worked_at_than_allowed() -> None:
    at_work, most, lock = 0, 0, threading.Lock()

    def decrypt(_item: int) -> bytes:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.01)
        with lock:
            at_work -= 1
        return b""

    assert len(list(batch.decrypt_each(decrypt, range(60), 5))) == 60
    assert most == 5


def test_order_does_not_depend_on_who_is_fast() -> None:
    def decrypt(item: int) -> bytes:
        time.sleep(0.02 if item % 3 == 0 else 0)
        return b"%d" % item

    outcomes = batch.decrypt_each(decrypt, iter(range(50)), 8)
    assert [outcome.result() for outcome in outcomes] == [b"%d" % item for item in range(50)]


def test_what_is_not_an_items_failure_ends_the_whole() -> None:
    def decrypt(item: int) -> bytes:
        if item == 3:
            raise RuntimeError("a bug")
        return b""

    outcomes = batch.decrypt_each(decrypt, range(10), 2)
    assert [next(outcomes).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="a bug"):
        next(outcomes)


def test_a_thousand_failures_are_not_a_thousand_lines(caplog: pytest.LogCaptureFixture) -> None:
    def decrypt(item: int) -> bytes:
        if item == 0:
            raise SettingsError("this one is another kind", field="scope")
        raise CiphertextError("cut short")

    with caplog.at_level(logging.INFO, logger=batch.__name__):
        outcomes = list(batch.decrypt_each(decrypt, range(1_000, -1, -1), 4))
    assert [type(outcome.error) for outcome in outcomes] == [CiphertextError] * 1_000 + [SettingsError]
    warned = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warned[:10] == [f"Item {index} was not decrypted: cut short" for index in range(10)]
    assert warned[10:] == [
        "Further items that fail with CiphertextError are counted, and logged at DEBUG.",
        "Item 1000 was not decrypted: this one is another kind",
    ]
    assert caplog.messages[-1].endswith("1,001 failed (CiphertextError 1,000, SettingsError 1).")


def test_plaintext_is_in_no_repr() -> None:
    assert "secret" not in repr(Decrypted(0, b"secret"))
