from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import ScopeError
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import RECAP_ABILITIES, Resource, ResourceAbility, Scope

DECRYPT_ALL = "access-control-condition-decryption=lit-accesscontrolcondition://*"

pairs = st.sampled_from(list(RECAP_ABILITIES))
requests = st.builds(
    lambda pair, resource_id: ResourceAbility(Resource(pair[0], resource_id), pair[1]),
    pairs,
    st.sampled_from(["*", "a", "A", "b/c", "", "7", "d=e://f"]),
)
scopes = st.builds(Scope, st.lists(requests, min_size=1, max_size=5).map(tuple))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lit-accesscontrolcondition://*",
        "access-control-condition-decryption",
        "access-control-condition-decryption=",
        "access-control-condition-decryption=*",
        "access-control-condition-decryption=lit-pkp://*",
        "access-control-condition-decryption=lit-unknown://*",
        "access-control-condition-decryption=lit-accesscontrolconditionx://*",
        "Access-Control-Condition-Decryption=lit-accesscontrolcondition://*",
        "pkp-signing=lit-pkp://" + "1" * 65,
    ],
)
def test_requests_that_are_none(text: str) -> None:
    with pytest.raises(ScopeError):
        Scope.parse([text])


def test_an_ability_that_the_resource_does_not_support_is_named_with_those_that_it_does() -> None:
    with pytest.raises(ScopeError) as caught:
        ResourceAbility(Resource("lit-pkp", "*"), "lit-action-execution")
    assert caught.value.asked == "lit-action-execution"
    assert caught.value.hint == "They support pkp-signing."


def test_a_scope_is_a_list_and_not_empty() -> None:
    with pytest.raises(ScopeError, match="scope is empty"):
        Scope.parse([])
    for scope in (DECRYPT_ALL, DECRYPT_ALL.encode(), {DECRYPT_ALL: 1}, 5, None, 1.5):
        with pytest.raises(ScopeError, match="list"):
            Scope.parse(scope)  # type: ignore[arg-type]
    for item in (5, None, [], {}, b"a"):
        with pytest.raises(ScopeError, match="text"):
            Scope.parse([item])  # type: ignore[list-item]


@pytest.mark.parametrize("wire", [{}, {"resource": "x", "ability": "y"}, {"resource": {}, "ability": "y"}, 5])
def test_wire_forms_that_are_none(wire: Any) -> None:  # noqa: ANN401 - what may come in
    with pytest.raises(ScopeError):
        Scope.from_json([wire])


@given(scopes)
def test_text_and_wire_forms_read_back(scope: Scope) -> None:
    assert Scope.parse([str(request) for request in scope.requests]) == scope
    assert Scope.from_json(scope.to_json()) == scope
    assert Scope.parse(str(scope).split(", ")) == scope


@given(scopes, scopes)
def test_covers_is_what_nodes_decide(granted: Scope, asked: Scope) -> None:
    """A node looks into the ReCap; both readings must agree, or a session would fail when it is too late."""
    recap = Recap.of(granted.requests)
    assert granted.covers(asked) == all(recap.covers(r.resource, r.ability) for r in asked.requests)


def test_what_restricts_a_request_is_read_back_in_its_order() -> None:
    (granted,) = Scope.to_decrypt("a/b").requests
    assert granted.resource == Resource("lit-accesscontrolcondition", "a/b")
    wire = granted.to_json() | {"data": {"z": 1, "a": [2]}}
    assert list(ResourceAbility.from_json(wire).to_json().items()) == list(wire.items())
    assert list(ResourceAbility.from_json(wire).to_json()["data"]) == ["z", "a"]


def test_a_restriction_is_what_json_makes_of_it() -> None:
    given: dict[Any, Any] = {1: ("a", None)}
    request = ResourceAbility(Resource("lit-pkp", "*"), "pkp-signing", given)
    given[2] = "later"
    assert request.data == {"1": ["a", None]}


def test_a_wildcard_covers_and_hides() -> None:
    all_of_them = Scope.parse([DECRYPT_ALL])
    one = Scope.to_decrypt("a/b")
    sign_all = Scope.parse(["access-control-condition-signing=lit-accesscontrolcondition://*"])
    assert all_of_them.covers(one)
    assert not one.covers(all_of_them)
    assert one.covers(one)
    assert not Scope((*sign_all.requests, *one.requests)).covers(one)


def test_wildcards_are_found() -> None:
    assert [str(request) for request in Scope.parse([DECRYPT_ALL]).wildcards] == [DECRYPT_ALL]
    assert Scope.to_decrypt("a/b").wildcards == ()
