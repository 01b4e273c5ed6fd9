"""Query parameters that an address does not know are refused: a filter that is misspelt must not list everything."""

from collections.abc import Collection
from typing import get_origin
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from service.errors import DriftgateError, ErrorCode, Violation

MAX_PARAMETERS = 2000

# Of the routes that were asked for, by their unique id.
_known: dict[str, dict[str, bool]] = {}


async def refuse_unknown_parameters(request: Request) -> None:
    """Raises INVALID_ARGUMENT for a query of too many parameters or not in UTF-8, for a parameter that the matched address
    does not know, and for one that is given twice and is no list.
    """
    query: bytes = request.scope["query_string"]
    route = request.scope["route"]
    if not query or not isinstance(route, APIRoute) or not route.include_in_schema:
        return
    lists = _is_list_by_name(route)
    seen: set[str] = set()
    for name in _names(query):
        if name not in lists:
            raise _unknown(name, known=lists)
        if name in seen and not lists[name]:
            raise _refusal(name, "more than one value", "one value")
        seen.add(name)


def _names(query: bytes) -> list[str]:
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except UnicodeError:
        raise _refusal("query", "bytes that are not UTF-8", "percent-encoded UTF-8") from None
    except ValueError:
        allowed = f"at most {MAX_PARAMETERS:,} parameters"
        raise _refusal("query", "more parameters", allowed) from None
    return [name for name, _ in pairs]


def _is_list_by_name(route: APIRoute) -> dict[str, bool]:
    """Of every query parameter of the route, whether it may be repeated."""
    if route.unique_id not in _known:
        _known[route.unique_id] = {
            field.alias: get_origin(field.field_info.annotation) is list
            for field in get_flat_params(route.dependant)
            if isinstance(field.field_info, Query)
        }
    return _known[route.unique_id]


def _unknown(name: str, *, known: Collection[str]) -> DriftgateError:
    allowed = ", ".join(sorted(known)) or "no parameter at all"
    return _refusal(name[:100], "a parameter that is not known here", allowed)


def _refusal(field: str, given: str, allowed: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"{field}: given {given}, allowed: {allowed}.",
        [Violation(field, given, allowed)],
    )
