"""With ``require``, a service that breaks any link gets nothing; each broken link is refused by name."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lit_airflow import LitClient, Wallet
from lit_airflow.clock import Deadline
from lit_airflow.devnet.chipotle.enclave import COMPOSE, LocalEnclave
from lit_airflow.devnet.chipotle.tdx_platform import TdxPlatform
from lit_airflow.errors import AttestationError, NodesUnavailableError, SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks import chipotle
from lit_airflow.networks.api_keys import ManagedSecrets
from lit_airflow.networks.chipotle import api_calls
from lit_airflow.networks.chipotle.enclave import GOOD_FOR
from lit_airflow.networks.chipotle.network import ChipotleNetwork
from lit_airflow.networks.contract import AttestationState, SessionOptions, Verdict
from lit_airflow.protocol.scope import Scope
from tests.client.chipotle.attested import Attested, attested_service
from tests.devnet_chipotle.warm_engine import WarmEngine

WALLET = Wallet.from_key("11" * 32)
SCOPE = Scope.parse(
    ["access-control-condition-decryption=lit-accesscontrolcondition://" + "ab" * 32 + "/" + "cd" * 32]
)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm: WarmEngine) -> Iterator[Attested]:
    with attested_service(tmp_path, monkeypatch) as running:
        warm.serve(running.net)
        yield running


def soon() -> Deadline:
    return Deadline.after(20)


def ask(network: ChipotleNetwork) -> Any:  # noqa: ANN401 - JSON
    """Send a call with the API key."""
    return network.api.send(api_calls.balance(), network.keys.credentials().api_key, soon())


def open_session(network: ChipotleNetwork) -> None:
    network.open_session(WALLET, SCOPE, SessionOptions(ttl_s=600, domain="localhost"), soon())


def compose(**changes: str) -> dict[str, object]:
    text = str(COMPOSE["docker_compose_file"])
    for old, new in changes.items():
        text = text.replace(old, new)
    return {**COMPOSE, "docker_compose_file": text}


def test_a_service_that_proves_all_is_used(service: Attested, caplog: pytest.LogCaptureFixture) -> None:
    network = service.client(machine_hash=service.enclave.machine_hash)
    with caplog.at_level(logging.INFO):
        open_session(network)
    assert f"runs build {service.enclave.compose_hash}" in caplog.text
    assert ask(network)
    found = network.attestation
    assert (found.state, found.accepted, found.check) == (AttestationState.VERIFIED, True, "")
    assert found.build == service.enclave.compose_hash
    assert found.machine == service.enclave.machine_hash
    assert found.platform == ("UpToDate",)
    assert service.received() == ["billing/balance"]


def test_events_may_carry_their_digests(service: Attested) -> None:
    service.enclave.with_digests = True
    assert ask(service.client())


def other_root(service: Attested) -> None:
    service.enclave.platform = TdxPlatform(service.clock.now)
    service.write_collateral()


def expired_collateral(service: Attested) -> None:
    service.write_collateral(now=service.clock.now - timedelta(days=31))


def no_collateral(service: Attested) -> None:
    service.collateral.write_text("{}")


def debugged(service: Attested) -> None:
    service.enclave.attributes = bytes.fromhex("0100001000000000")


def out_of_date(service: Attested) -> None:
    service.enclave.platform.status = "OutOfDate"
    service.write_collateral()


def other_machine_for_the_sums(service: Attested) -> None:
    body = service.enclave.body("/evidences/quote.json")
    assert body is not None
    service.enclave.instead["/evidences/quote.json"] = body
    service.enclave.mr_td = b"\x09" * 48


def changed(service: Attested, path: str, change: Callable[[dict[str, Any]], None]) -> None:
    body = json.loads(service.enclave.body(path) or b"")
    change(body)
    service.enclave.instead[path] = json.dumps(body).encode()


def other_events(service: Attested) -> None:
    def change(body: dict[str, Any]) -> None:
        log = json.loads(body["event_log"])
        log[2]["event_payload"] = "00"
        body["event_log"] = json.dumps(log)

    changed(service, "/attestation", change)


def other_compose_text(service: Attested) -> None:
    def change(body: dict[str, Any]) -> None:
        body["tcb_info"] = json.dumps({"app_compose": json.dumps(compose(api="evil"))})

    changed(service, "/info", change)


def other_compose_text_and_hash(service: Attested) -> None:
    def change(body: dict[str, Any]) -> None:
        text = json.dumps(compose(api="evil"))
        body["tcb_info"] = json.dumps({"app_compose": text})
        body["compose_hash"] = hashlib.sha256(text.encode()).hexdigest()

    changed(service, "/info", change)


def other_build(service: Attested) -> None:
    service.enclave.compose = compose(api="newer")


def image_by_tag(service: Attested) -> None:
    service.enclave.compose = compose(**{f"@sha256:{'1a' * 32}": ":latest"})


def no_image(service: Attested) -> None:
    service.enclave.compose = {**COMPOSE, "docker_compose_file": "services:\n  api:\n    build: .\n"}


def image_that_is_no_date(service: Attested) -> None:
    service.enclave.compose = {**COMPOSE, "docker_compose_file": "services: {api: {image: 2026-99-99}}"}


def image_of_thousands_of_digits(service: Attested) -> None:
    text = f"services: {{api: {{image: {'9' * 5000}}}}}"
    service.enclave.compose = {**COMPOSE, "docker_compose_file": text}


def compose_text_without_utf8(service: Attested) -> None:
    changed(service, "/info", lambda body: body.update(tcb_info={"app_compose": "\ud800"}))


def details_without_utf8(service: Attested) -> None:
    changed(service, "/info", lambda body: body.update(tcb_info="\ud800"))


def event_named_by_a_number(service: Attested) -> None:
    def change(body: dict[str, Any]) -> None:
        log = json.loads(body["event_log"])
        log[2]["event"] = 5
        body["event_log"] = log

    changed(service, "/attestation", change)


def other_sums(service: Attested) -> None:
    sums = service.enclave.body("/evidences/sha256sum.txt") or b""
    service.enclave.instead["/evidences/sha256sum.txt"] = sums + b"00  more\n"


def certificate_that_is_not_listed(service: Attested) -> None:
    path = "/evidences/cert-127.0.0.1.pem"
    service.enclave.instead[path] = LocalEnclave.certified(service.clock.now).certificate


def certificate_that_is_listed_twice(service: Attested) -> None:
    enclave = service.enclave
    sums = enclave.body("/evidences/sha256sum.txt") or b""
    sums += f"{'00' * 32}  cert-127.0.0.1.pem\n".encode()
    quote = enclave.quote(hashlib.sha256(sums).digest())
    enclave.instead["/evidences/sha256sum.txt"] = sums
    enclave.instead["/evidences/quote.json"] = json.dumps({"quote": quote}).encode()


def replayed_evidence(service: Attested) -> None:
    """All of it genuine, of the machine that held the certificate before."""
    service.enclave.renew_certificate(attested=False)


def replayed_quote_of_an_earlier_build(service: Attested) -> None:
    body = service.enclave.body("/attestation")
    assert body is not None
    service.enclave.instead["/attestation"] = body
    service.enclave.compose = compose(api="evil")


def nothing_served(service: Attested) -> None:
    service.enclave.host = "elsewhere.example"


BROKEN = {
    other_root: "quote",
    expired_collateral: "collateral",
    no_collateral: "collateral",
    debugged: "quote",
    out_of_date: "tcb",
    other_machine_for_the_sums: "measurements",
    other_events: "event-log",
    other_compose_text: "compose-hash",
    other_compose_text_and_hash: "compose-hash",
    other_build: "compose-hash",
    image_by_tag: "images",
    no_image: "images",
    image_that_is_no_date: "images",
    image_of_thousands_of_digits: "images",
    compose_text_without_utf8: "compose-hash",
    details_without_utf8: "evidence",
    event_named_by_a_number: "event-log",
    other_sums: "evidence",
    certificate_that_is_not_listed: "evidence",
    certificate_that_is_listed_twice: "evidence",
    replayed_evidence: "certificate",
    replayed_quote_of_an_earlier_build: "measurements",
    nothing_served: "evidence",
}


@pytest.mark.parametrize(
    ("breaks", "check"), BROKEN.items(), ids=lambda each: getattr(each, "__name__", each)
)
def test_with_require_a_broken_link_gets_nothing(
    service: Attested, breaks: Callable[[Attested], None], check: str
) -> None:
    network = service.client()  # it pins the build that is replaced below
    breaks(service)
    for attempt in (open_session, ask, lambda network: network.health(soon())):
        with pytest.raises(AttestationError) as caught:
            attempt(network)
        assert caught.value.check == check
        assert not caught.value.retryable
    assert service.received() == []


@pytest.mark.parametrize(
    ("breaks", "check"),
    [
        (breaks, BROKEN[breaks])
        for breaks in (expired_collateral, other_build, image_by_tag, replayed_evidence)
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_with_report_the_broken_link_is_named_and_nothing_refused(
    service: Attested, breaks: Callable[[Attested], None], check: str, caplog: pytest.LogCaptureFixture
) -> None:
    network = service.client("report")
    breaks(service)
    open_session(network)
    assert ask(network)
    assert service.received() == ["billing/balance"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    if breaks is other_build:  # it is proven, and another than the pinned one
        assert "is not pinned" in warnings[0]
        assert not network.attestation.accepted
    else:
        assert f"check '{check}' failed" in warnings[0]
        assert (network.attestation.state, network.attestation.check) == (AttestationState.FAILED, check)


def test_with_require_and_no_pin_the_error_names_the_build_to_pin(service: Attested) -> None:
    network = service.client(compose_hash="")
    with pytest.raises(
        AttestationError, match=f"build {service.enclave.compose_hash} .*Set|set compose_hash"
    ) as caught:
        ask(network)
    assert caught.value.check == "compose-hash"
    assert service.received() == []


def test_a_new_build_is_accepted_once_it_is_pinned(service: Attested) -> None:
    old = service.enclave.compose_hash
    service.enclave.compose = compose(api="newer")
    assert ask(service.client(compose_hash=f"{old}, {service.enclave.compose_hash}"))


def test_another_machine_than_the_pinned_one(service: Attested) -> None:
    network = service.client(machine_hash="00" * 32)
    with pytest.raises(AttestationError) as caught:
        ask(network)
    assert caught.value.check == "machine"
    assert service.received() == []


def test_each_new_connection_ends_in_the_attested_machine(service: Attested) -> None:
    """The evidence was good a moment ago; the next connection is taken over by another server."""
    network = service.client()
    ask(network)
    service.enclave.renew_certificate(attested=False)
    network.api.http.close()
    with pytest.raises(AttestationError) as caught:
        ask(network)
    assert caught.value.check == "certificate"
    assert service.received() == ["billing/balance"]


def test_no_frame_of_a_refusal_holds_the_api_key(service: Attested) -> None:
    """What the TLS check raises comes through the frames of the HTTP library, which hold the request's headers."""
    network = service.client()
    ask(network)
    network.api.http.close()
    service.enclave.renew_certificate(attested=False)
    key = network.keys.credentials().api_key
    with pytest.raises(AttestationError) as caught:
        network.api._exchange(api_calls.balance(), key, soon())
    assert caught.value.check == "certificate"
    assert error_frames(caught.value, key.reveal().decode()) == []


