"""A hub on this machine: serves folders as the hub would, and remembers what it was asked for."""

import hashlib
import http.server
import json
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(http.server.ThreadingHTTPServer):
    """Serves the model `Tiny/model` and every data set that lie below `root`, these as
    `datasets/ORG/NAME/PATH` whatever the revision.

    token: where it is set, whoever does not send it is told that there is no such repository.
    cut_after: bytes of a body after which the connection is cut, for files that are longer; each file once.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), FakeHubHandler)
        self.root = root
        self.paths: list[str] = []
        self.token: str | None = None
        self.commit = COMMIT
        self.cut_after: int | None = None
        self.ranges: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class FakeHubHandler(http.server.BaseHTTPRequestHandler):
    server: FakeHub

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0].removeprefix("/")
        self.server.paths.append(path)
        given = self.headers.get("Authorization")
        if self.server.token is not None and given != f"Bearer {self.server.token}":
            self.send(401, b"", with_body=with_body, error="RepoNotFound")
            return
        if path.startswith("api/models/Tiny/model"):
            files = sorted((self.server.root / "Tiny/model").iterdir())
            info = {
                "id": "Tiny/model",
                "sha": self.server.commit,
                "siblings": [
                    {"rfilename": each.name, "size": each.stat().st_size} for each in files
                ],
            }
            self.send(200, json.dumps(info).encode(), with_body=with_body)
            return
        repository, _, revision_and_name = path.partition("/resolve/")
        revision, _, name = revision_and_name.partition("/")
        file = self.server.root / repository / name
        if revision_and_name and file.is_file():
            commit = self.server.commit if revision == "main" else revision
            content = file.read_bytes()
            # Large files are named by their hash.
            is_large = file.suffix == ".safetensors"
            etag = hashlib.sha256(content).hexdigest() if is_large else file.name
            given = self.headers.get("Range")
            if given is not None and with_body:
                self.server.ranges.append((name, given))
                content = content[int(given.removeprefix("bytes=").rstrip("-")) :]
            self.send(
                200 if given is None else 206,
                content,
                with_body=with_body,
                etag=f'"{etag}"',
                commit=commit,
            )
        else:
            is_known = (self.server.root / repository).is_dir()
            error = "EntryNotFound" if is_known else "RepoNotFound"
            self.send(404, b"", with_body=with_body, error=error)

    def send(
        self,
        status: int,
        body: bytes,
        *,
        with_body: bool,
        etag: str = "",
        error: str = "",
        commit: str = COMMIT,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", etag)
        self.send_header("X-Error-Code", error)
        self.end_headers()
        cut_after = self.server.cut_after
        if with_body and cut_after is not None and len(body) > cut_after:
            self.wfile.write(body[:cut_after])
            self.server.cut_after = None
            self.close_connection = True
            return
        self.wfile.write(body if with_body else b"")

    def log_message(self, *arguments: object) -> None:
        pass
