"""Downloads against a server of our own, which cuts, lies, hangs and moves."""

import gzip
import hashlib
import http.server
import io
import json
import multiprocessing
import os
import threading
import time
import types
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from piti.store import download
from piti.store.download import Source, fetch
from piti.store.files import InputError

DATA = bytes(range(256)) * 4096  # 1 MiB
SHA256 = "sha256:" + hashlib.sha256(DATA).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `data` at every path; the attributes say in which way it misbehaves."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.data = DATA
        self.ranges = True
        self.etag = '"1"'
        self.cuts = []  # bytes to send before each connection is dropped
        self.codes = []  # status codes to answer first
        self.hang = False
        self.chunked = False
        self.seen = []  # (path, Range, If-Range) of every request

    def handle_error(self, *_):
        pass  # a client that hangs up is no news

    def url(self, name="file"):
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.seen.append((self.path, wanted, self.headers.get("If-Range")))
        if server.hang:
            time.sleep(2)
            return
        if self.path.startswith("/missing"):
            return self.send_error(404)
        if self.path.startswith("/share"):
            return self.answer(json.dumps({"href": server.url("file")}).encode())
        if server.codes:
            return self.send_error(server.codes.pop(0))
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range") in (None, server.etag):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(server.data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.data)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.answer(server.data[start:], start)

    def answer(self, body, start=0):
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.server.data) - 1}/{len(self.server.data)}")
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        if self.server.chunked:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.wfile.write(body[:cut])
        self.close_connection = cut is not None or self.server.chunked


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "BACKOFF", 0.001)
    monkeypatch.setattr(download, "RETRIES", 2)
    monkeypatch.setattr(download, "TIMEOUT", 5.0)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def get(server, tmp_path):
    """Fetch from the server's file unless told otherwise."""

    def get(**source):
        source = {"url": (server.url(),)} | source
        return fetch(Source(**source), tmp_path / "file", tmp_path / "pins.json")

    return get


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_a_file_arrives_and_is_not_fetched_twice(server, get, tmp_path, algorithm):
    digest = f"{algorithm}:{hashlib.new(algorithm, DATA).hexdigest()}"
    for _ in range(2):
        assert get(bytes=len(DATA), digest=digest) == (tmp_path / "file", digest)
    assert (tmp_path / "file").read_bytes() == DATA
    assert names(tmp_path) == ["file"]
    assert len(server.seen) == 1


@pytest.mark.parametrize("digest", [SHA256, ""])
def test_cut_connections_are_continued(server, get, tmp_path, digest):
    server.cuts = [100_000, 1, 70_000, 300_000, 5]  # more than RETRIES: each brought something
    get(digest=digest)
    assert (tmp_path / "file").read_bytes() == DATA
    assert [r for _, r, _ in server.seen] == [
        None,
        *(f"bytes={n}-" for n in (100_000, 100_001, 170_001, 470_001, 470_006)),
    ]
    assert server.seen[-1][2] == ('"1"' if not digest else None)


def test_an_interrupted_download_is_continued_by_the_next_call(server, get, tmp_path):
    server.cuts = [400_000, 0, 0, 0]
    with pytest.raises(InputError, match=r"cut off at byte 400000 of 1048576.*404"):
        get(url=(server.url(), server.url("missing")), digest=SHA256)
    assert names(tmp_path) == [".file.partial"]
    get(digest=SHA256)
    assert server.seen[-1][1] == "bytes=400000-"
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_whole_partial_file_needs_nothing_more(server, get, tmp_path):
    (tmp_path / ".file.partial").write_bytes(DATA)
    get(digest=SHA256)
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("partial", [DATA + b"more", b"wrong" * 10])
def test_a_wrong_partial_file_does_no_lasting_harm(server, get, tmp_path, partial):
    (tmp_path / ".file.partial").write_bytes(partial)
    if len(partial) < len(DATA):  # found out only at the end
        with pytest.raises(InputError, match="found sha256"):
            get(digest=SHA256)
    get(digest=SHA256)
    assert (tmp_path / "file").read_bytes() == DATA


