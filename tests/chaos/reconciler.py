"""`driftgate reconciler`, and what makes a webhook's story too long for a run shortened: the waits between two attempts,
and for how long a delivery belongs to a process that was killed.
"""

from service import cli, webhook_delivery

LEASE_S = 3.0
RETRY_WAIT_S = 0.5


def main() -> None:
    webhook_delivery.LEASE_S = LEASE_S
    webhook_delivery.RETRY_WAITS_S = (RETRY_WAIT_S,) * len(webhook_delivery.RETRY_WAITS_S)
    cli.main()
