"""Half of a surrogate pair, which JSON can write and UTF-8 cannot: refused before anything is signed or sent."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

import pytest

from lit_airflow import Scope
from lit_airflow.errors import LitError
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.auth_method import AuthMethod
from lit_airflow.protocol.auth_sig import AuthRequest, AuthSig, sign_in
from lit_airflow.protocol.recap import URN_PREFIX, Recap
from lit_airflow.protocol.scope import Resource, ResourceAbility
from lit_airflow.protocol.session import Session
from tests.client.conftest import Job

HALF = "a\ud800"


def restricted(data: object) -> Scope:
    (plain,) = Scope.to_decrypt("a/b").requests
    return Scope.from_json([plain.to_json() | {"data": data}])


def altered(job: Job) -> AuthSig:
    return replace(AuthSig.from_json(job.session.capabilities[-1]), signed_message=HALF)


def by_callback(job: Job, **changed: str) -> object:
    def answer(request: AuthRequest) -> AuthSig:
        return replace(sign_in(request, job.wallet), **changed)

    return job.lit.sdk.get_session_sigs(
        resource_ability_requests=job.session.scope, auth_needed_callback=answer, chain=HALF
    )


def by_storage(job: Job) -> object:
    storage: dict[str, str] = {}
    lit = job.new_client(storage=storage)
    lit.open_session(job.wallet, job.session.scope)
    storage.update({name: HALF + text for name, text in storage.items()})
    return lit.open_session(job.wallet, job.session.scope)


def changed_contents(job: Job, name: str) -> object:
    return Session.from_json(job.session.to_json() | {name: HALF})


@pytest.mark.parametrize(
    "act",
    [
        lambda job: Scope.to_decrypt(HALF),
        lambda job: ResourceAbility.parse(f"pkp-signing=lit-pkp://{HALF}"),
        lambda job: restricted({"a": HALF}),
        lambda job: restricted({HALF: 1}),
        lambda job: restricted({"a": [{"b": HALF}]}),
        lambda job: Recap({HALF: {}}).urn(),
        lambda job: Recap.from_urn(
            URN_PREFIX + base64.urlsafe_b64encode(rb'{"att":{"\ud800":{}},"prf":[]}').decode().rstrip("=")
        ).urn(),
        lambda job: job.lit.open_session(job.wallet, job.session.scope, domain=HALF),
        lambda job: job.lit.open_session(job.wallet, job.session.scope, statement=HALF),
        lambda job: job.lit.open_session(job.wallet, job.session.scope, capabilities=[altered(job)]),
        lambda job: by_callback(job, signed_message=HALF),
        lambda job: by_callback(job, sig=HALF),
        lambda job: by_callback(job, derived_via=HALF),
        lambda job: by_callback(job, address=HALF),
        lambda job: AuthMethod(1, HALF),
        lambda job: AuthMethod(1, Secret(b"a\xff")),
        lambda job: AuthMethod.of({"authMethodType": 1, "accessToken": HALF}),
        lambda job: job.lit.sdk.open_pkp_session(HALF, [AuthMethod(1, "a")], job.session.scope),
        lambda job: job.new_client().encrypt(b"", job.conditions | {"chain": HALF}),
        lambda job: job.decrypt_this({**job.sealed, "ciphertext": HALF}),
        lambda job: job.decrypt_this({**job.sealed, "dataToEncryptHash": HALF}),
        lambda job: changed_contents(job, "issued_at"),
        lambda job: changed_contents(job, "expiration"),
    ],
)
def test_it_is_refused(job: Job, act: Callable[[Job], object]) -> None:
    before = job.asked_for_shares()
    with pytest.raises(LitError):
        act(job)
    assert job.asked_for_shares() == before


def test_a_store_that_holds_it_is_written_anew(job: Job) -> None:
    assert by_storage(job)


@pytest.mark.parametrize("data", [[1], "text", 1, {"a": float("nan")}, {"a": object()}])
def test_restrictions_that_are_no_json_object(data: object) -> None:
    with pytest.raises(LitError, match="restriction"):
        restricted(data)


def test_nor_are_they_added_to_a_recap_by_hand() -> None:
    with pytest.raises(LitError, match="restriction"):
        Recap().add(Resource("lit-pkp", "*"), "Threshold/Signing", {"a": object()})
