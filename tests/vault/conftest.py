from tests.airflow.home import settle

settle()

from tests.vault.parts import bao, connections, container, devnet, net, no_masks_of_earlier_tests  # noqa: E402

__all__ = ["bao", "connections", "container", "devnet", "net", "no_masks_of_earlier_tests"]
