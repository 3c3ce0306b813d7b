"""Reading single image files: every value, bit depth and channel as it was stored, or one clear sentence."""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from bioclass.errors import ImageError, MissingDependency
from bioclass.images import SUFFIXES, find_images, read_image, to_channels

RNG = np.random.default_rng(7)


def pixels(*shape, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def same(path, expected):
    found = read_image(path)
    expected = expected if expected.ndim == 3 else expected[..., None]
    assert found.dtype == expected.dtype
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)


def refused(path, *words):
    with pytest.raises(ImageError) as caught:
        read_image(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    for word in words:
        assert word in text, text


# Pillow's formats


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".pgm"])
def test_gray_keeps_one_channel(tmp_path, suffix):
    image = pixels(7, 9)
    Image.fromarray(image).save(tmp_path / f"a{suffix}")
    same(tmp_path / f"a{suffix}", image)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_rgb_keeps_three_channels(tmp_path, suffix):
    image = pixels(7, 9, 3)
    Image.fromarray(image).save(tmp_path / f"a{suffix}")
    same(tmp_path / f"a{suffix}", image)


def test_webp_lossless(tmp_path):
    image = pixels(7, 9, 3)
    Image.fromarray(image).save(tmp_path / "a.webp", lossless=True)
    same(tmp_path / "a.webp", image)


def test_16_bit_gray_png(tmp_path):
    image = pixels(7, 9, dtype=np.uint16)
    Image.fromarray(image).save(tmp_path / "a.png")
    same(tmp_path / "a.png", image)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_png_is_not_cut_to_8(tmp_path, channels):
    cv2 = pytest.importorskip("cv2")
    image = pixels(7, 9, channels, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), image[..., [2, 1, 0, 3][:channels]])
    same(tmp_path / "a.png", image)


def write_png(path, rows, depth, colour):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = rows.shape[:2]
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def test_16_bit_gray_with_alpha_png(tmp_path):
    pytest.importorskip("cv2")
    image = pixels(7, 9, 2, dtype=np.uint16)
    write_png(tmp_path / "a.png", image.astype(">u2"), 16, 4)
    same(tmp_path / "a.png", image)
    image[..., 1] = 65535
    write_png(tmp_path / "b.png", image.astype(">u2"), 16, 4)
    same(tmp_path / "b.png", image[..., :1])


def test_16_bit_colour_png_without_opencv(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png", pixels(7, 9, 3, dtype=np.uint16).astype(">u2"), 16, 2)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependency, match="pip install opencv-python-headless"):
        read_image(tmp_path / "a.png")


def test_deep_pnm_keeps_its_values(tmp_path):
    pytest.importorskip("cv2")
    # Maximum 4095: Pillow would spread the gray one over 16 bits and cut the colour one to 8.
    for kind, shape in ((b"P5", (7, 9)), (b"P6", (7, 9, 3))):
        image = RNG.integers(0, 4096, shape).astype(np.uint16)
        (tmp_path / "a.pnm").write_bytes(kind + b"\n# from a camera\n9 7\n4095\n" + image.astype(">u2").tobytes())
        same(tmp_path / "a.pnm", image)


def test_palette_is_expanded(tmp_path):
    index = pixels(7, 9) % 4
    colours = pixels(4, 3)
    image = Image.fromarray(index).convert("P")
    image.putpalette(colours.tobytes())
    for name in ("a.png", "a.gif", "a.tif"):
        image.save(tmp_path / name)
        same(tmp_path / name, colours[index])


def test_palette_with_transparency(tmp_path):
    index = pixels(7, 9) % 4
    index[0, 0] = 2
    colours = pixels(4, 3)
    image = Image.fromarray(index).convert("P")
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "a.png", transparency=bytes([255, 255, 7, 255]))
    alpha = np.where(index == 2, 7, 255).astype(np.uint8)
    same(tmp_path / "a.png", np.dstack([colours[index], alpha]))


def test_one_bit_becomes_0_and_255(tmp_path):
    bits = pixels(7, 9) > 127
    for name in ("a.png", "a.pbm", "a.tif", "a.bmp"):
        Image.fromarray(bits).save(tmp_path / name)
        same(tmp_path / name, bits.astype(np.uint8) * np.uint8(255))


