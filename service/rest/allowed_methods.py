"""What an address takes, for the answer to a method that it does not take."""

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts


def allowed_methods(app: FastAPI, path: str) -> list[str]:
    """Of all endpoints of the API at this address: the router names only those of the first that it finds there.

    Empty where the API has none.
    """
    methods: set[str] = set()
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema and route.path_regex.match(path):
            methods |= route.methods
    return sorted(methods)
