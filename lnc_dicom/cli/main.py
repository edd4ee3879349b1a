"""`lnc process`, `train` and `evaluate`: the library at the console. The service adds the rest."""

from __future__ import annotations

import time
from datetime import UTC, datetime
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
    show_experiment,
    show_line,
    show_outcomes,
    show_report,
    show_rows,
    show_timings,
)
from lnc_dicom.errors import StudyRejected

_MEASURING = ("select", "volume", "segment", "diffusion", "perfusion", "regions", "biomarker", "saliency")
STAGES = ("start", "read", *_MEASURING, "encode", "write")


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

Paths = Annotated[list[Path], typer.Argument(help="Files or folders with the DICOM objects of one study.")]
Config = Annotated[
    Path | None,
    typer.Option(help="TOML file with settings of measuring and of what is written; without it, the defaults."),
]
Objects = Annotated[
    str | None, typer.Option(help="Kinds of objects to write: seg,sr,summary,saliency,labelmap,map,text,pdf,fhir.")
]
Out = Annotated[Path, typer.Option(help="Folder for the results; made if it is missing.")]


@app.callback()
def _start() -> None:
    quieten_libraries()


@app.command()
def process(paths: Paths, out: Out, config: Config = None, objects: Objects = None) -> None:
    """Measure one study from files; write DICOM SEG, SR, summary pages and saliency, and result.json."""
    started = time.perf_counter()
    watch = Stopwatch(STAGES)
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
    labels: Annotated[Path, typer.Option(help="Folder with label maps (NIfTI, FreeSurfer labels) and T1 priors.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and the finished model.")] = Path(
        "runs/segmentation"
    ),
    seed: Annotated[int, typer.Option(help="The same seed gives the same images in the same order.")] = 1,
    locate_steps: Annotated[int, typer.Option(help="Steps of the coarse stage.")] = 1500,
    label_steps: Annotated[int, typer.Option(help="Steps of the fine stage.")] = 9000,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that synthesise images.")] = 1,
    held_out: Annotated[str, typer.Option(help="Label maps kept for validation, by number.")] = "3,8,11,17",
    calibration_images: Annotated[int, typer.Option(help="Whole heads synthesised to calibrate intervals.")] = 60,
    version: Annotated[str, typer.Option(help="Version of the model, written into its card.")] = "0.3.0",
    data_note: Annotated[str, typer.Option(help="Origin and licence of the data, for the card.")] = "",
    images: Annotated[
        Path | None, typer.Option(help="Folder with real T1s: the fine stage of --start learns on, half from them.")
    ] = None,
    image_labels: Annotated[
        Path | None, typer.Option(help="Folder with their labels (FreeSurfer numbers), in the same order of names.")
    ] = None,
    start: Annotated[Path | None, typer.Option(help="Model to learn on from; without it, the released one.")] = None,
    share: Annotated[float, typer.Option(help="With --images: how often a training image shows a real head.")] = 0.6,
    peak_rate: Annotated[float, typer.Option(help="With --images: the highest learning rate.")] = 6e-4,
    held_out_heads: Annotated[str, typer.Option(help="With --images: heads kept for validation, by name.")] = "",
) -> None:
    """Train both networks on synthesised heads, or train the fine one on from real heads as well.

    Stop and repeat the command to go on from the last checkpoint.
    """
    with exits():
        from lnc_dicom.segment.load import WEIGHTS  # noqa: PLC0415
        from lnc_dicom.segment.train.learn_on import LearnSettings, learn_on  # noqa: PLC0415
        from lnc_dicom.segment.train.main import RunSettings, train_both  # noqa: PLC0415

        make_folder(out)
        if images is not None and image_labels is not None:
            learn_on(
                LearnSettings(
                    start=start or WEIGHTS,
                    labels=labels,
                    images=images,
                    image_labels=image_labels,
                    out=out,
                    version=version,
                    steps=label_steps,
                    peak_rate=peak_rate,
                    share=share,
                    seed=seed,
                    device=device,
                    workers=workers,
                    held_out=tuple(int(n) for n in held_out.split(",") if n.strip()),
                    held_out_heads=tuple(name.strip() for name in held_out_heads.split(",") if name.strip()),
                    calibration_images=calibration_images,
                    data_note=data_note,
                )
            )
            return
        numbers = tuple(int(n) for n in held_out.split(",") if n.strip())
        steps = {"locate": locate_steps, "label": label_steps}
        train_both(
            RunSettings(labels, out, version, steps, seed, device, workers, numbers, calibration_images, data_note)
        )


@evaluate.command("segmentation")
def evaluate_segmentation(
    images: Annotated[Path, typer.Option(help="T1 as NIfTI or MGH, or a folder of them.")],
    labels: Annotated[Path, typer.Option(help="Label map as NIfTI or MGH, or a folder of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the page of overlays.")] = Path("runs/evaluation"),
    protocol: Annotated[
        str, typer.Option(help="Whose labels: freesurfer, mage, xiao, jhu (Eve, with capsule 9001 and 9002).")
    ] = "freesurfer",
    robustness: Annotated[  # noqa: FBT002 - typer's way to a flag
        bool, typer.Option("--robustness", help="Also spoil every head in many ways; takes minutes.")
    ] = False,
    model: Annotated[Path | None, typer.Option(help="Folder of a model; without it, the released one.")] = None,
) -> None:
    """Compare the segmentation with known labels: Dice, surface distance (95th percentile), offset, volume error."""
    with exits():
        from lnc_dicom.segment.evaluate import metrics  # noqa: PLC0415
        from lnc_dicom.segment.evaluate.overlays import LabelledHead, draw_overlays  # noqa: PLC0415
        from lnc_dicom.segment.evaluate.protocols import protocol_of  # noqa: PLC0415
        from lnc_dicom.segment.evaluate.robustness import describe, run_experiments  # noqa: PLC0415
        from lnc_dicom.segment.load import WEIGHTS, load_segmenter  # noqa: PLC0415

        make_folder(out)
        segmenter = load_segmenter(model or WEIGHTS)
        scores: list[metrics.Score] = []
        heads: list[LabelledHead] = []
        outcomes = []
        whose = protocol_of(protocol)
        for image, truth_path in metrics.pairs(images, labels):
            volume, truth = metrics.read_pair(image, truth_path, whose)
            found = segmenter(volume).labels
            head, name = metrics.compare(found, truth, whose), metrics.head_name(image)
            show_rows(f"{name}: mean of left and right", metrics.COLUMNS, metrics.rows(head))
            scores += head
            heads.append(LabelledHead(name, volume, truth, found, whose))
            if robustness:
                outcomes.append(run_experiments(segmenter, describe(volume, truth), show_experiment))
        if len(heads) > 1:
            show_rows(f"{len(heads)} heads: mean of left and right", metrics.COLUMNS, metrics.rows(scores))
        for rows in outcomes:
            show_outcomes([(o.name, o.setting, o.refused, o.volume_change, o.dice) for o in rows])
        draw_overlays(out / "overlays.png", heads)
        show_line(f"overlays in {out / 'overlays.png'}")
