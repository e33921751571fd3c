"""Archives: whole or not at all."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from util.downloads import unpack as unpack_module
from util.downloads.unpack import refuse_without_images, unpack
from util.errors import UserError

FILES = {"maps/train/1.jpg": b"\xff\xd8" * 900, "maps/train/2.jpg": b"two", "maps/val/1.jpg": b""}
TARS = ("tar", "tar.gz")


def make_zip(path: Path, entries: dict[str, bytes], mode: int = 0, packed: int = 8) -> Path:
    with zipfile.ZipFile(path, "w", packed) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, packed
            archive.writestr(info, content)
    return path


def make_tar(path: Path, *entries: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for entry in entries:
            if isinstance(entry, tuple):
                info = tarfile.TarInfo(entry[0])
                info.size, info.mode = len(entry[1]), 0o6777
                archive.addfile(info, io.BytesIO(entry[1]))
            else:
                archive.addfile(entry)
    return path


def special(kind: bytes, name: str = "maps/x", target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def room(tmp_path):
    """A folder in which nothing but the archive may be after a refusal."""
    room = tmp_path / "outer" / "room"
    room.mkdir(parents=True)
    return room


def assert_refused(archive: Path, pattern: str, **limits) -> None:
    before = sorted(archive.parent.parent.rglob("*"))
    with pytest.raises(UserError, match=pattern) as caught:
        unpack(archive, archive.parent / "D", **limits)
    assert "\n" not in str(caught.value)
    assert sorted(archive.parent.parent.rglob("*")) == before


@pytest.mark.parametrize("ending", ["zip", *TARS])
def test_what_is_packed_comes_out_and_what_a_killed_process_left_is_gone(room, ending):
    path = room / f"a.{ending}"
    if ending == "zip":
        make_zip(path, {"maps/": b"", **FILES}, mode=0o106777)
    else:
        make_tar(path, special(tarfile.DIRTYPE, "./maps"), *FILES.items())
    (room / ".D.unpacking" / "maps").mkdir(parents=True)
    (room / ".D.unpacking" / "maps" / "half.jpg").touch()
    unpack(path, room / "D")
    assert contents(room / "D") == FILES
    assert sorted(p.name for p in room.iterdir()) == ["D", path.name]
    for file in (room / "D").rglob("*.jpg"):
        assert not file.stat().st_mode & (stat.S_ISUID | stat.S_ISGID | 0o111), "rights of ours"


@pytest.mark.parametrize("name", [
    "../evil", "maps/../../evil", "/tmp/evil", "maps\\..\\..\\evil", "C:/evil", "maps/..", "..",
    "maps/a\nb", "x" * 256, "/".join("d" * 40) + "/f",
])  # fmt: skip
@pytest.mark.parametrize("ending", ["zip", *TARS])
def test_names_that_lead_out_are_refused(room, name, ending):
    path, entries = room / f"a.{ending}", {"maps/1.jpg": b"good", name: b"evil"}
    make_zip(path, entries) if ending == "zip" else make_tar(path, *entries.items())
    assert_refused(path, r"^a\S+: refused: .* (leads out|no name).*; nothing was unpacked$")


def test_a_name_behind_a_nul_is_seen(room):
    path = make_zip(room / "a.zip", {"good.jpgX/../../evil": b"evil"})
    path.write_bytes(path.read_bytes().replace(b"jpgX", b"jpg\0"))
    assert_refused(path, "refused|damaged")


@pytest.mark.parametrize("kind", [
    tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
    tarfile.GNUTYPE_SPARSE, b"?",
])  # fmt: skip
@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "1.jpg"])
def test_links_and_devices_of_a_tar_are_refused(room, kind, target):
    path = make_tar(room / "a.tar.gz", ("maps/1.jpg", b"good"), special(kind, target=target))
    assert_refused(path, "refused: 'maps/x' is a link or a device")


def test_nothing_is_written_through_a_link(room):
    link = special(tarfile.SYMTYPE, "maps", str(room.parent))
    assert_refused(make_tar(room / "a.tar", link, ("maps/evil", b"evil")), "link or a device")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_of_a_zip_are_refused(room, mode):
    assert_refused(make_zip(room / "a.zip", {"x": b"/etc/passwd"}, mode | 0o777), "link or a dev")


@pytest.mark.parametrize("ending", ["zip", *TARS[1:]])
def test_a_bomb_is_refused(room, ending):
    """200 MB of zeros."""
    path, zeros = room / f"a.{ending}", bytes(200_000_000)
    make_zip(path, {"z": zeros}) if ending == "zip" else make_tar(path, ("z", zeros))
    assert path.stat().st_size < 1_000_000
    assert_refused(path, "unpacks to far more than its size")


def test_a_bomb_in_pieces_is_refused(room, monkeypatch):
    monkeypatch.setattr(unpack_module, "ALWAYS_ALLOWED", 50_000)
    files = {f"{i}.jpg": bytes(20_000) for i in range(3)}
    assert_refused(make_zip(room / "a.zip", files), "far more than its size")
    assert_refused(make_tar(room / "a.tar.gz", *files.items()), "far more than its size")


def test_a_bomb_of_many_files_is_refused(room):
    files = {f"{i}.jpg": b"" for i in range(11)}
    assert_refused(make_zip(room / "a.zip", files), "more than 10 files", max_entries=10)
    assert_refused(make_tar(room / "b.tar", *files.items()), "more than 10", max_entries=10)


def test_a_large_archive_may_hold_more_than_a_small_one(room, monkeypatch):
    monkeypatch.setattr(unpack_module, "ALWAYS_ALLOWED", 1000)
    noise = os.urandom(50_000)
    unpack(make_zip(room / "a.zip", {"a": noise, "b": bytes(500_000)}), room / "D")
    assert_refused(make_zip(room / "b.zip", {"a": noise, "b": bytes(1_100_000)}), "far more")


@pytest.mark.parametrize("declared", [10, 1 << 31])
def test_a_declared_size_is_not_believed(room, declared):
    content = bytes(range(256)) * 200
    path = make_zip(room / "a.zip", {"a": content})
    size = len(content).to_bytes(4, "little")
    assert path.read_bytes().count(size) >= 1
    path.write_bytes(path.read_bytes().replace(size, declared.to_bytes(4, "little")))
    assert_refused(path, "damaged")


def test_a_size_below_zero_is_refused(room):
    """Python would go back in the archive, and read the same header for ever."""
    info = tarfile.TarInfo("x")
    info.size = -512
    (room / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    assert_refused(room / "a.tar", "damaged .a size of -512 bytes")


def test_the_check_sum_at_the_end_of_gzip_is_looked_at(room):
    path = make_tar(room / "a.tar.gz", ("x", b"1"))
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    assert_refused(path, "damaged .CRC check failed")


def test_a_header_larger_than_any_name_is_refused(room):
    """A long name of 30 MB; Python would read it into memory whole."""
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 30_000_000
    with gzip.open(room / "a.tar.gz", "wb", 1) as file:
        file.write(long_name.tobuf(tarfile.GNU_FORMAT) + bytes(30_000_000))
    assert_refused(room / "a.tar.gz", "headers are far too long")


def test_a_name_that_comes_twice_is_refused(room):
    assert_refused(make_tar(room / "a.tar", ("x", b"1"), ("x", b"2")), "'x' comes twice")
    assert_refused(make_tar(room / "b.tar", ("x", b"1"), ("x/y", b"2")), "'x/y' comes twice")


def test_unusual_packing_and_encryption_are_refused(room):
    assert_refused(make_zip(room / "a.zip", {"x": b"1"}, packed=zipfile.ZIP_LZMA), "unusual")
    path = make_zip(room / "b.zip", {"x": b"1"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    assert_refused(path, "encrypted")


@pytest.mark.parametrize("ending", ["zip", *TARS])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_a_truncated_archive_is_refused(room, ending, share):
    path, entries = room / f"a.{ending}", {f"{i}.jpg": os.urandom(700) for i in range(40)}
    make_zip(path, entries) if ending == "zip" else make_tar(path, *entries.items())
    whole = path.read_bytes()
    size = int(len(whole.rstrip(b"\0")) * share) // 512 * 512  # a tar: between two blocks
    path.write_bytes(whole[:size])
    assert_refused(path, "damaged|neither a zip nor a tar")


@pytest.mark.parametrize("ending", ["zip", *TARS])
def test_damage_in_the_middle_is_noticed(room, ending):
    path = room / f"a.{ending}"
    entries = {f"{i}.jpg": os.urandom(512) for i in range(40)}
    make_zip(path, entries) if ending == "zip" else make_tar(path, *entries.items())
    content = bytearray(path.read_bytes())
    place = len(content) // 2
    if ending == "tar":  # it has check sums for its headers only
        place = content.index(b"20.jpg")
    content[place : place + 100] = os.urandom(100)
    path.write_bytes(content)
    assert_refused(path, "damaged")


@pytest.mark.parametrize("start", [b"<html>", b"PK\3\4", b"\x1f\x8b", b""])
def test_what_is_no_archive_is_refused(room, start):
    path = room / "a.zip"
    path.write_bytes(start + os.urandom(600) if start else b"")
    assert_refused(path, "neither|damaged")


def test_an_old_python_is_told_in_one_line(room, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")
    monkeypatch.setattr(unpack_module.platform, "python_version", lambda: "3.11.3")
    line = "^Python 3.11.3: archives need 3.11.4 or newer$"
    assert_refused(make_tar(room / "a.tar", ("x", b"1")), line)


def test_a_data_set_without_images_is_refused(tmp_path):
    """Fault 106: it is told what is there instead."""
    for file in ("readme.txt", "scan/1.dcm", "scan/2.dcm", ".hidden.png", "__MACOSX/1.png"):
        (tmp_path / "D" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "D" / file).touch()
    with pytest.raises(UserError, match=r"D: no image in it: 2 files \.dcm \(DICOM.*1 file.*\.txt"):
        refuse_without_images(tmp_path / "D", "D")
    (tmp_path / "D" / "scan" / "3.PNG").touch()
    refuse_without_images(tmp_path / "D", "D")
