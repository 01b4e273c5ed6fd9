"""Whether a folder's files are the ones that were read before: to look costs a hundredth of reading them."""

import os
from pathlib import Path

FolderSignature = tuple[tuple[str, int, int, int], ...]

BUILTIN_FOLDER = Path(__file__).resolve().parent.parent / "builtin_models"
# They come with this code, and change with it only.
OF_BUILTIN: FolderSignature = (("builtin", 0, 0, 0),)


def folder_signature(folder: Path) -> FolderSignature:
    """Name, time of change in ns, size and inode of each file, links followed; empty for no folder.

    Of a path that is a file, that file's. Built-in models are not looked at.
    """
    if folder.parent == BUILTIN_FOLDER:
        return OF_BUILTIN
    try:
        entries = [(entry.name, entry.stat()) for entry in os.scandir(folder)]
    except NotADirectoryError:
        return _of_file(folder)
    except OSError:
        return ()
    return tuple(sorted(_of_stat(name, stat) for name, stat in entries))


def _of_file(path: Path) -> FolderSignature:
    try:
        return (_of_stat(path.name, path.stat()),)
    except OSError:
        return ()


def _of_stat(name: str, stat: os.stat_result) -> tuple[str, int, int, int]:
    return (name, stat.st_mtime_ns, stat.st_size, stat.st_ino)
