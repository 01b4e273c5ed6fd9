import os
import time

import pytest

from service.artifacts.file_cache import KEPT_AT_LEAST_S, FileCache
from service.artifacts.local_folder import LocalFolder


@pytest.fixture
def store(tmp_path):
    return LocalFolder(tmp_path / "store")


@pytest.fixture
def cache(tmp_path):
    return FileCache(tmp_path / "cache", max_bytes=100)


def put(store, name, content):
    path = store.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def age(path):
    long_ago = time.time() - 2 * KEPT_AT_LEAST_S
    os.utime(path, (long_ago, path.stat().st_mtime))


def test_a_file_is_copied_once_and_its_copy_is_not_taken_for_one_of_another_size(store, cache):
    put(store, "a", b"1" * 10)
    path = cache.path_of(store, "a")
    assert path.read_bytes() == b"1" * 10
    written_at = path.stat().st_mtime_ns
    assert cache.path_of(store, "a").stat().st_mtime_ns == written_at

    put(store, "a", b"1" * 11)
    assert cache.path_of(store, "a").read_bytes() == b"1" * 11


def test_a_copy_does_not_outlive_its_original(store, cache):
    put(store, "a", b"1")
    cache.path_of(store, "a")
    (store.root / "a").unlink()
    with pytest.raises(FileNotFoundError):
        cache.path_of(store, "a")


def test_beyond_its_size_the_least_lately_used_go_and_none_that_was_asked_for_just_now(
    store, cache
):
    for name in ("a", "b", "c", "d"):
        put(store, name, b"1" * 40)
    for name in ("a", "b"):
        age(cache.path_of(store, name))
    age(cache.path_of(store, "b"))
    cache.path_of(store, "a")  # used again

    cache.path_of(store, "c")
    assert sorted(path.name for path in cache.folder.iterdir()) == ["a", "c"]
    cache.path_of(store, "d")
    assert sorted(path.name for path in cache.folder.iterdir()) == ["a", "c", "d"]


def test_copies_that_were_never_finished_go_after_a_day(store, cache):
    put(store, "a", b"1")
    cache.folder.mkdir()
    for name, hours in (("old", 25), ("new", 1)):
        path = cache.folder / f"{name}.partial"
        path.touch()
        os.utime(path, (time.time(), time.time() - hours * 3600))
    cache.path_of(store, "a")
    assert sorted(path.name for path in cache.folder.iterdir()) == ["a", "new.partial"]
