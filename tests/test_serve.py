"""``bioclass serve``: answers as `bioclass predict` has them, refusals in a sentence, and work under load."""

from __future__ import annotations

import base64
import csv
import io
import json
import socket
import struct
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import fit, fit_folds, pictures, run_cli, write_folder, write_recipe
from PIL import Image

from bioclass.backend import mx
from bioclass.serve.app import app
from bioclass.serve.limits import Limits
from bioclass.serve.models import load_models, open_sources
from bioclass.serve.service import Service
from bioclass.serve.worker import Worker
from bioclass.shelf import Shelf

with warnings.catch_warnings():
    # Of httpx, which newer versions of Starlette would see replaced; both do here.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

BASE = "http://127.0.0.1:8000"
FORM = "multipart/form-data; boundary=B"
PART = b'--B\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
LENET = 'name = "lenet"\nfc1 = 16'


def png(image: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A PNG that says it is very large, in few bytes."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(3 * side + 1) * 64, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def npy(kind: str, shape: tuple[int, ...]) -> bytes:
    """The header of a numpy file, without the values that it promises."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(117).encode() + b"\n"


def served(
    *paths: Path, limits: Limits | None = None, host: str = "127.0.0.1", root: Path | None = None
) -> tuple[TestClient, Service]:
    worker = Worker()
    models = load_models(open_sources(paths), mx.cpu(), Shelf.of(()), root, worker)
    service = Service(models, worker, limits or Limits())
    return TestClient(app(service, host), base_url=BASE), service


def with_limits(service: Service, **limits: Any) -> TestClient:
    """The same models, with other limits."""
    other = Service(list(service.models.values()), service._worker, Limits(**limits))
    return TestClient(app(other), base_url=BASE)


def image_form(*images: tuple[str, bytes], field: str = "image") -> list[tuple[str, tuple[str, bytes]]]:
    return [(field, image) for image in images]


def settled(client: TestClient) -> dict[str, Any]:
    """What is told of the first model once its training images are read, or cannot be."""
    until = time.monotonic() + 60
    while (model := client.get("/api/models").json()["models"][0])["nearest"]["state"] != "missing":
        if model["nearest"]["state"] == "ready" and model["nearest"]["complete"]:
            break
        assert time.monotonic() < until
        time.sleep(0.02)
    return model


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two runs on gray images of 28 x 28, one with answers and decisions, and the images; never change them."""
    home = tmp_path_factory.mktemp("serve")
    data = write_folder(home / "pics", pictures(each=30, shape=(28, 28)))
    recipe = write_recipe(home / "lenet.toml", "pics", network=LENET, extra="[split]\nvalidation = 0.3")
    a = fit(recipe, home / "a")
    b = fit(write_recipe(home / "mlp.toml", "pics"), home / "b", "--seed", 3)
    assert run_cli("evaluate", a, "--calibrate", "--error-rate", 0.2).status == 0
    assert run_cli("decide", a, "--positive", "class1", "--positive", "class2", "--sensitivity", 0.6).status == 0
    return SimpleNamespace(home=home, data=data, a=a, b=b, files=sorted(data.rglob("*.png")))


@pytest.fixture(scope="module")
def both(home: SimpleNamespace) -> Iterator[tuple[TestClient, Service]]:
    client, service = served(home.a, home.b)
    with client:
        yield client, service


@pytest.fixture
def client(both: tuple[TestClient, Service]) -> TestClient:
    return both[0]


def forms(files: list[Path]) -> list[tuple[str, tuple[str, bytes]]]:
    return image_form(*((path.name, path.read_bytes()) for path in files))


# Answers


@pytest.mark.parametrize("count", [1, 7, 90])
def test_answers_are_those_of_predict_to_the_last_digit(
    home: SimpleNamespace, client: TestClient, count: int
) -> None:
    files = home.files[:count]
    for run, options in ((home.a, ["--answers", "--decide"]), (home.b, [])):
        told = json.loads(run_cli("predict", run, *files, *options, "--json").out)["images"]
        answered = client.post("/api/predict", params={"model": run.name}, files=forms(files)).json()["images"]
        assert len(answered) == count
        for path, row, image in zip(files, told, answered, strict=True):
            [answer] = image["answers"]
            assert image["name"] == path.name and answer.pop("model") == run.name
            probabilities = answer.pop("probabilities")
            answer.pop("training_image"), answer.pop("training_id", None)
            assert {**answer, **{f"p_{name}": p for name, p in probabilities.items()}, "path": str(path)} == row


def test_a_table_is_that_of_predict(home: SimpleNamespace, client: TestClient, tmp_path: Path) -> None:
    for run, options in ((home.a, ["--answers", "--decide"]), (home.b, [])):
        assert run_cli("predict", run, home.data, *options, "--out", tmp_path / "t.csv").status == 0
        expected = (tmp_path / "t.csv").read_text().replace(f"{home.data}/", "")
        names = [(path.relative_to(home.data).as_posix(), path.read_bytes()) for path in home.files]
        response = client.post("/api/batch", params={"model": run.name}, files=image_form(*names))
        assert response.headers["content-type"].startswith("text/csv")
        assert response.headers["bioclass-failed"] == "0"
        assert response.text == expected


def test_the_mean_is_that_of_the_networks_own_probabilities(home: SimpleNamespace, client: TestClient) -> None:
    file = home.files[40]
    rows = [json.loads(run_cli("predict", run, file, "--json").out)["images"][0] for run in (home.a, home.b)]
    [image] = client.post("/api/predict", files=forms([file])).json()["images"]
    assert [answer["model"] for answer in image["answers"]] == ["a", "b"]
    expected = {name: np.mean([row[f"p_{name}"] for row in rows]) for name in ("class0", "class1", "class2")}
    assert image["mean"]["probabilities"] == expected
    assert image["mean"]["class"] == max(expected, key=lambda name: expected[name])


def test_folds_are_one_model(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "pics", pictures(each=12))
    recipe = write_recipe(tmp_path / "r.toml", "pics", extra="[split]\nfolds = 2\nvalidation = 0.3")
    folds = fit_folds(recipe, tmp_path / "folds")
    file = next(data.rglob("*.png"))
    [row] = json.loads(run_cli("predict", folds, file, "--json").out)["images"]
    client, _ = served(folds)
    with client:
        [image] = client.post("/api/predict", files=forms([file])).json()["images"]
        facts = settled(client)
    assert image["answers"][0]["probabilities"] == {key[2:]: p for key, p in row.items() if key.startswith("p_")}
    assert facts["id"] == "folds" and facts["runs"] == 2
    assert any("mean of 2 folds" in note for note in facts["notes"])


def test_pictures_and_training_images_come_where_they_are_asked_for(
    home: SimpleNamespace, client: TestClient
) -> None:
    facts = settled(client)
    assert facts["nearest"]["state"] == "ready" and facts["nearest"]["done"] == facts["nearest"]["training"] > 30
    split = list(csv.DictReader(io.StringIO((home.a / "split.csv").read_text())))
    trained = next(row["id"] for row in split if row["part"] == "train")
    form = forms([home.data / trained])
    asked = {"model": "a", "overlay": "yes", "nearest": "yes"}
    [image] = client.post("/api/predict", params=asked, files=form).json()["images"]
    [answer] = image["answers"]
    assert answer["overlay"]["method"] == "Grad-CAM"
    assert all(answer["overlay"][key].startswith("data:image/png;base64,") for key in ("seen", "overlay"))
    # The image itself was trained on, and nothing is more like it.
    nearest = answer["nearest"]["images"]
    assert nearest[0]["id"] == trained and nearest[0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert len(nearest) == 6 and {each["class"] for each in nearest} <= {"class0", "class1", "class2"}
    parts = {row["id"]: row["part"] for row in split}
    assert {parts[each["id"]] for each in nearest} == {"train"}
    [image] = client.post("/api/predict", params={"model": "b", "overlay": "yes"}, files=form).json()["images"]
    assert image["answers"][0]["overlay"]["method"] == "occlusion"
    [image] = client.post("/api/predict", files=form).json()["images"]
    assert not {"overlay", "nearest"} & image["answers"][0].keys()


def test_models_are_described(home: SimpleNamespace, client: TestClient) -> None:
    document = client.get("/api/models").json()
    a, b = document["models"]
    assert a["accuracy"]["on"] == "18 test images" and a["not_evaluated"] is None
    assert b["accuracy"] is None and b["not_evaluated"]["command"] == f"bioclass evaluate {home.b}"
    assert b["temperature"] is None and a["temperature"] > 0
    assert a["error_rate"] == 0.2 and a["positive"]["positive"] == ["class1", "class2"]
    assert a["drawing"] and a["images"] == {
        "height": 28,
        "width": 28,
        "channels": 1,
        "type": "uint8",
        "resize": None,
    }
    assert any("medical device" in note for note in b["notes"])
    assert document["limits"]["files"] == Limits().files


def test_synthetic_training_is_told(tmp_path: Path) -> None:
    write_folder(tmp_path / "pics", pictures())
    card = 'name = "made"\ntitle = "Made"\nsynthetic = true\nclasses = ["class0", "class1", "class2"]\n'
    (tmp_path / "made.toml").write_text(card + '[format]\nname = "folder"\n')
    run = fit(write_recipe(tmp_path / "r.toml", "made.toml"), tmp_path / "run", "--root", tmp_path / "pics")
    client, _ = served(run)
    with client:
        assert any("synthetic" in note for note in settled(client)["notes"])
        assert "trained on synthetic images" in client.get("/").text


def test_without_the_training_images_everything_else_is_there(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "pics", pictures())
    run = fit(write_recipe(tmp_path / "r.toml", "pics"), tmp_path / "run")
    one = next(data.rglob("*.png")).read_bytes()
    data.rename(tmp_path / "away")
    client, _ = served(run)
    with client:
        facts = settled(client)
        form = image_form(("x.png", one))
        [image] = client.post("/api/predict", params={"nearest": "yes"}, files=form).json()["images"]
    assert facts["nearest"]["state"] == "missing" and facts["nearest"]["note"]
    assert image["answers"][0]["class"].startswith("class")
    assert image["answers"][0]["nearest"]["images"] == []


def test_a_drawing_is_scaled_and_centred_as_those_of_mnist(client: TestClient) -> None:
    drawing = np.zeros((280, 280, 3), np.uint8)
    drawing[10:110, 200:230] = 255  # A one, far from the middle.
    asked = {"model": "a", "overlay": "yes"}
    form = image_form(("d.png", png(drawing)), field="drawing")
    [image] = client.post("/api/predict", params=asked, files=form).json()["images"]
    address = image["answers"][0]["overlay"]["seen"].partition(",")[2]
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(address))))[..., 0]
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert seen.shape == (28, 28) and np.ptp(rows) + 1 == 20 and np.ptp(columns) + 1 == 6
    mass = seen / seen.sum()
    # MNIST's files have the centre of mass at pixel 14, from 0, to half a pixel.
    assert abs(mass.sum(axis=1) @ np.arange(28) - 14) <= 0.5 and abs(mass.sum(axis=0) @ np.arange(28) - 14) <= 0.5
    empty = client.post("/api/predict", files=image_form(("d.png", png(drawing * 0)), field="drawing"))
    assert empty.status_code == 422 and "empty" in empty.json()["error"]


