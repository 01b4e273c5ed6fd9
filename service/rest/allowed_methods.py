"""What an address takes, for the answer to a method that it does not take."""

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount, Route


def allowed_methods(app: FastAPI, path: str) -> list[str]:
    """Of all endpoints at this address: the router names only those of the first that it finds there.

    Empty where there is none.
    """
    methods: set[str] = set()
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, Route | Mount) and route.path_regex.match(path):
            # What is mounted are the files of the page.
            methods |= set(route.methods or ()) if isinstance(route, Route) else {"GET"}
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods)
