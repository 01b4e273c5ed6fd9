"""A server on this machine that keeps objects as S3 would, and can be told to fail."""

import hashlib
import http.server
from collections.abc import Callable
from urllib.parse import parse_qs


class FakeS3(http.server.ThreadingHTTPServer):
    """`objects` by path, bucket included. `status_of(method, path)` other than None is answered at once."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FakeS3Handler)
        self.objects: dict[str, bytes] = {}
        self.stored: list[str] = []
        self.authorizations: set[str] = set()
        self.status_of: Callable[[str, str], int | None] = lambda method, path: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class FakeS3Handler(http.server.BaseHTTPRequestHandler):
    server: FakeS3
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.partition("?")[0].removeprefix("/")
        if self.refused(path):
            return
        self.server.objects[path] = body
        self.server.stored.append(path)
        self.answer(200, b"", etag=hashlib.md5(body).hexdigest())

    def do_GET(self) -> None:
        address, _, query = self.path.partition("?")
        path = address.removeprefix("/")
        if self.refused(path):
            return
        body = self.listing(path, query) if "list-type=2" in query else None
        body = self.server.objects.get(path) if body is None else body
        if body is None:
            self.answer(404, b"")
        else:
            self.answer(200, body, etag=hashlib.md5(body).hexdigest())

    do_HEAD = do_GET

    def listing(self, bucket: str, query: str) -> bytes:
        prefix = f"{bucket}/{parse_qs(query).get('prefix', [''])[0]}"
        entries = "".join(
            f"<Contents><Key>{path.removeprefix(f'{bucket}/')}</Key><Size>{len(body)}</Size>"
            '<ETag>"a"</ETag><LastModified>2026-11-26T00:00:00.000Z</LastModified></Contents>'
            for path, body in self.server.objects.items()
            if path.startswith(prefix)
        )
        return f"<ListBucketResult>{entries}<IsTruncated>false</IsTruncated></ListBucketResult>".encode()

    def refused(self, path: str) -> bool:
        self.server.authorizations.add(self.headers.get("Authorization", ""))
        status = self.server.status_of(self.command, path)
        if status is not None:
            self.answer(status, b"")
        return status is not None

    def answer(self, status: int, body: bytes, *, etag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 26 Nov 2026 00:00:00 GMT")
        self.send_header("ETag", f'"{etag}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass
