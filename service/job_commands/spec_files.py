"""Job specs as files: YAML or JSON, with single values set on the command line.

What cannot be read is told by its place only: it may be a secret that stands where its name belongs.
"""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from service.errors import DriftgateError, ErrorCode, Violation

STANDARD_INPUT = "-"
# A parser's message quotes what it met, and what it looked for: single characters and `<stream end>`.
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_HARMLESS = re.compile(r"""['"](\\?.|<[a-z ]+>)?['"]""")


def read_spec(file: str, *, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """The spec of a file, `-` for standard input, as plain data; the service checks what is in it.

    overrides: `path=value`, such as `rollout.top_p=0.9` or `evaluation.benchmarks.0.name=held-out`; a value
    is read as YAML. Raises INVALID_SPEC for what is no spec at all.
    """
    spec = _mapping(_parse(_text(file), source=file), source=file)
    for override in overrides:
        path, equals, value = override.partition("=")
        if not equals or not path:
            given = path if path.replace(".", "").isidentifier() else "no field before ="
            raise _invalid("--set", given, "FIELD=VALUE, such as steps=5")
        _set(spec, path, _parse(value, source=f"--set {path}"))
    return spec


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text("utf-8")
    except OSError as error:
        raise _invalid("file", file, f"a file that can be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise _invalid("file", file, f"UTF-8 ({error.reason} at byte {error.start})") from None


def _parse(text: str, *, source: str) -> Any:
    """JSON is YAML. Dates, which JSON lacks, become their text.

    Raises INVALID_SPEC for what is neither, and for a field that an object has twice.
    """
    try:
        return json.loads(json.dumps(_load(text, source=source), default=str, allow_nan=False))
    except yaml.YAMLError as error:
        raise _invalid(source, _place_and_problem(error), "YAML or JSON") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise _invalid(source, _without_quotes(str(error)), "what JSON can say") from None


def _load(text: str, *, source: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        # Before it is made into data, where the last of two fields wins and `<<` has put in those of others.
        _refuse_doubled_fields(root, source=source)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_doubled_fields(root: yaml.Node, *, source: str) -> None:
    seen: set[int] = set()  # an anchor may be inside of itself
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
            continue
        lines: dict[str, int] = {}
        for key, value in node.value:
            waiting += (key, value)
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused later: JSON has no such field
            line = key.start_mark.line + 1
            if key.value in lines:
                given = f"{key.value[:100]}, which is in line {lines[key.value]} already"
                raise _invalid(f"{source}, line {line}", given, "every field once")
            lines[key.value] = line


def _place_and_problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return _without_quotes(" ".join(str(error).split()))
    mark = error.problem_mark
    problem = _without_quotes(str(error.problem))
    return f"{problem} in line {mark.line + 1}, column {mark.column + 1}"


def _without_quotes(text: str) -> str:
    return _QUOTED.sub(lambda quoted: quoted[0] if _HARMLESS.fullmatch(quoted[0]) else "…", text)


def _mapping(data: Any, *, source: str) -> dict[str, Any]:
    if isinstance(data, dict):
        return data
    kind = {list: "a list", str: "a text", type(None): "nothing"}.get(type(data), "a value")
    raise _invalid(source, kind, "a job spec: fields with their values")


def _set(spec: dict[str, Any], path: str, value: Any) -> None:
    """Sets the value at a dotted path; objects on the way that are missing or null are made."""
    here: Any = spec
    *parents, last = path.split(".")
    for part in parents:
        if isinstance(here, dict) and here.get(part) is None:
            here[part] = {}
        here = here[_place(here, part, path)]
    here[_place(here, last, path)] = value


def _place(here: Any, part: str, path: str) -> str | int:
    """`part` as a key of an object or a position in a list."""
    if isinstance(here, dict):
        return part
    if isinstance(here, list) and part.isdecimal() and int(part) < len(here):
        return int(part)
    allowed = (
        f"0 to {len(here) - 1}" if isinstance(here, list) and here else "a field that has parts"
    )
    raise _invalid(f"--set {path}", part, allowed)


def _invalid(field: str, given: str, allowed: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_SPEC,
        f"{field}: given {given}, allowed: {allowed}.",
        [Violation(field, given, allowed)],
    )
