"""The HTTP endpoint: right pictures for many at a time, one line for what is wrong."""

import base64
import gc
import http.client
import io
import struct
import threading
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
from PIL import Image

from tests.processes import eventually
from tests.util.serving.serving import Negative, levels, run_of, serving
from util.errors import UserError
from util.images.convert import png_bytes
from util.serving.queue import Job

SIZES = [(40, 30), (30, 40), (33, 17)]


@pytest.fixture(scope="module")
def server():
    with serving(run_of(Negative()), run_of(Negative(), "other", ("latest", "5")),
                 bytes=20_000, pixels=10_000, upload_s=0.2) as server:  # fmt: skip
        yield server


def post(server, content, path="/translate", **how) -> requests.Response:
    how.setdefault("headers", {"Content-Type": "image/png"})
    return requests.post(server.address + path, data=content, **how)


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_an_image_comes_back_raw_from_a_form_and_as_json(server):
    values = levels((40, 30), 1)
    raw = post(server, png_bytes(values))
    assert raw.headers["content-type"] == "image/png" and "network" in raw.headers["server-timing"]
    assert (pixels(raw.content) == 255 - values).all()
    form = requests.post(f"{server.address}/translate", files={"image": png_bytes(values)},
                         data={"run": "other", "epoch": "5", "format": "webp:100"})  # fmt: skip
    assert Image.open(io.BytesIO(form.content)).format == "WEBP"
    told = post(server, png_bytes(values), "/translate?run=other&view=1",
                headers={"Accept": "application/json"}).json()  # fmt: skip
    assert (told["run"], told["epoch"], told["width"], told["height"]) == (
        "other",
        "latest",
        40,
        30,
    )
    assert base64.b64decode(told["image"]) == raw.content and "view" not in told
    runs = requests.get(f"{server.address}/runs").json()
    assert [(run["name"], run["epochs"]) for run in runs["runs"]] == [
        ("negative", ["latest"]), ("other", ["latest", "5"])]  # fmt: skip
    assert runs["limits"] == {"bytes": 20_000, "pixels": 10_000}


def test_deep_images_keep_their_values_and_come_with_what_browsers_show(server):
    values = (levels((20, 20), 2).astype(np.uint16) * 257) // 16
    content = io.BytesIO()
    np.save(content, values)
    answer = post(server, content.getvalue(), "/translate?view=1",
                  headers={"Accept": "application/json"}).json()  # fmt: skip
    made = np.load(io.BytesIO(base64.b64decode(answer["image"])))
    assert made.dtype == np.uint16 and abs(made.astype(int) + values - 65535).max() <= 1
    assert pixels(base64.b64decode(answer["source_view"])).dtype == np.uint8
    assert pixels(base64.b64decode(answer["view"])).shape == (20, 20, 3)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


