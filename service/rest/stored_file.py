"""A file of an object store as a response: whole, or the one range that was asked for."""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from fastapi import Response

from service.checkpoint_files import OpenedFile
from service.rest.byte_ranges import range_refused, satisfiable
from service.rest.closing_stream import ClosingStream

CHUNK_BYTES = 2**20
ONE_RANGE = re.compile(r"bytes=(?:([0-9]+)-([0-9]*)|-([0-9]+))")


def stored_file_response(
    file: OpenedFile, *, asked: str | None, if_range: str | None, headers: Mapping[str, str]
) -> Response:
    """asked: the header `Range`, of a form that was checked. Several ranges at once get the whole file.

    Raises what opening the file raises, before anything is sent.
    """
    size_bytes = file.size_bytes
    first, end = 0, size_bytes
    match = None
    if asked is not None and if_range in (None, headers["ETag"]):
        within = satisfiable(asked, size_bytes=size_bytes)
        if within is None:
            return range_refused(asked, size_bytes=size_bytes)
        match = ONE_RANGE.fullmatch(within)
    if match is not None:
        first, end = _bounds(*match.groups(), size_bytes=size_bytes)
    quoted = file.file_name.replace("\\", "\\\\").replace('"', '\\"')
    all_headers = {
        **headers,
        "Accept-Ranges": "bytes",
        "Content-Length": str(end - first),
        "Content-Disposition": f'attachment; filename="{quoted}"',
    }
    if match is not None:
        all_headers["Content-Range"] = f"bytes {first}-{end - 1}/{size_bytes}"
    content = file.open()
    return ClosingStream(
        _pieces(content, first=first, end=end),
        source=content,
        status_code=200 if match is None else 206,
        headers=all_headers,
        media_type="application/octet-stream",
    )


def _bounds(
    first: str | None, last: str | None, num_last: str | None, *, size_bytes: int
) -> tuple[int, int]:
    """First byte, and that after the last."""
    if first is None:
        return max(0, size_bytes - int(num_last or 0)), size_bytes
    return int(first), min(size_bytes, int(last) + 1) if last else size_bytes


def _pieces(content: BinaryIO, *, first: int, end: int) -> Iterator[bytes]:
    content.seek(first)
    while first < end and (piece := content.read(min(CHUNK_BYTES, end - first))):
        first += len(piece)
        yield piece