def test_without_a_checksum_an_old_beginning_is_not_trusted(server, get, tmp_path):
    (tmp_path / ".file.partial").write_bytes(b"wrong" * 10)
    get()
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_file_that_changes_between_two_attempts_is_not_stitched(server, get, tmp_path):
    server.cuts = [100_000]
    answer = Handler.answer

    def change(self, body, start=0):
        answer(self, body, start)
        self.server.data, self.server.etag = b"new" * 1000, '"2"'

    Handler.answer = change
    try:
        get()
    finally:
        Handler.answer = answer
    assert (tmp_path / "file").read_bytes() == b"new" * 1000


@pytest.mark.parametrize("digest", [SHA256, ""])
def test_a_server_without_ranges(server, get, tmp_path, digest):
    server.ranges, server.etag, server.cuts = False, "", [1000, 1000]
    get(digest=digest)
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_server_that_does_not_tell_the_size(server, get, tmp_path):
    server.chunked = True
    get(digest=SHA256, bytes=len(DATA))
    assert (tmp_path / "file").read_bytes() == DATA
    (tmp_path / "file").unlink()
    with pytest.raises(InputError, match="found more bytes than the 1000 expected"):
        get(bytes=1000)


def test_wrong_size_is_refused_before_anything_arrives(server, get, tmp_path):
    with pytest.raises(InputError, match=r"file \(from http.*\): found 1048576 bytes, expected 12$"):
        get(bytes=12, digest=SHA256)
    assert names(tmp_path) == []


def test_wrong_checksum(get, tmp_path):
    with pytest.raises(InputError, match=rf"found sha256 {SHA256[7:]}, expected {'0' * 64}$"):
        get(digest="sha256:" + "0" * 64)
    assert names(tmp_path) == []


def test_a_wrong_file_under_the_target_name_is_refused_but_kept(get, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(InputError, match="found sha256"):
        get(digest=SHA256)
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_mirrors_are_tried_in_order(server, get, tmp_path):
    get(url=(server.url("missing"), server.url("second")), digest=SHA256)
    assert [path for path, *_ in server.seen] == ["/missing", "/second"]
    with pytest.raises(InputError, match=r"404.*; .*404"):
        fetch(Source(url=(server.url("missing1"), server.url("missing2"))), tmp_path / "other", tmp_path / "pins.json")


def test_the_next_mirror_continues_what_the_first_began(server, get, tmp_path):
    server.cuts = [400_000, 0, 0, 0]
    get(url=(server.url("first"), server.url("second")), digest=SHA256)
    assert server.seen[-1][:2] == ("/second", "bytes=400000-")
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_busy_server_is_asked_again(server, get):
    server.codes = [503, 429]
    get(digest=SHA256)
    assert len(server.seen) == 3


def test_a_hanging_server_is_given_up(server, get, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    monkeypatch.setattr(download, "RETRIES", 1)
    server.hang = True
    with pytest.raises(InputError, match=r"cannot be had from .*timed out"):
        get(digest=SHA256)
    assert names(tmp_path) == []


def test_no_network(get, tmp_path):
    with pytest.raises(InputError, match=r"cannot be had from http://127.0.0.1:1/file .*refused"):
        get(url=("http://127.0.0.1:1/file",))


def test_a_full_disk_is_told_before_the_download(get, monkeypatch, tmp_path):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=9))
    with pytest.raises(InputError, match="found 9 bytes free, expected 1048576 for file"):
        get(digest=SHA256)


def test_an_address_as_people_write_it(server, get):
    """With a space and an accent, which no request may hold; what is written as %20 stays so."""
    assert get(url=(server.url("mes données%20et plus.zip?a=1&b=2"),), digest=SHA256)
    assert [path for path, *_ in server.seen] == ["/mes%20donn%C3%A9es%20et%20plus.zip?a=1&b=2"]


