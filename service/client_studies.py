"""Studies as the Python client submits, follows, steers and reads them."""

import uuid
from collections.abc import Iterator, Mapping, Sequence

from service.client_http import Connection, read, segment
from service.jobs.studies import Study, StudyEventPage, StudyPage, StudyPlan, StudySummary
from service.jobs.study_arms import ArmPreset
from service.jobs.study_spec import StudySpec
from service.jobs.study_verdicts import StudyVerdict

STUDIES = "v1/studies"

StudyToSend = StudySpec | Mapping[str, object]


class StudyCalls(Connection):
    """Every call may arrive twice."""

    def submit_study(self, spec: StudyToSend, *, idempotency_key: str | None = None) -> Study:
        """The running study; for a key that was used before, the study of that time.

        Without a key it gets one of its own, so that a lost answer does not make two studies.
        """
        request = self._request(
            "POST",
            STUDIES,
            json=_body(spec),
            headers={"Idempotency-Key": idempotency_key or uuid.uuid4().hex},
        )
        return read(self._repeat(request), Study)

    def plan_study(self, spec: StudyToSend) -> StudyPlan:
        """What the study would take, and what it could tell; creates nothing. Raises what `submit_study` would."""
        request = self._request("POST", STUDIES, query={"validate_only": "true"}, json=_body(spec))
        return read(self._repeat(request), StudyPlan)

    def study(self, study_id: str) -> Study:
        return self._get(_path(study_id), Study)

    def studies(self, *, page_size: int | None = None, page_token: str | None = None) -> StudyPage:
        """One page, newest first; its `next_page_token` asks for the next."""
        return self._get(STUDIES, StudyPage, page_size=page_size, page_token=page_token)

    def iterate_studies(self, *, page_size: int | None = None) -> Iterator[StudySummary]:
        """The studies of all pages; a page is fetched when its first study is asked for."""
        page_token = None
        while True:
            page = self.studies(page_size=page_size, page_token=page_token)
            yield from page.studies
            page_token = page.next_page_token
            if page_token is None:
                return

    def cancel_study(self, study_id: str) -> Study:
        """The study, cancelled with its jobs or about to be."""
        return self._tell_study(study_id, ":cancel")

    def pause_study(self, study_id: str) -> Study:
        """The study, whose jobs pause and of which no further one is submitted."""
        return self._tell_study(study_id, ":pause")

    def resume_study(self, study_id: str) -> Study:
        """The study, whose paused jobs wait again."""
        return self._tell_study(study_id, ":resume")

    def delete_study(self, study_id: str) -> None:
        """Removes a study that has ended; its jobs stay, as jobs."""
        self._repeat(self._request("DELETE", _path(study_id)))

    def study_events(
        self, study_id: str, *, after: int = 0, limit: int | None = None
    ) -> StudyEventPage:
        """The history after the seq `after`, oldest first; its `next_after` asks for what follows."""
        return self._get(_path(study_id, "/events"), StudyEventPage, after=after, limit=limit)

    def study_verdict(self, study_id: str) -> StudyVerdict:
        """What the runs that have ended say."""
        return self._get(_path(study_id, "/verdict"), StudyVerdict)

    def study_presets(self) -> Sequence[ArmPreset]:
        """Arms that go by name: the published variants and the controls."""
        return self._get_all("v1/study-presets", ArmPreset)

    def _tell_study(self, study_id: str, verb: str) -> Study:
        return read(self._repeat(self._request("POST", _path(study_id, verb))), Study)


def _body(spec: StudyToSend) -> object:
    """A spec as it was written is sent as it is: the service names what is wrong with it."""
    return dict(spec) if isinstance(spec, Mapping) else spec.model_dump(mode="json")


def _path(study_id: str, part: str = "") -> str:
    return f"{STUDIES}/{segment(study_id)}{part}"
