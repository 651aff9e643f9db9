"""Our words against ``eth_abi``: the same bytes, the same values, and nothing that it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import abi as reference
from eth_abi.exceptions import DecodingError
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_airflow.networks import abi
from lit_airflow.networks.datil import wire

VALUES: dict[str, st.SearchStrategy[Any]] = {
    **{f"uint{bits}": st.integers(0, 2**bits - 1) for bits in (8, 32, 128, 256)},
    "address": st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
    "bytes32": st.binary(min_size=32, max_size=32),
}
plain = st.sampled_from(sorted(VALUES))
tuples = st.lists(plain, min_size=1, max_size=4).map(lambda members: f"({','.join(members)})")
single = plain | tuples
kinds = st.lists(single | single.map("{}[]".format), min_size=1, max_size=4)


def values_of(kind: str) -> st.SearchStrategy[Any]:
    if kind.endswith("[]"):
        return st.lists(values_of(kind[:-2]), max_size=3).map(tuple)
    if kind.startswith("("):
        return st.tuples(*(VALUES[member] for member in kind.strip("()").split(",")))
    return VALUES[kind]


@settings(max_examples=200)
@given(kinds, st.data())
def test_the_same_bytes_and_values(kinds: list[str], data: st.DataObject) -> None:
    values = tuple(data.draw(values_of(kind)) for kind in kinds)
    encoded = reference.encode(kinds, values)
    assert abi.encode(kinds, values) == encoded
    assert abi.decode(kinds, encoded) == reference.decode(kinds, encoded) == values


@settings(max_examples=300)
@given(kinds, st.data())
def test_altered_bytes_are_read_as_eth_abi_reads_them_or_refused(
    kinds: list[str], data: st.DataObject
) -> None:
    encoded = bytearray(reference.encode(kinds, [data.draw(values_of(kind)) for kind in kinds]))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    altered = bytes(encoded[: data.draw(st.integers(0, len(encoded)))])
    try:
        found = abi.decode(kinds, altered)
    except ValueError:
        return
    assert found == reference.decode(kinds, altered)


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(32 * 6), b"\xff" * 32 * 20])
def test_what_is_no_list_of_nodes(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"the data|a word"):
        abi.decode(wire.VALIDATORS.outputs, data)
    with pytest.raises(DecodingError):
        reference.decode(wire.VALIDATORS.outputs, data)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("uint8", 256), ("uint8", -1), ("bytes32", b"short"), ("address", "0x12"), ("address", "11" * 20)],
)
def test_what_does_not_fit(kind: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"fit|32 bytes|40 hex"):
        abi.encode([kind], [value])


@pytest.mark.parametrize("function", [wire.VALIDATORS, wire.STAKING_CONTRACT, wire.GET_CONTRACT])
def test_the_selectors(function: wire.Function) -> None:
    assert function.selector == function.hashed()
