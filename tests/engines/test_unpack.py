"""Known files come out of an archive, and nothing else of it reaches the disk."""

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines import unpack as unpacking
from engines.catalogue import Known
from engines.unpack import unpack
from nodes.runtime.errors import UserError

ENCODER, TOKENS = bytes(range(256)) * 400, b"<blk> 0\n"
FILES = {"encoder.onnx": ENCODER, "tokens.txt": TOKENS}
WANTED = {
    name: Known(sha256=hashlib.sha256(body).hexdigest(), bytes=len(body)) for name, body in FILES.items()
}


def member(name, body=b"", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(body), kind, link
    return info, body


def tarred(*members):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for info, body in members:
            tar.addfile(info, io.BytesIO(body))
    return made.getvalue()


GOOD = tarred(*(member(f"model-1/{name}", body) for name, body in FILES.items()))


@pytest.fixture
def place(tmp_path):
    """Unpacks bytes; returns what lies there afterwards."""
    into = tmp_path / "into"
    into.mkdir()

    def unpacked(data):
        archive = tmp_path / "model.tar.bz2"
        archive.write_bytes(data)
        unpack(archive, WANTED, into)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["into", "model.tar.bz2"]
        return {path.name: path.read_bytes() for path in into.iterdir()}

    return unpacked


def refused(place, data):
    with pytest.raises(UserError) as error:
        place(data)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("press", [bz2.compress, gzip.compress, lzma.compress, bytes])
def test_the_wanted_files_come_out_of_any_archive(place, press):
    assert place(press(GOOD)) == FILES


def test_what_is_not_wanted_stays_in_it_whatever_it_is(place):
    others = [
        member("model-1/README.md", b"hello"),
        member("../../evil.sh", b"rm"),
        member("/etc/evil", b"x"),
        member("model-1/link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        member("model-1/device", kind=tarfile.CHRTYPE),
        member("model-1/pipe", kind=tarfile.FIFOTYPE),
        member("model-1/folder", kind=tarfile.DIRTYPE),
    ]
    good = [member(f"model-1/{name}", body) for name, body in FILES.items()]
    assert place(bz2.compress(tarred(*others, *good))) == FILES


@pytest.mark.parametrize("path", ["../encoder.onnx", "/encoder.onnx", "/a/encoder.onnx", "a/b/encoder.onnx"])
def test_a_wanted_name_outside_its_folder_is_refused(place, path):
    assert "outside its folder; refused" in refused(place, bz2.compress(tarred(member(path, ENCODER))))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_wanted_name_that_is_no_file_is_refused(place, kind):
    data = bz2.compress(tarred(member("m/tokens.txt", kind=kind, link="/etc/passwd")))
    assert "as a link or device" in refused(place, data)


def test_another_content_another_size_a_second_one_and_a_missing_one_are_refused(place, tmp_path):
    forged = [member("m/encoder.onnx", ENCODER[::-1]), member("m/tokens.txt", TOKENS)]
    assert "another encoder.onnx than the known one" in refused(place, tarred(*forged))
    (tmp_path / "into" / "encoder.onnx").unlink()
    assert "of 3 bytes, 8 are known" in refused(place, tarred(member("m/tokens.txt", b"abc")))
    twice = [member("m/tokens.txt", TOKENS), member("n/tokens.txt", TOKENS)]
    assert "tokens.txt twice" in refused(place, tarred(*twice))
    (tmp_path / "into" / "tokens.txt").unlink()
    assert "has no encoder.onnx" in refused(place, tarred(member("m/tokens.txt", TOKENS)))


def test_a_bomb_is_refused_before_it_goes_off(place):
    bomb = bz2.compress(tarred(member("m/big", bytes(40_000_000)), member("m/tokens.txt", TOKENS)))
    assert len(bomb) < 2000
    assert "decompresses to more than it may" in refused(place, bomb)


@pytest.mark.parametrize("ratio", [unpacking.MAX_RATIO, 10**9])
def test_a_header_that_claims_gigabytes_of_names_is_refused(place, monkeypatch, ratio):
    monkeypatch.setattr(unpacking, "MAX_RATIO", ratio)
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 4 * 2**30
    data = info.tobuf(tarfile.GNU_FORMAT) + bytes(10_000)
    assert "decompresses to more than it may" in refused(place, bz2.compress(data))


def test_members_without_end_are_refused(place, monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 5)
    assert "more than 5 members" in refused(place, tarred(*(member(f"m/{i}") for i in range(6))))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, len(GOOD) - 1), flip=st.integers(0, 255), press=st.sampled_from([bz2.compress, bytes])
)
def test_a_damaged_archive_gives_the_known_files_or_one_line(tmp_path_factory, cut, flip, press):
    whole = bytearray(press(GOOD))
    cut %= len(whole)
    damaged = bytes(whole[:cut]) if flip == 0 else bytes([*whole[:cut], whole[cut] ^ flip, *whole[cut + 1 :]])
    folder = tmp_path_factory.mktemp("damaged")
    archive, into = folder / "model.tar", folder / "into"
    archive.write_bytes(damaged)
    into.mkdir()
    said = ""
    try:
        unpack(archive, WANTED, into)
    except UserError as error:
        said = str(error)
    assert "\n" not in said
    assert said or {path.name: path.read_bytes() for path in into.iterdir()} == FILES
