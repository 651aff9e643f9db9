"""From which size on a file becomes an envelope: a mebibyte, or what one container of the network may hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lit_airflow import Conditions
from lit_airflow.envelope import ENVELOPE_FROM_BYTES, split_head
from lit_airflow.errors import LitError
from lit_airflow.hooks import LitHook
from lit_airflow.keys.hpke import public_key_of
from lit_airflow.keys.secret import Secret
from lit_airflow.operators import LitEncryptOperator

CONDITIONS = Conditions.for_wallet("0x" + "11" * 20).to_json()


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> int:
    """A connection to Chipotle, where encrypting sends nothing; and the longest plaintext of a container there."""
    extra = {"network": "chipotle", "gate_key": public_key_of(Secret(bytes(range(32))))}
    monkeypatch.setenv("AIRFLOW_CONN_LIT_DEFAULT", json.dumps({"conn_type": "lit", "extra": extra}))
    return LitHook().client.traits.max_plaintext_bytes


def written(folder: Path, size: int, *, envelope: bool | None = None) -> bool:
    """Encrypt so many bytes; return whether it is an envelope."""
    (folder / "in").write_bytes(bytes(size))
    operator = LitEncryptOperator(
        task_id="encrypt",
        input_path=folder / "in",
        output_path=folder / "out",
        conditions=CONDITIONS,
        envelope=envelope,
    )
    operator.execute({})
    with (folder / "out").open("rb") as source:
        head, _ = split_head(source)
    return head is not None


def test_chipotle_has_a_smaller_limit(longest: int, tmp_path: Path) -> None:
    assert longest < ENVELOPE_FROM_BYTES
    assert [written(tmp_path, size) for size in (longest, longest + 1)] == [False, True]
    assert written(tmp_path, 10, envelope=True)


def test_a_container_that_the_network_would_refuse(longest: int, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=str(longest)) as caught:
        written(tmp_path, longest + 1, envelope=False)
    assert isinstance(caught.value.__cause__, LitError)
