"""`lnc simulate cohort`, `train biomarker`, `evaluate biomarker` and `explanation`, `explain`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnc_dicom.cli.console import exits, make_folder, show_caveats, show_line, show_progress, show_rows
from lnc_dicom.errors import UnusableInput

if TYPE_CHECKING:
    from lnc_dicom.biomarker.cohort import Cohort
    from lnc_dicom.biomarker.evaluation.evaluate import Evaluation
    from lnc_dicom.biomarker.network import BiomarkerNetwork
    from lnc_dicom.biomarker.train.main import TrainingPlan
    from lnc_dicom.biomarker.train.trainer import Epoch

simulate = typer.Typer(no_args_is_help=True, help="Simulate data with known truth.")

Folder = Annotated[Path, typer.Option(help="Folder with cohort.csv and one folder of DICOM per patient.")]
Out = Annotated[Path, typer.Option(help="Folder for the results; created if missing.")]
Regions = Annotated[str, typer.Option(help="Input regions of the model, separated by commas.")]
CalibrationCohort = Annotated[
    Path | None,
    typer.Option(help="Cohort for validation and calibration only; without it, a fifth of --cohort is held out."),
]
Config = Annotated[Path | None, typer.Option(help="TOML file with settings; without it, the defaults.")]
ModelFolder = Annotated[Path | None, typer.Option(help="Folder of a model; without it, the released one.")]

InitialWeights = Annotated[str, typer.Option(help="'released', 'random', or the folder of a model.")]
SimulatedSubjects = Annotated[int, typer.Option(help="Train on this many simulated people first (needs --anatomy).")]
Anatomy = Annotated[Path | None, typer.Option(help="Folder with label maps and T1 priors for the simulation.")]
NetworkUse = Annotated[
    str, typer.Option(help="'frozen': as it is, trained on other patients; 'retrained': trained anew in every fold.")
]
LearningRate = Annotated[float, typer.Option(help="Peak learning rate; ten times that on simulated people.")]


@simulate.command("cohort")
def simulate_cohort(
    anatomy: Annotated[Path, typer.Option(help="Folder with label maps (NIfTI, FreeSurfer labels) and T1 priors.")],
    out: Out,
    patients: Annotated[int, typer.Option(min=3, help="Number of patients.")] = 79,
    seed: Annotated[int, typer.Option(help="The same seed gives the same patients.")] = 1,
    effect: Annotated[float, typer.Option(min=0, help="Effect size of the disease: 1 as documented, 0 none.")] = 1.0,
    confound: Annotated[str, typer.Option(help="'age': age differs between the groups.")] = "",
) -> None:
    """Simulate patients: DICOM studies (T1, FA map, CBF map), cohort.csv, the truth, and predictions of an oracle."""
    with exits():
        from lnc_dicom.simulate import main as simulation  # noqa: PLC0415
        from lnc_dicom.simulate.subjects import CohortDesign  # noqa: PLC0415

        if confound not in {"", "age"}:
            raise UnusableInput("--confound must be 'age'")
        make_folder(out)
        plan = simulation.SimulationPlan(patients, seed, CohortDesign(effect, confound))
        simulation.simulate(anatomy, out, plan, show_progress)
        show_line(f"{patients} simulated patients in {out}")


def read_cohort(folder: Path, regions: str, config: Path | None) -> Cohort:
    """Load a cohort, analysing the patients who are not in its cache."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from lnc_dicom.biomarker.cohort import load_cohort  # noqa: PLC0415
    from lnc_dicom.biomarker.crops import ALL_REGIONS  # noqa: PLC0415
    from lnc_dicom.options import load_options  # noqa: PLC0415
    from lnc_dicom.pipeline import analyse  # noqa: PLC0415
    from lnc_dicom.segment.load import load_segmenter  # noqa: PLC0415
    from lnc_dicom.study.read import read_study  # noqa: PLC0415
    from lnc_dicom.tools import Tools  # noqa: PLC0415

    names = tuple(name.strip() for name in regions.split(","))
    unknown = [name for name in names if name not in ALL_REGIONS]
    if unknown:
        raise UnusableInput(f"unknown region {', '.join(unknown)}; known are {', '.join(ALL_REGIONS)}")
    tools = Tools(load_segmenter(), datetime.now(UTC), options=load_options(config))
    cohort = load_cohort(folder, names, lambda study: analyse(study, tools), lambda p: read_study([p]), show_progress)
    for _, code in cohort.rejected:
        show_progress(f"a patient was excluded: {code}")
    return cohort


def is_simulated(folder: Path) -> bool:
    """Whether the patients of a cohort were made by `lnc simulate cohort`."""
    plan = folder / "plan.json"
    return plan.is_file() and bool(json.loads(plan.read_text(encoding="utf-8")).get("simulated"))


