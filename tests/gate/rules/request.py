"""The request, before anything is signed or sealed."""

from __future__ import annotations

from collections.abc import Iterator

from tests.gate.building import Container, Json, Session, is_wallet
from tests.gate.rules.cases import BAD_INPUT, NO_AUTH_SIG, OPENS, Case, case, decrypt, refusal


def cases() -> Iterator[Case]:
    for text in ("null", "[]", '"text"', "1", "true", "undefined", "{}"):
        yield case(f"params are {text}", None, NO_AUTH_SIG if text == "{}" else BAD_INPUT, text=text)
    good = {**Container().body(), "authSig": Session().sign()}
    for items in (None, {}, "abc", 1, []):
        yield case(f"items are {items!r}", {**good, "items": items}, BAD_INPUT)
    for ask in (None, "", "Key", "keys", ["key"], True):
        yield case(f"ask is {ask!r}", {**good, "ask": ask}, BAD_INPUT)
    body = Container().body()
    items = [None, [], "x", body, {**body, "authSig": None}, 1]
    outcomes = [refusal(BAD_INPUT)] * 3 + [OPENS] * 2 + [refusal(BAD_INPUT)]
    answer = {"ok": True, "items": outcomes}
    yield case("items that are no objects", {"items": items, "authSig": Session().sign()}, answer)
    yield case(
        "with items the request's own conditions are not looked at",
        {**good, "evmContractConditions": 1, "items": [body]},
        {"ok": True, "items": [OPENS]},
    )
    yield case("items without authSig", {"items": [body]}, NO_AUTH_SIG)
    yield decrypt("chain is ignored", chain=5, unknown={"a": None})
    deep: Json = is_wallet()
    for _ in range(200):
        deep = [deep]
    yield decrypt("groups in groups", container=Container(conditions=[deep]))
