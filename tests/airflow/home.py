"""An Airflow of the tests' own: its home is a temporary folder, chosen before anything imports ``airflow``."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

_OURS = "lit-airflow-tests-"


def settle() -> Path:
    """The home; made on the first call. Call it from a conftest, which is read before the tests' imports."""
    home = Path(os.environ.get("AIRFLOW_HOME", ""))
    if home.name.startswith(_OURS):
        return home
    if "airflow" in sys.modules:
        raise RuntimeError(
            "airflow was imported before its home was chosen; whoever did belongs into a process"
        )
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix=_OURS))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    (home / "dags").mkdir()
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    return home
