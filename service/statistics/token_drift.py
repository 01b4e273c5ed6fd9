"""What was kept of an update token by token, as arrays.

Legend: N valid response tokens, in order of response and position; R responses.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.jobs.records import TokenDriftRecord

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TokenDrift:
    """drift_N: log pi_cur − log pi_old, nats. abs_losses_N: |l| before the gate's weight. lengths_R: each 1 or more."""

    drift_N: Reals
    abs_losses_N: Reals
    newlines_N: Flags
    lengths_R: Integers


def token_drift_of(record: TokenDriftRecord) -> TokenDrift:
    drift_N = np.frombuffer(record.drift_nats, dtype="<f2").astype(np.float64)
    bits = np.unpackbits(np.frombuffer(record.newlines, dtype=np.uint8), count=len(drift_N))
    return TokenDrift(
        drift_N=drift_N,
        abs_losses_N=np.frombuffer(record.abs_losses, dtype="<f2").astype(np.float64),
        newlines_N=bits.astype(np.bool_),
        lengths_R=np.frombuffer(record.response_lengths, dtype="<u4").astype(np.int64),
    )