def error_frames(error: BaseException | None, secret: str) -> list[str]:
    """The functions whose variables hold a secret, of all libraries, among those that an error carries with it."""
    found = []
    while error is not None:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        found += [
            frame.f_code.co_qualname
            for frame in frames
            if frame.f_code.co_filename != __file__ and secret in repr(frame.f_locals)
        ]
        error = error.__cause__ or error.__context__
    return found


def test_a_renewed_certificate_is_attested_anew(service: Attested) -> None:
    network = service.client()
    ask(network)
    service.enclave.renew_certificate()
    network.api.http.close()
    assert ask(network)
    assert service.received() == ["billing/balance"] * 2


def test_an_outcome_is_used_for_some_hours_and_no_longer(service: Attested) -> None:
    network = service.client()
    ask(network)
    asked = len(service.net.requests)
    service.clock.wait(GOOD_FOR.total_seconds() - 60)
    ask(network)
    assert len(service.net.requests) == asked + 1
    other_build(service)
    service.clock.wait(120)
    with pytest.raises(AttestationError):
        ask(network)
    assert service.received() == ["billing/balance"] * 2


def test_an_outcome_does_not_outlive_its_collateral(service: Attested) -> None:
    service.write_collateral(now=service.clock.now - timedelta(hours=23), days=1)
    network = service.client()
    ask(network)
    service.clock.wait(3700)
    with pytest.raises(AttestationError) as caught:
        ask(network)
    assert caught.value.check == "collateral"


