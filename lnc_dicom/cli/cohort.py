"""`lnc simulate cohort`, `train`, `evaluate biomarker`, `explain`: what is done with many patients, and why."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnc_dicom.cli.console import exits, make_folder, show_line, show_progress, show_rows
from lnc_dicom.errors import UnusableInput

if TYPE_CHECKING:
    from lnc_dicom.biomarker.cohort import Cohort
    from lnc_dicom.biomarker.evaluation.evaluate import Evaluation
    from lnc_dicom.biomarker.evaluation.inputs import Source
    from lnc_dicom.biomarker.network import BiomarkerNetwork

simulate = typer.Typer(no_args_is_help=True, help="Make data that no patient gave.")

Folder = Annotated[Path, typer.Option(help="Folder with one folder of DICOM per patient and cohort.csv.")]
Out = Annotated[Path, typer.Option(help="Folder for the results; made if it is missing.")]
Regions = Annotated[str, typer.Option(help="Regions that the model sees, separated by commas.")]
Aside = Annotated[
    Path | None, typer.Option(help="Cohort that only calibrates; without it, a fifth of --cohort is kept aside.")
]
Config = Annotated[Path | None, typer.Option(help="TOML file with settings of FA and CBF; without it, the defaults.")]


@simulate.command("cohort")
def simulate_cohort(
    anatomy: Annotated[Path, typer.Option(help="Folder with label maps (NIfTI, FreeSurfer labels) and T1 priors.")],
    out: Out,
    patients: Annotated[int, typer.Option(min=3, help="How many.")] = 79,
    seed: Annotated[int, typer.Option(help="The same seed gives the same patients.")] = 1,
    effect: Annotated[float, typer.Option(min=0, help="Strength of disease: 1 as documented, 0 none.")] = 1.0,
    confound: Annotated[str, typer.Option(help="'age': the groups differ in age.")] = "",
) -> None:
    """Write DICOM studies (T1, FA map, CBF map) of simulated patients, cohort.csv, the truth and an oracle."""
    with exits():
        from lnc_dicom.simulate import main as simulation  # noqa: PLC0415
        from lnc_dicom.simulate.subjects import Study  # noqa: PLC0415

        if confound not in {"", "age"}:
            raise UnusableInput("--confound knows only 'age'")
        make_folder(out)
        plan = simulation.Plan(patients, seed, Study(effect, confound))
        simulation.simulate(anatomy, out, plan, show_progress)
        show_line(f"{patients} simulated patients in {out}")


def read_cohort(folder: Path, regions: str, config: Path | None) -> Cohort:
    """Analyse every patient of a cohort that was not analysed before."""
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
        raise UnusableInput(f"no region {', '.join(unknown)}; there are {', '.join(ALL_REGIONS)}")
    tools = Tools(load_segmenter(), datetime.now(UTC), options=load_options(config))
    cohort = load_cohort(folder, names, lambda study: analyse(study, tools), lambda p: read_study([p]), show_progress)
    for _, code in cohort.rejected:
        show_progress(f"a patient was left out: {code}")
    return cohort


def is_simulated(folder: Path) -> bool:
    """Whether the patients of a cohort were made by `lnc simulate cohort`."""
    plan = folder / "plan.json"
    return plan.is_file() and bool(json.loads(plan.read_text(encoding="utf-8")).get("simulated"))


def train_biomarker(
    cohort: Folder,
    out: Out,
    regions: Regions = "caudate,putamen,pallidum",
    start: Annotated[
        str, typer.Option(help="Weights to begin with: 'released', 'scratch', or the folder of a model.")
    ] = "released",
    anatomy: Annotated[Path | None, typer.Option(help="Label maps of which --virtual makes people.")] = None,
    aside: Aside = None,
    virtual: Annotated[int, typer.Option(help="First train on so many simulated people (needs --anatomy).")] = 0,
    virtual_epochs: Annotated[int, typer.Option(help="Epochs on simulated people.")] = 40,
    pretraining: Annotated[int, typer.Option(help="Epochs of pre-training: FA and CBF.")] = 4,
    finetuning: Annotated[int, typer.Option(help="Epochs of fine-tuning: stems and disease as well.")] = 6,
    rate: Annotated[float, typer.Option(help="Peak learning rate; on simulated people ten times as much.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same training.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    name: Annotated[str, typer.Option(help="Name of the model.")] = "lnc-biomarker",
    version: Annotated[str, typer.Option(help="Version of the model.")] = "0.4.0",
    data_note: Annotated[str, typer.Option(help="Where the patients come from, for the card.")] = "",
    config: Config = None,
) -> None:
    """Train a biomarker model on a cohort of studies; repeat the command to go on after the last epoch."""
    with exits():
        from lnc_dicom.biomarker.train.main import TrainingPlan, describe_epoch, pretrain_virtually, train_model  # noqa: PLC0415
        from lnc_dicom.biomarker.train.model_card import About  # noqa: PLC0415
        from lnc_dicom.biomarker.train.simulated import make_virtual  # noqa: PLC0415
        from lnc_dicom.biomarker.train.trainer import Schedule  # noqa: PLC0415

        if virtual and anatomy is None:
            raise UnusableInput("--virtual needs the label maps of --anatomy")
        make_folder(out)
        patients = read_cohort(cohort, regions, config)
        first, groups = _start(start, patients)
        note = data_note or ("Simulated patients of `lnc simulate cohort`." if is_simulated(cohort) else "")
        about = About(name, version, groups, is_simulated(cohort), note)
        epoch = lambda e: show_progress(describe_epoch(e))  # noqa: E731 - one line per epoch
        if virtual and anatomy is not None:
            schedule = Schedule(virtual_epochs, 0, rate=10 * rate, seed=seed, device=device)
            people = make_virtual(anatomy, patients.regions, virtual, 5000 + seed, out / "virtual", show_progress)
            first = pretrain_virtually(people, groups, TrainingPlan(out, about, schedule), epoch, first)
        schedule = Schedule(pretraining, finetuning, rate=rate, seed=seed, device=device)
        others = None if aside is None else read_cohort(aside, regions, config)
        train_model(patients, TrainingPlan(out, about, schedule), epoch, first, others)
        show_line(f"model in {out / 'model'}: read MODEL_CARD.md, then name the folder in [biomarker] model")


def _start(start: str, patients: Cohort) -> tuple[BiomarkerNetwork | None, tuple[str, ...]]:
    """Find the network to begin with, and the order of the categories: its own, if it knows them all."""
    from lnc_dicom.biomarker.load import WEIGHTS, load_model  # noqa: PLC0415
    from lnc_dicom.simulate.parameters import GROUPS  # noqa: PLC0415

    if start == "scratch":
        known = GROUPS if set(patients.group_names) == set(GROUPS) else patients.group_names
        return None, known
    model = load_model(WEIGHTS if start == "released" else Path(start))
    same = set(model.groups) == set(patients.group_names)
    return model.network, model.groups if same else patients.group_names


def evaluate_explanation(
    cohort: Folder,
    model: Annotated[Path | None, typer.Option(help="Folder of a model; without it, the released one.")] = None,
    patients: Annotated[int, typer.Option(min=3, help="How many patients are looked at.")] = 24,
    seed: Annotated[int, typer.Option(help="The same seed gives the same random networks.")] = 1,
    config: Config = None,
) -> None:
    """Test whether saliency means anything: randomised weights and labels, territory, occlusion, deletion.

    Ends with 1 where a test fails.
    """
    with exits():
        import numpy as np  # noqa: PLC0415

        from lnc_dicom.biomarker.evaluation.saliency_checks import check_explanations  # noqa: PLC0415
        from lnc_dicom.biomarker.load import WEIGHTS, load_model  # noqa: PLC0415
        from lnc_dicom.predictions import Target  # noqa: PLC0415

        loaded = load_model(model or WEIGHTS)
        people = read_cohort(cohort, ",".join(loaded.regions), config)
        some = people.chosen(np.arange(min(patients, len(people))))
        verdicts = check_explanations(loaded.network, some, tuple(Target), seed, show_progress)
        rows = [
            (v.answer.value, v.name, f"{v.value:.2f}", v.rule, "passed" if v.passed else "FAILED") for v in verdicts
        ]
        show_rows("Is the saliency worth looking at?", ("answer", "test", "value", "rule", "verdict"), rows)
        if not all(v.passed for v in verdicts):
            raise typer.Exit(1)


def explain_study(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders with the DICOM objects of one study.")],
    out: Out,
    model: Annotated[Path | None, typer.Option(help="Folder of a model; without it, the released one.")] = None,
) -> None:
    """Show what the predictions of one study rest on: Grad-CAM on the T1, as NIfTI volumes and a page of slices."""
    with exits():
        import numpy as np  # noqa: PLC0415

        from lnc_dicom.biomarker.evaluation.saliency_figures import draw_saliency, write_nifti  # noqa: PLC0415
        from lnc_dicom.biomarker.gradcam import explain_answers  # noqa: PLC0415
        from lnc_dicom.biomarker.load import WEIGHTS, load_model  # noqa: PLC0415
        from lnc_dicom.measure.volumetry import usable_labels  # noqa: PLC0415
        from lnc_dicom.predictions import Target  # noqa: PLC0415
        from lnc_dicom.report import DEMONSTRATION  # noqa: PLC0415
        from lnc_dicom.segment.load import load_segmenter  # noqa: PLC0415
        from lnc_dicom.study.load import load  # noqa: PLC0415
        from lnc_dicom.study.read import read_study  # noqa: PLC0415
        from lnc_dicom.study.select_t1 import select  # noqa: PLC0415

        make_folder(out)
        loaded = load_model(model or WEIGHTS)
        volume, _ = load(select(read_study(paths)).chosen)
        segmented = load_segmenter()(volume)
        usable = np.isin(segmented.labels.array, sorted(usable_labels(segmented)))
        labels = segmented.labels.with_array(np.where(usable, segmented.labels.array, 0).astype(np.uint8))
        saliency = explain_answers(loaded, volume, labels, tuple(Target))
        for answer, one in saliency.items():
            write_nifti(out / f"saliency_{answer.value}.nii.gz", one)
        note = DEMONSTRATION if loaded.demonstration else f"{loaded.model.name} {loaded.model.version}"
        draw_saliency(out / "saliency.png", volume, labels, saliency, note)
        show_line(f"saliency.png and {len(saliency)} volumes in {out}")


def evaluate_biomarker(
    cohort: Folder,
    out: Out,
    model: Annotated[Path | None, typer.Option(help="Folder of a model; without it, the released one.")] = None,
    network: Annotated[
        str, typer.Option(help="'frozen': as it is, trained on other patients; 'folds': trained anew in every fold.")
    ] = "frozen",
    repeats: Annotated[int, typer.Option(min=1, help="How often the five folds are drawn anew.")] = 5,
    permutations: Annotated[int, typer.Option(min=19, help="Of the permutation tests.")] = 200,
    leak: Annotated[
        str, typer.Option(help="Put leakage in, to see the alarm ring: 'sides' or 'slices' of a patient in many folds.")
    ] = "",
    pretraining: Annotated[int, typer.Option(help="Epochs in every fold, with --network folds.")] = 4,
    finetuning: Annotated[int, typer.Option(help="Epochs in every fold, with --network folds.")] = 6,
    seed: Annotated[int, typer.Option(help="The same seed gives the same folds.")] = 1,
    config: Config = None,
) -> None:
    """Judge a model on a cohort: nested cross-validation beside baselines; report.html and report.json."""
    with exits():
        from lnc_dicom.biomarker.evaluation.evaluate import evaluate  # noqa: PLC0415
        from lnc_dicom.biomarker.evaluation.inputs import Leak, Options, read_oracle  # noqa: PLC0415
        from lnc_dicom.biomarker.evaluation.network_outputs import seen_by, trained_in_fold, views_by  # noqa: PLC0415
        from lnc_dicom.biomarker.evaluation.report import write_report  # noqa: PLC0415
        from lnc_dicom.biomarker.load import WEIGHTS, load_model  # noqa: PLC0415
        from lnc_dicom.biomarker.train.trainer import Schedule  # noqa: PLC0415

        if network not in {"frozen", "folds"} or leak not in {one.value for one in Leak}:
            raise UnusableInput("--network knows 'frozen' and 'folds', --leak 'sides' and 'slices'")
        make_folder(out)
        loaded = load_model(model or WEIGHTS)
        people = read_cohort(cohort, ",".join(loaded.regions), config)
        options = Options(repeats=repeats, permutations=permutations, seed=seed, leak=Leak(leak))
        options = replace(options, simulated=is_simulated(cohort), demonstration=loaded.demonstration)
        schedule = Schedule(pretraining, finetuning, rate=1e-4, seed=seed)
        source: Source = seen_by(loaded, people)
        if network == "folds":
            source = trained_in_fold(people, loaded.network, schedule, show_progress)
        elif options.leak is Leak.SLICES:
            source = views_by(loaded, people)
        found = evaluate(people, source, options, read_oracle(cohort, people), show_progress)
        write_report(out, found)
        show_evaluation(found)
        show_line(f"report.html and report.json in {out}")


def show_evaluation(found: Evaluation) -> None:
    """Print what has to be said first, then the paper's table."""
    from lnc_dicom.biomarker.evaluation.report import banners  # noqa: PLC0415
    from lnc_dicom.biomarker.evaluation.tables import console_rows  # noqa: PLC0415

    for line in banners(found):
        show_line(line)
    heads, *rows = console_rows(found, show_line)
    show_rows("Out of fold", heads, rows)
