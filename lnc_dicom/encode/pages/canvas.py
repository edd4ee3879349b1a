"""What all pages have in common: size, banner, fonts, colours. No patient data is drawn on any."""

from __future__ import annotations

from datetime import datetime

from PIL import Image, ImageDraw, ImageFont

from lnc_dicom.predictions import Model
from lnc_dicom.report import BANNER

SIZE = 1024
"""Pixels of a page along both sides: it is shown unscaled where a viewer has 1024 x 1024."""
SMALLEST = 15
"""Height of the smallest letters in pixels."""
TOP = 106
"""Where the content begins, under banner and headings."""
Colour = tuple[int, int, int]
BLACK, WHITE, GREY, RED = (0, 0, 0), (255, 255, 255), (170, 170, 170), (190, 30, 30)
GREEN, AMBER, ALARM = (120, 220, 120), (230, 180, 60), (240, 90, 90)


def font(size: int = SMALLEST) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Give the font of all pages. No letters are smaller than `SMALLEST`."""
    return ImageFont.load_default(max(size, SMALLEST))


def new_page(title: str, model: Model, now: datetime, page: str = "") -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Give an empty page with the banner, its title and what made it.

    Nothing stands between 42 and 59 % of the width below the banner: there OHIF lays its film player over the image.
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
