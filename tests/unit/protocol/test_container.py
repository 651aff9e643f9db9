from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.errors import CiphertextError, ConditionError
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.scope import Scope

CONDITIONS = Conditions.for_wallet("0x" + "11" * 20)
FIELDS: dict[str, Any] = {"ciphertext": "AA==", "dataToEncryptHash": "ab" * 32}


def container(**fields: object) -> Container:
    return Container({**FIELDS, **fields}, CONDITIONS)


def test_it_is_read_with_its_conditions() -> None:
    parsed = Container.parse({**FIELDS, **CONDITIONS.to_json(), "network": "datil"})
    assert (parsed.conditions, parsed.network) == (CONDITIONS, "datil")
    with pytest.raises(ConditionError):
        Container.parse(FIELDS)


def test_a_chain_may_be_given_beside_it() -> None:
    without = {key: value for key, value in CONDITIONS.to_json().items() if key != "chain"}
    assert Container.parse({**FIELDS, **without}, default_chain="ethereum").conditions == CONDITIONS


def test_it_is_written_with_its_conditions() -> None:
    written = container(network="datil").to_json()
    assert written == {**FIELDS, "network": "datil", **CONDITIONS.to_json()}
    assert Container.parse(written) == Container(written, CONDITIONS)


class TestItsNetwork:
    def test_it_is_for_the_network_that_it_names(self) -> None:
        for unnamed in (True, False):
            container(network="datil").check_network("datil", unnamed=unnamed)

    @pytest.mark.parametrize("unnamed", [True, False])
    @pytest.mark.parametrize("name", ["datil-dev", "Datil", "datil ", "", "custom"])
    def test_and_for_no_other(self, name: str, *, unnamed: bool) -> None:
        with pytest.raises(CiphertextError, match='for the network "datil", not for') as caught:
            container(network="datil").check_network(name, unnamed=unnamed)
        assert caught.value.hint
        assert not caught.value.retryable

    @pytest.mark.parametrize(
        "fields", [{}, {"network": ""}, {"network": None}, {"network": 5}, {"network": ["datil"]}]
    )
    def test_one_that_names_none_is_for_whoever_takes_those(self, fields: dict[str, Any]) -> None:
        """The SDK's, and those of earlier versions of this package."""
        unnamed = container(**fields)
        assert unnamed.network == ""
        unnamed.check_network("datil-dev", unnamed=True)
        with pytest.raises(CiphertextError, match="it names none"):
            unnamed.check_network("another")

    def test_what_it_names_is_quoted(self) -> None:
        with pytest.raises(CiphertextError) as caught:
            container(network="x\n\x1b[31m" + "y" * 500).check_network("datil")
        assert "\n" not in caught.value.message
        assert "\x1b" not in caught.value.message
        assert len(caught.value.message) < 300


def test_the_scope_that_decrypts_it() -> None:
    assert container().scope() == Scope.to_decrypt(CONDITIONS.resource_id("ab" * 32))
    for missing in (None, 5, ["ab" * 32]):
        with pytest.raises(CiphertextError, match="dataToEncryptHash"):
            container(dataToEncryptHash=missing).scope()
    for malformed in ("", "ab", "zz" * 32):
        with pytest.raises(ConditionError):
            container(dataToEncryptHash=malformed).scope()


def test_its_contents_are_in_no_repr() -> None:
    assert "canary" not in repr(container(ciphertext="canary"))
