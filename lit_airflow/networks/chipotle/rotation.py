"""Rotating the API key of decrypting roles.

A usage key never expires by itself. A rotation mints another, waits until the service takes it, writes it for
decrypting roles with check-and-set, and leaves the key before it alone until no task can be using it. A task that
holds a revoked key reads the secret again.

Source: docs/protocol/chipotle.md#usage-keys-do-not-expire, #what-may-be-repeated and #waiting-for-a-new-key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from lit_airflow.errors import SettingsError
from lit_airflow.networks.api_keys import Rotated, Swept
from lit_airflow.networks.chipotle.api_calls import WRITE_CENTS
from lit_airflow.networks.chipotle.deployment import Deployment
from lit_airflow.networks.chipotle.managing import Manager, checked_ready


@dataclass(frozen=True, slots=True)
class Rotation:
    """The rotation of one deployment's API key.

    Attributes:
        manager: The deployment.
    """

    manager: Manager

    def rotate(self, *, drain_s: float) -> Rotated:
        """Sweep, make a key, wait until it works, and write it for decrypting roles.

        Costs $0.01 for the key and $0.01 for each gate that it is tried on; to revoke a key costs $0.01.

        Args:
            drain_s: Seconds for which the key before it keeps working. A run lasts 15 minutes at most.

        Raises:
            SettingsError: The deployment is not set up, or its group was changed, or ``drain_s`` is negative.
            SecretError: Vault cannot be used.
            NetworkError: The service refuses or does not answer. The key before it stays in use.
        """
        if drain_s < 0:
            raise SettingsError(f"drain_s must not be negative, got {drain_s:g}.", field="drain_s")
        manager = self.manager
        deployment = checked_ready(manager.load()[0])
        if deployment.pending is not None:
            raise SettingsError(
                f"A new gate is being set up, or its set-up has failed: {deployment.where} has a pending_gate.",
                field="api_key_path",
                hint="Run `lit-airflow chipotle setup` again. The key in use keeps working.",
            )
        manager.check_credit((1 + len(deployment.gates)) * WRITE_CENTS)
        manager.check_group(deployment, deployment.group)
        manager.sweep()
        minted, _ = manager.new_key(deployment, deployment.group)
        drained_at = manager.managed.clock() + timedelta(seconds=drain_s)
        listed = {key.key_hash for key in manager.account.usage_keys()}

        def with_new_key(now: Deployment) -> Deployment:
            still = {hashed: until for hashed, until in now.draining.items() if hashed in listed}
            return replace(now, draining={**still, deployment.api_key_hash: drained_at})

        manager.publish(minted, with_new_key, deployment.api_key)
        return Rotated(minted.name, drained_at)

    def sweep(self) -> Swept:
        """Revoke keys that are drained, and those that failed rotations have left; $0.01 each.

        Raises:
            SettingsError: The deployment is not set up.
            LitError: Vault or the list of keys cannot be read.
        """
        checked_ready(self.manager.load()[0])
        return self.manager.sweep()
