"""One process of the service: how it sees the chain, what it remembers, and how it writes."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

from lit_airflow.devnet.chipotle import key_service
from lit_airflow.devnet.chipotle.chain import Replica
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.permissions import LIFETIME_S, Memory
from lit_airflow.devnet.chipotle.reverts import RevertError
from lit_airflow.devnet.chipotle.state import State
from lit_airflow.devnet.chipotle.storage import Storage, page

_CODE_CACHE_BYTES = 1024**3
_MOST_CLEARED = 1000


class ChainDownError(Exception):
    """The chain's RPC does not answer."""

    def __init__(self) -> None:
        super().__init__("error sending request to the chain")


class ServerProcess:
    """A process of the service.

    Args:
        state: What it shares with others.

    Attributes:
        permissions: Remembered answers about permissions.
        paths: Remembered derivation paths.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._replica = Replica(state.chain)
        self.permissions: Memory[bool] = Memory()
        self.paths: Memory[int] = Memory()
        self._wallets: dict[int, tuple[int, datetime]] = {}
        self._code: OrderedDict[str, str] = OrderedDict()
        self._code_bytes = 0

    def storage(self) -> Storage:
        """The contract's state as this process sees it.

        Raises:
            ChainDownError: The chain cannot be asked.
        """
        if self.state.chain_down:
            raise ChainDownError
        return self._replica.storage

    def send(self, method: str, *arguments: object) -> object:
        """Sign a change as the service and make it; what it returns.

        Tried first on the state as seen: what is not seen yet is refused, and a group's number comes from there.

        Raises:
            RevertError: The contract refuses it.
            ChainDownError: The chain cannot be asked.
        """
        payer = self.state.api_payers[0]
        _ = self.storage()
        if not self._replica.behind:
            return self.state.chain.send(payer, method, *arguments)
        result = self._replica.simulate(payer, method, *arguments)
        self.state.chain.send(payer, method, *arguments)
        return result

    def can_execute(self, hashed: int, cid_hash: int) -> bool:
        """Whether a key may run an action; remembered.

        Raises:
            RevertError: No such account.
            ChainDownError: The chain cannot be asked.
        """
        return self.permissions.recall(
            hashed, cid_hash, self.state.time(), lambda: self.storage().can_execute(hashed, cid_hash)
        )

    def can_use_wallet(self, hashed: int, cid_hash: int, wallet: int) -> bool:
        """Whether a key may use a wallet in an action; remembered.

        Raises:
            RevertError: No such account.
            ChainDownError: The chain cannot be asked.
        """
        return self.permissions.recall(
            hashed,
            (cid_hash, wallet),
            self.state.time(),
            lambda: self.storage().can_use_wallet(hashed, cid_hash, wallet),
        )

    def wallet_secret(self, hashed: int, wallet: int, keys: KeyService) -> bytes:
        """Return the secret of the path that an account has registered with an address.

        An address that is not registered has path 0, so all accounts share its key.

        Args:
            hashed: The key that asks.
            wallet: The address.
            keys: The enclave's keys.

        Raises:
            RevertError: No such account.
            ChainDownError: The chain cannot be asked.
            LookupError: The secret does not belong to the address, on a server that compares them.
        """
        path = self.paths.recall(
            hashed, wallet, self.state.time(), lambda: self.storage().derivation(hashed, wallet)
        )
        secret = keys.wallet_secret(path)
        if self.state.compares_derivation and key_service.address(secret) != wallet:
            raise LookupError("derived key does not match the wallet address")
        return secret

    def account_wallet(self, hashed: int) -> int:
        """Return the wallet whose credit pays for a key; remembered for an hour after each use.

        Raises:
            RevertError: No such account. Not remembered.
            ChainDownError: The chain cannot be asked.
        """
        now = self.state.time()
        found = self._wallets.get(hashed)
        if found is None or now - found[1] > timedelta(seconds=LIFETIME_S):
            found = self.storage().account_of(hashed).admin, now
        self._wallets[hashed] = found[0], now
        return found[0]

    def forget_wallet(self, hashed: int) -> None:
        """Forget whose credit pays for a key."""
        self._wallets.pop(hashed, None)

    def forget_account(self, hashed: int) -> None:
        """Forget the permissions of a key and of its account's first 1,000 usage keys."""
        hashes = {hashed}
        try:
            keys = self.storage().account_of(hashed).usage_key_list.values
            hashes.update(page(keys, 0, _MOST_CLEARED))
        except (RevertError, ChainDownError):
            pass
        self.forget(*hashes)

    def forget(self, *hashes: int) -> None:
        """Forget the permissions of some keys."""
        self.permissions.forget(hashes)
        self.paths.forget(hashes)

    def hear_of(self, hashes: tuple[int, ...], at: datetime) -> None:
        """Forget, at a moment that lies ahead, what is known of some keys by then."""
        self.permissions.forget_at(hashes, at)
        self.paths.forget_at(hashes, at)

    def keep_code(self, cid: str, code: str) -> None:
        """Remember the text of an action, at the price of those not used for longest."""
        if cid not in self._code:
            self._code_bytes += len(code)
        self._code[cid] = code
        self._code.move_to_end(cid)
        while self._code_bytes > _CODE_CACHE_BYTES:
            _, dropped = self._code.popitem(last=False)
            self._code_bytes -= len(dropped)

    def code_of(self, cid: str) -> str | None:
        """The text of an action that was run here, if it is remembered."""
        code = self._code.get(cid)
        if code is not None:
            self._code.move_to_end(cid)
        return code
