"""What a table writes, without looking at pixels."""

import pytest
from PIL import Image, ImageDraw


class Pen(ImageDraw.ImageDraw):
    """Remembers every text with its position."""

    def __init__(self):
        super().__init__(Image.new("RGB", (1024, 1024)))
        self.texts = []

    def text(self, xy, text, *args, **kwargs):
        self.texts.append((text, xy))
        super().text(xy, text, *args, **kwargs)

    @property
    def written(self):
        return [text for text, _ in self.texts]


@pytest.fixture
def pen():
    return Pen()
