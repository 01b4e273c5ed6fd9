import httpx

from service.client import Client
from service.job_commands.downloading import download_checkpoint
from tests.saved_checkpoints import LOADABLE, saved_job


class Followed(httpx.HTTPTransport):
    """Keeps the paths of what is asked."""

    def __init__(self):
        super().__init__()
        self.paths = []

    def handle_request(self, request):
        self.paths.append(request.url.path)
        return super().handle_request(request)


def test_all_files_are_of_the_checkpoint_that_was_the_newest_at_the_start(rest_service, tmp_path):
    saved = saved_job(rest_service.database, rest_service.settings)
    followed = Followed()

    with Client(rest_service.url, transport=followed) as client:
        download_checkpoint(client, client.get(saved.job.id), step=None, folder=tmp_path / "mine")

    files = [path for path in followed.paths if "/files/" in path]
    assert len(files) == len(LOADABLE)
    assert all("/checkpoints/4/files/" in path for path in files)
