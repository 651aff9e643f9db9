"""Access checks of the account contract.

Source: ``SecurityLib.sol`` and ``AppStorage.sol`` of April 2026.
"""

from __future__ import annotations

from lit_airflow.devnet.chipotle.reverts import RevertError
from lit_airflow.devnet.chipotle.storage import Account, Storage


def writable(storage: Storage, sender: int, hashed: int) -> Account:
    """Return the account that a key's hash belongs to, if the sender may write to it.

    Raises:
        RevertError: ``NoAccountAccess``.
    """
    if not storage.exists_and_is_mutable(hashed, sender):
        raise RevertError("NoAccountAccess", (hashed, sender))
    return storage.accounts[storage.masters[hashed]]


def as_master(storage: Storage, sender: int, hashed: int) -> Account:
    """Return the account with this hash, if the sender may write to it.

    Raises:
        RevertError: ``NoAccountAccess``, or for a usage key ``NotMasterAccount``.
    """
    account = writable(storage, sender, hashed)
    revert_if_not_master(storage, hashed)
    return account


def revert_if_not_master(storage: Storage, hashed: int) -> None:
    """Check that a hash is an account's own and not a usage key's.

    Raises:
        RevertError: ``NotMasterAccount``.
    """
    if storage.masters.get(hashed) != hashed:
        raise RevertError("NotMasterAccount", (hashed,))
