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

hook = LitHook("lit_consumer")
plaintext = OpenSession(hook, hook.hold(ticket)).decrypt(container)
print(json.dumps({**state, "plaintext": plaintext.decode(), "loaded": sorted(set(sys.modules) - before)}))
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
    loaded = {name for name in found["loaded"] if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in loaded if not name.startswith(("airflow.sdk.", "__mp_main__"))} == set()
