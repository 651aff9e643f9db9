"""A flat object of public facts, and what is sealed beside them."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet

from lit_airflow.errors import SettingsError, TicketError
from lit_airflow.handoff.seal import FernetSeal, is_sealed_by, open_with_facts, seal_with_facts
from lit_airflow.keys.secret import Secret

KEY = Secret(Fernet.generate_key())
SEAL = FernetSeal(KEY)
CONTENTS = Secret(b"canary")
FACTS: dict[str, Any] = {"v": 1, "what": "a test", "list": [{"a": 1}]}
SEALED = seal_with_facts(FACTS, CONTENTS, SEAL)


def test_what_goes_in_comes_out() -> None:
    assert {key: value for key, value in SEALED.items() if key != "sealed"} == {**FACTS, "seal": "fernet"}
    assert open_with_facts(SEALED, SEAL) == CONTENTS
    assert open_with_facts(dict(reversed(SEALED.items())), FernetSeal(KEY)) == CONTENTS
    assert "canary" not in str(SEALED)


def test_each_time_it_is_another() -> None:
    assert seal_with_facts(FACTS, CONTENTS, SEAL)["sealed"] != SEALED["sealed"]


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2},
        {"v": True},
        {"v": 1.0},
        {"v": "1"},
        {"list": [{"a": 2}]},
        {"list": []},
        {"what": "a  test"},
        {"more": None},
        {"seal": "transit"},
    ],
)
def test_no_fact_can_be_changed(changed: dict[str, object]) -> None:
    with pytest.raises(TicketError, match="facts beside the seal were altered"):
        open_with_facts({**SEALED, **changed}, SEAL)


@pytest.mark.parametrize("key", [*FACTS, "seal"])
def test_no_fact_can_be_left_out(key: str) -> None:
    with pytest.raises(TicketError, match="facts beside the seal were altered"):
        open_with_facts({name: value for name, value in SEALED.items() if name != key}, SEAL)


def test_what_is_sealed_cannot_be_moved_to_other_facts() -> None:
    other = seal_with_facts({**FACTS, "v": 2}, Secret(b"other"), SEAL)
    with pytest.raises(TicketError):
        open_with_facts({**SEALED, "sealed": other["sealed"]}, SEAL)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(TicketError, match="sealed under another key") as caught:
        open_with_facts(SEALED, FernetSeal(Secret(Fernet.generate_key())))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", ["", "short", "§" * 43 + "="])
def test_what_is_no_fernet_key(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        FernetSeal(Secret(key.encode()))
    assert caught.value.field == "seal_secret"
    assert not key or key not in str(caught.value)


def test_which_seal_an_object_names() -> None:
    assert is_sealed_by(SEALED, SEAL)
    assert not is_sealed_by({**SEALED, "seal": "transit"}, SEAL)
    assert not is_sealed_by({}, SEAL)