def test_report_verifies_once_in_some_hours(service: Attested, caplog: pytest.LogCaptureFixture) -> None:
    network = service.client("report")
    name = "lit_airflow.networks.chipotle.enclave"

    def told() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.name == name]

    with caplog.at_level(logging.INFO, logger=name):
        for _ in range(3):
            open_session(network)
        assert len(told()) == 1
        service.clock.wait(GOOD_FOR.total_seconds() + 1)
        other_build(service)
        open_session(network)
    assert told()[1].levelno == logging.WARNING
    assert "before" in told()[1].getMessage()


def test_report_says_when_a_connection_ends_elsewhere(
    service: Attested, caplog: pytest.LogCaptureFixture
) -> None:
    network = service.client("report")
    open_session(network)
    service.enclave.renew_certificate(attested=False)
    assert ask(network)
    assert "check 'certificate' failed" in caplog.text


def test_a_service_that_does_not_answer_is_no_proof_and_may_be_tried_again(service: Attested) -> None:
    network = service.client()
    service.net.set_fault("down")
    with pytest.raises(NodesUnavailableError) as caught:
        ask(network)
    assert caught.value.retryable
    service.net.clear_faults()
    assert ask(network)


def test_off_asks_for_no_evidence_and_says_so(service: Attested) -> None:
    network = service.client("off")
    open_session(network)
    assert ask(network)
    assert service.received() == [str(request["call"]) for request in service.net.requests]
    assert network.attestation.state is AttestationState.UNVERIFIED
    assert "attestation is off" in str(network.attestation)


