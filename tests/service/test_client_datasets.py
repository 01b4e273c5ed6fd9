import hashlib

import pytest

from service.client import Client
from service.errors import DriftgateError, ErrorCode
from tests.service.scripted_service import LosesTheFirstAnswer


def test_a_problem_set_is_uploaded_read_downloaded_and_deleted(rest_client, tmp_path):
    rows = (
        '{"id": "1", "problem": "1 + 1?", "answer": "2"}\n'
        '{"id": "2", "problem": "2 + 2?", "answer": "4"}\n'
    )
    file = tmp_path / "sums.jsonl"
    file.write_text(rows)
    dataset = rest_client.upload_dataset(file, name="sums")
    assert (dataset.name, dataset.num_problems) == ("sums", 2)
    assert rest_client.upload_dataset(file) == dataset
    assert rest_client.datasets().datasets == (dataset,)
    assert rest_client.download_dataset(dataset.id, tmp_path / "back.jsonl") == dataset
    assert (tmp_path / "back.jsonl").read_text() == rows
    rest_client.delete_dataset(dataset.id)
    with pytest.raises(DriftgateError, match="RESOURCE_NOT_FOUND"):
        rest_client.dataset(dataset.id)
    file.write_text(rows + "no JSON\n")
    with pytest.raises(DriftgateError) as refusal:
        rest_client.upload_dataset(file)
    assert refusal.value.code is ErrorCode.DATASET_INVALID
    assert refusal.value.violations[0].given.startswith("Line 3 ")


def test_an_upload_that_breaks_off_is_sent_again_whole(rest_service, tmp_path):
    file = tmp_path / "sums.jsonl"
    file.write_text('{"id": "1", "problem": "1 + 1?", "answer": "2"}\n')
    with Client(rest_service.url, transport=LosesTheFirstAnswer()) as client:
        assert client.upload_dataset(file).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