def test_alpha_is_dropped_only_where_it_is_opaque(tmp_path):
    image = pixels(7, 9, 4)
    Image.fromarray(image).save(tmp_path / "a.png")
    same(tmp_path / "a.png", image)
    image[..., 3] = 255
    Image.fromarray(image).save(tmp_path / "b.png")
    same(tmp_path / "b.png", image[..., :3])


@pytest.mark.parametrize("code", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_exif_orientation_is_applied(tmp_path, code, suffix):
    from PIL import ImageOps

    image = Image.fromarray(np.kron(pixels(2, 3, 3), np.ones((8, 8, 1), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = code
    path = tmp_path / f"a{suffix}"
    image.save(path, exif=exif)
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    assert expected.shape[:2] == ((16, 24) if code < 5 else (24, 16))
    same(path, expected)


def test_jpeg_decodes_as_pillow_does(tmp_path):
    Image.fromarray(pixels(16, 24, 3)).save(tmp_path / "a.jpeg", quality=90)
    with Image.open(tmp_path / "a.jpeg") as opened:
        same(tmp_path / "a.jpeg", np.asarray(opened))


def test_damaged_exif_says_nothing_against_the_pixels(tmp_path):
    image = pixels(16, 24)
    Image.fromarray(image).save(
        tmp_path / "a.png", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff"
    )
    same(tmp_path / "a.png", image)


# TIFF


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_gray_and_rgb(tmp_path, dtype, compression):
    for shape, kind in (((7, 9), "minisblack"), ((7, 9, 3), "rgb")):
        image = pixels(*shape, dtype=dtype)
        tifffile.imwrite(tmp_path / "a.tif", image, photometric=kind, compression=compression)
        same(tmp_path / "a.tif", image)


def test_tiff_big_endian_is_native_in_memory(tmp_path):
    image = pixels(7, 9, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image, byteorder=">")
    same(tmp_path / "a.tif", image)
    assert read_image(tmp_path / "a.tif").dtype.isnative


def test_tiff_float_and_signed_become_float32(tmp_path):
    for image in (
        RNG.normal(size=(7, 9)).astype(np.float32),
        RNG.normal(size=(7, 9)).astype(np.float16),
        RNG.integers(-1000, 3000, (7, 9)).astype(np.int16),
        RNG.integers(0, 2**20, (7, 9)).astype(np.uint32),
    ):
        tifffile.imwrite(tmp_path / "a.tif", image)
        same(tmp_path / "a.tif", image.astype(np.float32))


def test_tiff_integers_that_float32_cannot_hold(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((2, 2), 2**24 + 1, np.uint32))
    refused(tmp_path / "a.tif", "uint32", "2**24", "scale them down")


def test_tiff_channels_are_moved_last(tmp_path):
    image = pixels(5, 7, 9, dtype=np.uint16)
    last = np.moveaxis(image, 0, -1)
    tifffile.imwrite(tmp_path / "planar.tif", image, photometric="minisblack", planarconfig="separate")
    tifffile.imwrite(tmp_path / "axes.tif", image, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "imagej.tif", image, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "a.ome.tif", image, photometric="minisblack", metadata={"axes": "CYX"})
    tifffile.imwrite(
        tmp_path / "last.tif", np.ascontiguousarray(last), photometric="minisblack", planarconfig="contig"
    )
    tifffile.imwrite(tmp_path / "rgb.tif", image[:3], photometric="rgb", planarconfig="separate")
    for name in ("planar.tif", "axes.tif", "imagej.tif", "a.ome.tif", "last.tif"):
        same(tmp_path / name, last)
    same(tmp_path / "rgb.tif", last[..., :3])


def test_tiff_alpha(tmp_path):
    image = pixels(7, 9, 4)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", extrasamples=["unassalpha"])
    same(tmp_path / "a.tif", image)
    image[..., 3] = 255
    tifffile.imwrite(tmp_path / "b.tif", image, photometric="rgb", extrasamples=["unassalpha"])
    same(tmp_path / "b.tif", image[..., :3])
    # Four channels that are not colours and alpha stay four, whatever the last holds.
    tifffile.imwrite(tmp_path / "c.tif", image, photometric="minisblack", planarconfig="contig")
    same(tmp_path / "c.tif", image)


def test_tiff_white_is_zero(tmp_path):
    for dtype in (np.uint8, np.uint16):
        image = pixels(7, 9, dtype=dtype)
        tifffile.imwrite(tmp_path / "a.tif", image, photometric="miniswhite")
        same(tmp_path / "a.tif", np.iinfo(dtype).max - image)


def test_tiff_compressed_by_pillow_and_opencv(tmp_path):
    rgb, bits = pixels(40, 50, 3), pixels(40, 50) > 127
    Image.fromarray(rgb).save(tmp_path / "lzw.tif", compression="tiff_lzw")
    same(tmp_path / "lzw.tif", rgb)
    Image.fromarray(bits).save(tmp_path / "g4.tif", compression="group4")
    same(tmp_path / "g4.tif", bits.astype(np.uint8) * np.uint8(255))
    Image.fromarray(rgb).save(tmp_path / "jpeg.tif", compression="jpeg")
    assert read_image(tmp_path / "jpeg.tif").shape == (40, 50, 3)
    cv2 = pytest.importorskip("cv2")
    deep = pixels(40, 50, 3, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "deep.tif"), deep[..., ::-1])
    same(tmp_path / "deep.tif", deep)
    cv2.imwrite(str(tmp_path / "gray.tif"), deep[..., 0])
    same(tmp_path / "gray.tif", deep[..., 0])


def test_tiff_stack_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(5, 7, 9))
    refused(tmp_path / "a.tif", "more than one image", "5 pages", "one image a file", "CYX")
    tifffile.imwrite(tmp_path / "b.tif", pixels(2, 5, 7, 9), imagej=True, metadata={"axes": "ZCYX"})
    refused(tmp_path / "b.tif", "more than one image", "ZCYX")
    pages = [Image.fromarray(pixels(7, width, 3)) for width in (9, 5)]
    pages[0].save(tmp_path / "c.tif", save_all=True, append_images=pages[1:])
    refused(tmp_path / "c.tif", "more than one image")


def test_tiff_thumbnail_beside_the_image_is_ignored(tmp_path):
    image = pixels(32, 48)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(image)
        tiff.write(image[::4, ::4], subfiletype=1)
    same(tmp_path / "a.tif", image)


# npy


def test_npy(tmp_path):
    for image in (pixels(7, 9), pixels(7, 9, 5, dtype=np.uint16), np.asfortranarray(pixels(7, 9, 3))):
        np.save(tmp_path / "a.npy", image)
        same(tmp_path / "a.npy", image)
    np.save(tmp_path / "a.npy", RNG.normal(size=(7, 9)))
    assert read_image(tmp_path / "a.npy").dtype == np.float32
    np.save(tmp_path / "a.npy", pixels(7, 9).astype(">u2"))
    assert read_image(tmp_path / "a.npy").dtype == np.dtype("=u2")
    np.save(tmp_path / "a.npy", pixels(7, 9) > 127)
    assert set(np.unique(read_image(tmp_path / "a.npy"))) == {0, 255}


def test_npy_that_is_not_an_image(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    refused(tmp_path / "a.npy", "Python objects")
    np.save(tmp_path / "a.npy", pixels(2, 7, 9, 3))
    refused(tmp_path / "a.npy", "(2, 7, 9, 3)", "one image a file")
    np.save(tmp_path / "a.npy", np.zeros((4, 4), complex))
    refused(tmp_path / "a.npy", "complex128")
    np.save(tmp_path / "a.npy", pixels(0, 9))
    refused(tmp_path / "a.npy", "no pixels")


# What cannot be read


def test_missing_folder_empty(tmp_path):
    refused(tmp_path / "a.png", "There is no file")
    (tmp_path / "b.png").mkdir()
    refused(tmp_path / "b.png", "is a folder")
    (tmp_path / "c.png").touch()
    refused(tmp_path / "c.png", "is empty (0 bytes)")


def test_text_named_jpg(tmp_path):
    (tmp_path / "a.jpg").write_text("<html>not found</html>")
    refused(tmp_path / "a.jpg", "not an image", "convert it")


def test_content_decides_not_the_suffix(tmp_path):
    image = pixels(7, 9, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.jpg", image)
    same(tmp_path / "a.jpg", image)


def make_valid(folder):
    gray, rgb, deep = pixels(40, 50), pixels(40, 50, 3), pixels(40, 50, 3, dtype=np.uint16)
    for name in ("a.png", "a.jpg", "a.bmp", "a.gif", "a.webp", "a.ppm"):
        Image.fromarray(rgb).save(folder / name)
    Image.fromarray(rgb).save(folder / "lzw.tif", compression="tiff_lzw")
    tifffile.imwrite(folder / "plain.tif", gray)
    tifffile.imwrite(folder / "zlib.tif", gray, compression="zlib", rowsperstrip=8)
    np.save(folder / "a.npy", deep)
    write_png(folder / "deep.png", deep.astype(">u2"), 16, 2)
    (folder / "deep.ppm").write_bytes(b"P6 50 40 65535\n" + deep.astype(">u2").tobytes())
    return sorted(folder.iterdir())


def test_truncated_files_are_refused_wherever_they_end(tmp_path):
    pytest.importorskip("cv2")
    for path in make_valid(tmp_path):
        whole = path.read_bytes()
        read_image(path)
        for share in (0.01, 0.1, 0.5, 0.8, 0.95):
            path.write_bytes(whole[: int(len(whole) * share)])
            refused(path)


def test_flipped_bytes_never_escape_as_another_exception(tmp_path):
    for path in make_valid(tmp_path):
        if path.name.startswith("deep"):
            continue
        whole = bytearray(path.read_bytes())
        for _ in range(25):
            broken = bytearray(whole)
            for place in RNG.integers(0, min(len(whole), 300), 3):
                broken[place] = RNG.integers(0, 256)
            path.write_bytes(broken)
            try:
                assert read_image(path).ndim == 3
            except (ImageError, MissingDependency) as problem:
                assert str(path) in str(problem)


def test_cmyk_and_other_colour_spaces(tmp_path):
    image = Image.fromarray(pixels(16, 24, 3)).convert("CMYK")
    for name in ("a.jpg", "a.tif"):
        image.save(tmp_path / name)
        refused(tmp_path / name, "colour space", "convert it to gray or RGB")


def test_animation_is_refused(tmp_path):
    frames = [Image.fromarray(pixels(7, 9)) for _ in range(3)]
    for name in ("a.gif", "a.png", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        refused(tmp_path / name, "more than one image", "3 frames")


def test_huge_images_are_refused_before_they_are_decoded(tmp_path):
    write_png(tmp_path / "a.png", pixels(1, 9), 8, 0)
    data = bytearray((tmp_path / "a.png").read_bytes())
    for side in (12_000, 16_000, 30_000, 2_000_000):  # Pillow warns above 89 and refuses above 179 megapixels.
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
        (tmp_path / "a.png").write_bytes(data)
        refused(tmp_path / "a.png", *(["too large", "200 megapixels"] if side > 14_142 else ["damaged"]))
    header = b"\x93NUMPY\x01\0v\0" + b"{'descr': '|u1', 'fortran_order': False, 'shape': (100000, 100000), }".ljust(
        117
    )
    (tmp_path / "a.npy").write_bytes(header + b"\n")
    refused(tmp_path / "a.npy", "too large")
    tifffile.imwrite(tmp_path / "a.tif", pixels(7, 9))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tiff:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tiff.pages[0].tags[name].overwrite(100_000)
    refused(tmp_path / "a.tif", "too large")


# Channels and folders


def test_to_channels(tmp_path):
    gray = pixels(7, 9, 1)
    path = tmp_path / "a.png"
    assert to_channels(gray, 1, path) is gray
    np.testing.assert_array_equal(to_channels(np.repeat(gray, 3, axis=2), 1, path), gray)
    for image, channels in ((gray, 3), (pixels(7, 9, 3), 1), (pixels(7, 9, 4), 3)):
        with pytest.raises(ImageError, match=rf"a\.png has {image.shape[2]} channel.* but {channels} .*expected"):
            to_channels(image, channels, path)


def test_find_images(tmp_path):
    wanted = ["B.PNG", "a.jpg", "sub/c.Tiff", "sub/deeper/d.npy"]
    for name in [*wanted, "._a.jpg", ".hidden.png", "notes.txt", ".git/e.png", "__MACOSX/f.png", "noend"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)] == wanted
    assert all(suffix == suffix.lower() for suffix in SUFFIXES)
    assert find_images(Path(tmp_path / "nowhere")) == []
