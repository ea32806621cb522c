"""Archives, most of them hostile."""

import gzip
import io
import os
import random
import tarfile
import zipfile

import pytest

from piti.store import archive
from piti.store.archive import extract_all
from piti.store.files import InputError

FILES = {"data/a.txt": b"a", "data/val/b_mask.npy": b"b" * 100_000, "data/val/c.png": os.urandom(3000)}
ALL = tuple(FILES.items())


def extract(path, folder):
    extract_all({path: ""}, folder)


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)


def make_tar(path, members):
    with tarfile.open(path, "w:gz") as file:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))


MAKERS = {"x.zip": make_zip, "x.tar.gz": make_tar}


@pytest.fixture(params=list(MAKERS))
def make(request, tmp_path):
    """Write an archive of either kind and return its path."""

    def make(members=ALL):
        path = tmp_path / request.param
        MAKERS[request.param](path, members)
        return path

    return make


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(path, message):
    """Extraction fails with one line that names the archive, and leaves nothing behind."""
    before = sorted(path.parent.iterdir())
    with pytest.raises(InputError, match=message) as error:
        extract(path, path.parent / "out")
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert sorted(path.parent.iterdir()) == before


def test_everything_comes_out(make, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    extract(make(), tmp_path / "out")
    assert tree(tmp_path / "out") == FILES


def test_several_archives_share_a_folder(tmp_path):
    make_zip(tmp_path / "depth.zip", [("val/1_depth.npy", b"1")])
    make_tar(tmp_path / "normals.tar.gz", [("val/1_normal.npy", b"2")])
    make_zip(tmp_path / "maps.zip", [("1.png", b"3")])
    archives = {tmp_path / "depth.zip": "", tmp_path / "normals.tar.gz": "", tmp_path / "maps.zip": "a/maps"}
    extract_all(archives, tmp_path / "out")
    assert tree(tmp_path / "out") == {"val/1_depth.npy": b"1", "val/1_normal.npy": b"2", "a/maps/1.png": b"3"}
    make_zip(tmp_path / "maps.zip", [("val/1_depth.npy", b"4")])
    with pytest.raises(InputError, match=r"maps\.zip: member 'val/1_depth.npy': found something else under that name"):
        extract_all(archives | {tmp_path / "maps.zip": ""}, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    for below in ("../evil", "/tmp/evil"):
        with pytest.raises(InputError, match=f"found folder '{below}', expected one below"):
            extract_all({tmp_path / "maps.zip": below}, tmp_path / "new")


def test_the_names_that_tar_itself_writes(tmp_path):
    (tmp_path / "in" / "empty").mkdir(parents=True)
    (tmp_path / "in" / ("n" * 150)).write_bytes(b"long")
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as file:
        file.add(tmp_path / "in", "./")
    extract(tmp_path / "x.tgz", tmp_path / "out")
    assert tree(tmp_path / "out") == {"n" * 150: b"long"}
    assert (tmp_path / "out" / "empty").is_dir()


def test_an_archive_without_files(make):
    refused(make(()), "found no file in it")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "a/.."])
def test_paths_that_leave_the_folder(make, name):
    refused(make([("good", b"1"), (name, b"2")]), f"member '{name}': found a path that leaves the folder")


@pytest.mark.parametrize("name", ["n" * 256, "n/" * 1100 + "n"])
def test_names_that_are_too_long(make, name):
    refused(make([(name, b"")]), "found a name of")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a", "./a", "a/b"])
def test_names_that_collide(make, second):
    refused(make([("a", b"1"), (second, b"2")]), "the same name twice|something else under that name")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_tar_members_that_are_no_files(tmp_path, kind):
    info = tarfile.TarInfo("odd")
    info.type, info.linkname = kind, "/etc/passwd"
    make_tar(tmp_path / "x.tar.gz", [("good", b"1"), (info, b"")])
    refused(tmp_path / "x.tar.gz", "member 'odd': found a (link|device)")


def test_zip_members_that_are_no_files(tmp_path):
    info = zipfile.ZipInfo("odd")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    make_zip(tmp_path / "x.zip", [(info, b"/etc/passwd")])
    refused(tmp_path / "x.zip", "member 'odd': found a link")


def test_expansion_bombs(make, monkeypatch):
    bomb = make([(f"{i}", bytes(10_000_000)) for i in range(5)])
    monkeypatch.setattr(archive, "MAX_MEMBERS", 4)
    refused(bomb, "more than 4 members")
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 29_999_999)
    refused(bomb, "member '2': found 30000000 bytes so far, expected at most 29999999")


def test_the_bound_grows_with_the_archive(make, monkeypatch, tmp_path):
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 1000)
    extract(make([("random", os.urandom(10_000)), ("zeros", bytes(100_000))]), tmp_path / "out")
    refused(make([("zeros", bytes(10_000_000)), ("more", b"1")]), "found 10000000 bytes so far")


def test_a_tar_header_that_asks_for_all_memory(tmp_path):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    with gzip.open(tmp_path / "x.tar.gz", "wb") as file:
        file.write(info.tobuf() + bytes(10_000))
    refused(tmp_path / "x.tar.gz", "damaged or truncated")


def test_an_encrypted_zip(tmp_path):
    make_zip(tmp_path / "x.zip", [("a", b"1")])
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    refused(tmp_path / "x.zip", "'a': damaged or truncated .*encrypted")


def test_neither_kind(tmp_path):
    (tmp_path / "x.zip").write_text("<html>not found</html>")
    refused(tmp_path / "x.zip", "found b'<h' at its beginning, expected a .zip or .tar.gz")
    (tmp_path / "x.zip").write_bytes(b"")
    refused(tmp_path / "x.zip", "found b''")
    (tmp_path / "x.zip").unlink()
    refused(tmp_path / "x.zip", "no such file")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_truncated(make, part):
    path = make()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    refused(path, "damaged or truncated")


def test_damage_is_either_found_or_harmless(make, tmp_path):
    path = make()
    whole = path.read_bytes()
    found = 0
    for seed in range(60):
        rng = random.Random(seed)
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            extract(path, tmp_path / "out")
        except InputError:
            found += 1
        else:
            # a zip's directory has no checksum over names and dates; contents always have one
            assert sorted(tree(tmp_path / "out").values()) == sorted(FILES.values())
    assert found > 40
