"""Downloads, from a server on this machine that behaves in every bad way there is."""

import hashlib
import io
import json
import os
import pickle
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from options import test_options, train_options
from tests.helpers import ROOT, closed_port, environment
from tests.processes import eventually
from tests.util.downloads.file_server import FileServer
from util.downloads import download, get_data, published, records, unpack, web
from util.downloads.get_data import GetData, main
from util.downloads.web import Patience
from util.errors import UserError

QUICK = Patience(tries=3, pause_s=0.01)
IMPATIENT = ["--timeout", "1"]  # with a server that falls silent; long for one that answers
FILES = {f"{f}/{i}.jpg": os.urandom(9000) for f in ("trainA", "trainB", "testA") for i in range(5)}
NEXT = "python train.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan"


def zipped(files: dict[str, bytes], top: str = "maps/") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return buffer.getvalue()


def tarred(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for info, content in entries:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def weights() -> bytes:
    buffer = io.BytesIO()
    torch.save({"model.1.weight": torch.ones(2, 3)}, buffer)
    return buffer.getvalue()


class Hostile:
    def __reduce__(self):
        return os.system, ("touch owned",)


ARCHIVE = zipped(FILES)
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
URL = "/cyclegan/datasets/maps.zip"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A slip ends at a closed port, not at the authors' server; no proxy takes part."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(get_data, "PATIENCE", QUICK)
    with closed_port() as port:
        monkeypatch.setattr(published, "HOST", f"127.0.0.1:{port}")
        yield


@pytest.fixture
def server():
    server = FileServer()
    server.files = {
        URL: ARCHIVE,
        "/pix2pix/datasets/facades.tar.gz": tarred((tarfile.TarInfo("facades/train/1.jpg"), b"f")),
        "/pix2pix/datasets/maps.tar.gz": tarred((tarfile.TarInfo("maps/train/1.jpg"), b"m")),
        "/cyclegan/pretrained_models/horse2zebra.pth": weights(),
        "/pix2pix/models-pytorch/sat2map.pth": weights(),
    }
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A key and its certificate for 127.0.0.1, in one file."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        check=True, capture_output=True, cwd=path.parent)  # fmt: skip
    pieces = [(path.parent / name).read_bytes() for name in ("key.pem", "cert.pem")]
    path.write_bytes(b"".join(pieces))
    return path


@pytest.fixture
def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = FileServer(context)
    server.files = {URL: ARCHIVE}
    yield server
    server.close()


def contents(folder: str | Path) -> dict[str, bytes]:
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def everything() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*"))


def get(server: FileServer, name: str = "maps", technique: str = "cyclegan", **more) -> str:
    return GetData(technique, mirror=server.url, patience=QUICK, **more).get("datasets", name)


def error_of(capfd, *argv: str, code: int) -> str:
    """The one line with which a command ends."""
    assert main(list(argv)) == code
    lines = [line for line in capfd.readouterr().err.splitlines() if "trying again" not in line]
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


def test_a_data_set_comes_whole_with_what_to_type_next(server, capfd):
    assert main(["cyclegan", "maps", "--mirror", server.url]) == 0
    assert contents("datasets/maps") == FILES
    assert sorted(os.listdir("datasets")) == [".downloads.json", "maps"]
    out = capfd.readouterr().out
    assert SHA256 in out and NEXT in out
    assert main(["cyclegan", "--mirror", server.url, "maps"]) == 0, "in any order"
    out = capfd.readouterr().out
    assert "there already" in out and NEXT in out and len(server.requests) == 1


def test_the_class_returns_where_the_data_set_is(server, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "HOST", server.address)
    getter = GetData("pix2pix", verbose=False, patience=QUICK)
    assert getter.get("D", "facades.tar.gz") == str(tmp_path / "D" / "facades")
    assert contents("D/facades") == {"train/1.jpg": b"f"}
    assert GetData().technique == "cyclegan"


def test_weights_come_as_latest_net_G(server, capfd):
    mirror = ["--mirror", server.url]
    for technique, name in (("cyclegan", "horse2zebra"), ("pix2pix", "sat2map")):
        assert main([technique, name, "--model", *mirror]) == 0
        file = Path("checkpoints") / f"{name}_pretrained" / "latest_net_G.pth"
        assert file.read_bytes() == weights()
        command = capfd.readouterr().out.splitlines()[-1].strip()
        entry, *argv = shlex.split(command)[1:]
        assert (
            entry == "test.py" and test_options.TestOptions().parse(argv).name == file.parent.name
        )
    Path("checkpoints/horse2zebra_pretrained/latest_net_G.pth").unlink()
    assert main(["cyclegan", "horse2zebra", "--model", *mirror]) == 0, "a folder is no file"


def test_every_command_that_is_suggested_parses():
    for technique, flags in published.MODEL_FLAGS.items():
        for name in flags:
            command = published.command_to_test(technique, name, Path("X/N_pretrained"))
            assert test_options.TestOptions().parse(shlex.split(command)[2:])
    for technique, name, folder, model in (("cyclegan", "a", "trainA", "cycle_gan"),
                                           ("pix2pix", "facades", "train", "pix2pix"),
                                           ("cyclegan", "mini_colorization", "train",
                                            "colorization")):  # fmt: skip
        assert published.command_to_train(technique, name, Path(name)) == ""
        (Path(name) / folder).mkdir(parents=True)
        argv = shlex.split(published.command_to_train(technique, name, Path(name)))[2:]
        opt = train_options.TrainOptions().parse(argv)
        assert (opt.model, opt.dataroot) == (model, f"./{name}")
        assert opt.direction == ("BtoA" if name == "facades" else "AtoB")


def test_the_same_name_of_the_other_technique_is_not_taken_for_it(server, capfd):
    get(server)
    line = error_of(capfd, "pix2pix", "maps", "--mirror", server.url, code=2)
    assert "holds cyclegan/datasets/maps.zip" in line and "--out" in line
    assert main(["pix2pix", "maps", "--mirror", server.url, "--out", "other"]) == 0
    assert contents("other/maps") == {"train/1.jpg": b"m"}


ODD_NAMES = ["x --post-file=/etc/passwd", "../../x", "$(id)", "`id`", "maps;id", "a/b", ".", "..",
             "", "maps\nerror: x", "-", "x" * 500, "\u0000maps", "maps\u202ezip"]  # fmt: skip


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_refused(server, capfd, name, mirrored):
    argv = ["cyclegan", name, *(["--mirror", server.url] if mirrored else [])]
    assert "accepted: apple2orange" in error_of(capfd, *argv, code=2)
    assert not server.requests and everything() == []


@pytest.mark.parametrize(("argv", "says"), [
    ("cyclegan mapss", "did you mean maps?"),
    ("cyclegan edges2shoes", "did you mean pix2pix edges2shoes?"),
    ("cyclegan style_monet", "did you mean cyclegan style_monet --model?"),
    ("cyclegan cityscapes", "cityscapes-dataset.com"),
    ("pix2pix cityscapes", "prepare_cityscapes_dataset.py"),
    ("cyclegan --post-file=/etc/passwd", "unrecognized arguments: --post-file=/etc/passwd"),
    ("dcgan maps", "invalid choice: 'dcgan'"),
    ("cyclegan maps --sha256 abc", "64 digits"),
    ("cyclegan maps --tries 0", "above 0"),
    ("cyclegan maps --timeout nan", "above 0"),
    ("cyclegan maps --mirror ftp://x/", "accepted: http://"),
    ("cyclegan maps --mirror http://[", "accepted: http://"),
    ("cyclegan maps --mirror no/such", "no no/such there"),
    ("cyclegan --list --mirror http://x/maps.zip", "is one file"),
])  # fmt: skip
def test_wrong_commands_end_in_one_line(capfd, argv, says):
    assert says in error_of(capfd, *argv.split(), code=2)
    assert everything() == []


@pytest.mark.parametrize(("faults", "ranges"), [
    ([], [False]),
    ([503], [False, False]),
    ([429], [False, False]),
    (["drop", 500], [False, False, False]),
    (["cut"], [False, True]),
    (["cut", "cut"], [False, True, True]),
    (["cut", 503], [False, True, True]),
    (["stall"], [False, True]),
    (["slow"], [False]),
    (["chunked"], [False]),
    (["short_chunked"], [False, True]),
    (["cut", "no_range"], [False, True]),
    (["cut", "wrong_range"], [False, True, False]),
    ([("to", URL)], [False, False]),
    ([("to", URL), "cut"], [False, False, True]),
    ([("to", URL, "stall")], [False, False]),
])  # fmt: skip
def test_a_file_comes_whole_from_a_bad_server(server, tmp_path, faults, ranges):
    server.faults = list(faults)
    silent = any(isinstance(fault, (str, tuple)) and "stall" in fault for fault in faults)
    patience = replace(QUICK, timeout_s=1.0) if silent else QUICK
    fetched = download.fetch(server.url + URL, tmp_path / "f.zip", patience)
    assert (tmp_path / "f.zip").read_bytes() == ARCHIVE
    assert fetched == (server.url + URL, SHA256, len(ARCHIVE))
    assert [bool(wanted) for _, wanted in server.requests] == ranges
    assert os.listdir(tmp_path) == ["f.zip"]


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    server.faults = ["cut"]
    download.fetch(server.url + URL, tmp_path / "f.zip", QUICK)
    assert server.requests[1][1] == f"bytes={len(ARCHIVE) // 2}-"


def test_a_part_without_a_sure_mark_is_fetched_anew(server, tmp_path):
    (tmp_path / "f.zip.part").write_bytes(b"of what?")
    download.fetch(server.url + URL, tmp_path / "f.zip", QUICK)
    server.faults = ["cut_weak_etag"]
    download.fetch(server.url + URL, tmp_path / "g.zip", QUICK)
    assert [wanted for _, wanted in server.requests] == [None] * 3
    assert (tmp_path / "f.zip").read_bytes() == (tmp_path / "g.zip").read_bytes() == ARCHIVE


@pytest.mark.parametrize(
    ("ignores_if_range", "tags_ranges", "longer"),
    [(False, True, False), (True, True, False), (True, False, True)],
)
def test_a_file_that_changed_in_between_is_fetched_anew(
    server, tmp_path, ignores_if_range, tags_ranges, longer
):
    new = zipped(FILES | {"new.jpg": b"n"}) if longer else zipped(dict(reversed(FILES.items())))
    assert longer or len(new) == len(ARCHIVE)
    server.faults = ["cut"]
    with pytest.raises(UserError, match="broke off; .* are kept: the same command goes on"):
        download.fetch(server.url + URL, tmp_path / "f.zip", Patience(tries=1))
    server.files[URL] = new
    server.ignores_if_range, server.tags_ranges = ignores_if_range, tags_ranges
    assert download.fetch(server.url + URL, tmp_path / "f.zip", QUICK).size == len(new)
    assert (tmp_path / "f.zip").read_bytes() == new


@pytest.mark.parametrize(("faults", "requests", "says"), [
    ([503] * 9, 3, "answers 503 (Service Unavailable)"),
    (["drop"] * 9, 3, "cannot be reached"),
    ([404], 1, "answers 404 (Not Found); --list shows"),
    ([403], 1, "answers 403"),
    (["html"], 1, "sends a web page, not a file"),
    (["html_unsaid"], 1, "sends a web page, not a file"),
    (["empty"], 1, "sends nothing, not a file"),
    ([("to", URL)] * 9, 6, "more than 5 redirects"),
    ([("to", "file:///etc/passwd")], 1, "redirects to 'file:///etc/passwd': refused"),
    ([("to", "ftp://127.0.0.1/x")], 1, "refused"),
    ([("to", "http://[")], 1, "refused"),
])  # fmt: skip
def test_failures_end_in_one_line_and_leave_nothing(server, capfd, faults, requests, says):
    server.faults = faults
    argv = ["cyclegan", "maps", "--mirror", server.url, "--tries", "3"]
    assert says in error_of(capfd, *argv, code=1)
    assert len(server.requests) == requests
    assert everything() == ["datasets"]


def test_no_server_at_all(capfd):
    assert main(["cyclegan", "maps", "--tries", "2"]) == 1
    error = capfd.readouterr().err
    assert "cannot be reached (Connection refused)" in error.splitlines()[-1]
    assert everything() == ["datasets"]


def test_a_silent_server_is_given_up(server, capfd):
    server.faults = ["stall"] * 9
    argv = ["cyclegan", "maps", "--mirror", server.url, "--tries", "2"]
    assert "are kept: the same command goes on" in error_of(capfd, *argv, *IMPATIENT, code=1)
    assert not Path("datasets/maps").exists()
    server.faults = []
    assert main(argv) == 0 and contents("datasets/maps") == FILES
    assert server.requests[-1][1], "only the rest"


def test_busy_servers_are_given_the_time_they_ask_for(monkeypatch):
    waited = []
    monkeypatch.setattr(web.time, "sleep", waited.append)

    def attempt(session, url):
        raise web.Again("busy", wait_s=7.0 if len(waited) == 1 else 9999.0)

    with pytest.raises(UserError):
        web.persist(attempt, ["http://x"], Patience(tries=3, pause_s=20.0))
    assert waited == [60.0, 40.0], "a server's wish, but at most a minute; else doubled pauses"


def test_progress_counts_as_a_reason_to_go_on(monkeypatch):
    """A large file over a bad line takes more breaks than there are tries."""
    sizes = iter(range(0, 100 << 20, 2 << 20))
    tries = []

    def attempt(session, url):
        tries.append(url)
        if len(tries) == 20:
            return "whole"
        raise web.Again("broke off")

    assert web.persist(attempt, ["http://x"], Patience(3, 0.0), lambda: next(sizes)) == "whole"


def test_a_file_for_which_there_is_no_room_is_not_begun(server, capfd, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=len(ARCHIVE) - 1)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage)
    line = error_of(capfd, "cyclegan", "maps", "--mirror", server.url, code=1)
    assert "make room" in line and everything()[1:] == ["datasets/.maps.part", *everything()[2:]]
    assert not contents("datasets") or max(map(len, contents("datasets").values())) < 500


