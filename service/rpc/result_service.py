"""ResultService: what jobs measured and found."""

from service.jobs.access import Caller
from service.jobs.metric_queries import DEFAULT_MAX_POINTS, MetricQuery, MetricX
from service.operations import DEFAULT_K, DEFAULT_PAGE_SIZE, DEFAULT_POWER, MAX_COUNT, Operations
from service.rpc.convert import view_message
from service.rpc.generated.driftgate.v1 import (
    comparisons_pb2,
    evaluations_pb2,
    gate_simulations_pb2,
    metrics_pb2,
)
from service.rpc.generated.driftgate.v1 import results_pb2 as pb
from service.rpc.requests import choice, choice_of_text, finite, gate_data, require, text_of

DEFAULT_MAX_ROWS = 400
MAX_ROWS = 2000
MAX_K = 4096
VERDICTS = ("right", "wrong", "no_answer", "grader_timeout")


class ResultService:
    """The same operations that REST calls."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def GetMetrics(self, request: pb.GetMetricsRequest, _caller: Caller) -> pb.GetMetricsResponse:
        metrics = self._operations.metrics(
            request.job_id, names=list(request.names), after_update=_after_update(request)
        )
        return pb.GetMetricsResponse(metrics=view_message(metrics_pb2.JobMetrics, metrics))

    def QueryMetrics(
        self, request: pb.QueryMetricsRequest, _caller: Caller
    ) -> pb.QueryMetricsResponse:
        x = request.x or metrics_pb2.METRIC_X_STEP
        series = self._operations.query_metrics(
            MetricQuery(
                job_ids=tuple(request.job_ids),
                keys=tuple(request.keys),
                x=choice(MetricX, metrics_pb2.MetricX.DESCRIPTOR, x, field="x"),
                max_points=request.max_points or DEFAULT_MAX_POINTS,
                x_from=finite(request, "x_from"),
                x_to=finite(request, "x_to"),
            )
        )
        return view_message(pb.QueryMetricsResponse, series)

    def GetLatestMetrics(
        self, request: pb.GetLatestMetricsRequest, _caller: Caller
    ) -> pb.GetLatestMetricsResponse:
        latest = self._operations.latest_metrics(request.job_id)
        return view_message(pb.GetLatestMetricsResponse, latest)

    def GetDriftMap(
        self, request: pb.GetDriftMapRequest, _caller: Caller
    ) -> pb.GetDriftMapResponse:
        rows = request.max_rows or DEFAULT_MAX_ROWS
        require(1 <= rows <= MAX_ROWS, field="max_rows", given=rows, allowed=f"1 to {MAX_ROWS}")
        drift_map = self._operations.drift_map(
            request.job_id, after_update=_after_update(request), max_rows=rows
        )
        return pb.GetDriftMapResponse(drift_map=view_message(metrics_pb2.DriftMap, drift_map))

    def SimulateGate(
        self, request: pb.SimulateGateRequest, _caller: Caller
    ) -> pb.SimulateGateResponse:
        simulation = self._operations.simulate_gate(request.job_id, gate_data(request.gate))
        return pb.SimulateGateResponse(
            simulation=view_message(gate_simulations_pb2.GateSimulation, simulation)
        )

    def GetGradientFidelity(
        self, request: pb.GetGradientFidelityRequest, _caller: Caller
    ) -> pb.GetGradientFidelityResponse:
        fidelity = self._operations.gradient_fidelity(request.job_id)
        return view_message(pb.GetGradientFidelityResponse, fidelity)

    def GetResults(self, request: pb.GetResultsRequest, _caller: Caller) -> pb.GetResultsResponse:
        results = self._operations.results(
            request.job_id, include_problems=request.include_problems
        )
        return pb.GetResultsResponse(results=view_message(evaluations_pb2.JobResults, results))

    def ListSamples(
        self, request: pb.ListSamplesRequest, _caller: Caller
    ) -> pb.ListSamplesResponse:
        verdict = text_of(request, "verdict")
        page = self._operations.samples(
            request.job_id,
            limit=request.page_size or DEFAULT_PAGE_SIZE,
            page_token=request.page_token or None,
            stage=text_of(request, "stage"),
            benchmark=text_of(request, "benchmark"),
            problem_id=text_of(request, "problem_id"),
            verdict=verdict and choice_of_text(VERDICTS, verdict, field="verdict"),
        )
        return view_message(pb.ListSamplesResponse, page)

    def GetVerdictChanges(
        self, request: pb.GetVerdictChangesRequest, _caller: Caller
    ) -> pb.GetVerdictChangesResponse:
        changes = self._operations.verdict_changes(request.job_id)
        return view_message(pb.GetVerdictChangesResponse, changes)

    def GetSamplePlan(
        self, request: pb.GetSamplePlanRequest, _caller: Caller
    ) -> pb.GetSamplePlanResponse:
        difference = request.difference
        power = request.power if request.HasField("power") else DEFAULT_POWER
        require(
            0 < difference < 1, field="difference", given=difference, allowed="above 0 and below 1"
        )
        require(0.5 <= power < 1, field="power", given=power, allowed="0.5 and more, below 1")
        plan = self._operations.plan_more_samples(
            request.job_id,
            difference=difference,
            power=power,
            k=_k(request),
            stage=text_of(request, "stage"),
        )
        return pb.GetSamplePlanResponse(plan=view_message(comparisons_pb2.SamplePlan, plan))

    def CompareJobs(
        self, request: pb.CompareJobsRequest, _caller: Caller
    ) -> pb.CompareJobsResponse:
        comparison = self._operations.compare_jobs(
            list(request.job_ids), k=_k(request), stage=text_of(request, "stage")
        )
        return pb.CompareJobsResponse(
            comparison=view_message(comparisons_pb2.Comparison, comparison)
        )


def _after_update(request: pb.GetMetricsRequest | pb.GetDriftMapRequest) -> int:
    after = request.after_update
    require(0 <= after <= MAX_COUNT, field="after_update", given=after, allowed=f"0 to {MAX_COUNT}")
    return after


def _k(request: pb.GetSamplePlanRequest | pb.CompareJobsRequest) -> int:
    k = request.k if request.HasField("k") else DEFAULT_K
    require(1 <= k <= MAX_K, field="k", given=k, allowed=f"1 to {MAX_K}")
    return k
