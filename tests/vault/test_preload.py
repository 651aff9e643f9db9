"""What a process loads so that the tasks forked from it need not."""

import json
import subprocess
import sys
from typing import Any

from lit_airflow.devnet import Devnet
from lit_airflow.hooks import LitHook
from tests.vault.parts import Bao, Connections

TASK = """
import json, os, sys
import airflow.sdk.execution_time.supervisor, airflow.sdk.execution_time.task_runner
import lit_airflow.preload

files = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
held = [name for name in files if os.path.exists(name) and os.readlink(name).startswith("socket:")]
state = {"threads": len(os.listdir("/proc/self/task")), "sockets": len(held)}
before = set(sys.modules)
ticket, container = json.load(sys.stdin)
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

from lit_airflow.decorators import OpenSession
from lit_airflow.hooks import LitHook

hook, renewer = LitHook("lit_consumer"), LitHook("lit_renewer")
plaintext = OpenSession(hook, hook.hold(ticket)).decrypt(container)
decrypting = set(sys.modules) - before
renewer.open_session(renewer.scope_of(container))
opening = set(sys.modules) - before
print(json.dumps({
    **state, "plaintext": plaintext.decode(), "decrypting": sorted(decrypting), "opening": sorted(opening)
}))
"""


def test_a_forked_task_decrypts_with_what_is_loaded(
    bao: Bao, net: Devnet, container: dict[str, Any], connections: Connections
) -> None:
    """And the process that it was forked from runs no thread and holds no socket, which a fork could break."""
    connections.lit(
        "lit_consumer", "vault_consumer", network_public_key=net.description["network_public_key"]
    )
    renewer = LitHook("lit_renewer")
    ticket = renewer.make_ticket(renewer.open_session(renewer.scope_of(container)))
    done = subprocess.run(
        [sys.executable, "-c", TASK],
        input=json.dumps([ticket, container]),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["plaintext"] == "the plaintext"
    assert (found["threads"], found["sockets"]) == (1, 0)
    assert libraries(found["decrypting"]) == set()
    # Of the libraries that sign for a wallet, a few small files remain.
    assert not libraries(found["opening"]) & {
        "cffi",
        "eth_abi",
        "eth_account",
        "eth_utils",
        "pydantic",
        "siwe",
    }


def libraries(modules: list[str]) -> set[str]:
    """The packages that these belong to, without Python's own, and Airflow's, which a scheduler has loaded."""
    return {name.partition(".")[0] for name in modules} - {*sys.stdlib_module_names, "airflow", "__mp_main__"}
