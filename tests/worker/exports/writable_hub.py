"""A hub on this machine that takes repositories, branches and commits as the hub does."""

import base64
import http.server
import json


class WritableHub(http.server.ThreadingHTTPServer):
    """`commits`: branch and files of each; a file is None where it was deleted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), WritableHubHandler)
        self.private: dict[str, bool] = {}
        self.branches: set[str] = {"main"}
        self.files: dict[str, bytes] = {".gitattributes": b""}
        self.commits: list[tuple[str, dict[str, bytes | None]]] = []
        self.authorizations: set[str] = set()
        self.failures: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class WritableHubHandler(http.server.BaseHTTPRequestHandler):
    server: WritableHub

    def do_GET(self) -> None:
        repository = self.path.removeprefix("/api/models/").partition("?")[0]
        repository = repository.partition("/revision/")[0]
        repository, _, tree = repository.partition("/tree/")
        self.server.authorizations.add(self.headers.get("Authorization", ""))
        if repository not in self.server.private:
            self.answer(404, {"error": "not found"})
        elif tree:
            files = self.server.files.items()
            self.answer(
                200,
                [
                    {"type": "file", "path": name, "size": len(text), "oid": "a"}
                    for name, text in files
                ],
            )
        else:
            siblings = [{"rfilename": name} for name in self.server.files]
            info = {"id": repository, "private": self.server.private[repository]}
            self.answer(200, info | {"sha": "0" * 40, "siblings": siblings})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.authorizations.add(self.headers.get("Authorization", ""))
        if self.path == "/api/repos/create":
            self.create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            self.answer(200, {})
        elif "/branch/" in self.path:
            self.server.branches.add(self.path.rpartition("/")[2])
            self.answer(200, {})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
            self.answer(200, {"files": modes})
        elif "/commit/" in self.path:
            self.commit([json.loads(line) for line in body.splitlines()])
        else:
            self.answer(404, {"error": "not found"})

    def create(self, asked: dict) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if self.server.failures:
            self.answer(self.server.failures.pop(0), {"error": "no"})
        elif name in self.server.private:
            self.answer(409, {"error": "there", "url": f"{self.server.url}/{name}"})
        else:
            self.server.private[name] = asked["visibility"] == "private"
            self.answer(200, {"url": f"{self.server.url}/{name}"})

    def commit(self, lines: list[dict]) -> None:
        files: dict[str, bytes | None] = {}
        for line in lines:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                files[line["value"]["path"]] = None
        self.server.commits.append((self.path.rpartition("/")[2], files))
        self.answer(200, {"commitUrl": f"{self.server.url}/a/b/commit/0", "commitOid": "0" * 40})

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass
