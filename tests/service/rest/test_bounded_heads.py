"""Heads that are too long or never end, on a real server and plain sockets."""

import json
import socket
import threading

import pytest
import uvicorn

from service.rest import bounded_heads
from service.rest.bounded_heads import MAX_HEAD_BYTES, BoundedHeads


async def echo(scope, receive, send):
    """Answers with the size of the body, which comes in pieces."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message.get("more_body", False)
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def connect(unused_port, wait_until):
    config = uvicorn.Config(
        echo, port=unused_port, http=BoundedHeads, lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    opened = []

    def open_one():
        opened.append(socket.create_connection(("127.0.0.1", unused_port), timeout=30))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()
    server.should_exit = True
    thread.join(timeout=30)


def head(*, size=0, method="GET", length=0):
    return (
        f"{method} / HTTP/1.1\r\nHost: a\r\nX-A: {'a' * size}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def answer(connection):
    """All that comes until the server closes."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def body_of(received):
    return json.loads(received.partition(b"\r\n\r\n")[2])


def test_a_head_that_is_too_long_is_refused_and_the_connection_closed(connect):
    connection = connect()
    # No more than is read before it is refused: what nobody reads would break the connection before its answer.
    connection.sendall(b"GET / HTTP/1.1\r\nX-A: " + b"a" * MAX_HEAD_BYTES)
    received = answer(connection)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert body_of(received)["code"] == "PAYLOAD_TOO_LARGE"


def test_the_second_head_of_a_connection_is_counted_anew(connect):
    connection = connect()
    for _ in range(3):
        connection.sendall(head(size=MAX_HEAD_BYTES // 2))
        assert connection.recv(65_536).endswith(b"\r\n\r\n0")


def test_a_body_in_the_piece_of_its_head_does_not_count(connect):
    connection = connect()
    size = 3 * MAX_HEAD_BYTES
    connection.sendall(head(method="POST", length=size) + b"b" * size)
    assert connection.recv(65_536).endswith(f"\r\n\r\n{size}".encode())


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nX-A: "], ids=["nothing", "half"])
def test_a_head_that_does_not_come_is_not_waited_for(connect, monkeypatch, begun):
    monkeypatch.setattr(bounded_heads, "HEAD_TIMEOUT_S", 0.2)
    connection = connect()
    connection.sendall(begun)
    assert answer(connection) == b""


def test_a_body_may_take_longer_than_a_head(connect, monkeypatch, wait_until):
    monkeypatch.setattr(bounded_heads, "HEAD_TIMEOUT_S", 0.2)
    connection = connect()
    connection.sendall(head(method="POST", length=4) + b"bb")
    connection.settimeout(1)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.sendall(b"bb")
    assert connection.recv(65_536).endswith(b"\r\n\r\n4")


def test_what_is_no_http_is_refused_as_everything_else(connect):
    connection = connect()
    connection.sendall(b"HELLO\r\n\r\n")
    received = answer(connection)
    assert b"content-type: application/problem+json" in received
    assert body_of(received)["code"] == "INVALID_ARGUMENT"
