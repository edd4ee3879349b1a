"""`lnc process`, `segment`, `train` and `evaluate`: the library at the console. The service adds the rest."""

from __future__ import annotations

import time
import tomllib
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from lnc_dicom.cli.cohort import evaluate_biomarker, evaluate_explanation, explain_study, simulate, train_biomarker
from lnc_dicom.cli.console import (
    Stopwatch,
    exits,
    make_folder,
    quieten_libraries,
    show_caveats,
    show_line,
    show_perturbation,
    show_report,
    show_robustness,
    show_rows,
    show_timings,
)
from lnc_dicom.cli.segment import segment_heads
from lnc_dicom.errors import StudyRejected, UnusableInput
from lnc_dicom.provenance import software_version
from lnc_dicom.tools import STAGES

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Deep grey matter from T1-weighted MR. Research only.",
)
train = typer.Typer(no_args_is_help=True, help="Train a network.")
evaluate = typer.Typer(no_args_is_help=True, help="Measure how good the network is.")
app.add_typer(train, name="train")
app.add_typer(evaluate, name="evaluate")
app.add_typer(simulate, name="simulate")
train.command("biomarker")(train_biomarker)
evaluate.command("biomarker")(evaluate_biomarker)
evaluate.command("explanation")(evaluate_explanation)
app.command("explain")(explain_study)
app.command("segment")(segment_heads)

Paths = Annotated[list[Path], typer.Argument(help="Files or folders with the DICOM objects of one study.")]
Config = Annotated[
    Path | None,
    typer.Option(help="TOML file with settings of measuring and of what is written; without it, the defaults."),
]
Objects = Annotated[
    str | None,
    typer.Option(help="Kinds of objects to write: seg,sr,summary,biomarker,saliency,labelmap,map,text,pdf,fhir."),
]
Out = Annotated[Path, typer.Option(help="Folder for the results; made if it is missing.")]
ModelOut = Annotated[Path, typer.Option(help="Folder for checkpoints and the finished model.")]
RealImages = Annotated[
    Path | None, typer.Option(help="Folder with T1s of real heads, to fine-tune the second network on.")
]
RealLabels = Annotated[
    Path | None,
    typer.Option(help="With --images: folder with their label maps, in the same order of names."),
]
StartModel = Annotated[
    Path | None, typer.Option(help="With --images: model to fine-tune; without it, the released one.")
]
RealShare = Annotated[float, typer.Option(help="With --images: share of the training images that show a real head.")]
PeakRate = Annotated[float, typer.Option(help="With --images: highest learning rate.")]
HeldOutHeads = Annotated[str, typer.Option(help="With --images: names of the heads held out for validation.")]


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's way to a flag that ends the command
    if wanted:
        show_line(f"lnc-dicom {software_version()}")
        for package in ("segment", "biomarker"):
            about = tomllib.loads((files("lnc_dicom") / package / "weights/model.toml").read_text(encoding="utf-8"))
            show_line(f"{about['name']} {about['version']}")
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[  # noqa: ARG001, FBT002 - typer's way to a flag; it calls `_show_version`
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the versions of code and models."),
    ] = False,
) -> None:
    quieten_libraries()


@app.command()
def process(paths: Paths, out: Out, config: Config = None, objects: Objects = None) -> None:
    """Measure one study from files; write DICOM SEG, SR, summary pages, predictions apart, and result.json."""
    started = time.perf_counter()
    watch = Stopwatch(("start", "read", *STAGES, "write"))
    with exits(), watch as stage:
        with stage("start"):
            from lnc_dicom import pipeline  # noqa: PLC0415 - torch takes a second to import; --help should not
            from lnc_dicom.biomarker.load import explainer_of, load_predictor  # noqa: PLC0415
            from lnc_dicom.options import choose_objects, load_options  # noqa: PLC0415
            from lnc_dicom.result_json import ALL_FILES, rejection_json, result_json, side_files  # noqa: PLC0415
            from lnc_dicom.segment.load import load_segmenter  # noqa: PLC0415
            from lnc_dicom.study import priors  # noqa: PLC0415 - torch takes a second to import; --help should not
            from lnc_dicom.study.read import read_results, read_study, with_results  # noqa: PLC0415
            from lnc_dicom.tools import Tools  # noqa: PLC0415

            options = choose_objects(load_options(config), objects)
            now, predictor = datetime.now(UTC), load_predictor(options.biomarker)
            tools = Tools(load_segmenter(), now, stage, options, predictor, explainer_of(predictor))
            make_folder(out)
            earlier = read_results([out / priors.FILE])
            for name in ALL_FILES:  # a rejected study must not seem to have the results of an earlier one
                (out / name).unlink(missing_ok=True)
        study = None
        try:
            with stage("read"):
                study = with_results(read_study(paths), earlier)
            report, written = pipeline.process(study, tools)
        except StudyRejected as error:
            caveats = study.caveats if study else ()
            (out / "result.json").write_text(rejection_json(error, caveats), encoding="utf-8")
            show_caveats(caveats)
            raise
        with stage("write"):
            for item in written:
                (out / item.name).write_bytes(item.data)
            for name, data in side_files(report, written, now, options.objects).items():
                (out / name).write_bytes(data)
    watch.seconds["total"] = time.perf_counter() - started
    (out / "result.json").write_text(result_json(report, written, watch.seconds), encoding="utf-8")
    show_report(report)
    total = watch.seconds.pop("total")
    show_timings(watch.seconds)
    show_line(f"  {len(written)} DICOM objects and result.json in {out} after {total:.1f} s")


