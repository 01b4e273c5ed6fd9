"""StudyService: each call is translated, handed to the operations, and translated back."""

from service.jobs.access import Caller
from service.jobs.study_jobs import parse_study
from service.operations import DEFAULT_NUM_EVENTS, DEFAULT_PAGE_SIZE, Operations
from service.rpc.convert import view_message
from service.rpc.generated.driftgate.v1 import studies_pb2 as pb
from service.rpc.requests import study_data


class StudyService:
    """The same operations that REST calls."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def CreateStudy(self, request: pb.CreateStudyRequest, caller: Caller) -> pb.CreateStudyResponse:
        spec = parse_study(study_data(request.spec))
        if request.validate_only:
            plan = self._operations.plan_study(spec)
            return pb.CreateStudyResponse(plan=view_message(pb.StudyPlan, plan))
        study = self._operations.submit_study(
            spec, idempotency_key=request.request_id or None, caller=caller
        )
        return pb.CreateStudyResponse(study=view_message(pb.Study, study))

    def GetStudy(self, request: pb.GetStudyRequest, _caller: Caller) -> pb.GetStudyResponse:
        study = self._operations.studies.get(request.study_id)
        return pb.GetStudyResponse(study=view_message(pb.Study, study))

    def ListStudies(
        self, request: pb.ListStudiesRequest, _caller: Caller
    ) -> pb.ListStudiesResponse:
        page = self._operations.list_studies(
            limit=request.page_size or DEFAULT_PAGE_SIZE, page_token=request.page_token or None
        )
        return view_message(pb.ListStudiesResponse, page)

    def CancelStudy(
        self, request: pb.CancelStudyRequest, _caller: Caller
    ) -> pb.CancelStudyResponse:
        study = self._operations.studies.cancel(request.study_id)
        return pb.CancelStudyResponse(study=view_message(pb.Study, study))

    def PauseStudy(self, request: pb.PauseStudyRequest, _caller: Caller) -> pb.PauseStudyResponse:
        study = self._operations.studies.pause(request.study_id)
        return pb.PauseStudyResponse(study=view_message(pb.Study, study))

    def ResumeStudy(
        self, request: pb.ResumeStudyRequest, _caller: Caller
    ) -> pb.ResumeStudyResponse:
        study = self._operations.studies.resume(request.study_id)
        return pb.ResumeStudyResponse(study=view_message(pb.Study, study))

    def DeleteStudy(
        self, request: pb.DeleteStudyRequest, _caller: Caller
    ) -> pb.DeleteStudyResponse:
        self._operations.studies.delete(request.study_id)
        return pb.DeleteStudyResponse()

    def ListStudyEvents(
        self, request: pb.ListStudyEventsRequest, _caller: Caller
    ) -> pb.ListStudyEventsResponse:
        page = self._operations.list_study_events(
            request.study_id,
            after=request.after_seq,
            limit=request.page_size or DEFAULT_NUM_EVENTS,
        )
        return view_message(pb.ListStudyEventsResponse, page)

    def GetStudyVerdict(
        self, request: pb.GetStudyVerdictRequest, _caller: Caller
    ) -> pb.GetStudyVerdictResponse:
        verdict = self._operations.studies.verdict(request.study_id)
        return pb.GetStudyVerdictResponse(verdict=view_message(pb.StudyVerdict, verdict))

    def ListStudyPresets(
        self, _request: pb.ListStudyPresetsRequest, _caller: Caller
    ) -> pb.ListStudyPresetsResponse:
        return pb.ListStudyPresetsResponse(
            presets=[
                view_message(pb.StudyArmPreset, preset)
                for preset in self._operations.studies.presets()
            ]
        )