PNG = png_bytes(levels((16, 16), 3))
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "told"),
    [
        ("", b"", {}, 400, "no image in the request"),
        ("", b"no image", {}, 400, "no known format"),
        ("", b"<html><body>", {}, 400, "HTML page"),
        ("", PNG[:60], {}, 400, "cannot be read as an image"),
        ("", PNG[:-30], {}, 400, "cannot be read as an image"),
        ("", png_bytes(levels((2, 2), 1)), {}, 400, "too small"),
        ("", png_bytes(np.zeros((200, 200, 3), np.uint8)), {}, 413, "200x200 px"),
        ("", bomb(60_000, 60_000), {}, 413, "px"),
        ("", bomb(5_000, 5_000), {}, 413, "0.01 million pixels"),
        ("", bytes(30_000), {}, 413, "0.02 MB"),
        ("", PNG, {"Content-Type": "application/x-www-form-urlencoded"}, 415, "-F image=@"),
        ("", b"{}", {"Content-Type": "application/json"}, 415, "accepted: image/"),
        ("", PNG, {"Content-Type": "multipart/form-data"}, 400, "boundary"),
        ("", b"--y\r\n", FORM, 400, "cannot be read"),
        ("", PART + PNG, FORM, 400, "in the midst of a part"),
        ("", b"--x--\r\n", FORM, 400, "no file in it"),
        ("", PART + PNG + b"\r\n" + PART + PNG + b"\r\n--x--\r\n", FORM, 400, "several files"),
        ("", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + bytes(2000), FORM, 400,
         "more than 1000 bytes"),
        ("?run=negativ", PNG, {}, 404, "did you mean negative?"),
        ("?epoch=7", PNG, {}, 404, "accepted: latest"),
        ("?direction=BtoA", PNG, {}, 404, "accepted: AtoB"),
        ("?rnu=x", PNG, {}, 400, "parameter rnu"),
        ("?format=gif", PNG, {}, 400, "accepted: png"),
        ("?format=jpg:0", PNG, {}, 400, "quality from 1 to 100"),
        ("", PNG, {"Host": "evil.example"}, 403, "--allow_hosts"),
        ("", PNG, {"Origin": "http://evil.example"}, 403, "pages of others"),
        ("", PNG, {"Origin": "null"}, 403, "pages of others"),
        ("/../x", PNG, {}, 404, "accepted: GET /"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("json_wanted", [False, True])
def test_bad_requests_are_one_line(
    server, capfd, path, content, headers, status, told, json_wanted
):
    headers = {"Content-Type": "image/png"} | headers
    headers |= {"Accept": "application/json"} if json_wanted else {}
    answer = post(server, content, f"/translate{path}", headers=headers)
    text = answer.text
    if json_wanted and status != 403:
        text = answer.json()["error"] + "\n"
    assert answer.status_code == status, text
    assert told in text and text.count("\n") == 1 and "Traceback" not in text
    assert "access-control-allow-origin" not in answer.headers
    assert capfd.readouterr().err == ""


def test_a_client_that_stops_in_the_midst_and_one_without_end_are_told(server):
    client = http.client.HTTPConnection(*server.listener.getsockname())
    client.putrequest("POST", "/translate")
    client.putheader("Content-Length", "500")
    client.endheaders(b"the first bytes")
    answer = client.getresponse()  # after the patience of the server
    assert answer.status == 408 and b"did not arrive within 0.2 s" in answer.read()
    client.close()
    assert post(server, iter([b"x" * 8000] * 10)).status_code == 413


def test_fifty_clients_get_their_own_pictures_and_leave_nothing():
    network, barrier = Negative(), threading.Barrier(50)
    files = [(values, png_bytes(values)) for values in
             (levels(SIZES[number % 3], number) for number in range(50))]  # fmt: skip

    def ask(file: tuple[np.ndarray, bytes]) -> bool:
        client = http.client.HTTPConnection(*server.listener.getsockname())
        barrier.wait()
        client.request("POST", "/translate", file[1], {"Content-Type": "image/png"})
        answer = client.getresponse()
        made = answer.read()
        client.close()
        return answer.status == 200 and (pixels(made) == 255 - file[0]).all()

    def held() -> int:
        """Bytes, once the last answers are let go of."""
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    with serving(run_of(network)) as server, ThreadPoolExecutor(50) as clients:
        assert all(clients.map(ask, files))
        eventually(lambda: not server.server.server_state.tasks)
        tracemalloc.start()
        try:
            before = held()
            for _ in range(2):
                assert all(clients.map(ask, files))
            # The images of a round have 160,000 bytes, and four times that as floats.
            assert eventually(lambda: held() - before < 100_000)
        finally:
            tracemalloc.stop()
        assert not [each for each in gc.get_objects() if type(each) is Job]
    assert sum(network.batches) >= 150 and 1 < max(network.batches) <= 4, "of one size together"
    assert server.service.answered == 150 and server.service.inside == 0


def test_images_that_would_change_each_other_go_alone():
    network = Negative(couples=True)
    with serving(run_of(network)) as server, ThreadPoolExecutor(8) as clients:
        files = [png_bytes(levels((20, 20), seed)) for seed in range(8)]
        alone = [post(server, file).content for file in files]
        network.batches.clear()
        together = [answer.content for answer in clients.map(lambda f: post(server, f), files)]
    assert together == alone
    assert sum(size for size in network.batches if size > 1) <= 2, "but for the trial"


class Held(Negative):
    """A network that computes when it may."""

    def __init__(self) -> None:
        self.may, self.at_work = threading.Event(), threading.Event()
        super().__init__(self._wait)

    def _wait(self) -> None:
        self.at_work.set()
        self.may.wait()


def test_a_full_queue_says_when_to_try_again_and_a_turn_that_does_not_come_is_told():
    network = Held()
    with serving(run_of(network), queue=2, wait_s=0.3) as server, ThreadPoolExecutor(1) as client:
        first = client.submit(post, server, PNG)
        network.at_work.wait()
        late = post(server, PNG)
        assert late.status_code == 504 and "--wait_s" in late.text
        second = threading.Thread(target=post, args=(server, PNG))
        server.service.limits = server.service.limits.__class__(queue=2)
        second.start()
        assert eventually(lambda: server.service.inside == 2)
        full = post(server, PNG)
        assert full.status_code == 503 and int(full.headers["retry-after"]) >= 1
        network.may.set()
        assert first.result().status_code == 200
        second.join()


def test_what_nobody_waits_for_is_not_computed():
    network = Held()
    with serving(run_of(network)) as server, ThreadPoolExecutor(1) as client:
        first = client.submit(post, server, PNG)
        network.at_work.wait()
        gone = http.client.HTTPConnection(*server.listener.getsockname())
        gone.request("POST", "/translate", PNG, {"Content-Type": "image/png"})
        assert eventually(lambda: server.service.inside == 2)
        gone.close()
        assert eventually(lambda: server.service.inside == 1)
        network.may.set()
        assert first.result().status_code == 200
    assert network.batches == [1]


def test_faults_of_a_network_are_told_and_the_next_image_is_served(capfd):
    faults = [RuntimeError("a mistake of ours"), MemoryError(), UserError("epoch 3: not finite")]

    def fail() -> None:
        if faults:
            raise faults.pop(0)

    with serving(run_of(Negative(fail))) as server:
        answers = [post(server, PNG) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [500, 413, 500, 200]
    assert "a mistake of ours" in capfd.readouterr().err
    assert "a mistake" not in answers[0].text and answers[0].text.count("\n") == 1
    assert "out of memory" in answers[1].text and "epoch 3" in answers[2].text


def test_the_last_used_networks_stay_and_new_weights_are_loaded():
    loaded, stamps = [], {"a": 1, "b": 1, "c": 1}

    def run(name: str):
        def load(epoch: str, direction: str) -> Negative:
            loaded.append(name)
            return Negative()

        plain = run_of(None, name)
        return plain.__class__(name, plain.facts, plain.directions, plain.epochs,
                               lambda epoch: stamps[name], load)  # fmt: skip

    with serving(run("a"), run("b"), run("c"), models=2) as server:
        assert loaded == ["c", "b", "a"], "each is tried at the start"
        for name in "abacab":
            assert post(server, PNG, f"/translate?run={name}").status_code == 200
        assert loaded == ["c", "b", "a", "c", "b"]
        stamps["b"] = 2
        post(server, PNG, "/translate?run=b")
        assert loaded[5:] == ["b"]


def test_other_names_are_served_if_they_are_allowed():
    with serving(run_of(Negative()), hosts=("Studio.local",)) as server:
        for host, status in (
            ("studio.local:80", 200),
            ("localhost", 200),
            ("other", 403),
            ("", 403),
        ):
            answer = requests.get(f"{server.address}/runs", headers={"Host": host})
            assert answer.status_code == status, host
        safe = requests.get(server.address).headers
    assert safe["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in safe["content-security-policy"]