def test_only_web_addresses(get, tmp_path):
    (tmp_path / "secret").write_text("x")
    with pytest.raises(InputError, match="expected an http or https address"):
        get(url=((tmp_path / "secret").as_uri(),))


def test_a_share_on_yandex_disk_is_resolved(server, get, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "YANDEX_API", server.url("share"))
    get(url=("https://disk.yandex.ru/d/abc",), digest=SHA256)
    assert server.seen[0][0] == "/share?public_key=https%3A%2F%2Fdisk.yandex.ru%2Fd%2Fabc"
    assert (tmp_path / "file").read_bytes() == DATA


def packed(suffix):
    """A small whole file of a form."""
    content = io.BytesIO()
    if suffix in (".zip", ".whl", ".pt"):
        with zipfile.ZipFile(content, "w") as file:
            file.writestr("data", DATA[:5000])
    elif suffix == ".tar.gz":
        content.write(gzip.compress(DATA[:5000] + os.urandom(5000)))
    elif suffix == ".h5":
        content.write(b"\x89HDF\r\n\x1a\n" + DATA[:5000])
    elif suffix == ".safetensors":
        content.write(safetensors.numpy.save({"a": np.zeros(2000, np.uint8)}))
    return content.getvalue()


PAGE = b"<!DOCTYPE html>\n<html><title>Too many requests</title></html>" + b" " * 500
FORMS = [".zip", ".tar.gz", ".pt", ".h5", ".safetensors"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    "suffix, wrong, words",
    [
        *((suffix, PAGE, "found a web page") for suffix in (*FORMS, "")),
        *((suffix, PAGE[:200], "found a web page") for suffix in FORMS),
        ("", b"", "found an empty file"),
        *((suffix, b"", "found 0 bytes, expected") for suffix in FORMS),
        *((suffix, b"Not found", "found 9 bytes, expected") for suffix in FORMS),
        *(
            (suffix, packed(suffix)[: len(packed(suffix)) // 2], "no whole file")
            for suffix in (".zip", ".tar.gz", ".pt")
        ),
        *((suffix, b"?" * 5000, "no whole file") for suffix in FORMS),
    ],
)
def test_what_cannot_be_the_file_is_not_pinned(server, tmp_path, chunked, suffix, wrong, words):
    server.chunked, server.data = chunked, wrong
    source, target, pins = Source(url=(server.url(),)), tmp_path / f"file{suffix}", tmp_path / "pins.json"
    with pytest.raises(InputError, match=words) as refusal:
        fetch(source, target, pins)
    assert "\n" not in str(refusal.value) and not target.exists() and not pins.exists()
    server.data = packed(suffix) or DATA
    fetch(source, target, pins)  # the right file is not refused
    assert target.read_bytes() == server.data


def test_a_pin_can_be_forgotten(server, get, tmp_path):
    first = get()[1]
    (tmp_path / "file").unlink()
    server.data = bytes(2000)
    with pytest.raises(InputError, match="if the new file is right, give it another version, or: piti pins --forget"):
        get()
    assert download.forget(tmp_path / "pins.json", server.url()) == first
    assert get()[1] != first


def test_an_unpublished_checksum_is_pinned_and_its_change_refused(server, get, tmp_path):
    assert get()[1] == SHA256
    pin = json.loads((tmp_path / "pins.json").read_text())[server.url()]
    assert (pin["digest"], pin["bytes"], pin["from"]) == (SHA256, len(DATA), server.url())
    assert get()[1] == SHA256
    (tmp_path / "file").unlink()
    server.data = b"something else"
    with pytest.raises(InputError, match=rf"found sha256:\w+, expected {SHA256}, pinned on .*pins.json"):
        get()
    assert not (tmp_path / "file").exists()


def test_a_path_is_verified_where_it_is(tmp_path):
    (tmp_path / "here").write_bytes(DATA)
    pins, target = tmp_path / "pins.json", tmp_path / "target"
    source = Source(path=str(tmp_path / "here"), digest=SHA256)
    assert fetch(source, target, pins) == (tmp_path / "here", SHA256)
    assert names(tmp_path) == ["here"]
    with pytest.raises(InputError, match=r"absent .*no such file"):
        fetch(Source(path=str(tmp_path / "absent")), target, pins)
    with pytest.raises(InputError, match="found digest 'sha256:12', expected"):
        fetch(Source(path=str(tmp_path / "here"), digest="sha256:12"), target, pins)


def test_a_source_is_one_thing(tmp_path):
    with pytest.raises(InputError, match="exactly one of url, package and path"):
        fetch(Source(path="a", package="b==1"), tmp_path / "file", tmp_path / "pins.json")


def _fetch(url, folder):
    fetch(Source(url=(url,), digest=SHA256), folder / "file", folder / "pins.json")


def test_two_copies_of_one_download_share_the_work(server, tmp_path):
    context = multiprocessing.get_context("fork")
    copies = [context.Process(target=_fetch, args=(server.url(), tmp_path)) for _ in range(3)]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.join(20)
    assert [c.exitcode for c in copies] == [0, 0, 0]
    assert (tmp_path / "file").read_bytes() == DATA
    assert names(tmp_path) == ["file"]
    assert len(server.seen) == 1


@pytest.fixture
def wheelhouse(tmp_path, monkeypatch):
    """A package index in a folder, which pip is told to use instead of the network."""
    house = tmp_path / "wheelhouse"
    house.mkdir()
    with zipfile.ZipFile(house / "toy_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy_weights/net.bin", DATA)
        wheel.writestr("toy_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n")
        wheel.writestr(
            "toy_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("toy_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(house))
    return house


def test_a_member_of_a_package(wheelhouse, tmp_path):
    target, pins = tmp_path / "net.bin", tmp_path / "pins.json"
    wheel = next(wheelhouse.iterdir()).read_bytes()
    digest = "sha256:" + hashlib.sha256(wheel).hexdigest()
    source = Source(package="toy-weights==1.0", member="toy_weights/net.bin", bytes=len(wheel), digest=digest)
    assert fetch(source, target, pins) == (target, digest)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"package": "toy-weights==2.0"}, "cannot have package toy-weights==2.0"),
        ({"package": "--help"}, "expected name==version"),
        ({"member": "net.bin"}, "found no member 'net.bin'; the largest are toy_weights/net.bin"),
        ({"digest": "md5:" + "0" * 32}, "found md5"),
    ],
)
def test_a_package_that_cannot_be_had(wheelhouse, tmp_path, change, message):
    source = {"package": "toy-weights==1.0", "member": "toy_weights/net.bin"} | change
    with pytest.raises(InputError, match=message):
        fetch(Source(**source), tmp_path / "net.bin", tmp_path / "pins.json")
    assert not (tmp_path / "net.bin").exists()


def test_a_damaged_wheel_is_refused_and_pins_nothing(wheelhouse, tmp_path):
    """Its digest is declared nowhere: a damaged one must not become the one that later ones are compared with."""
    (wheel,) = wheelhouse.iterdir()
    good = wheel.read_bytes()
    bad = bytearray(good)
    bad[len(DATA) // 2] ^= 1  # in the member
    wheel.write_bytes(bad)
    source, target = Source(package="toy-weights==1.0", member="toy_weights/net.bin"), tmp_path / "made/net.bin"
    with pytest.raises(InputError, match="found a damaged wheel"):
        fetch(source, target, tmp_path / "pins.json")
    assert not target.exists() and not (tmp_path / "pins.json").exists()
    wheel.write_bytes(good)
    fetch(source, target, tmp_path / "pins.json")
    assert target.read_bytes() == DATA
