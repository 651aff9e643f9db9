"""Endpoints for groups and action metadata."""

from __future__ import annotations

from lit_airflow.devnet.chipotle.account_calls import OK
from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.cid import CHUNK_BYTES, action_cid
from lit_airflow.devnet.chipotle.identifiers import key_hash, parse_address, parse_hash, parse_number
from lit_airflow.devnet.chipotle.refusals import bad_request, guarded


def add_group(call: Call) -> object:
    """Create a group."""
    cid_hashes, pkps = _lists(call)
    name, description = call.text("group_name"), call.text("group_description")
    number = call.write("add_group", call.hashed, name, description, cid_hashes, pkps)
    call.clear_account_caches()
    return {**OK, "group_id": str(number)}


def update_group(call: Call) -> object:
    """Replace everything stored for a group. An omitted list becomes empty."""
    number = call.number("group_id")
    if number == 0:
        raise _not_zero("Cannot update group with ID 0")
    cid_hashes, pkps = _lists(call)
    name, description = call.text("name"), call.text("description")
    call.write("update_group", call.hashed, number, name, description, cid_hashes, pkps)
    call.clear_account_caches()
    return OK


def remove_group(call: Call) -> object:
    """Remove a group."""
    number = call.parsed("Unable to parse group ID", parse_number, call.text("group_id"))
    if number == 0:
        raise _not_zero("Cannot remove group with ID 0")
    call.write("remove_group", call.hashed, number)
    call.clear_account_caches()
    return OK


def add_action(call: Call) -> object:
    """Store the metadata of an action."""
    cid_hash = key_hash(call.text("action_ipfs_cid"))
    call.write("add_action", call.hashed, call.text("name"), call.text("description"), cid_hash)
    call.clear_account_caches()
    return OK


def delete_action(call: Call) -> object:
    """Delete an action's metadata and remove it from all groups."""
    call.write("remove_action", call.hashed, _action(call, "Cannot remove action with hash 0x0"))
    call.clear_account_caches()
    return OK


def update_action_metadata(call: Call) -> object:
    """Change the metadata of an action."""
    cid_hash = _action(call, "Cannot update action with hash 0x0")
    call.write("update_action_metadata", call.hashed, cid_hash, call.text("name"), call.text("description"))
    return OK


def add_action_to_group(call: Call) -> object:
    """Add an action to a group, by CID."""
    cid_hash = key_hash(call.text("action_ipfs_cid"))
    call.write("add_action_to_group", call.hashed, call.number("group_id"), cid_hash)
    call.clear_account_caches()
    return OK


def remove_action_from_group(call: Call) -> object:
    """Remove an action from a group, by hash of its CID."""
    number = call.number("group_id")
    if number == 0:
        raise _not_zero("Cannot remove action from group with ID 0")
    cid_hash = call.parsed("Unable to parse hashed CID", parse_number, call.text("hashed_cid"))
    call.write("remove_action_from_group", call.hashed, number, cid_hash)
    call.clear_account_caches()
    return OK


def add_pkp_to_group(call: Call) -> object:
    """Add a wallet to a group."""
    call.write("add_pkp_to_group", call.hashed, call.number("group_id"), _wallet(call))
    call.clear_account_caches()
    return OK


def remove_pkp_from_group(call: Call) -> object:
    """Remove a wallet from a group."""
    call.write("remove_pkp_from_group", call.hashed, call.number("group_id"), _wallet(call))
    call.clear_account_caches()
    return OK


def get_lit_action_ipfs_id(call: Call) -> object:
    """Return the CID of a text."""
    return cid_of(call, call.text(""))


def cid_of(call: Call, code: str) -> str:
    """Return the CID of a text.

    Raises:
        RefusalError: 500 for lengths at which the April build crashes.
    """
    size = len(code.encode())
    if call.state.profile.fails_on_whole_chunks and size and size % CHUNK_BYTES == 0:
        raise guarded(500)
    return action_cid(code)


def _lists(call: Call) -> tuple[list[int], list[int]]:
    cid_hashes = [
        call.parsed("invalid hex in list", parse_hash, each) for each in call.texts("cid_hashes_permitted")
    ]
    pkps = [
        call.parsed("invalid address in list", parse_address, each)
        for each in call.texts("pkp_ids_permitted")
    ]
    return cid_hashes, pkps


def _wallet(call: Call) -> int:
    return call.parsed("Invalid PKP ID", parse_address, call.text("pkp_id"))


def _action(call: Call, zero: str) -> int:
    cid_hash = call.parsed("Unable to parse hashed CID", parse_number, call.text("hashed_cid"))
    if cid_hash == 0:
        raise _not_zero(zero)
    return cid_hash


def _not_zero(message: str) -> Exception:
    return bad_request(message, message)
