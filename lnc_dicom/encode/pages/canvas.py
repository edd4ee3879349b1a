"""What all pages share: size, banner, fonts, colours. No patient data is drawn on any page."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from lnc_dicom.predictions import Model
from lnc_dicom.report import BANNER

SIZE = 1024
"""Width and height of a page in pixels: a viewport of 1024 x 1024 shows it unscaled."""
SMALLEST = 15
"""Size of the smallest font in pixels."""
TOP = 106
"""Row where the content begins, below banner and headings."""
RgbImage = npt.NDArray[np.uint8]
"""Pixels, (rows, columns, 3)."""
Colour = tuple[int, int, int]
BLACK, WHITE, GREY, RED = (0, 0, 0), (255, 255, 255), (170, 170, 170), (190, 30, 30)
GREEN, AMBER, ALARM = (120, 220, 120), (230, 180, 60), (240, 90, 90)


def font(size: int = SMALLEST) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Give the font of all pages, never smaller than `SMALLEST`."""
    return ImageFont.load_default(max(size, SMALLEST))


def new_page(title: str, model: Model, now: datetime, page: str = "") -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Give an empty page with the banner, its title, the model and the time.

    Below the banner, the columns from 42 to 59 % of the width stay empty: OHIF lays its cine player over them.
    """
    image = Image.new("RGB", (SIZE, SIZE), BLACK)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIZE, 42), fill=RED)
    draw.text((SIZE / 2, 21), BANNER, WHITE, font(26), anchor="mm")
    draw.text((12, 52), title, WHITE, font(22))
    draw.text((SIZE - 12, 54), page, GREY, font(18), anchor="ra")
    draw.text((12, 81), f"{model.name} {model.version}, computed {now:%Y-%m-%d %H:%M %Z}", GREY, font())
    draw.text((SIZE - 12, 81), "automatic, not reviewed", GREY, font(), anchor="ra")
    return image, draw
