"""A server that speaks S3, from a wheel, as a process of its own; and what is in its buckets, by plain requests."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx

LISTING = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class S3Server:
    """Started at once; `url` is its address. It knows no keys, so any are right."""

    def __init__(self, folder: Path, *, before_start: Callable[[], None]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        with (folder / "s3.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=before_start,  # noqa: PLW1509 a killed test run would leave it behind
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, (folder / "s3.log").read_text()
            assert time.monotonic() < deadline, "the S3 server does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/moto-api/").is_success
        except httpx.TransportError:
            return False


class Bucket:
    """One bucket of a server, seen from outside of the code under test."""

    def __init__(self, server_url: str, name: str) -> None:
        self.server_url = server_url
        self.name = name
        self._url = f"{server_url}/{name}"
        # The server wants a signature of requests, of which it believes anything.
        self._http = httpx.Client(
            headers={"Authorization": "AWS4-HMAC-SHA256 Credential=TESTS/1/us-east-1/s3"}
        )
        self._http.put(self._url).raise_for_status()

    def settings(self, prefix: str = "run") -> dict[str, object]:
        """Of a deployment whose artifacts go there; see `SECRETS`."""
        return {
            "artifact_url": f"s3://{self.name}/{prefix}",
            "artifact_endpoint": self.server_url,
            "artifact_region": "us-east-1",
            "artifact_credentials": ("access_key_id=S3_ID", "secret_access_key=S3_KEY"),
        }

    def names(self) -> list[str]:
        text = self._http.get(self._url, params={"list-type": "2"}).raise_for_status().text
        return sorted(str(each.text) for each in ET.fromstring(text).iter(f"{LISTING}Key"))

    def get(self, name: str) -> bytes:
        return self._http.get(f"{self._url}/{name}").raise_for_status().content

    def put(self, name: str, content: bytes) -> None:
        self._http.put(f"{self._url}/{name}", content=content).raise_for_status()

    def delete(self, name: str) -> None:
        self._http.delete(f"{self._url}/{name}").raise_for_status()


SECRETS = {
    "DRIFTGATE_SECRET_S3_ID": "AKIDEXAMPLE",
    "DRIFTGATE_SECRET_S3_KEY": "s3cr3t/key+value",
}