def test_a_drawing_is_refused_by_models_of_other_images(tiny: SimpleNamespace) -> None:
    client, _ = served(tiny.run)
    with client:
        response = client.post(
            "/api/predict", files=image_form(("d.png", png(np.eye(28, dtype=np.uint8) * 255)), field="drawing")
        )
        assert 'id="canvas"' not in client.get("/").text
    assert response.status_code == 422 and "28 x 28" in response.json()["error"]


# Hostile input


def test_what_is_no_image_is_refused_and_does_not_stop_the_others(
    home: SimpleNamespace, client: TestClient
) -> None:
    good = home.files[0].read_bytes()
    hostile = {
        "text.png": b"hello",
        "empty.png": b"",
        "cut.png": good[: len(good) // 2],
        "bomb.png": bomb(60_000),
        "large.png": bomb(6_000),
        "colour.png": png(np.random.default_rng(0).integers(0, 255, (28, 28, 3), np.uint8)),
        "other.png": png(np.zeros((5, 5), np.uint8)),
        "page.html": b"<script>alert(1)</script>",
        "code.npy": b"\x93NUMPY\x01\x00\x76\x00{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }"
        + b" " * 60,
        "bomb.npy": npy("|u1", (90_000, 90_000)),
    }
    for name, data in hostile.items():
        response = client.post("/api/predict", files=image_form((name, data)))
        assert response.status_code == 422, name
        sentence = response.json()["error"]
        assert sentence.startswith(name) and sentence.endswith(".") and "bioclass-" not in sentence
    everything = image_form(*hostile.items(), ("good.png", good))
    response = client.post("/api/predict", files=everything)
    assert response.status_code == 200
    assert [
        name for name in (image["name"] for image in response.json()["images"] if "class" in image["answers"][0])
    ] == ["good.png"]
    response = client.post(
        "/api/batch", params={"model": "b"}, files=everything, headers={"Accept": "application/json"}
    )
    found = response.json()
    assert [row["path"] for row in csv.DictReader(io.StringIO(found["csv"]))] == ["good.png"]
    assert {each["path"] for each in found["failed"]} == hostile.keys()
    assert client.post("/api/batch", params={"model": "b"}, files=image_form(("x", b"x"))).status_code == 422


def test_images_above_the_limit_are_refused_before_they_are_decoded(client: TestClient) -> None:
    started = time.monotonic()
    response = client.post("/api/predict", files=image_form(("bomb.png", bomb(60_000))))
    assert response.status_code == 422 and "25 megapixels" in response.json()["error"]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "name",
    [
        "../../x.png",
        "/etc/passwd",
        "..\\..\\x.png",
        "C:\\x.png",
        "a\0b.png",
        "n" * 5000,
        "ψ\u202egnp.exe",
        "\n\r",
        "CON",
        "-rf",
        "%2e%2e%2f",
    ],
)
def test_names_are_labels_and_never_paths(
    home: SimpleNamespace, client: TestClient, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    body = (
        b'--B\r\nContent-Disposition: form-data; name="image"; filename="'
        + name.encode().replace(b"\r", b"").replace(b"\n", b"%0A")
        + b'"\r\n\r\n'
        + home.files[0].read_bytes()
        + b"\r\n--B--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    before = sorted(path for path in home.home.rglob("*") if path.is_file())
    response = client.post("/api/predict", content=body, headers=headers)
    # Nothing is left, neither in the temporary folder nor elsewhere.
    assert list(tmp_path.rglob("*")) == []
    assert sorted(path for path in home.home.rglob("*") if path.is_file()) == before
    if response.status_code == 200:
        shown = response.json()["images"][0]["name"]
        assert len(shown) <= 255 and shown.isprintable()
    else:
        assert response.status_code in (400, 413) and response.json()["error"]


def test_too_much_is_refused_while_it_arrives(home: SimpleNamespace, both: tuple[TestClient, Service]) -> None:
    good = home.files[0].read_bytes()
    client = with_limits(both[1], file_bytes=4000, files=3, total_bytes=9000)
    large = client.post("/api/predict", files=image_form(("big.png", bytes(5000))))
    assert large.status_code == 413 and "big.png is larger than 4000 bytes" in large.json()["error"]
    many = client.post("/api/predict", files=image_form(*[(f"{i}.png", good[:100]) for i in range(4)]))
    assert many.status_code == 413 and "3 files" in many.json()["error"]
    declared = client.post("/api/predict", files=image_form(*[(f"{i}", bytes(3500)) for i in range(3)]))
    assert declared.status_code == 413 and "9000 bytes in all" in declared.json()["error"]

    def endless() -> Iterator[bytes]:
        yield PART
        for _ in range(100):
            yield bytes(1000)

    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    # Without a length beforehand.
    assert client.post("/api/predict", content=endless(), headers=headers).status_code == 413
    client = with_limits(both[1], held_bytes=2000)
    full = client.post("/api/predict", files=image_form(("x.png", bytes(3000))))
    assert full.status_code == 503 and int(full.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"image": [', 415),
        ("application/json", b"[" * 100_000, 415),
        ("image/png", b"\x89PNG", 415),
        ("", b"x", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=", b"x", 400),
        (f"multipart/form-data; boundary={'b' * 5000}", b"x", 400),
        (FORM, b"", 400),
        (FORM, b"garbage" * 100, 400),
        (FORM, b"--B--\r\n", 400),
        (
            "multipart/form-data; boundary=B",
            b'--B\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\nabc',
            400,
        ),
        (
            "multipart/form-data; boundary=B",
            b'--B\r\nContent-Disposition: form-data; name="other"\r\n\r\nabc\r\n--B--\r\n',
            400,
        ),
        (FORM, b"--B\r\n\r\nabc\r\n--B--\r\n", 400),
        (FORM, b"--B\r\nX: " + b"y" * 20_000 + b"\r\n\r\nabc\r\n--B--\r\n", 400),
    ],
)
def test_bodies_that_are_no_form_of_files_are_refused(
    client: TestClient, content_type: str, body: bytes, status: int
) -> None:
    for address in ("/api/predict", "/api/batch?model=a"):
        response = client.post(address, content=body, headers={"Content-Type": content_type})
        assert response.status_code == status, response.text
        assert response.json()["error"].endswith(".")


def test_what_cannot_be_asked_for_is_refused(home: SimpleNamespace, client: TestClient) -> None:
    form = forms(home.files[:1])
    for address, status, words in (
        ("/api/predict?model=c", 404, "a, b"),
        ("/api/predict?modle=a", 400, "did you mean 'model'"),
        ("/api/predict?overlay=maybe", 400, "yes or no"),
        ("/api/batch", 400, "one model"),
        ("/api/nothing", 404, "/api/nothing"),
        ("/healthz", 405, "POST"),
    ):
        response = client.post(address, files=form)
        assert response.status_code == status and words in response.json()["error"], response.text
    assert client.get("/api/predict").status_code == 405


# Who may ask


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:8000", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("[::1]:8000", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8000", False),
        ("192.168.0.7", False),
        ("127.0.0.1:x", False),
        ("a@127.0.0.1", False),
        ("127.0.0.1/x", False),
        ("", False),
    ],
)
def test_only_names_of_this_machine_are_answered(client: TestClient, host: str, allowed: bool) -> None:
    response = client.get("/api/models", headers={"Host": host})
    assert response.status_code == (200 if allowed else 421)
    if not allowed:
        assert response.json()["error"]


