"""obstore's fsspec file system, with transfers that suit files of many gigabytes."""

from pathlib import Path
from typing import Any, cast

from obstore.fsspec import BufferedFile, FsspecStore

from service.artifacts.cloud_clients import CLIENT_RETRY, PARTS_AT_ONCE, CloudClient, part_bytes

READ_BYTES = 8 * 2**20


def cloud_filesystem(scheme: str, client: CloudClient) -> "CloudFilesystem":
    """Nothing is connected to yet."""
    return CloudFilesystem(
        cast("Any", scheme),
        config=cast("Any", client.config),
        client_options=client.options,
        retry_config=CLIENT_RETRY,
    )


class CloudFilesystem(FsspecStore):
    """An upload is whole or absent; obstore's own parts would end at 50 GB, and its reads are of a megabyte."""

    cachable = False  # fsspec would keep the configuration, which has secrets

    async def _put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **_: Any) -> None:
        assert mode == "overwrite"
        source = Path(lpath)
        bucket, key = self._split_path(rpath)
        await self._construct_store(bucket).put_async(
            key,
            source,
            chunk_size=part_bytes(source.stat().st_size),  # noqa: ASYNC240 the loop has nothing else
            max_concurrency=PARTS_AT_ONCE,
        )

    def _open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> BufferedFile:
        assert mode == "rb"
        # Asked for here: the file's own question leaves half of a file behind where there is none.
        size_bytes = self.info(path)["size"]
        return BufferedFile(self, path, "rb", size=size_bytes, buffer_size=READ_BYTES)
