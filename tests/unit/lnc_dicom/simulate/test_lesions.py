from dataclasses import replace

import numpy as np

from lnc_dicom.simulate.images import make_images


def _with(people, **properties):
    changed = {}
    for name, value in properties.items():
        array = getattr(people, name).copy()
        array[0] = value
        changed[name] = array
    return replace(people, **changed)


def _dark_voxels(model, palette, people):
    image = make_images(model, palette, people, 0, 70, 1180.0).t1.array
    middle = image[44:124, 60:130, 50:110]
    return int((middle < 250).sum())


def test_an_infarct_has_the_size_of_its_radius(model, palette, people):
    clean = _with(people, spaces=0, lacunes=0, scar_mm=0.0, caps_mm=0.0)
    scarred = _with(clean, scar_mm=[6.0, 0.0])
    gained = _dark_voxels(model, palette, scarred) - _dark_voxels(model, palette, clean)
    assert (
        500 < gained < 4500
    )  # a ball of 6 mm has 905 voxels; it may be 2.2 times as long, in a head 1.1 times as large


def test_perivascular_spaces_darken_the_nuclei(model, palette, people):
    clean = _with(people, spaces=0, lacunes=0, scar_mm=0.0, caps_mm=0.0)
    spotted = _with(clean, spaces=[25, 25])
    a, b = (make_images(model, palette, p, 0, 70, 1180.0).t1.array for p in (clean, spotted))
    assert np.percentile((b - a)[44:124, 60:130, 50:110], 0.02) < -40