def test_an_open_host_is_asked_by_address_or_its_own_name(both: tuple[TestClient, Service]) -> None:
    client = TestClient(app(both[1], "0.0.0.0"), base_url=BASE)
    for host, status in (
        ("192.168.0.7:8000", 200),
        ("[fe80::1]", 200),
        (socket.gethostname(), 200),
        ("localhost", 200),
        ("evil.example", 421),
    ):
        assert client.get("/healthz", headers={"Host": host}).status_code == status, host


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Origin": "https://127.0.0.1:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_may_not_ask(
    home: SimpleNamespace, client: TestClient, headers: dict[str, str]
) -> None:
    response = client.post("/api/predict", files=forms(home.files[:1]), headers=headers)
    assert response.status_code == 403 and "other sites" in response.json()["error"]
    own = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/predict", files=forms(home.files[:1]), headers=own).status_code == 200


def test_answers_cannot_be_framed_read_by_others_or_taken_for_something_else(client: TestClient) -> None:
    for address in ("/", "/api/models", "/healthz", "/nothing"):
        response = client.get(address, headers={"Origin": "http://evil.example"})
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        assert not [name for name in response.headers if name.startswith("access-control-")]
    policy = client.get("/").headers["content-security-policy"]
    scripts = policy.split("script-src")[1].split(";")[0]
    assert "default-src 'none'" in policy and "'sha256-" in scripts and "unsafe" not in scripts


