"""The limit of these tests is 100,000 bytes."""


def in_pieces(num_bytes):
    """A body without a Content-Length."""
    return (b" " * 1000 for _ in range(num_bytes // 1000))


def test_a_body_at_the_limit_is_read_and_one_beyond_it_refused(api):
    headers = {"content-type": "application/json"}
    for body in (b" " * 100_000, in_pieces(100_000)):
        assert api.post("/v1/jobs", content=body, headers=headers).status_code != 413
    for body in (b" " * 100_001, in_pieces(101_000)):
        refused = api.post("/v1/jobs", content=body, headers=headers)
        assert refused.status_code == 413
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "PAYLOAD_TOO_LARGE"
        assert refused.json()["violations"][0]["allowed"] == "at most 100,000 bytes"
