"""Uploads into a real database and a real folder; the limit of these tests is 10 MB unless another is named."""

import hashlib
import json
import os
import resource
import threading
import time
import tracemalloc

import pytest

from service.artifacts import cloud_filesystem
from service.datasets import DatasetOperations
from service.errors import DriftgateError, ErrorCode
from service.jobs.problem_sources import DatasetSource
from service.jobs.spec import JobSpec
from service.preflight import problem_stream
from service.preflight.problem_files import find_dataset, num_problems_uploaded
from service.storage.dataset_store import DatasetStore
from service.storage.job_store import JobStore
from service.storage.sessions import Database

TWO_ROWS = b'{"problem": "1+1", "id": 7, "answer": 2, "level": 3}\r\n\n{"problem": "x\xc3\xa4"}'
GOOD = b'{"problem": "p", "id": "a"}\n'


@pytest.fixture
def settings(settings_factory):
    return settings_factory(max_dataset_bytes=10_000_000)


@pytest.fixture
def datasets(database, settings):
    return DatasetOperations(store=DatasetStore(database), settings=settings)


@pytest.fixture
def sqlite_database(sqlite_url):
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def on_sqlite(sqlite_database, settings):
    """Where the database has no part in it."""
    return DatasetOperations(store=DatasetStore(sqlite_database), settings=settings)


def files_of(settings):
    folder = settings.uploads_folder()
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def in_pieces(content, num_bytes):
    return (content[start : start + num_bytes] for start in range(0, len(content), num_bytes))


def test_an_upload_is_kept_byte_for_byte_under_the_hash_of_its_content(datasets, settings):
    uploaded = datasets.upload(iter([TWO_ROWS]), name="sums")

    sha256 = hashlib.sha256(TWO_ROWS).hexdigest()
    assert uploaded.id == f"ds-{sha256[:32]}"
    assert (uploaded.sha256, uploaded.size_bytes) == (sha256, len(TWO_ROWS))
    assert (uploaded.name, uploaded.num_problems, uploaded.num_answers) == ("sums", 2, 1)
    assert datasets.get(uploaded.id) == uploaded
    assert files_of(settings) == [f"{uploaded.id}.jsonl"]
    read, content = datasets.open_content(uploaded.id)
    with content:
        assert (read, content.read()) == (uploaded, TWO_ROWS)


@pytest.mark.parametrize("num_bytes", [1, 2, 7, 1000])
def test_it_does_not_matter_where_the_pieces_are_cut(on_sqlite, num_bytes):
    content = b"\xef\xbb\xbf" + TWO_ROWS

    uploaded = on_sqlite.upload(in_pieces(content, num_bytes))

    assert (uploaded.num_problems, uploaded.sha256) == (2, hashlib.sha256(content).hexdigest())


def test_the_same_content_again_is_the_same_set_under_its_first_name(datasets, settings):
    first = datasets.receive(iter([GOOD]), name="first")
    again = datasets.receive(iter([GOOD]), name="second")

    assert (first.is_new, again.is_new) == (True, False)
    assert again.dataset == first.dataset
    assert len(datasets.list().datasets) == len(files_of(settings)) == 1


