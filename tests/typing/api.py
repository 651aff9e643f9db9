"""Type-checked, never run: the public interface as a user's code meets it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_type

from airflow.sdk import DAG

from lit_airflow import Conditions, LitClient, LitError, Scope, Session, Wallet, get_provider_info
from lit_airflow.assets import session_asset
from lit_airflow.errors import AccessDeniedError, Failure, NodesUnavailableError, SettingsError
from lit_airflow.handoff.renewal import RenewableSession
from lit_airflow.hooks import LitHook
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.signers import SignerServer, web3signer
from lit_airflow.networks.actions import ActionRun
from lit_airflow.networks.contract import Session as AnySession
from lit_airflow.operators import (
    LitActionOperator,
    LitDecryptManyOperator,
    LitDecryptOperator,
    LitEncryptOperator,
    LitKeepAliveOperator,
    LitSessionSigsOperator,
    LitSignOperator,
)
from lit_airflow.protocol.signing import Signed, SigningPolicy, SigningRequest
from lit_airflow.sensors import LitConditionSensor


def a_client_without_airflow(network: dict[str, Any], conditions: dict[str, Any]) -> bytes:
    lit = LitClient("datil-dev")
    lit = LitClient(Path("network.json"))
    lit = LitClient(network, timeout_s=10)
    wallet = Wallet.from_key("0x" + "11" * 32)
    wallet = Wallet.from_key(b"\x11" * 32)
    wallet = Wallet.from_key(Secret(b"\x11" * 32))
    assert_type(wallet.address, str)
    elsewhere = web3signer(SignerServer("https://signer.example.org:9000", timeout_s=10), wallet.address)
    lit.open_session(elsewhere, Scope.to_decrypt("0" * 64 + "/" + "1" * 64))

    parsed = Conditions.parse(conditions)
    sealed = lit.encrypt(b"secret", parsed)
    assert_type(sealed, dict[str, Any])
    lit.encrypt(b"secret", conditions)

    scope = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
    assert_type(scope.covers(lit.scope_of(sealed, conditions)), bool)
    session = lit.open_session(wallet, scope, ttl_s=600, domain="airflow.example.org")
    assert_type(session, AnySession)
    assert_type(session.session_sigs, Mapping[str, Any])
    assert_type(lit.traits.single_server, bool)
    assert_type(lit.health().reached, int)
    run = lit.run_action("async function main() {}", {"a": [1]}, expected_cid="Qm", repeatable=True)
    assert_type(run, ActionRun)
    assert_type(run.cost.cents, int)
    policy = SigningPolicy.of("0x" + "11" * 20, 8453, "0x" + "22" * 20)
    assert_type(lit.sign(SigningRequest.of(message="text"), policy), Signed)
    assert_type(lit.credit_cents(), int)
    container = lit.encrypt_file("in", Path("out"), conditions, progress=print)
    assert_type(lit.decrypt_file(Path("out"), "back", session), int)
    lit.scope_of(container, container)
    return lit.decrypt(sealed, conditions, Session.from_session_sigs(session.session_sigs))


def errors_carry_facts(lit: LitClient, session: AnySession) -> str:
    try:
        lit.decrypt({}, {}, session)
    except NodesUnavailableError as error:
        assert_type(error.failures, dict[str, Failure])
        return f"{error.reached} of {error.needed}"
    except AccessDeniedError as error:
        return error.code
    except SettingsError as error:
        return error.field
    except LitError as error:
        assert_type(error.retryable, bool)
        return error.hint
    return ""


def a_hook(ticket: object, container: dict[str, Any]) -> bytes:
    hook = LitHook("lit_renewer")
    assert_type(hook.get_conn(), LitClient)
    assert_type(hook.test_connection(), tuple[bool, str])
    scope = hook.scope_of(container)
    assert_type(hook.get_session_sigs(scope, ttl_s=600), dict[str, dict[str, str]])
    ticket = hook.make_ticket(hook.open_session(scope))
    ticket, renewed, why = hook.sessions.reuse_or_open(ticket, scope)
    assert_type(renewed, bool)
    assert_type(why, str)
    hook.encrypt(b"secret", container)
    held = hook.hold("reports")
    assert_type(held, RenewableSession)
    assert_type(held.session, AnySession)
    hook.decrypt(container, held)
    assert_type(hook.grants(container, held), bool)
    return hook.decrypt(container, hook.open_ticket(ticket))


def a_dag(conditions: dict[str, Any]) -> None:
    with DAG("typed", schedule=session_asset("reports")):
        LitEncryptOperator(
            task_id="encrypt", input_path="s3://bucket/in.csv", conditions=conditions, output_path="in.lit"
        )
        session = LitSessionSigsOperator(task_id="session", encrypted="in.lit", lit_conn_id="lit_renewer")
        LitSessionSigsOperator(task_id="wide", allow=["pkp-signing=lit-pkp://*"], ttl_s=600)
        LitDecryptOperator(
            task_id="decrypt",
            encrypted="in.lit",
            session=session.output,
            output_path="file:///data/in.csv",
            lit_conn_id="lit_consumer",
            retries=3,
        )
        LitSessionSigsOperator(task_id="named", encrypted="in.lit", name="reports")
        LitDecryptOperator(task_id="push", encrypted={}, session=session.output, push_plaintext=True)
        LitDecryptOperator(task_id="seal", encrypted="in.lit", session="reports", seal_plaintext=True)
        LitDecryptManyOperator(task_id="all", encrypted="in/*.lit", session="reports", output_dir="out")
        LitDecryptManyOperator(task_id="two", encrypted=["a.lit", "b"], session={}, output_dir="s3://b/out")
        kept = LitKeepAliveOperator(task_id="keep", name="reports", encrypted=["in.lit"], until=["push"])
        LitConditionSensor(task_id="wait", encrypted="in.lit", session="reports", deferrable=True) >> kept
        LitDecryptOperator(task_id="asked", encrypted={}, session="reports", push_plaintext=True)


assert_type(get_provider_info(), dict[str, Any])


def tasks_that_act() -> None:
    LitActionOperator(task_id="act", code="act.js", js_params={"a": 1}, push_response=True, budget_cents=2)
    LitSignOperator(task_id="sign", message="text")