@train.command("segmentation")
def train_segmentation(
    label_maps: Annotated[Path, typer.Option(help="Folder with label maps (NIfTI, FreeSurfer labels) and T1 priors.")],
    out: ModelOut = Path("runs/segmentation"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same images in the same order.")] = 1,
    localisation_steps: Annotated[int, typer.Option(help="Steps of the network that finds the structures.")] = 1500,
    segmentation_steps: Annotated[int, typer.Option(help="Steps of the network that labels them.")] = 9000,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that synthesise images.")] = 1,
    held_out: Annotated[str, typer.Option(help="Label maps held out for validation, numbered from 1.")] = "3,8,11,17",
    calibration_images: Annotated[int, typer.Option(help="Whole heads synthesised to calibrate intervals.")] = 60,
    model_version: Annotated[str, typer.Option(help="Version of the model, written into its card.")] = "0.3.0",
    data_source: Annotated[str, typer.Option(help="Source and licence of the data, for the card.")] = "",
    images: RealImages = None,
    image_labels: RealLabels = None,
    start_model: StartModel = None,
    real_share: RealShare = 0.6,
    peak_rate: PeakRate = 6e-4,
    held_out_heads: HeldOutHeads = "",
) -> None:
    """Train both networks on synthetic heads or, with --images, fine-tune the second one on real heads as well.

    Repeat a stopped command to resume from the last checkpoint.
    """
    with exits():
        from lnc_dicom.cli.progress import TrainingProgress  # noqa: PLC0415
        from lnc_dicom.segment.load import WEIGHTS  # noqa: PLC0415
        from lnc_dicom.segment.train.fine_tune import RealData, fine_tune  # noqa: PLC0415
        from lnc_dicom.segment.train.main import RunSettings, train_both  # noqa: PLC0415

        if (images is None) != (image_labels is None):
            raise UnusableInput("--images and --image-labels belong together: give both or neither")
        make_folder(out)
        numbers = tuple(int(n) for n in _listed(held_out))
        steps = {"locate": localisation_steps, "label": segmentation_steps}
        settings = RunSettings(
            label_maps, out, model_version, steps, seed, device, workers, numbers, calibration_images, data_source
        )
        with TrainingProgress() as progress:
            if images is None or image_labels is None:
                folder = train_both(settings, progress, show_line)
            else:
                heads = _listed(held_out_heads)
                real = RealData(start_model or WEIGHTS, images, image_labels, real_share, peak_rate, heads)
                folder = fine_tune(settings, real, progress)
        show_line(f"model and card in {folder}")


def _listed(text: str) -> tuple[str, ...]:
    """Split a list at its commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


@evaluate.command("segmentation")
def evaluate_segmentation(
    images: Annotated[Path, typer.Option(help="T1 as NIfTI or MGH, or a folder of them.")],
    labels: Annotated[Path, typer.Option(help="Label map as NIfTI or MGH, or a folder of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the page of overlays.")] = Path("runs/evaluation"),
    protocol: Annotated[
        str,
        typer.Option(help="Protocol of the labels: freesurfer, mage, xiao or jhu (Eve; capsule 9001 and 9002)."),
    ] = "freesurfer",
    robustness: Annotated[  # noqa: FBT002 - typer's way to a flag
        bool, typer.Option("--robustness", help="Also perturb every head in many ways; takes minutes.")
    ] = False,
    model: Annotated[Path | None, typer.Option(help="Folder of a model; without it, the released one.")] = None,
) -> None:
    """Compare the segmentation with known labels: Dice, surface distance (95th percentile), offset, volume error."""
    with exits():
        from lnc_dicom.segment.evaluate import metrics  # noqa: PLC0415
        from lnc_dicom.segment.evaluate.overlays import LabelledHead, draw_overlays  # noqa: PLC0415
        from lnc_dicom.segment.evaluate.protocols import label_protocol  # noqa: PLC0415
        from lnc_dicom.segment.evaluate.robustness import describe, run_perturbations  # noqa: PLC0415
        from lnc_dicom.segment.load import WEIGHTS, load_segmenter  # noqa: PLC0415

        drawn_by = label_protocol(protocol)
        make_folder(out)
        segmenter = load_segmenter(model or WEIGHTS)
        scores: list[metrics.Score] = []
        heads: list[LabelledHead] = []
        robustness_of = []
        for image, truth_path in metrics.pairs(images, labels):
            volume, truth = metrics.read_pair(image, truth_path, drawn_by)
            found = segmenter(volume).labels
            head, name = metrics.compare(found, truth, drawn_by), metrics.head_name(image)
            show_rows(f"{name}: mean of left and right", metrics.COLUMNS, metrics.rows(head))
            scores += head
            heads.append(LabelledHead(name, volume, truth, found, drawn_by))
            if robustness:
                robustness_of.append(run_perturbations(segmenter, describe(volume, truth), show_perturbation))
        if len(heads) > 1:
            show_rows(f"{len(heads)} heads: mean of left and right", metrics.COLUMNS, metrics.rows(scores))
        for results in robustness_of:
            show_robustness([(r.name, r.setting, r.refused, r.volume_change, r.dice) for r in results])
        draw_overlays(out / "overlays.png", heads)
        show_line(f"overlays in {out / 'overlays.png'}")