def test_uploads_of_one_content_at_once_are_one_set(datasets, settings):
    results = []
    barrier = threading.Barrier(8)

    def upload():
        barrier.wait()
        results.append(datasets.receive(iter([GOOD])))

    threads = [threading.Thread(target=upload) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 8
    assert sum(result.is_new for result in results) == 1
    assert files_of(settings) == [f"{results[0].dataset.id}.jsonl"]


def test_an_upload_repairs_a_file_that_was_lost(on_sqlite, settings):
    uploaded = on_sqlite.upload(iter([GOOD]))
    path = settings.uploads_folder() / f"{uploaded.id}.jsonl"
    path.unlink()
    with pytest.raises(DriftgateError) as refusal:
        on_sqlite.open_content(uploaded.id)
    assert refusal.value.code is ErrorCode.RESOURCE_NOT_FOUND

    assert on_sqlite.upload(iter([GOOD])) == uploaded
    assert path.read_bytes() == GOOD


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "'upload' (content) has no problem"),
        (b" \n\r\n\n", "'upload' (content) has no problem"),
        (GOOD + b"{", "Line 2 of 'upload' (content) is not JSON in UTF-8"),
        (GOOD + b"\n\n[1]", "Line 4 of 'upload' (content) is not a JSON object"),
        (GOOD + b'{"id": "b"}', "Line 2 of 'upload' (content) has no `problem`"),
        (GOOD + b'{"problem": ""}', "Line 2 of 'upload' (content) has no `problem`"),
        (GOOD + b'{"problem": "\xff"}', "Line 2 of 'upload' (content) is not JSON in UTF-8"),
        (GOOD + b'{"problem": "a\x00"}', "Line 2 of 'upload' (content) is not JSON in UTF-8"),
        (GOOD + b'{"problem": "\\u0000"}', "Line 2 of 'upload' (content) has a wrong `problem`"),
        (GOOD + b'{"problem": "\\ud800"}', "Line 2 of 'upload' (content) has a wrong `problem`"),
        (GOOD + b'{"problem": "p", "answer": "\\u0000"}', "has a wrong `answer`"),
        (GOOD + b'{"problem": "p", "id": "\\u0000"}', "has a wrong `id`"),
        (GOOD + b'{"problem": "p", "id": " "}', "Line 2 of 'upload' (content) has an empty `id`"),
        (GOOD + b'{"problem": "p", "answer": 0.5}', "Line 2 of 'upload' (content) has a wrong"),
        (GOOD + b'{"problem": "p", "answer": NaN}', "Line 2 of 'upload' (content) has a wrong"),
        (GOOD + b'{"problem": "p", "id": 1' + b"0" * 300 + b"}", "Line 2 of 'upload' (content)"),
        (GOOD + b'{"problem": "' + b"x" * 100_001 + b'"}', "has a wrong `problem`"),
        (
            GOOD + b'{"problem": "p", "answer": "1", "answer": "2"}',
            "Line 2 of 'upload' (content) has the key 'answer' twice",
        ),
        (
            GOOD + b'{"problem": "p", "x": {"\\ud800": 1, "\\ud800": 2}}',
            "has the key '\\ud800' twice",
        ),
        (GOOD + b"[" * 100_000, "Line 2 of 'upload' (content) is not JSON"),
        (
            GOOD + b'{"problem": "q"}\n' + GOOD,
            "Line 3 of 'upload' (content) has the id of line 1 of 'upload' again",
        ),
        (
            b'{"problem": "q"}\n{"problem": "p", "id": "line-1"}',
            "Line 2 of 'upload' (content) has the id of line 1 of 'upload' again",
        ),
        (
            GOOD + b"x" * (2 * 2**20 + 1),
            "Line 2 of 'upload' (content) has more than 2,097,152 bytes",
        ),
        (GOOD + b"x" * (2 * 2**20 + 1) + b"\n", "Line 2 of 'upload' (content) has more than"),
    ],
)
def test_what_is_wrong_is_refused_by_its_line_and_leaves_nothing(
    on_sqlite, settings, content, reason
):
    with pytest.raises(DriftgateError) as refusal:
        on_sqlite.upload(iter([content]))

    assert refusal.value.code is ErrorCode.DATASET_INVALID
    assert reason in refusal.value.message
    assert files_of(settings) == []
    assert on_sqlite.list().datasets == ()


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", "content"),
        (b"{", "content.1"),
        (GOOD + b"\n\n[1]", "content.4"),
        (GOOD + b'{"id": "b"}', "content.2"),
        (GOOD + b'{"problem": "p", "answer": 0.5}', "content.2"),
        (GOOD + b'{"problem": "p", "id": " "}', "content.2"),
        (GOOD + b'{"problem": "p", "id": 1, "id": 2}', "content.2"),
        (GOOD + b'{"problem": "q"}\n' + GOOD, "content.3"),
        (GOOD + b"x" * (2 * 2**20 + 1), "content.2"),
    ],
)
def test_the_field_at_fault_ends_with_the_number_of_the_line(on_sqlite, content, field):
    with pytest.raises(DriftgateError) as refusal:
        on_sqlite.upload(iter([content]))

    assert [each.field for each in refusal.value.violations] == [field]


def test_keys_that_are_not_read_may_be_anything(on_sqlite):
    row = b'{"problem": "p", "level": 5, "Answer": null, "source": {"page": [1]}}\n'

    uploaded = on_sqlite.upload(iter([row]))

    assert (uploaded.num_problems, uploaded.num_answers) == (1, 0)
    _, content = on_sqlite.open_content(uploaded.id)
    with content:
        assert content.read() == row


