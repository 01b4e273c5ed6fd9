"""The API while its database is away and when it is back: nothing is restarted."""

from tests.postgres_outage import postgres_outage


def test_an_outage_is_told_as_one_and_ends_by_itself(
    settings_factory, postgres_url, postgres_server, redis_url, spec, client_of
) -> None:
    settings = settings_factory(database_url=postgres_url, broker_url=redis_url)
    with client_of(settings) as api:
        job_id = api.post("/v1/jobs", json=spec).json()["id"]
        create = {"headers": {"idempotency-key": "once"}, "json": spec}
        needs_the_database = [
            lambda: api.post("/v1/jobs", **create),
            lambda: api.get("/v1/jobs"),
            lambda: api.get(f"/v1/jobs/{job_id}"),
            lambda: api.get(f"/v1/jobs/{job_id}/metrics"),
            lambda: api.get(f"/v1/jobs/{job_id}/results"),
            lambda: api.get(f"/v1/jobs/{job_id}/events"),
            lambda: api.post(f"/v1/jobs/{job_id}:cancel"),
        ]
        with postgres_outage(postgres_server, postgres_url):
            for ask in needs_the_database:
                refused = ask()
                assert refused.status_code == 503
                assert refused.json()["code"] == "DATABASE_UNAVAILABLE"
                assert int(refused.headers["retry-after"]) > 0
            assert api.get("/healthz").status_code == 200

        answers = [ask() for ask in needs_the_database]

        assert [answer.status_code for answer in answers] == [201, *[200] * 6]
        # What was refused did nothing: the retried POST made the one job beside the first.
        assert len(api.get("/v1/jobs").json()["jobs"]) == 2
