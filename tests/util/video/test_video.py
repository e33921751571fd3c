"""Videos: what comes in, goes out again: pictures, times, colours, and what lies beside them."""

import builtins
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av", reason="pip install -r requirements-video.txt")

from tests.util.video.clips import packets, pan, read_clip, write_clip  # noqa: E402
from util.errors import BadImage, UserError  # noqa: E402
from util.video.convert import convert, sample_frames  # noqa: E402
from util.video.write import Encoding  # noqa: E402


def as_it_is(frame: np.ndarray) -> np.ndarray:
    return frame


def run(source: Path, target: Path, change=as_it_is, codec: str = "auto"):
    return convert(str(source), target, Encoding.of(target.suffix, codec), change)


def test_nothing_is_lost_where_nothing_has_to_be(tmp_path):
    frames = pan(9)
    clip = write_clip(tmp_path / "in.mkv", frames)
    done = run(clip, tmp_path / "out.mkv", codec="ffv1")
    times, made = read_clip(tmp_path / "out.mkv")
    assert done.frames == 9 and done.flicker.compute() == 1
    assert times == [round(n / 25, 4) for n in range(9)]
    assert (np.stack(made) == np.stack(frames)).all()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]


def test_frames_of_any_times_keep_them(tmp_path):
    times = [0, 10, 11, 40, 41, 90]
    clip = write_clip(tmp_path / "in.mp4", pan(), "libx264", "yuv420p", times, Fraction(1, 90))
    run(clip, tmp_path / "out.mp4")
    assert read_clip(tmp_path / "out.mp4")[0] == [round(time / 90, 4) for time in times]


@pytest.mark.parametrize("matrix", [1, 5], ids=["bt709", "bt601"])
@pytest.mark.parametrize("range_", [1, 2], ids=["limited", "full"])
def test_colours_stay_whatever_their_numbers(tmp_path, matrix, range_):
    patches = np.zeros((32, 48, 3), np.uint8)
    patches[:, :16], patches[:, 16:32], patches[:, 32:] = (
        (250, 20, 30),
        (10, 240, 40),
        (30, 60, 200),
    )
    clip = write_clip(tmp_path / "in.mp4", [patches] * 2, "libx264", "yuv420p",
                      colorspace=matrix, color_range=range_)  # fmt: skip
    seen = []
    run(clip, tmp_path / "out.mp4", lambda frame: seen.append(frame) or frame)
    made = read_clip(tmp_path / "out.mp4")[1][0]
    for frame in (seen[0], made):
        for x in (7, 24, 40):
            assert abs(frame[16, x].astype(int) - patches[16, x]).max() <= 6
    with av.open(str(tmp_path / "out.mp4")) as file:
        context = file.streams.video[0].codec_context
        assert (context.colorspace, context.color_range) == (matrix, range_)


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_turned_video_is_upright_for_the_network(tmp_path, degrees):
    frames = pan(2)
    clip = write_clip(tmp_path / "in.mp4", frames, "libx264", "yuv420p", rotation=degrees,
                      sample_aspect_ratio=Fraction(4, 3))  # fmt: skip
    seen = []
    run(clip, tmp_path / "out.mp4", lambda frame: seen.append(frame) or frame)
    upright = np.rot90(frames[0], degrees // 90)
    assert seen[0].shape == upright.shape
    assert abs(seen[0].astype(int) - upright).mean() < 12
    with av.open(str(tmp_path / "out.mp4")) as file:
        aspect = Fraction(4, 3) if degrees == 180 else Fraction(3, 4)
        assert file.streams.video[0].sample_aspect_ratio == aspect
        assert next(file.decode(video=0)).rotation == 0


def test_odd_sides_are_padded_for_codecs_that_want_even_ones(tmp_path, capsys):
    frames = [frame[:31, :47] for frame in pan(2)]
    clip = write_clip(tmp_path / "in.mkv", [np.ascontiguousarray(frame) for frame in frames])
    run(clip, tmp_path / "out.mp4")
    assert "48x32 px" in capsys.readouterr().err
    assert read_clip(tmp_path / "out.mp4")[1][0].shape == (32, 48, 3)
    run(clip, tmp_path / "out.webm")
    assert read_clip(tmp_path / "out.webm")[1][0].shape == (31, 47, 3)
    assert "px" not in capsys.readouterr().err


def test_sound_and_subtitles_come_along_as_they_are(tmp_path, capsys):
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:00,200\nHello\n\n")
    clip = write_clip(tmp_path / "in.mkv", pan(), sound=True, subtitles=words)
    run(clip, tmp_path / "out.mkv")
    for kind in ("audio", "subtitle"):
        assert packets(tmp_path / "out.mkv", kind) == packets(clip, kind) != []
    assert "left out" not in capsys.readouterr().err
    run(clip, tmp_path / "out.mp4")
    assert packets(tmp_path / "out.mp4", "audio") == packets(clip, "audio")
    assert "1 subtitle (subrip)" in capsys.readouterr().err
    run(clip, tmp_path / "out.gif")
    assert "no room for sound (aac)" in capsys.readouterr().err


def test_a_damaged_video_is_one_line_and_leaves_nothing(tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(80), sound=True)
    whole = write_clip(tmp_path / "in.mp4", pan(30, (160, 120)), "libx264", "yuv420p").read_bytes()
    hurt = whole[: len(whole) // 2] + bytes(900) + whole[len(whole) // 2 + 900 :]
    faults = {"cut.mkv": clip.read_bytes()[:60_000], "cut.mp4": whole[:-400],
              "none.mp4": b"no video", "empty.mp4": b"", "hurt.mp4": hurt}  # fmt: skip
    for name, content in faults.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadImage, match=f"{name}.*(cut off|damaged|cannot be read).*ffmpeg"):
            run(tmp_path / name, tmp_path / "out.mp4")
    assert {file.name for file in tmp_path.iterdir()} == {"in.mkv", "in.mp4", *faults}
    with pytest.raises(BadImage, match="no video in it"):
        run(_sound_alone(tmp_path), tmp_path / "out.mp4")


def _sound_alone(folder: Path) -> Path:
    path = folder / "sound.m4a"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), "s16", "mono")
        samples.rate = 8000
        out.mux([*stream.encode(samples), *stream.encode(None)])
    return path


