"""Files from the service to a path of this machine: whole and checked, or not there at all."""

import hashlib
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from service.client_http import PASSING_ERRORS, Connection, retry_delays_s
from service.errors import DriftgateError, ErrorCode, Violation

PIECE_BYTES = 256 * 2**10


class DownloadCalls(Connection):
    """A download that breaks off is begun anew while the connection's `retry_for_s` lasts."""

    def _download(self, address: str, to: Path, *, check: Callable[[Path, str], None]) -> None:
        """Writes beside `to`, checks, then renames; the folder of `to` must be there.

        check: raises for what must not be kept; it is given the file and its SHA-256 in hex.
        """
        aside = to.with_name(f".{uuid.uuid4().hex}.part")
        try:
            check(aside, self._fetch(address, aside))
            aside.replace(to)
        finally:
            aside.unlink(missing_ok=True)

    def _fetch(self, address: str, to: Path) -> str:
        """The SHA-256, in hex, of what was written."""
        deadline = time.monotonic() + self._retry_for_s
        for delay_s in retry_delays_s():
            try:
                return self._fetch_once(address, to)
            except PASSING_ERRORS:
                if time.monotonic() + delay_s > deadline:
                    raise
            time.sleep(delay_s)
        raise AssertionError("the delays have no end")

    def _fetch_once(self, address: str, to: Path) -> str:
        digest = hashlib.sha256()
        request = self._request("GET", address)
        with self._repeat_stream(request) as response, to.open("wb") as file:
            for piece in response.iter_bytes(PIECE_BYTES):
                digest.update(piece)
                file.write(piece)
        return digest.hexdigest()


def corrupt(name: str, *, found: str, expected: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.CHECKPOINT_CORRUPT,
        f"{name} arrived with SHA-256 {found}, but the service says {expected}. Nothing was kept; "
        "download it again.",
        [Violation(name, found, expected)],
    )