def test_it_can_be_verified_whatever_the_policy(service: Attested) -> None:
    network = service.client("off", compose_hash="")
    found = network.attest(soon())
    assert (found.build, found.accepted) == (service.enclave.compose_hash, False)


@pytest.mark.parametrize(
    ("policy", "breaks", "verdict"),
    [
        ("report", None, Verdict.GOOD),
        ("report", image_by_tag, Verdict.BAD),
        ("report", other_build, Verdict.BAD),
        ("require", None, Verdict.GOOD),
        ("require", image_by_tag, Verdict.BAD),
        ("require", other_build, Verdict.BAD),
    ],
)
def test_doctor_says_what_was_verified(
    service: Attested, policy: str, breaks: Callable[[Attested], None] | None, verdict: Verdict
) -> None:
    network = service.client(policy)
    if breaks is not None:
        breaks(service)
    checks = list(network.diagnose(soon()))
    (found,) = [check for check in checks if check.name == "enclave"]
    assert found.verdict is verdict
    if policy == "require" and breaks is not None:
        assert service.received() == []


def test_doctor_says_that_nothing_was_verified(service: Attested) -> None:
    checks = {check.name: check for check in service.client("off").diagnose(soon())}
    assert "enclave" not in checks
    assert "attestation is off, so its build was not verified" in checks["service"].found


def test_no_setting_reaches_the_trust_anchor(service: Attested) -> None:
    root = service.enclave.root_der
    given = service.description(root_ca=root.hex(), trust_anchor=root.hex(), verifier=root.hex())
    with LitClient(given) as client, pytest.raises(AttestationError) as caught:
        client.open_session(WALLET, SCOPE)
    assert caught.value.check == "quote"


def test_the_account_key_is_not_sent_to_a_service_that_fails(service: Attested) -> None:
    """Set-up and rotation; the made-up enclave does not lead to Intel's root."""
    key = Secret(str(service.net.description["account_key"]).encode())
    store: Any = None  # not reached
    managed = ManagedSecrets(key, store, service.clock, service.clock.wait)
    for description, refused in ((service.description("require"), True), (service.description("off"), False)):
        manager = chipotle._manager(chipotle.describe(description, None), managed)
        with pytest.raises(AttestationError) if refused else contextlib.nullcontext():
            assert manager.account.credit_cents() > 0
    assert service.received() == ["billing/balance"]


def test_without_the_extra_nothing_is_opened(service: Attested, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "dcap_qvl", None)
    for policy in ("report", "require"):
        with pytest.raises(SettingsError, match=r"pip install 'lit-airflow\[attestation\]'"):
            LitClient(service.description(policy))
    with LitClient(service.description("off")):
        pass


def test_a_file_of_collateral_that_is_not_there(service: Attested) -> None:
    for policy in ("report", "require"):
        network = service.client(policy, collateral="/nowhere/collateral.json")
        with pytest.raises(SettingsError) as caught:
            open_session(network)
        assert caught.value.field == "collateral"