def train_biomarker(
    cohort: Folder,
    out: Out,
    regions: Regions = "caudate,putamen,pallidum",
    initial_weights: InitialWeights = "released",
    calibration_cohort: CalibrationCohort = None,
    simulated_subjects: SimulatedSubjects = 0,
    simulated_epochs: Annotated[int, typer.Option(help="Epochs on simulated people.")] = 40,
    anatomy: Anatomy = None,
    pretraining_epochs: Annotated[int, typer.Option(help="Epochs on FA and CBF only.")] = 4,
    finetuning_epochs: Annotated[int, typer.Option(help="Epochs on stems and disease as well.")] = 6,
    learning_rate: LearningRate = 1e-4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same training.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    name: Annotated[str, typer.Option(help="Name of the model.")] = "lnc-biomarker",
    version: Annotated[str, typer.Option(help="Version of the model.")] = "0.4.0",
    data_note: Annotated[str, typer.Option(help="Origin of the patients, for the model card.")] = "",
    config: Config = None,
) -> None:
    """Train a biomarker model on a cohort. Repeat the command to resume after the last epoch."""
    with exits():
        from lnc_dicom.biomarker.train.main import TrainingPlan, train_model  # noqa: PLC0415
        from lnc_dicom.biomarker.train.model_card import ModelDescription  # noqa: PLC0415
        from lnc_dicom.biomarker.train.trainer import BiomarkerSchedule  # noqa: PLC0415

        if simulated_subjects and anatomy is None:
            raise UnusableInput("--simulated-subjects needs the label maps of --anatomy")
        make_folder(out)
        patients = read_cohort(cohort, regions, config)
        network, groups = _initial_network(initial_weights, patients)
        note = data_note or ("Simulated patients of `lnc simulate cohort`." if is_simulated(cohort) else "")
        description = ModelDescription(name, version, groups, is_simulated(cohort), note)
        if anatomy is not None and simulated_subjects:
            schedule = BiomarkerSchedule(simulated_epochs, 0, rate=10 * learning_rate, seed=seed, device=device)
            plan = TrainingPlan(out, description, schedule)
            network = _pretrained(anatomy, patients.regions, simulated_subjects, plan, network)
        schedule = BiomarkerSchedule(
            pretraining_epochs, finetuning_epochs, rate=learning_rate, seed=seed, device=device
        )
        others = None if calibration_cohort is None else read_cohort(calibration_cohort, regions, config)
        train_model(patients, TrainingPlan(out, description, schedule), _show_epoch, network, others)
        show_line(f"model in {out / 'model'}: read MODEL_CARD.md, then name the folder in [biomarker] model")


def _show_epoch(epoch: Epoch) -> None:
    from lnc_dicom.biomarker.train.main import describe_epoch  # noqa: PLC0415

    show_progress(describe_epoch(epoch))


def _pretrained(
    anatomy: Path, regions: tuple[str, ...], count: int, plan: TrainingPlan, network: BiomarkerNetwork | None
) -> BiomarkerNetwork:
    """Train on simulated people first; their seed differs from that of the training."""
    from lnc_dicom.biomarker.train.main import pretrain_on_simulated  # noqa: PLC0415
    from lnc_dicom.biomarker.train.simulated import simulate_crops  # noqa: PLC0415

    seed = 5000 + plan.schedule.seed
    people = simulate_crops(anatomy, regions, count, seed, plan.out / "simulated", show_progress)
    return pretrain_on_simulated(people, plan.description.groups, plan, _show_epoch, network)


def _initial_network(initial_weights: str, patients: Cohort) -> tuple[BiomarkerNetwork | None, tuple[str, ...]]:
    """Load the initial network; the order of the categories is the network's own if it has the same ones."""
    from lnc_dicom.biomarker.load import WEIGHTS, load_model  # noqa: PLC0415
    from lnc_dicom.simulate.parameters import GROUPS  # noqa: PLC0415

    if initial_weights == "random":
        return None, GROUPS if set(patients.group_names) == set(GROUPS) else patients.group_names
    model = load_model(WEIGHTS if initial_weights == "released" else Path(initial_weights))
    same = set(model.groups) == set(patients.group_names)
    return model.network, model.groups if same else patients.group_names


def evaluate_explanation(
    cohort: Folder,
    model: ModelFolder = None,
    patients: Annotated[int, typer.Option(min=3, help="Number of patients for the checks.")] = 24,
    seed: Annotated[int, typer.Option(help="The same seed gives the same randomised networks.")] = 1,
    config: Config = None,
) -> None:
    """Check the saliency maps: randomised weights and labels, territory, occlusion, deletion.

    The exit code is 1 if a check fails.
    """
    with exits():
        import numpy as np  # noqa: PLC0415

        from lnc_dicom.biomarker.evaluation.saliency_checks import check_explanations  # noqa: PLC0415
        from lnc_dicom.biomarker.load import WEIGHTS, load_model  # noqa: PLC0415
        from lnc_dicom.predictions import Target  # noqa: PLC0415

        loaded = load_model(model or WEIGHTS)
        people = read_cohort(cohort, ",".join(loaded.regions), config)
        some = people.subset(np.arange(min(patients, len(people))))
        checks = check_explanations(loaded.network, some, tuple(Target), seed, show_progress)
        rows = [(c.target.value, c.name, f"{c.value:.2f}", c.rule, "passed" if c.passed else "FAILED") for c in checks]
        show_rows("Sanity checks of the saliency maps", ("target", "check", "value", "rule", "result"), rows)
        if not all(c.passed for c in checks):
            raise typer.Exit(1)


