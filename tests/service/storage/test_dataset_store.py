import threading

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.parsing import parse_spec
from service.storage.dataset_store import DatasetStore
from service.storage.job_store import JobStore

IDS = [f"ds-{number:032x}" for number in range(5)]


def nothing():
    pass


@pytest.fixture
def store(database):
    return DatasetStore(database)


@pytest.fixture
def add(store):
    def make(dataset_id, place_file=nothing):
        return store.add(
            dataset_id,
            name=None,
            sha256=dataset_id[3:] * 2,
            num_problems=3,
            num_answers=2,
            size_bytes=2**40,
            place_file=place_file,
        )

    return make


def refused(code, call, *arguments, **named):
    with pytest.raises(DriftgateError) as refusal:
        call(*arguments, **named)
    assert refusal.value.code is code
    return refusal.value


def spec_with(dataset_id, *, as_benchmark=False, **fields):
    source = {"source": "dataset", "dataset_id": dataset_id}
    arithmetic = {"source": "arithmetic", "num_problems": 3}
    benchmark = {"name": "b", "problems": source if as_benchmark else arithmetic}
    return parse_spec(
        {
            "student": {"model": "s"},
            "teacher": {"model": "t"},
            "prompts": {"problems": arithmetic if as_benchmark else source},
            "evaluation": {"benchmarks": [benchmark]},
        }
        | fields
    )


def test_the_file_is_placed_before_there_is_a_row_and_also_where_there_is_one(store, add):
    placed = []

    def place_file():
        placed.append(store.list_datasets(limit=10).datasets)

    first, is_new = add(IDS[0], place_file)
    again, is_new_again = add(IDS[0], place_file)

    assert (is_new, is_new_again) == (True, False)
    assert first == again == store.get(IDS[0])
    assert placed == [(), (first,)]


def test_a_file_that_cannot_be_placed_leaves_no_row(store, add):
    def full():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        add(IDS[0], full)

    refused(ErrorCode.RESOURCE_NOT_FOUND, store.get, IDS[0])


@pytest.mark.parametrize(
    "dataset_id", ["", "\x00", "ds-", IDS[0] + "\n", IDS[0].upper(), "ds-\ud800"]
)
def test_an_id_of_another_form_is_not_found(store, dataset_id):
    for ask in (store.get, store.delete):
        refused(ErrorCode.RESOURCE_NOT_FOUND, ask, dataset_id)


def test_pages_go_from_the_newest_to_the_oldest_without_a_gap(store, add):
    for dataset_id in IDS:
        add(dataset_id)

    found, token = [], None
    for _ in range(3):
        page = store.list_datasets(limit=2, page_token=token)
        found += [one.id for one in page.datasets]
        token = page.next_page_token

    assert found == IDS[::-1]
    assert token is None


def test_a_token_that_no_page_gave_is_refused(store):
    refused(ErrorCode.INVALID_ARGUMENT, store.list_datasets, limit=2, page_token="é")


@pytest.mark.parametrize("as_benchmark", [False, True])
def test_a_set_is_needed_until_the_last_job_that_names_it_has_ended(
    store, add, database, as_benchmark
):
    jobs = JobStore(database)
    add(IDS[0])
    add(IDS[1])
    spec = spec_with(IDS[0], as_benchmark=as_benchmark, labels={"of": IDS[1]})
    first, second = (jobs.create(spec, warnings=(), queue="q") for _ in range(2))

    # A label is no use of a set.
    store.delete(IDS[1])
    jobs.request_cancel(first.id)
    refusal = refused(ErrorCode.JOB_IN_USE, store.delete, IDS[0])
    assert second.id in refusal.message

    jobs.request_cancel(second.id)
    store.delete(IDS[0])
    refused(ErrorCode.RESOURCE_NOT_FOUND, store.get, IDS[0])


def test_a_regrade_needs_the_sets_of_the_job_that_it_grades(store, add, database):
    jobs = JobStore(database)
    add(IDS[0])
    graded = jobs.create(spec_with(IDS[0], as_benchmark=True), warnings=(), queue="q")
    jobs.request_cancel(graded.id)
    regrade = parse_spec({"kind": "regrade", "job_id": graded.id})
    of_nothing = parse_spec({"kind": "regrade", "job_id": "gone"})
    job = jobs.create(regrade, warnings=(), queue="q")
    jobs.create(of_nothing, warnings=(), queue="q")

    refusal = refused(ErrorCode.JOB_IN_USE, store.delete, IDS[0])
    assert job.id in refusal.message

    jobs.request_cancel(job.id)
    store.delete(IDS[0])


def test_a_file_is_removed_only_while_its_set_is_gone(store, add):
    removed = []
    add(IDS[0])
    store.remove_file(IDS[0], lambda: removed.append("of the set that is there"))
    store.delete(IDS[0])
    store.remove_file(IDS[0], lambda: removed.append("of the deleted set"))

    assert removed == ["of the deleted set"]


def test_a_file_is_not_removed_while_its_set_is_being_uploaded_again(store, add):
    order = []
    is_placing, may_end = threading.Event(), threading.Event()

    def place_file():
        is_placing.set()
        may_end.wait(timeout=10)
        order.append("placed")

    upload = threading.Thread(target=lambda: add(IDS[0], place_file))
    upload.start()
    is_placing.wait(timeout=10)
    removal = threading.Thread(
        target=lambda: store.remove_file(IDS[0], lambda: order.append("removed"))
    )
    removal.start()
    removal.join(timeout=0.1)
    may_end.set()
    upload.join()
    removal.join()

    assert order == ["placed"]
