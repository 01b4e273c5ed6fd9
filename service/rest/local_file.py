"""A file of a folder of this host as a response: whole, or the ranges that were asked for."""

from collections.abc import Mapping
from pathlib import Path

from fastapi import Response
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from service.checkpoint_files import OpenedFile
from service.rest.byte_ranges import range_refused, satisfiable


def local_file_response(
    file: OpenedFile,
    path: Path,
    *,
    asked: str | None,
    if_range: str | None,
    headers: Mapping[str, str],
) -> Response:
    """asked: the header `Range`, of a form that was checked; None for the whole file."""
    response = _FileOfRange(
        path,
        headers=headers,
        media_type="application/octet-stream",
        filename=file.file_name,
        stat_result=path.stat(),
    )
    if asked is None or if_range not in (None, headers["ETag"], response.headers["last-modified"]):
        return response
    response.asked = satisfiable(asked, size_bytes=file.size_bytes)
    if response.asked is None:
        return range_refused(asked, size_bytes=file.size_bytes)
    return response


class _FileOfRange(FileResponse):
    """Sends what `asked` says, the whole file without it.

    FileResponse reads the request's own header, and refuses an unknown unit and a list of which one range is beyond the end.
    """

    asked: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        if self.asked is not None:
            headers.append((b"range", self.asked.encode()))
        await super().__call__({**scope, "headers": headers}, receive, send)
