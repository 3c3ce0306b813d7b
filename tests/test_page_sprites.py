"""Thumbnails: many images in few files, within a number of bytes."""

import io

import numpy as np
import pytest
from PIL import Image

from bioclass.report.page.sprites import COLUMNS, EACH, make_sprites


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def pictures(n, height, width, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return [np.asarray(Image.fromarray(each).resize((width, height))) for each in coarse]


def test_small_images_are_kept_pixel_by_pixel():
    images = pictures(EACH + 3, 28, 20)
    sprites = make_sprites(images.__getitem__, len(images), 10_000_000, 1_000_000)
    assert (sprites.kind, sprites.side, sprites.whole, sprites.large) == ("png", 28, True, {})
    assert len(sprites.sheets) == 2 and set(sprites.sizes) == {(28, 20)}
    for number in (0, COLUMNS, EACH - 1, EACH + 2):
        sheet = opened(sprites.sheets[number // EACH])
        top, left = (28 * place for place in divmod(number % EACH, COLUMNS))
        assert np.array_equal(sheet[top : top + 28, left : left + 20], images[number])


def test_large_images_get_smaller_and_some_are_there_larger():
    images = pictures(40, 400, 500)
    sprites = make_sprites(images.__getitem__, 40, 1_000_000, 20_000)
    assert (sprites.kind, sprites.side, sprites.whole) == ("webp", 96, False)
    assert set(sprites.sizes) == {(77, 96)}
    assert 0 < len(sprites.large) < 40 and sorted(sprites.large) == list(range(len(sprites.large)))
    assert opened(sprites.large[0]).shape == (256, 320, 3)


@pytest.mark.parametrize("side", [28, 224])
def test_thumbnails_keep_to_their_room(side):
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (64, side, side, 3), dtype=np.uint8)
    sprites = make_sprites(lambda number: noise[number % 64], 600, 600 * 900, 0)
    assert sum(map(len, sprites.sheets)) <= 1.1 * 600 * 900
    assert sprites.large == {}


def test_images_of_several_sizes_keep_their_shapes():
    images = [*pictures(1, 30, 10), *pictures(1, 10, 40)]
    sprites = make_sprites(images.__getitem__, 2, 1_000_000, 0)
    assert sprites.side == 40 and sprites.sizes == ((30, 10), (10, 40))
    sheet = opened(sprites.sheets[0])
    assert np.array_equal(sheet[:10, 40:80], images[1])