def test_a_set_of_too_many_lines_is_refused_whether_or_not_the_last_one_ends(
    on_sqlite, monkeypatch
):
    monkeypatch.setattr(problem_stream, "MAX_LINES", 3)
    rows = b'{"problem": "p"}\n' * 4

    for content in (rows, rows[:-1]):
        with pytest.raises(DriftgateError) as refusal:
            on_sqlite.upload(iter([content]))
        assert "'upload' (content) has more than 3 lines" in refusal.value.message
    assert on_sqlite.upload(iter([rows[: 3 * len(rows) // 4]])).num_problems == 3


def test_the_longest_line_may_be_cut_into_pieces_and_is_read(on_sqlite):
    line = json.dumps({"problem": "\U0001f600" * 100_000}).encode()

    assert on_sqlite.upload(in_pieces(line, 65_536)).num_problems == 1


def test_a_set_beyond_the_limit_is_refused_before_the_rest_of_it_is_asked_for(on_sqlite, settings):
    num_asked = 0

    def endless():
        nonlocal num_asked
        while True:
            num_asked += 1
            yield (b'{"problem": "p%d"}\n' % num_asked).ljust(1_000_000)

    with pytest.raises(DriftgateError) as refused:
        on_sqlite.upload(endless())

    assert refused.value.code is ErrorCode.PAYLOAD_TOO_LARGE
    assert refused.value.violations[0].allowed == "at most 10,000,000 bytes"
    assert num_asked == 11
    assert files_of(settings) == []


def test_an_upload_that_breaks_off_raises_what_broke_it_and_leaves_nothing(on_sqlite, settings):
    def broken():
        yield GOOD
        assert len(files_of(settings)) == 1
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        on_sqlite.upload(broken())

    assert files_of(settings) == []
    assert on_sqlite.list().datasets == ()


@pytest.mark.parametrize("name", ["", "a\x00b", "line\nbreak", "x" * 201, "\ud800"])
def test_a_name_that_cannot_be_one_is_refused_before_anything_is_read(on_sqlite, name):
    def never_read():
        pytest.fail("a piece was asked for")
        yield b""

    with pytest.raises(DriftgateError) as refusal:
        on_sqlite.upload(never_read(), name=name)

    assert refusal.value.code is ErrorCode.INVALID_ARGUMENT
    assert refusal.value.violations[0].field == "name"


def test_what_a_crashed_process_left_a_day_ago_is_removed_by_the_next_upload(on_sqlite, settings):
    folder = settings.uploads_folder()
    folder.mkdir(parents=True)
    for name, age_s in (("old.partial", 90_000), ("young.partial", 80_000), ("old.other", 90_000)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age_s,) * 2)

    uploaded = on_sqlite.upload(iter([GOOD]))

    assert files_of(settings) == [f"{uploaded.id}.jsonl", "old.other", "young.partial"]


def test_a_large_upload_takes_little_memory(sqlite_database, settings_factory):
    datasets = DatasetOperations(
        store=DatasetStore(sqlite_database), settings=settings_factory(max_dataset_bytes=2**27)
    )
    padding = b"x" * 4100

    def rows():
        for number in range(256):
            first = number * 64
            yield b"".join(
                b'{"problem": "%d %b", "answer": "1"}\n' % (row, padding)
                for row in range(first, first + 64)
            )

    tracemalloc.start()
    try:
        uploaded = datasets.upload(rows())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert uploaded.size_bytes > 64 * 2**20
    assert uploaded.num_problems == 64 * 256
    assert peak_bytes < 8 * 2**20


def test_a_deleted_set_is_gone_and_may_be_uploaded_again(datasets, settings):
    uploaded = datasets.upload(iter([GOOD]))

    datasets.delete(uploaded.id)

    assert files_of(settings) == []
    for ask in (datasets.get, datasets.open_content, datasets.delete):
        with pytest.raises(DriftgateError) as refusal:
            ask(uploaded.id)
        assert refusal.value.code is ErrorCode.RESOURCE_NOT_FOUND
    assert datasets.receive(iter([GOOD])).is_new


def test_content_that_is_being_read_outlives_its_set(on_sqlite):
    uploaded = on_sqlite.upload(iter([GOOD]))
    _, content = on_sqlite.open_content(uploaded.id)

    on_sqlite.delete(uploaded.id)

    with content:
        assert content.read() == GOOD


def test_a_set_that_a_waiting_job_names_stays_until_the_job_has_ended(datasets, database):
    uploaded = datasets.upload(iter([GOOD]))
    jobs = JobStore(database)
    spec = JobSpec.model_validate(
        {
            "student": {"model": "s"},
            "teacher": {"model": "t"},
            "prompts": {"problems": {"source": "dataset", "dataset_id": uploaded.id}},
        }
    )
    job = jobs.create(spec, warnings=(), queue="default")

    with pytest.raises(DriftgateError) as refusal:
        datasets.delete(uploaded.id)
    assert refusal.value.code is ErrorCode.JOB_IN_USE
    assert job.id in refusal.value.message
    assert datasets.get(uploaded.id) == uploaded

    jobs.request_cancel(job.id)
    datasets.delete(uploaded.id)


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_size_out_of_bounds_is_refused(on_sqlite, limit):
    with pytest.raises(DriftgateError) as refusal:
        on_sqlite.list(limit=limit)

    assert refusal.value.code is ErrorCode.INVALID_ARGUMENT


@pytest.fixture
def hosts(settings_factory, bucket, tmp_path):
    """The settings of two hosts that share a bucket and nothing else."""
    return [
        settings_factory(data_dir=tmp_path / name, **bucket.settings())
        for name in ("api", "worker")
    ]


def on_bucket(database, settings):
    return DatasetOperations(store=DatasetStore(database), settings=settings)


def source_of(dataset):
    return DatasetSource(dataset_id=dataset.id)


def test_a_set_in_a_bucket_is_read_on_a_host_that_shares_nothing_else(
    sqlite_database, hosts, bucket
):
    api, worker = hosts
    uploaded = on_bucket(sqlite_database, api).upload(iter([TWO_ROWS]))

    assert bucket.names() == [f"run/datasets/{uploaded.id}.jsonl"]
    assert files_of(api) == []
    path = find_dataset(source_of(uploaded), settings=worker, field="f")
    assert path.read_bytes() == TWO_ROWS
    assert path.is_relative_to(worker.data_dir.resolve())
    assert num_problems_uploaded(source_of(uploaded), settings=api, field="f") == 2
    _, content = on_bucket(sqlite_database, api).open_content(uploaded.id)
    with content:
        assert (content.read(), os.fstat(content.fileno()).st_size) == (TWO_ROWS, len(TWO_ROWS))


def test_a_set_that_was_deleted_from_a_bucket_is_not_found_though_a_host_has_a_copy(
    sqlite_database, hosts, bucket
):
    api, worker = hosts
    datasets = on_bucket(sqlite_database, api)
    uploaded = datasets.upload(iter([TWO_ROWS]))
    find_dataset(source_of(uploaded), settings=worker, field="f")

    datasets.delete(uploaded.id)

    assert bucket.names() == []
    with pytest.raises(DriftgateError) as refusal:
        find_dataset(source_of(uploaded), settings=worker, field="f")
    assert refusal.value.code is ErrorCode.DATASET_NOT_FOUND


@pytest.mark.parametrize("altered", [TWO_ROWS[:-1], TWO_ROWS.replace(b"1+1", b"1+2")])
def test_an_altered_set_in_a_bucket_is_refused_and_uploading_it_again_repairs_it(
    sqlite_database, hosts, bucket, altered
):
    api, worker = hosts
    datasets = on_bucket(sqlite_database, api)
    uploaded = datasets.upload(iter([TWO_ROWS]))
    bucket.put(f"run/datasets/{uploaded.id}.jsonl", altered)

    with pytest.raises(DriftgateError) as refusal:
        find_dataset(source_of(uploaded), settings=worker, field="f")
    assert refusal.value.code is ErrorCode.DATASET_INVALID

    datasets.upload(iter([TWO_ROWS]))
    assert bucket.get(f"run/datasets/{uploaded.id}.jsonl") == TWO_ROWS
    assert find_dataset(source_of(uploaded), settings=worker, field="f").read_bytes() == TWO_ROWS


def test_an_upload_to_a_store_that_is_away_is_unavailable_and_leaves_nothing(
    sqlite_database, settings_factory, bucket, unused_port, monkeypatch
):
    monkeypatch.setattr(cloud_filesystem, "CLIENT_RETRY", {"max_retries": 0})
    fields = bucket.settings() | {"artifact_endpoint": f"http://127.0.0.1:{unused_port}"}
    settings = settings_factory(**fields)
    datasets = on_bucket(sqlite_database, settings)
    with pytest.raises(DriftgateError) as refusal:
        datasets.upload(iter([TWO_ROWS]))
    assert refusal.value.code is ErrorCode.ARTIFACTS_UNAVAILABLE
    assert files_of(settings) == []
    assert datasets.list().datasets == ()


def test_an_upload_that_the_disk_has_no_room_for_is_unavailable(on_sqlite, settings, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows = (b'{"problem": "%01000d"}\n' % number for number in range(2_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(DriftgateError, match="File too large") as refusal:
            on_sqlite.upload(rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refusal.value.code is ErrorCode.ARTIFACTS_UNAVAILABLE
    assert files_of(settings) == []