def explain_study(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders with the DICOM objects of one study.")],
    out: Out,
    model: ModelFolder = None,
    config: Config = None,
) -> None:
    """Write saliency maps of the predictions for one study: Grad-CAM on the T1, as NIfTI volumes and a page of slices.

    Gates and settings are those of `lnc process`.
    """
    with exits():
        from datetime import UTC, datetime  # noqa: PLC0415

        from lnc_dicom.biomarker.evaluation.saliency_figures import draw_saliency, write_nifti  # noqa: PLC0415
        from lnc_dicom.biomarker.load import WEIGHTS, explainer_of, load_model  # noqa: PLC0415
        from lnc_dicom.options import load_options  # noqa: PLC0415
        from lnc_dicom.outputs import Output  # noqa: PLC0415
        from lnc_dicom.pipeline import analyse  # noqa: PLC0415
        from lnc_dicom.report import DEMONSTRATION  # noqa: PLC0415
        from lnc_dicom.segment.load import load_segmenter  # noqa: PLC0415
        from lnc_dicom.study.read import read_study  # noqa: PLC0415
        from lnc_dicom.tools import Tools  # noqa: PLC0415

        make_folder(out)
        options = load_options(config).model_copy(update={"objects": (Output.SALIENCY,)})
        loaded = load_model(model or options.biomarker.model or WEIGHTS)
        now, explainer = datetime.now(UTC), explainer_of(loaded)
        tools = Tools(load_segmenter(), now, options=options, predictor=loaded, explainer=explainer)
        report = analyse(read_study(paths), tools)
        saliency = report.biomarker.saliency if report.biomarker else {}
        for target, one in saliency.items():
            write_nifti(out / f"saliency_{target.value}.nii.gz", one)
        note = DEMONSTRATION if loaded.demonstration else f"{loaded.model.name} {loaded.model.version}"
        draw_saliency(out / "saliency.png", report.volume, report.labels, saliency, note)
        show_caveats((*report.caveats, *report.prediction_caveats))
        show_line(f"saliency.png and {len(saliency)} volumes in {out}")


def evaluate_biomarker(
    cohort: Folder,
    out: Out,
    model: ModelFolder = None,
    network: NetworkUse = "frozen",
    repeats: Annotated[int, typer.Option(min=1, help="Repetitions of the cross-validation with new folds.")] = 5,
    permutations: Annotated[int, typer.Option(min=19, help="Permutations of the labels.")] = 200,
    pretraining_epochs: Annotated[int, typer.Option(help="Epochs in every fold, with --network retrained.")] = 4,
    finetuning_epochs: Annotated[int, typer.Option(help="Epochs in every fold, with --network retrained.")] = 6,
    seed: Annotated[int, typer.Option(help="The same seed gives the same folds.")] = 1,
    config: Config = None,
) -> None:
    """Evaluate a model on a cohort by nested cross-validation next to baselines; report.html and report.json."""
    with exits():
        from lnc_dicom.biomarker.evaluation.evaluate import evaluate  # noqa: PLC0415
        from lnc_dicom.biomarker.evaluation.inputs import EvaluationOptions, OutputSource, read_oracle  # noqa: PLC0415
        from lnc_dicom.biomarker.evaluation.network_outputs import network_outputs, retrained_per_fold  # noqa: PLC0415
        from lnc_dicom.biomarker.evaluation.report import write_report  # noqa: PLC0415
        from lnc_dicom.biomarker.load import WEIGHTS, load_model  # noqa: PLC0415
        from lnc_dicom.biomarker.train.trainer import BiomarkerSchedule  # noqa: PLC0415

        if network not in {"frozen", "retrained"}:
            raise UnusableInput("--network must be 'frozen' or 'retrained'")
        make_folder(out)
        loaded = load_model(model or WEIGHTS)
        people = read_cohort(cohort, ",".join(loaded.regions), config)
        options = EvaluationOptions(repeats=repeats, permutations=permutations, seed=seed)
        options = replace(options, simulated=is_simulated(cohort), demonstration=loaded.demonstration)
        schedule = BiomarkerSchedule(pretraining_epochs, finetuning_epochs, rate=1e-4, seed=seed)
        source: OutputSource = (
            network_outputs(loaded, people)
            if network == "frozen"
            else retrained_per_fold(people, loaded.network, schedule, show_progress)
        )
        found = evaluate(people, source, options, read_oracle(cohort, people), show_progress)
        write_report(out, found)
        show_evaluation(found)
        show_line(f"report.html and report.json in {out}")


def show_evaluation(found: Evaluation) -> None:
    """Print notes, alarms and findings, then the table of the paper."""
    from lnc_dicom.biomarker.evaluation.report import banners  # noqa: PLC0415
    from lnc_dicom.biomarker.evaluation.tables import console_rows  # noqa: PLC0415

    for line in banners(found):
        show_line(line)
    headings, *rows = console_rows(found, show_line)
    show_rows("Out of fold", headings, rows)
