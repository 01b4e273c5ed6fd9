"""A hub on this machine: serves folders as the hub would, and remembers what it was asked for."""

import http.server
import json
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(http.server.ThreadingHTTPServer):
    """Serves the model `Tiny/model` and every data set that lie below `root`, these as
    `datasets/ORG/NAME/PATH` whatever the revision.

    token: where it is set, whoever does not send it is told that there is no such repository.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), FakeHubHandler)
        self.root = root
        self.paths: list[str] = []
        self.token: str | None = None

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
            names = sorted(file.name for file in (self.server.root / "Tiny/model").iterdir())
            info = {
                "id": "Tiny/model",
                "sha": COMMIT,
                "siblings": [{"rfilename": n} for n in names],
            }
            self.send(200, json.dumps(info).encode(), with_body=with_body)
            return
        repository, _, revision_and_name = path.partition("/resolve/")
        revision, _, name = revision_and_name.partition("/")
        file = self.server.root / repository / name
        if revision_and_name and file.is_file():
            commit = COMMIT if revision == "main" else revision
            etag = f'"{file.name}"'
            self.send(200, file.read_bytes(), with_body=with_body, etag=etag, commit=commit)
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
        self.wfile.write(body if with_body else b"")

    def log_message(self, *arguments: object) -> None:
        pass