def test_what_ends_the_work_leaves_nothing_half_written(tmp_path):
    clip = write_clip(tmp_path / "in.mkv", pan(6), sound=True)

    def interrupted(frame: np.ndarray) -> np.ndarray:
        seen.append(1)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return frame

    seen: list[int] = []
    (tmp_path / "out.mp4").write_bytes(b"of before")
    with pytest.raises(KeyboardInterrupt):
        run(clip, tmp_path / "out.mp4", interrupted)
    assert (tmp_path / "out.mp4").read_bytes() == b"of before"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    resource = pytest.importorskip("resource")
    clip = write_clip(tmp_path / "in.mkv", pan(20))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            run(clip, tmp_path / "out.mkv", codec="ffv1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [file.name for file in tmp_path.iterdir()] == ["in.mkv"]


def test_depth_opacity_and_hdr_are_told(tmp_path, capsys):
    deep = write_clip(tmp_path / "deep.mkv", pan(2), "ffv1", "yuv420p10le", color_trc=16,
                      color_primaries=9)  # fmt: skip
    run(deep, tmp_path / "out.mp4")
    assert "HDR (PQ)" in capsys.readouterr().err
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.streams.video[0].codec_context.color_trc == 16
    clear = write_clip(tmp_path / "clear.mkv", pan(2), "ffv1", "yuva420p")
    with av.open(str(tmp_path / "half.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "bgra"
        values = np.zeros((32, 48, 4), np.uint8)
        values[:, 24:, 3] = 255  # black, on nothing at the left
        out.mux([*stream.encode(av.VideoFrame.from_ndarray(values, "bgra")), *stream.encode(None)])
    run(clear, tmp_path / "out.mkv")
    assert "laid on white" not in capsys.readouterr().err
    run(tmp_path / "half.mkv", tmp_path / "half_out.mkv", codec="ffv1")
    assert "laid on white" in capsys.readouterr().err
    made = read_clip(tmp_path / "half_out.mkv")[1][0]
    assert (made[:, :24] == 255).all() and (made[:, 24:] == 0).all()


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_animated_pictures_are_videos_too(tmp_path, ending):
    images = [Image.fromarray(frame) for frame in pan(4)]
    source = tmp_path / f"in{ending}"
    images[0].save(source, save_all=True, append_images=images[1:], duration=[40, 80, 120, 40])
    for out in (".mp4", ending):
        run(source, tmp_path / f"out{out}")
    assert read_clip(tmp_path / "out.mp4")[0] == [0, 0.04, 0.12, 0.24]
    with Image.open(tmp_path / f"out{ending}") as made:
        assert made.n_frames == 4
        made.seek(2)
        made.load()
        assert made.info["duration"] == 120
        error = abs(np.asarray(made.convert("RGB")).astype(int) - np.asarray(images[2])).mean()
    assert error < 12


def test_sample_frames_are_spread_over_the_video_however_long(tmp_path):
    frames = [np.full((32, 48, 3), n, np.uint8) for n in range(100)]
    clip = write_clip(tmp_path / "in.mkv", frames)
    assert [frame[0, 0, 0] for frame in sample_frames(str(clip), 4)] == [0, 16, 32, 48, 64, 80, 96]
    assert len(sample_frames(str(clip), 1000)) == 100


def test_flags_that_do_not_fit_are_one_line():
    for ending, codec, crf, told in (
        (".webm", "h264", None, ".webm holds vp9, av1"),
        (".mp4", "auto", 52, "from 0 .best. to 51"),
        (".gif", "auto", 20, "has no such quality"),
    ):
        with pytest.raises(UserError, match=told):
            Encoding.of(ending, codec, crf)


def test_a_missing_package_is_one_line(monkeypatch):
    real = builtins.__import__

    def without(name, *more):
        if name == "av":
            raise ImportError("No module named 'av'")
        return real(name, *more)

    monkeypatch.delitem(sys.modules, "av")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="requirements-video.txt"):
        Encoding.of(".mp4")
