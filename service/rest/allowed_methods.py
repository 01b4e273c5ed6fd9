"""What an address takes, for the answer to a method that it does not take."""

import re

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

PARAMETER = re.compile(r"\{[^/]+?\}")


def allowed_methods(app: FastAPI, path: str) -> list[str]:
    """Of all endpoints of the API at this address: the router names only those of the first that it finds there.

    Empty where the API has none.
    """
    methods: dict[str, set[str]] = {}
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema and route.path_regex.match(path):
            methods.setdefault(route.path_format, set()).update(route.methods or ())
    # An id may hold a colon as far as the router knows, so a verb's address is one of a resource as well.
    most_literal = max(methods, key=lambda address: len(PARAMETER.sub("", address)), default="")
    return sorted(methods.get(most_literal, ()))
