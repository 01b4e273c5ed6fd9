"""`driftgate reconciler`, and what makes a webhook's story too long for a run shortened: the waits between two attempts,
and for how long a delivery belongs to a process that was killed. There are more attempts instead: a receiver that is away
for a second of the plan is away for many where the machine is busy.
"""

from service import cli, webhook_delivery

LEASE_S = 3.0
RETRY_WAIT_S = 0.5
NUM_RETRIES = 200


def main() -> None:
    webhook_delivery.LEASE_S = LEASE_S
    webhook_delivery.RETRY_WAITS_S = (RETRY_WAIT_S,) * NUM_RETRIES
    webhook_delivery.MAX_ATTEMPTS = NUM_RETRIES + 1
    cli.main()