@pytest.mark.parametrize("fault", [None, "chunked"])
def test_an_endless_file_is_given_up(server, tmp_path, fault):
    server.faults = [fault]
    with pytest.raises(UserError, match="allowed"):
        download.fetch(server.url + URL, tmp_path / "f.zip", QUICK, max_bytes=50_000)
    assert os.listdir(tmp_path) == []


def test_https_comes_first(tls_server, certificate, capfd, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setattr(published, "HOST", tls_server.address)
    assert main(["cyclegan", "maps"]) == 0
    assert contents("datasets/maps") == FILES
    assert capfd.readouterr().err == ""
    (record,) = json.loads(Path("datasets/.downloads.json").read_text()).values()
    assert record["url"] == tls_server.url + URL


def test_http_is_the_second_choice_and_said(server, capfd, monkeypatch):
    monkeypatch.setattr(published, "HOST", server.address)
    server.faults = [503]
    assert main(["cyclegan", "maps", "--tries", "2"]) == 0
    assert contents("datasets/maps") == FILES
    assert "trying http, whose connection is not protected" in capfd.readouterr().err


def test_https_that_is_only_busy_is_not_left_for_http(tls_server, certificate, capfd, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setattr(published, "HOST", tls_server.address)
    tls_server.faults = [503, "drop", "drop", 503]
    line = error_of(capfd, "cyclegan", "maps", "--tries", "4", code=1)
    assert line.startswith("error: https://") and len(tls_server.requests) == 4


def test_a_false_certificate_is_not_answered_with_http(tls_server, capfd, monkeypatch):
    monkeypatch.setattr(published, "HOST", tls_server.address)
    assert "certificate is not valid" in error_of(capfd, "cyclegan", "maps", code=1)
    assert not tls_server.requests and everything() == ["datasets"]


def test_a_redirect_from_https_to_http_is_refused(
    tls_server, server, certificate, capfd, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setattr(published, "HOST", tls_server.address)
    tls_server.faults = [("to", server.url + URL)]
    assert "unprotected" in error_of(capfd, "cyclegan", "maps", code=1)
    assert not server.requests


def test_passwords_in_an_address_are_not_kept(server, capfd):
    mirror = server.url.replace("//", "//me:secret@") + URL + "?token=secret"
    server.files = {URL + "?token=secret": ARCHIVE}
    assert main(["cyclegan", "maps", "--mirror", mirror]) == 0
    record = Path("datasets/.downloads.json").read_text()
    assert "secret" not in record + "".join(capfd.readouterr()) and server.url in record


def test_an_archive_without_images_is_not_ready(server, capfd):
    """Fault 106: nothing of it is left, and a folder that an earlier version left is not ready."""
    server.files[URL] = zipped({"readme.txt": b"moved", "scans/1.dcm": b"x"})
    line = error_of(capfd, "cyclegan", "maps", "--mirror", server.url, code=1)
    assert "maps.zip: no image in it: 1 file .txt; 1 file .dcm (DICOM" in line
    assert everything() in ([], ["datasets"])
    Path("datasets/maps").mkdir(parents=True)
    Path("datasets/maps/readme.txt").touch()
    line = error_of(capfd, "cyclegan", "maps", "--mirror", server.url, code=2)
    assert "no image in it" in line and "delete it" in line and "ready" not in line


def test_a_file_that_changed_since_the_first_download_is_refused(server, capfd):
    get(server)
    shutil.rmtree("datasets/maps")
    server.files[URL] = zipped({"trainA/evil.jpg": b"evil"})
    argv = ["cyclegan", "maps", "--mirror", server.url]
    line = error_of(capfd, *argv, code=1)
    new = hashlib.sha256(server.files[URL]).hexdigest()
    assert SHA256 in line and line.endswith(f"--sha256 {new}")
    assert os.listdir("datasets") == [".downloads.json"]
    assert main([*argv, "--sha256", new.upper()]) == 0
    assert contents("datasets/maps") == {"trainA/evil.jpg": b"evil"}
    shutil.rmtree("datasets/maps")
    assert main(argv) == 0, "the new one is the recorded one now"


@pytest.mark.parametrize("how", ["flag", "table"])
def test_a_pinned_digest_is_kept_to(server, capfd, monkeypatch, how):
    monkeypatch.setitem(published.PINNED, URL[1:], "0" * 64)
    flag = ["--sha256", "0" * 64] if how == "flag" else []
    line = error_of(capfd, "cyclegan", "maps", "--mirror", server.url, *flag, code=1)
    assert f"not {'0' * 64} as it must be" in line and everything() == ["datasets"]
    assert main(["cyclegan", "maps", "--mirror", server.url, "--sha256", SHA256]) == 0


def test_a_damaged_record_is_said(server, capfd):
    get(server)
    for text in ("{", "[]", '{"x": 1}', '{"x": {"sha256": 1, "date": "x"}}'):
        Path("datasets/.downloads.json").write_text(text)
        line = error_of(capfd, "cyclegan", "maps", "--mirror", server.url, code=2)
        assert "datasets/.downloads.json: not a record of downloads" in line


def link_out() -> bytes:
    link = tarfile.TarInfo("maps/x")
    link.type, link.linkname = tarfile.SYMTYPE, "../../.."
    return tarred((tarfile.TarInfo("maps/1.jpg"), b"good"), (link, b""))


@pytest.mark.parametrize("archive", [
    zipped(FILES | {"../../../evil": b"evil"}),
    zipped({"/tmp/evil": b"evil"}, top=""),
    tarred((tarfile.TarInfo("../../evil"), b"evil")),
    link_out(),
    zipped({"z": bytes(70_000_000)}),
    ARCHIVE[:-2000],
    b"\x1f\x8b" + os.urandom(3000),
    b"no archive at all",
], ids=lambda archive: str(len(archive)))  # fmt: skip
def test_hostile_and_damaged_archives_leave_nothing(server, capfd, monkeypatch, archive):
    monkeypatch.setattr(unpack, "MAX_RATIO", 0)
    server.files[URL] = archive
    line = error_of(capfd, "cyclegan", "maps", "--mirror", server.url, code=1)
    assert "maps.zip: " in line and ("refused" in line or "damaged" in line)
    assert everything() == ["datasets"]


@pytest.mark.filterwarnings("ignore:Detected pickle", "ignore:invalid escape")
@pytest.mark.parametrize("content", [
    pickle.dumps(Hostile()),
    pickle.dumps({"model.1.weight": Hostile()}, protocol=0),
    b"PK no weights",
    ARCHIVE,
])  # fmt: skip
def test_weights_that_are_none_or_hold_code_leave_nothing(server, capfd, content):
    server.files["/cyclegan/pretrained_models/horse2zebra.pth"] = content
    argv = ["cyclegan", "horse2zebra", "--model", "--mirror", server.url]
    assert "horse2zebra.pth: " in error_of(capfd, *argv, code=1)
    assert everything() == ["checkpoints"]


def killed(server: FileServer, argv: list[str]) -> Path:
    """Start a download, kill it when a part is on disk; that part."""
    server.faults = ["slow"]
    process = subprocess.Popen(
        [sys.executable, "-m", "util.get_data", *argv], env=environment(), stderr=subprocess.DEVNULL
    )
    part = Path("datasets/.maps.part/maps.zip.part")
    assert eventually(lambda: part.exists() and part.stat().st_size > 20_000)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    return part


def test_a_killed_download_leaves_no_half_data_set_and_goes_on(server, capfd):
    server.files[URL] = big = zipped(FILES | {"big.jpg": os.urandom(1_000_000)})
    argv = ["cyclegan", "maps", "--mirror", server.url]
    part = killed(server, argv)
    kept = part.stat().st_size
    assert 20_000 < kept < len(big) and os.listdir("datasets") == [".maps.part"]
    assert main(argv) == 0
    assert server.requests[-1][1] == f"bytes={kept}-"
    assert hashlib.sha256(big).hexdigest() in capfd.readouterr().out
    assert contents("datasets/maps").keys() == FILES.keys() | {"big.jpg"}
    assert sorted(os.listdir("datasets")) == [".downloads.json", "maps"]


def test_a_damaged_part_does_not_become_a_data_set(server, capfd):
    argv = ["cyclegan", "maps", "--mirror", server.url]
    get(server)
    shutil.rmtree("datasets/maps")
    part = killed(server, argv)
    part.write_bytes(os.urandom(part.stat().st_size))
    assert "refused: its SHA-256" in error_of(capfd, *argv, code=1)
    assert main(argv) == 0 and contents("datasets/maps") == FILES


@pytest.mark.parametrize("place", ["_copy", "_checked"])
def test_stopped_while_unpacking_goes_on_without_a_download(server, monkeypatch, capfd, place):
    def stop(*args):
        raise KeyboardInterrupt

    argv = ["cyclegan", "maps", "--mirror", server.url]
    with monkeypatch.context() as patched:
        patched.setattr(unpack, place, stop)
        assert main(argv) == 130
    assert os.listdir("datasets") == [".maps.part"]
    assert "the same command goes on" in capfd.readouterr().err
    assert main(argv) == 0
    assert contents("datasets/maps") == FILES and len(server.requests) == 1


def test_a_full_disk_is_one_line_and_goes_on_later(server, monkeypatch, capfd):
    def full(*args):
        raise OSError(28, "No space left on device")

    argv = ["cyclegan", "maps", "--mirror", server.url]
    with monkeypatch.context() as patched:
        patched.setattr(unpack, "_copy", full)
        assert "No space left" in error_of(capfd, *argv, code=1)
    assert main(argv) == 0
    assert contents("datasets/maps") == FILES and len(server.requests) == 1


def test_a_file_in_the_place_of_a_folder_is_one_line(server, capfd):
    Path("file").touch()
    Path("D/maps").parent.mkdir()
    Path("D/maps").touch()
    argv = ["cyclegan", "maps", "--mirror", server.url, "--out"]
    assert "is a file; delete it" in error_of(capfd, *argv, "D", code=2)
    assert "cannot be written" in error_of(capfd, *argv, "file", code=1)
    assert "cannot be written" in error_of(capfd, *argv, "file/below", code=1)
    assert not server.requests


def test_what_another_process_has_just_finished_is_taken_as_it_is(server, capfd, monkeypatch):
    acquire, argv = records.FileLock.acquire, ["cyclegan", "maps", "--mirror", server.url]

    def late(lock: records.FileLock) -> object:
        shutil.rmtree("datasets/.maps.part")  # as a process leaves it that has ended with it
        Path("datasets/maps").mkdir()
        Path("datasets/maps/1.jpg").touch()
        return acquire(lock)

    monkeypatch.setattr(records.FileLock, "acquire", late)
    assert main(argv) == 0
    assert "is there already: nothing is downloaded" in capfd.readouterr().out
    assert everything() == ["datasets", "datasets/maps", "datasets/maps/1.jpg"]
    assert not server.requests


def test_two_at_a_time_do_not_disturb_each_other(server, capfd):
    server.files[URL] = zipped(FILES | {"big.jpg": os.urandom(200_000)})
    server.faults = ["slow"]
    argv = ["cyclegan", "maps", "--mirror", server.url]
    first = subprocess.Popen([sys.executable, "-m", "util.get_data", *argv], env=environment())
    assert eventually(lambda: server.requests)
    capfd.readouterr()
    assert "another process is downloading it" in error_of(capfd, *argv, code=1)
    assert first.wait() == 0
    assert contents("datasets/maps").keys() == FILES.keys() | {"big.jpg"}


def test_local_files_and_folders_are_mirrors_and_stay_as_they_are(tmp_path, capfd):
    for file, content in ((URL, ARCHIVE), ("/cyclegan/pretrained_models/own.pth", weights())):
        path = Path("stick" + file)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    assert main(["cyclegan", "--list", "--mirror", "stick"]) == 0
    assert capfd.readouterr().out.split() == ["maps"]
    assert main(["cyclegan", "maps", "--mirror", "stick"]) == 0
    assert main(["cyclegan", "own", "--model", "--mirror", "stick"]) == 0
    assert main(["cyclegan", "mine", "--mirror", "stick" + URL]) == 0
    assert contents("datasets/maps") == contents("datasets/mine") == FILES
    assert Path("checkpoints/own_pretrained/latest_net_G.pth").read_bytes() == weights()
    assert len(contents("stick")) == 2
    assert "is one file" in error_of(capfd, "cyclegan", "--list", "--mirror", "stick" + URL, code=2)


def test_an_archive_without_a_folder_of_its_own(tmp_path):
    Path("a.zip").write_bytes(zipped(FILES, top="") + b"")
    junk = zipped({"maps/1.jpg": b"1", "__MACOSX/._1.jpg": b"junk", ".DS_Store": b"junk"}, top="")
    Path("b.zip").write_bytes(junk)
    GetData(mirror="a.zip").get("D", "a")
    GetData(mirror="b.zip").get("D", "b")
    assert contents("D/a") == FILES and contents("D/b") == {"1.jpg": b"1"}


def test_a_link_to_a_larger_disk_is_followed(server, tmp_path):
    (tmp_path / "large" / "maps").mkdir(parents=True)
    Path("datasets").mkdir()
    Path("datasets/maps").symlink_to(tmp_path / "large" / "maps")
    assert get(server) == str(tmp_path / "datasets" / "maps")
    assert Path("datasets/maps").is_symlink() and contents("large/maps") == FILES


LISTING = b"""<html><a href="../">Parent</a> <a href="?C=N">Name</a> <a href="maps.zip">maps</a>
<a href="./horse2zebra.zip">h</a> <a href="../../x.zip">x</a> <a href="$(id).zip">y</a> <a>z</a>
<a href="http://evil.example/e.zip">e</a> <a href="%1b[2Jw.zip">w</a> <a href="maps.tar.gz">t</a>
<a href="new_one.zip">n</a> <a href="cityscapes.zip">n</a>"""


def test_the_list_is_what_the_server_has(server, capfd):
    server.files["/cyclegan/datasets/"] = LISTING
    server.faults = [503]
    assert main(["cyclegan", "--list", "--mirror", server.url]) == 0
    assert capfd.readouterr().out.split() == ["cityscapes", "horse2zebra", "maps", "new_one"]
    argv = ["pix2pix", "--model", "--list", "--mirror", server.url]
    assert "answers 404" in error_of(capfd, *argv, code=1)


@pytest.mark.parametrize("answer", ["2", "horse2zebra", " horse2zebra \n"])
def test_without_a_name_the_terminal_is_asked(server, monkeypatch, capfd, answer):
    monkeypatch.setattr(published, "HOST", server.address)
    server.files["/cyclegan/datasets/"] = LISTING
    server.files["/cyclegan/datasets/horse2zebra.zip"] = ARCHIVE
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    path = GetData(patience=QUICK).get("datasets")
    assert path.endswith("datasets/horse2zebra") and contents(path) == FILES
    assert "   2 horse2zebra\n" in capfd.readouterr().out


def test_cityscapes_is_not_handed_on_even_if_listed(server, monkeypatch, capfd):
    monkeypatch.setattr(published, "HOST", server.address)
    server.files["/cyclegan/datasets/"] = LISTING
    monkeypatch.setattr("builtins.input", lambda prompt: "cityscapes")
    assert main(["cyclegan"]) == 2
    assert "licence" in capfd.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(("answer", "says"), [
    ("99", "accepted"), ("", "accepted"), ("../x", "accepted"), ("cityscapes", "licence"),
])  # fmt: skip
def test_odd_answers_are_refused(monkeypatch, capfd, answer, says):
    """Also where the server cannot be asked: then the known names are shown."""
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    assert main(["cyclegan", "--tries", "1"]) == 2
    out, err = capfd.readouterr()
    assert says in err.splitlines()[-1] and " maps\n" in out
    assert everything() == []


def test_nobody_at_the_terminal(capfd, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["cyclegan", "--tries", "1"]) == 2
    assert "give its name" in capfd.readouterr().err.splitlines()[-1]


SCRIPTS = {
    "datasets/download_cyclegan_dataset.sh": ("maps", "datasets/maps/trainA/1.jpg"),
    "datasets/download_pix2pix_dataset.sh": ("facades", "datasets/facades/train/1.jpg"),
    "scripts/download_cyclegan_model.sh": (
        "horse2zebra", "checkpoints/horse2zebra_pretrained/latest_net_G.pth"),
    "scripts/download_pix2pix_model.sh": (
        "sat2map", "checkpoints/sat2map_pretrained/latest_net_G.pth"),
}  # fmt: skip


def python_words_of(script: str, *argv: str) -> list[str]:
    """What a script hands to `python`, word by word."""
    stand_in = Path("python")
    stand_in.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\" > words\n")
    stand_in.chmod(0o755)
    env = os.environ | {"PATH": f"{Path.cwd()}:{os.environ['PATH']}"}
    subprocess.run(["bash", str(ROOT / script), *argv], env=env, check=True)
    return Path("words").read_text().split("\0")[:-1]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_hand_on_what_is_typed(server, capfd, script):
    name, file = SCRIPTS[script]
    module, *argv = python_words_of(script, name, "--mirror", server.url)[1:]
    assert module == "util.get_data" and main(argv) == 0 and Path(file).is_file()
    capfd.readouterr()
    for odd in ("x --post-file=$(id)", "$(touch owned)", "../x y"):
        assert ascii(odd) in error_of(capfd, *python_words_of(script, odd)[2:], code=2)
    assert not Path("owned").exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_say_how_they_are_used(script):
    done = subprocess.run(["bash", str(ROOT / script)], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith(f"usage: bash {script} NAME")
    assert done.stderr.count("\n") == 1


def test_the_command_itself(server):
    """In a process of its own: what main() cannot show."""
    done = subprocess.run(
        [sys.executable, "-m", "util.get_data", "cyclegan", "--list", "--mirror", server.url],
        env=environment(), capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith("error: ") and not done.stdout
    assert done.stderr.count("\n") == 1


def test_documented_commands_parse():
    texts = [(ROOT / "docs" / "downloads.md").read_text(), get_data.__doc__]
    lines = re.findall(r"^    python -m util.get_data (.*)$", "\n".join(texts), re.MULTILINE)
    assert len(lines) > 8
    for line in lines:
        argv = shlex.split(re.split(r"  +", line)[0])
        args = get_data.parser().parse_intermixed_args(argv)
        shelves = published.MODELS if args.model else published.DATA_SETS
        assert args.name is None or args.mirror or args.name in shelves[args.technique].names
