"""Time and memory of the segmentation, stage by stage; how it grows with the grid; other runtimes for the networks.

Run `python benchmarks/segment.py IMAGE.nii.gz [--runtimes]`. Every figure is the median of five in one run.
`--runtimes` compares PyTorch with what else is installed of torch.compile, ONNX Runtime and OpenVINO.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import highdicom as hd
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lnc_dicom.geometry.resampling import sample  # noqa: E402
from lnc_dicom.segment import segmenter  # noqa: E402
from lnc_dicom.segment.evaluate.metrics import read_nifti  # noqa: E402
from lnc_dicom.segment.load import WEIGHTS, load_segmenter  # noqa: E402
from lnc_dicom.segment.network import _InstanceNorm  # noqa: E402
from lnc_dicom.segment.segmenter import CROP_SHAPE, NetworkSegmenter  # noqa: E402

REPEATS = 5
_PARTS = ("resample", "normalise", "_on_source_grid", "doubt", "mirror_dice")


def median_s(call: Callable[[], object]) -> float:
    """Median seconds of five calls after one that warms up."""
    call()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


@contextmanager
def _timed(spent: dict[str, float]) -> Iterator[None]:
    """Count the seconds that the parts of the segmentation take."""

    def wrap(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def timed(*args: object, **kwargs: object) -> object:
            start = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

        return timed

    with (
        mock.patch.multiple(segmenter, **{name: wrap(name, getattr(segmenter, name)) for name in _PARTS}),
        mock.patch.object(NetworkSegmenter, "_run", wrap("networks", NetworkSegmenter._run)),  # noqa: SLF001
    ):
        yield


def stages(segmenter: NetworkSegmenter, volume: hd.Volume) -> None:
    rows: list[dict[str, float]] = []
    segmenter(volume)
    for _ in range(REPEATS):
        spent: dict[str, float] = {}
        start = time.perf_counter()
        with _timed(spent):
            segmenter(volume)
        rows.append({**spent, "together": time.perf_counter() - start})
    print("\n| stage | median of 5, s | fastest | slowest |\n|---|---|---|---|")
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"| {name.strip('_')} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")
    print(f"\nPeak memory of the process {peak_gb():.2f} GB.")


def on_grid(volume: hd.Volume, shape: tuple[int, int, int]) -> hd.Volume:
    """Take a volume with another number of voxels over the same extent."""
    factors = np.array(volume.shape) / shape
    lps_mm = volume.affine.copy()
    lps_mm[:3, :3] = lps_mm[:3, :3] * factors
    array = sample(torch.from_numpy(volume.array)[None], np.linalg.inv(volume.affine) @ lps_mm, shape)[0]
    return hd.Volume(array.numpy(), lps_mm, coordinate_system="PATIENT")


def growth(segmenter: NetworkSegmenter, volume: hd.Volume) -> None:
    print("\n| grid | voxel, mm | median of 5, s |\n|---|---|---|")
    whole = tuple(volume.shape)
    shapes = [(whole[0], whole[1], n) for n in (64, 128, 192, 256)]
    shapes += [(128, 128, 128), (192, 192, 192), (384, 384, 384), (512, 512, 160)]
    for shape in shapes:
        taken = on_grid(volume, shape)
        size = " x ".join(f"{s:.2f}" for s in taken.spacing)
        print(f"| {' x '.join(map(str, shape))} | {size} | {median_s(lambda v=taken: segmenter(v)):.2f} |", flush=True)


def runtimes(segmenter: NetworkSegmenter) -> None:
    """Compare runtimes on one label crop: time, and the share of voxels that get another label than in float32."""
    network = segmenter.label
    image = torch.rand(1, 1, *CROP_SHAPE).to(memory_format=torch.channels_last_3d)

    def eager(*, bf16: bool) -> torch.Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return network(image)

    calls: dict[str, Callable[[], object]] = {
        "PyTorch float32, channels last": lambda: eager(bf16=False),
        "PyTorch bfloat16, channels last (used)": lambda: eager(bf16=True),
        "PyTorch bfloat16, torch.compile": _compiled(network, image),
    }
    # exporters know torch's instance normalisation; batch normalisation in training mode, which is faster here, not
    with mock.patch.object(_InstanceNorm, "forward", torch.nn.InstanceNorm3d.forward):
        calls |= {"PyTorch bfloat16, torch's own instance normalisation": _plain(network, image)}
        calls |= _openvino(network, image) | _onnx(network, image)
    expected = eager(bf16=False).argmax(1)
    print("\n| runtime | median of 5, s | voxels with another label |\n|---|---|---|")
    for name, call in calls.items():
        labels = torch.as_tensor(np.asarray(torch.as_tensor(call()).float())).argmax(1)
        differ = float((labels != expected).float().mean())
        print(f"| {name} | {median_s(call):.3f} | {100 * differ:.3f} % |", flush=True)


def _plain(network: torch.nn.Module, image: torch.Tensor) -> Callable[[], object]:
    def call() -> torch.Tensor:
        with (
            mock.patch.object(_InstanceNorm, "forward", torch.nn.InstanceNorm3d.forward),
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16),
        ):
            return network(image)

    return call


def _compiled(network: torch.nn.Module, image: torch.Tensor) -> Callable[[], object]:
    compiled = torch.compile(network)

    def call() -> torch.Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return compiled(image)

    return call


def _openvino(network: torch.nn.Module, image: torch.Tensor) -> dict[str, Callable[[], object]]:
    try:
        import openvino  # noqa: PLC0415
    except ImportError:
        print("OpenVINO is not installed", file=sys.stderr)
        return {}
    array = image.contiguous().numpy()
    model = openvino.convert_model(network, example_input=image.contiguous())
    calls = {}
    for kind in ("f32", "bf16"):
        compiled = openvino.compile_model(
            model, "CPU", {"INFERENCE_PRECISION_HINT": kind, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        )
        calls[f"OpenVINO {kind}"] = lambda c=compiled: torch.from_numpy(c(array)[0])
    return calls | _openvino_int8(model, array)


def _openvino_int8(model: object, array: np.ndarray) -> dict[str, Callable[[], object]]:
    try:
        import nncf  # noqa: PLC0415
        import openvino  # noqa: PLC0415
    except ImportError:
        print("NNCF is not installed: no int8", file=sys.stderr)
        return {}
    quantised = nncf.quantize(model, nncf.Dataset([array]), subset_size=1)
    compiled = openvino.compile_model(quantised, "CPU", {"INFERENCE_NUM_THREADS": torch.get_num_threads()})
    return {"OpenVINO int8": lambda: torch.from_numpy(compiled(array)[0])}


def _onnx(network: torch.nn.Module, image: torch.Tensor) -> dict[str, Callable[[], object]]:
    try:
        import onnxruntime  # noqa: PLC0415
    except ImportError:
        print("ONNX Runtime is not installed", file=sys.stderr)
        return {}
    import io  # noqa: PLC0415

    buffer = io.BytesIO()
    torch.onnx.export(network, (image.contiguous(),), buffer, input_names=["image"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])
    array = image.contiguous().numpy()
    return {"ONNX Runtime float32": lambda: torch.from_numpy(session.run(None, {"image": array})[0])}


def main() -> None:
    paths = [a for a in sys.argv[1:] if not a.startswith("--")]
    segmenter = load_segmenter(Path(paths[1]) if len(paths) > 1 else WEIGHTS)
    volume = read_nifti(Path(paths[0]))
    if "--runtimes" in sys.argv:
        runtimes(segmenter)
        return
    stages(segmenter, volume)
    growth(segmenter, volume)


if __name__ == "__main__":
    main()
