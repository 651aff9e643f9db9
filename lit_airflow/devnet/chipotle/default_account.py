"""The default account: it has credit, a group with one gate, and a usage key that can run only that gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lit_airflow.devnet.chipotle.cid import action_cid
from lit_airflow.devnet.chipotle.gate_setup import Gate, Lock, gate_key
from lit_airflow.devnet.chipotle.identifiers import hex_address, key_hash, parse_address
from lit_airflow.devnet.chipotle.key_transactions import Scopes
from lit_airflow.devnet.chipotle.state import State, Wallet

_SECRET_BYTES = 32
_CREDIT_CENTS = 5_000
_TEN_YEARS_S = 10 * 365 * 86400
_STORED_BALANCE = 10_000_000


@dataclass(frozen=True, slots=True)
class DefaultAccount:
    """The default account.

    Attributes:
        account_key: The account key.
        api_key: The usage key.
        group: Number of the gate's group.
        gate: The gate.
        gate_key: The gate's public key.
        lock: The deployment's own key pair.
    """

    _master: Wallet = field(repr=False)
    account_key: str = field(repr=False)
    api_key: str = field(repr=False)
    group: int
    gate: Gate
    gate_key: str
    lock: Lock

    @classmethod
    def of(cls, state: State) -> DefaultAccount:
        """Create the account on chain and fund it."""
        master, usage = state.new_wallet(), state.new_wallet()
        gate = Gate.salted(state.entropy(_SECRET_BYTES))
        cid = action_cid(gate.text)
        _make_account(state, master)
        group = _make_group(state, master, "gate", [cid])
        _mint(state, master, usage, group)
        state.ledger.set_credit(master.address, _CREDIT_CENTS)
        return cls(
            _master=master,
            account_key=master.as_key,
            api_key=usage.as_key,
            group=group,
            gate=gate,
            gate_key=gate_key(state.keys.action_secret(cid)),
            lock=Lock.of(state.entropy(_SECRET_BYTES)),
        )

    def new_pkp(self, state: State) -> str:
        """Create a PKP of the account, and return its address."""
        wallet = state.new_wallet()
        _register(state, self.account_hash, wallet, "PKP", "")
        return hex_address(wallet.address)

    def permit(self, state: State, codes: Sequence[str], pkps: Sequence[str]) -> str:
        """Create a group of actions and PKPs, and return a usage key that can run these actions only.

        Args:
            state: The state.
            codes: The actions' texts.
            pkps: Addresses of PKPs that they may use.
        """
        usage = state.new_wallet()
        cids = [action_cid(code) for code in codes]
        group = _make_group(state, self._master, "actions", cids, [parse_address(pkp) for pkp in pkps])
        _mint(state, self._master, usage, group)
        return usage.as_key

    @property
    def account_hash(self) -> int:
        """The account's hash."""
        return key_hash(self.account_key)

    def description(self) -> dict[str, object]:
        """Return its fields of the network description."""
        return {
            "gate_key": self.gate_key,
            "lock_key": self.lock.public,
            "gates": {self.gate_key: {"version": self.gate.version, "salt": self.gate.salt}},
            "locks": {self.lock.public: self.lock.secret},
            "account_key": self.account_key,
            "api_key": self.api_key,
        }


def _make_account(state: State, master: Wallet) -> None:
    hashed, payer = key_hash(master.as_key), state.api_payers[0]
    managed = True
    state.chain.send(payer, "new_account", hashed, managed, "devnet", "", master.address)
    _register(state, hashed, master, "AMW", "Account Master Wallet")


def _make_group(
    state: State, master: Wallet, name: str, cids: Sequence[str], pkps: Sequence[int] = ()
) -> int:
    hashed, payer = key_hash(master.as_key), state.api_payers[0]
    cid_hashes = [key_hash(cid) for cid in cids]
    group = state.chain.send(payer, "add_group", hashed, name, "", cid_hashes, list(pkps))
    for cid_hash in cid_hashes:
        state.chain.send(payer, "add_action", hashed, name, "", cid_hash)
    return int(str(group))


def _mint(state: State, master: Wallet, usage: Wallet, group: int) -> None:
    hashed, payer = key_hash(master.as_key), state.api_payers[0]
    _register(state, hashed, usage, "API Key Wallet", "Usage API Key Wallet")
    scopes = Scopes(
        can_create_groups=False,
        can_delete_groups=False,
        can_create_pkps=False,
        groups=((), (), (), (group,)),
    )
    expiration = int(state.now().timestamp()) + _TEN_YEARS_S
    state.chain.send(
        payer,
        "set_usage_api_key",
        hashed,
        key_hash(usage.as_key),
        expiration,
        _STORED_BALANCE,
        "devnet",
        "",
        scopes,
    )


def _register(state: State, hashed: int, wallet: Wallet, name: str, description: str) -> None:
    state.chain.send(
        state.api_payers[0],
        "register_wallet_derivation",
        hashed,
        wallet.address,
        wallet.path,
        name,
        description,
    )
