from __future__ import annotations

import copy
import pickle
import sys
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.keys.secret import Secret


@given(st.binary())
def test_a_secret_never_shows(value: bytes) -> None:
    secret = Secret(value)
    shown = {repr(secret), str(secret), f"{secret}", f"{secret!s:}", f"{secret:>40}", format(secret, "x")}
    assert shown == {"Secret(…)"}
    assert repr([secret]) == "[Secret(…)]"
    assert secret.reveal() == value


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_does_not_pickle(copying: object) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        copying(Secret(b"canary-canary"))  # type: ignore[operator]


def test_a_secret_does_not_show_in_a_traceback_with_locals() -> None:
    secret = Secret(bytes.fromhex("63616e617279") * 2)
    try:
        _fail(secret)
    except RuntimeError:
        summary = traceback.TracebackException(*sys.exc_info(), capture_locals=True)  # type: ignore[arg-type]
    text = "".join(summary.format())
    assert "Secret(…)" in text
    assert "canary" not in text


def _fail(secret: Secret) -> None:
    held = secret
    raise RuntimeError(f"about {held}")


def test_secrets_compare_and_do_not_hash() -> None:
    assert Secret(b"one") == Secret(b"one")
    assert Secret(b"one") != Secret(b"two")
    assert Secret(b"one") != b"one"
    with pytest.raises(TypeError):
        hash(Secret(b"one"))
    assert len(Secret(b"one")) == 3
