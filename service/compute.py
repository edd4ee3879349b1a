"""One job of the spool → its results. A process of its own: it may be killed, and no other study suffers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lnc_dicom import pipeline
from lnc_dicom.biomarker.load import explainer_of, load_predictor
from lnc_dicom.errors import Defect, LncError, NoRule, NotWanted, SpoolUnwritable, StudyRejected
from lnc_dicom.outputs import FILES
from lnc_dicom.report import DEMONSTRATION, DEMONSTRATION_MODEL, Report
from lnc_dicom.result_json import rejection_json, result_json, side_files
from lnc_dicom.segment.load import load_segmenter
from lnc_dicom.study.priors import FILE
from lnc_dicom.study.read import UNREADABLE, read_results, read_study, with_results
from lnc_dicom.tools import Explainer, Predictor, Segmenter, Tools
from lnc_dicom.types import Caveat, Study
from lnc_service.child import prepare_process, serve_jobs
from lnc_service.logs import log
from lnc_service.manifest import Manifest, read_manifest
from lnc_service.rules.apply import measuring
from lnc_service.settings import Settings
from lnc_service.spool import Spool, write_durably
from lnc_service.states import JobState, StudyOutcome, ended


@dataclass(frozen=True, slots=True)
class Models:
    """What the settings choose, read once."""

    segmenter: Segmenter
    predictor: Predictor | None = None
    explainer: Explainer | None = None


def load_models(settings: Settings) -> Models:
    """Read the weights and check them."""
    predictor = load_predictor(settings.biomarker)
    return Models(load_segmenter(), predictor, explainer_of(predictor))


def compute(key: str, job: str, settings: Settings, models: Models) -> StudyOutcome:
    """Measure what a manifest names and keep the results. The one place where errors of computing are caught."""
    try:
        return _compute(key, job, settings, models)
    except LncError as error:
        return ended(JobState.FAILED, error)
    except OSError as error:
        log.warning("spool", extra={"job": job}, exc_info=error)
        return ended(JobState.WAITING, SpoolUnwritable(f"{type(error).__name__}, errno {error.errno}"))
    except Exception as error:  # noqa: BLE001 - the one broad catch of the worker; the frames are logged
        log.error("failed", extra={"job": job}, exc_info=error)
        return ended(JobState.FAILED, Defect(f"{type(error).__name__}, see the log"))


def _compute(key: str, job: str, settings: Settings, models: Models) -> StudyOutcome:
    spool = Spool(settings.spool)
    manifest = read_manifest(spool.manifest(key, job))
    folder = spool.results(job)
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.fromtimestamp(manifest.made, UTC)
    seconds: dict[str, float] = {}
    demonstration = models.predictor is not None and models.predictor.demonstration
    under = measuring(settings, manifest.applied, demonstration=demonstration)
    stage, options = timed_stages(job, seconds), under.options(demonstration=demonstration)
    predictor = models.predictor if under.biomarker.enabled else None
    tools = Tools(models.segmenter, now, stage, options, predictor, models.explainer)
    study: Study | None = None
    try:
        _refuse_unwanted(manifest)
        study = study_of(manifest, spool)
        report, objects = pipeline.process(study, tools)
    except StudyRejected as error:
        text = rejection_json(error, study.caveats if study else ())
        write_durably(folder / "result.json", text.encode())
        return ended(JobState.REJECTED, error)
    for item in objects:
        write_durably(folder / item.name, item.data)
    for name, data in side_files(report, objects, now, options.objects).items():
        write_durably(folder / name, data)
    for failed in report.selection.failed:
        log.warning("series failed", extra={"job": job, "code": failed.code})
    _warn_of_predictions(job, report)
    write_durably(folder / "result.json", result_json(report, objects, seconds).encode())
    files = [item.name for item in objects if item.name in FILES]
    return StudyOutcome(state=JobState.DONE.value, code="", what="", do="", files=files, demonstration=demonstration)


def _refuse_unwanted(manifest: Manifest) -> None:
    """Raise NoRule or NotWanted where the rules want nothing of a study."""
    if manifest.rule is None:
        return
    rule = manifest.applied
    if rule is None:
        raise NoRule("no rule fits the study")
    if not rule.measure:
        raise NotWanted(f"rule {rule.name!r} measures nothing")


def study_of(manifest: Manifest, spool: Spool) -> Study:
    """Read the study as its manifest says, with the results of earlier jobs as its priors."""
    study = read_study(manifest.paths(spool))
    study = with_results(study, read_results(spool.results(job) / FILE for job in manifest.earlier))
    if manifest.replaced:
        text = f"{manifest.replaced} objects came again with other pixels under the same UIDs; the last arrival is used"
        caveat = Caveat(UNREADABLE, text, is_our_text=True)
        study = replace(study, caveats=(*study.caveats, caveat))
    return replace(study, version=manifest.version)


def _warn_of_predictions(job: str, report: Report) -> None:
    """Say what the predictions are worth."""
    if report.biomarker is not None and report.biomarker.demonstration:
        log.warning(DEMONSTRATION, extra={"job": job, "code": DEMONSTRATION_MODEL})


def timed_stages(job: str, seconds: dict[str, float]) -> Callable[[str], AbstractContextManager[None]]:
    """Give the wrapper that `Tools.stage` wants: one log line a stage, with its seconds; it fills `seconds`."""

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - start
            seconds[name] = (
                seconds.get(name, 0.0) + took
            )  # a stage comes again where one T1 fails and the next is tried
            log.info("stage", extra={"job": job, "stage": name, "seconds": round(took, 3)})

    return stage


def main() -> None:
    """Run the process."""
    answers = prepare_process()
    models: list[Models] = []

    def work(key: str, job: str, settings: Settings) -> StudyOutcome:
        if not models:
            models.append(load_models(settings))
        return compute(key, job, settings, models[0])

    serve_jobs(iter(sys.stdin.readline, ""), answers, work)


if __name__ == "__main__":
    main()
