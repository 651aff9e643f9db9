"""Endpoints that describe the service. They need no key."""

from __future__ import annotations

from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.identifiers import hex_address
from lit_airflow.devnet.chipotle.state import CHAIN_ID

CONTRACT_ADDRESS = "0xaaaaa9120fe271f653cfdb6bf400db93d2dea7aa"
_BUFFER_MS = 5_000
_RETRIES = 3
_CONFIG_KEYS = (
    "LIT_ACTION_DEFAULT_MEMORY_LIMIT_MB",
    "LIT_ACTION_DEFAULT_TIMEOUT_MS",
    "LIT_ACTION_DEFAULT_ASYNC_TIMEOUT_MS",
    "LIT_ACTION_DEFAULT_CLIENT_TIMEOUT_MS_BUFFER",
    "LIT_ACTION_DEFAULT_MAX_CODE_LENGTH",
    "LIT_ACTION_DEFAULT_MAX_CONSOLE_LOG_LENGTH",
    "LIT_ACTION_DEFAULT_MAX_FETCH_COUNT",
    "LIT_ACTION_DEFAULT_MAX_RESPONSE_LENGTH",
    "LIT_ACTION_DEFAULT_MAX_GET_KEYS_COUNT",
    "LIT_ACTION_DEFAULT_MAX_RETRIES",
)


def get_node_chain_config(_call: Call) -> object:
    """Return chain and contract."""
    return {
        "chain_name": "Base",
        "chain_id": CHAIN_ID,
        "is_evm": True,
        "testnet": False,
        "token": "ETH",
        "contract_address": CONTRACT_ADDRESS,
    }


def get_chain_config_keys(_call: Call) -> object:
    """Return the names of settings that the chain can override."""
    return {"keys": list(_CONFIG_KEYS)}


def get_lit_action_client_config(call: Call) -> object:
    """Return the limits of actions."""
    limits = call.state.limits
    time_ms = int(limits.time_s * 1000)
    return {
        "timeout_ms": time_ms,
        "async_timeout_ms": time_ms,
        "memory_limit_mb": limits.memory_mb,
        "max_code_length": limits.code_bytes,
        "max_response_length": limits.response_bytes,
        "max_console_log_length": limits.log_bytes,
        "max_fetch_count": limits.fetches,
        "max_get_keys_count": limits.key_reads,
        "max_retries": _RETRIES,
        "client_timeout_ms_buffer": _BUFFER_MS,
    }


def get_api_payers(call: Call) -> object:
    """Return the addresses that sign the service's transactions."""
    return [hex_address(payer) for payer in call.state.api_payers]


def get_admin_api_payer(call: Call) -> object:
    """Return the address that funds the signers."""
    return hex_address(call.state.admin_payer)


def version(call: Call) -> object:
    """Return the build."""
    return {
        "name": "lit-api-server",
        "version": "0.1.0",
        "commit_version": call.state.profile.version,
        "submodule_versions": [],
    }
