"""A Chipotle network checked step by step: enclave, service, clock, secret, API key, credit, the gate, RPC servers.

Source: docs/protocol/gate.md#the-services-key-namespace and #what-a-client-does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from lit_airflow import clock as clocks
from lit_airflow.clock import Clock, Deadline
from lit_airflow.errors import LitError
from lit_airflow.networks.chipotle import api_calls, gate_runs, registrations
from lit_airflow.networks.chipotle.account import Account
from lit_airflow.networks.chipotle.account_answers import read_credit_cents
from lit_airflow.networks.chipotle.api_calls import ApiCall
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.chipotle.credentials import Credentials
from lit_airflow.networks.chipotle.deployment import cid_of
from lit_airflow.networks.chipotle.description import ChipotleDescription, Policy
from lit_airflow.networks.chipotle.gates import TEMPLATES
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.probe import seal_and_open
from lit_airflow.networks.chipotle.scopes import credit, scopes, service
from lit_airflow.networks.chipotle.setup_checks import check_cid, check_gate_key, check_group
from lit_airflow.networks.contract import Attestation, Check, Network, Verdict
from lit_airflow.protocol.chains import chain_id
from lit_airflow.text import word
from lit_airflow.transport.chain import Chain
from lit_airflow.transport.clock_skew import clock_warning, skew_s

if TYPE_CHECKING:
    from lit_airflow.networks.chipotle.api import Api, Reply
    from lit_airflow.networks.chipotle.key_ring import KeyRing
    from lit_airflow.transport.http import Http


class Diagnosable(Network, Protocol):
    """What the checks need of a network beside the contract."""

    description: ChipotleDescription
    http: Http
    api: Api
    keys: KeyRing

    @property
    def clock(self) -> Clock:
        """Tells the time."""
        ...

    def attest(self, deadline: Deadline) -> Attestation:
        """Have the service prove its build now.

        Raises:
            LitError: It does not, or does not answer.
        """
        ...


def diagnose(network: Diagnosable, deadline: Deadline) -> Iterator[Check]:
    """Yield each check as soon as it is known; what depends on a failed one is left out.

    Args:
        network: The network. Asking a gate for its key costs $0.01, and so does the decryption.
        deadline: When to stop.
    """
    policy = network.description.attestation
    if policy is not Policy.OFF:
        enclave = _enclave(network, deadline)
        yield enclave
        if enclave.verdict is Verdict.BAD and policy is Policy.REQUIRE:
            return
    try:
        reply = network.api.reply(api_calls.version(), None, deadline)
    except LitError as error:
        yield Check.failed("service", error)
        return
    unverified = "; attestation is off, so its build was not verified" if policy is Policy.OFF else ""
    yield service(network.description.api_url, reply.content, unverified)
    yield _clock(network, reply)
    yield from _servers(network, deadline)
    if network.description.read_secret is None:
        yield Check.note("API key", "none: this connection encrypts and opens sessions, and does not decrypt")
        return
    try:
        credentials = network.keys.credentials()
    except LitError as error:
        yield Check.failed("API key", error)
        return
    yield from _account(network, credentials, deadline)
    addresses: dict[str, str] = {}
    for public_key in credentials.gates:
        yield _gate(network, credentials, public_key, addresses, deadline)
    if addresses and registrations.CHAIN in network.description.rpc:
        yield _registrations(network, credentials, addresses, deadline)
        yield Check.note(
            "key namespace",
            "not tried: whether the service gives out a key that does not belong to the registered address",
            "`lit-airflow chipotle probe-namespace` tries it, with three transactions that cost gas.",
        )
    yield _pinned(network, credentials)
    if credentials.gates:
        yield _probe(network, deadline)


def _probe(network: Diagnosable, deadline: Deadline) -> Check:
    try:
        seal_and_open(network, deadline)
    except LitError as error:
        return Check.failed("decryption", error)
    return Check.good("decryption", "a small container was sealed, and the gate opened it")


def _clock(network: Diagnosable, reply: Reply) -> Check:
    ahead_s = skew_s(network.clock(), reply.date, reply.took_s)
    if ahead_s is None:
        return Check.note("clock", "the service did not tell the time")
    if warning := clock_warning(ahead_s):
        advice = "Set this machine's clock by NTP: gates refuse sessions from the future."
        return Check.bad("clock", warning, advice)
    return Check.good("clock", "this machine's clock agrees with the service's to a few seconds")


def _servers(network: Diagnosable, deadline: Deadline) -> Iterator[Check]:
    for chain, urls in network.description.rpc.items():
        for index, url in enumerate(urls):
            name = f"rpc.{word(chain)}[{index}]"
            try:
                number = Chain(network.http, url).number(deadline)
            except LitError as error:
                yield Check.failed(name, error)
                continue
            wanted = chain_id(chain)
            if wanted not in (None, number):
                yield Check.bad(
                    name,
                    f"serves chain {number}, and {word(chain)} is chain {wanted}",
                    "Correct rpc. What was encrypted with this server is decided by the chain that it serves.",
                )
            else:
                yield Check.good(name, f"answers, chain {number}")


def _account(network: Diagnosable, credentials: Credentials, deadline: Deadline) -> Iterator[Check]:
    try:
        cents = read_credit_cents(network.api.send(api_calls.balance(), credentials.api_key, deadline))
    except LitError as error:
        yield Check.failed("API key", error)
        return
    yield Check.good("API key", "the service knows it")
    yield credit(cents)
    yield from _scopes(network, credentials, deadline)


def _scopes(network: Diagnosable, credentials: Credentials, deadline: Deadline) -> Iterator[Check]:
    """Check what the API key may do; every key may read that of all keys of the account."""

    def send(call: ApiCall) -> object:
        return network.api.send(call, credentials.api_key, deadline)

    account = Account(send, clocks.sleep)
    hashed = key_hash(credentials.api_key.reveal().decode())
    try:
        key = next((key for key in account.usage_keys() if key.key_hash == hashed), None)
    except LitError as error:
        yield Check.failed("API key scopes", error)
        return
    if key is None:
        yield Check.note("API key scopes", "the account does not list this key, so they are not known")
        return
    yield scopes(key)
    if not key.only_runs or len(key.groups) != 1 or 0 in key.groups:
        return
    (group,) = key.groups
    if not credentials.gates:
        yield Check.note("API key's group", f"group {group}; the secret has no gate to compare with")
        return
    try:
        hashes = [key_hash(cid_of(entry)) for entry in credentials.gates.values()]
        check_group(account.actions(group), account.wallets(group), *hashes)
    except LitError as error:
        yield Check.failed("API key's group", error)
    else:
        yield Check.good("API key's group", f"group {group} contains the gates in Vault, and nothing else")


def _gate(
    network: Diagnosable,
    credentials: Credentials,
    public_key: str,
    addresses: dict[str, str],
    deadline: Deadline,
) -> Check:
    name = f"gate {public_key[:16]}..."
    entry = credentials.gate(public_key)
    try:
        text = entry.text()
        check_cid(
            cid_v0(text.reveal().decode()), network.api.send(api_calls.action_cid(text), None, deadline)
        )
        asked = gate_runs.ask_key(network.api, credentials.api_key, text, deadline)
        check_gate_key(asked, public_key, entry.version)
        addresses[public_key] = asked.address
    except LitError as error:
        return Check.failed(name, error)
    if TEMPLATES[entry.version].withdrawn:
        found = f"version {entry.version} was found to be broken"
        return Check.bad(
            name, found, "Make a new gate, encrypt for it, and convert what was encrypted before."
        )
    return Check.good(name, f"runs, version {entry.version}, and has the key that it is registered under")


def _registrations(
    network: Diagnosable, credentials: Credentials, addresses: Mapping[str, str], deadline: Deadline
) -> Check:
    try:
        config = network.api.send(api_calls.chain_config(), None, deadline)
        contract, number = registrations.read_contract(config)
    except LitError as error:
        return Check.failed("registrations", error)
    url = network.description.rpc[registrations.CHAIN][0]
    gates = {key: (cid_of(credentials.gate(key)), address) for key, address in addresses.items()}
    return registrations.look(Chain(network.http, url, number), contract, gates, deadline)


def _pinned(network: Diagnosable, credentials: Credentials) -> Check:
    pinned = network.description.gate_key
    if not pinned:
        return Check.note(
            "gate_key", "not set; it is asked for, which costs $0.01", "Set it in the connection."
        )
    if pinned not in credentials.gates:
        return Check.bad(
            "gate_key",
            "not among the gates in Vault: what is encrypted with it cannot be decrypted",
            "Set gate_key to the key of a gate that is listed there.",
        )
    return Check.good("gate_key", "set, and listed in Vault")


def _enclave(network: Diagnosable, deadline: Deadline) -> Check:
    """Say whether the service proves now which build it runs."""
    name = "enclave"
    try:
        found = network.attest(deadline)
    except LitError as error:
        return Check.failed(name, error)
    if found.accepted:
        return Check.good(name, str(found))
    advice = f"If you trust it, set compose_hash to {found.build} and machine_hash to {found.machine}."
    if network.description.attestation is Policy.REPORT and not network.description.compose_hash:
        return Check.note(name, str(found), advice)
    return Check.bad(name, str(found), advice)
