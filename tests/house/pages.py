"""The pages that people read: their blocks, headings and links, and the commands that they show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.house import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "config/README.md", ROOT / "envs/README.md"])
COMMENTED = sorted((ROOT / "config").rglob("*.yaml"))  # their comments show commands too
PROGRAMS = ("make", "snakemake", "piti", "python", "pip")


class Command(NamedTuple):
    """A command as it is shown."""

    place: str
    text: str
    words: tuple[str, ...]


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and text of each block of code, "sh" where it is indented by four spaces, and last, as "", the prose."""
    found, rest, language, body, before = [], "", None, "", ""
    for line in text.splitlines(keepends=True):
        fence = re.fullmatch(r" *```(\w*)\n", line)
        indented = line.startswith("    ") and not fence
        if language == "sh" and not indented and line.strip():  # an indented block ends with its last line
            found.append((language, body))
            language, body = None, ""
        if fence and language:
            found.append((language, body))
            language, body = None, ""
        elif fence:
            language = fence[1] or "fence"
        elif language or (indented and not before.strip()):
            language, body = language or "sh", body + line
        else:
            rest += line
        before = line
    return [*found, *([(language, body)] if language else []), ("", rest)]


def prose(text: str) -> str:
    """The text without its blocks of code."""
    return blocks(text)[-1][1]


def yaml(page: str, word: str = "") -> list[str]:
    """The YAML that a page shows, those blocks in which a word occurs."""
    return [block for language, block in blocks((ROOT / page).read_text()) if language == "yaml" and word in block]


def shown(page: Path) -> list[Command]:
    """The commands in the blocks of a page, a line each; a backslash continues it, a comment is left out."""
    lines = "".join(block for language, block in blocks(page.read_text()) if language == "sh")
    return list(read(page, re.sub(r"\\\n\s*", "", lines).splitlines()))


def mentioned(page: Path) -> list[Command]:
    """The commands in its sentences, between backticks; of a changelog none, for it speaks of the past."""
    if page.name == "CHANGELOG.md":
        return []
    spans = re.findall(rf"`((?:{'|'.join(PROGRAMS)}|--config) [^`]+)`", prose(page.read_text()))
    spans = [re.sub(r"^piti \w+$", r"\g<0> --help", span) for span in spans]  # a command's name alone
    return list(read(page, [re.sub(r"^--config", r"piti plan \g<0>", span) for span in spans]))  # of any command


def commented(file: Path) -> list[Command]:
    """The commands in the comments of a YAML file; what follows two spaces is a remark."""
    lines = re.findall(rf"# ((?:{'|'.join(PROGRAMS)}) \S.*?)(?: {{2}}.*)?$", file.read_text(), re.M)
    return list(read(file, lines))


def helped(module: Path) -> list[Command]:
    """The commands that a command's own help shows; what follows two spaces is a remark."""
    text = re.sub(r" *\\\\\n +", " ", module.read_text().split('"""')[1])
    return list(read(module, re.findall(r"^ *(piti .*?)(?: {2}.*)?$", text, re.M)))


def read(page: Path, lines: list[str]) -> Iterator[Command]:
    for line in lines:
        if words := shlex.split(line, comments=True):
            yield Command(str(page.relative_to(ROOT)), re.sub(r"\s+# .*", "", line).strip(), tuple(words))


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub links to them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page.read_text()), re.M):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        found.add(name if name not in found else f"{name}-1")
    return found


def links(page: Path) -> list[str]:
    """The links and pictures of a page that point into the repository."""
    text = re.sub(r"`[^`\n]*`", "", prose(page.read_text()))
    found = re.findall(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"", text)
    return [link for pair in found for link in pair if link and not re.match(r"\w+:", link)]