# Load


def test_it_answers_while_it_computes_and_turns_away_what_is_too_much(
    home: SimpleNamespace, both: tuple[TestClient, Service]
) -> None:
    service = both[1]
    going, wait = threading.Event(), threading.Event()

    def long() -> None:
        going.set()
        wait.wait(30)

    client = with_limits(service, waiting=2)
    with ThreadPoolExecutor(8) as pool:
        service._worker.submit(long)
        assert going.wait(10)
        form = forms(home.files[:1])
        asked = [pool.submit(client.post, "/api/predict", files=form) for _ in range(6)]
        until = time.monotonic() + 10
        while sum(each.done() for each in asked) < 4 and time.monotonic() < until:
            time.sleep(0.01)
        # While MXNet is busy, and requests wait for it, others are told so at once.
        assert client.get("/healthz").json()["waiting"] == 2
        wait.set()
        answers = [each.result() for each in asked]
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503, 503, 503]
    assert all(a.headers["retry-after"] == "1" and a.json()["error"] for a in answers if a.status_code == 503)
    assert client.post("/api/predict", files=form).status_code == 200
    assert client.get("/healthz").json()["waiting"] == 0


def test_an_answer_that_takes_too_long_is_given_up(home: SimpleNamespace, both: tuple[TestClient, Service]) -> None:
    wait = threading.Event()
    both[1]._worker.submit(lambda: wait.wait(30))
    client = with_limits(both[1], answer_seconds=0.2)
    response = client.post("/api/predict", files=forms(home.files[:1]))
    wait.set()
    assert response.status_code == 503 and "0.2 seconds" in response.json()["error"]
    assert client.get("/healthz").json()["waiting"] == 0


def test_a_mistake_of_ours_is_a_sentence_too(home: SimpleNamespace, both: tuple[TestClient, Service]) -> None:
    client = with_limits(both[1], waiting=2)
    client = TestClient(client.app, base_url=BASE, raise_server_exceptions=False)
    model = both[1].models["a"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "jobs", lambda images, files: 1 / 0)
        response = client.post("/api/predict", files=forms(home.files[:1]))
    assert response.status_code == 500 and "Traceback" not in response.text and response.json()["error"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert client.post("/api/predict", files=forms(home.files[:1])).status_code == 200
