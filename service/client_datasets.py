"""Problem sets that are uploaded once and named by jobs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.client_downloads import PIECE_BYTES, DownloadCalls, corrupt
from service.client_http import read, segment
from service.jobs.datasets import Dataset, DatasetPage

MEDIA_TYPE = "application/x-ndjson"


class DatasetCalls(DownloadCalls):
    """A set is its content: uploading it again gives the same set."""

    def upload_dataset(self, file: Path, *, name: str | None = None) -> Dataset:
        """Sends a JSONL file piece by piece. Raises DATASET_INVALID, with the line, for a wrong row."""
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(file.stat().st_size)}
        request = self._request(
            "POST", "v1/datasets", content=_Pieces(file), headers=headers, query={"name": name}
        )
        return read(self._repeat(request), Dataset)

    def datasets(
        self, *, page_size: int | None = None, page_token: str | None = None
    ) -> DatasetPage:
        """One page, newest first."""
        return self._get("v1/datasets", DatasetPage, page_size=page_size, page_token=page_token)

    def dataset(self, dataset_id: str) -> Dataset:
        return self._get(_path(dataset_id), Dataset)

    def download_dataset(self, dataset_id: str, to: Path) -> Dataset:
        """The set, with its content written to `to` as it was uploaded."""
        dataset = self.dataset(dataset_id)

        def check(_file: Path, found: str) -> None:
            if found != dataset.sha256:
                raise corrupt(dataset.id, found=found, expected=dataset.sha256)

        self._download(f"{_path(dataset_id)}/content", to, check=check)
        return dataset

    def delete_dataset(self, dataset_id: str) -> None:
        """Raises JOB_IN_USE while a job that has not ended needs it."""
        self._repeat(self._request("DELETE", _path(dataset_id)))


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A file that can be sent more than once: it is opened anew each time."""

    file: Path

    def __iter__(self) -> Iterator[bytes]:
        with self.file.open("rb") as opened:
            while piece := opened.read(PIECE_BYTES):
                yield piece


def _path(dataset_id: str) -> str:
    return f"v1/datasets/{segment(dataset_id)}"
