"""The pages hold together: links lead somewhere, what is quoted exists, and the README stays short."""

import re

import pytest
import yaml as pyyaml

from piti.config import Config, load
from tests.house import ROOT, SOURCES
from tests.house.pages import PAGES, anchors, blocks, links, prose, shown, yaml
from tests.house.test_config_readme import keys

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def dangling(page) -> list[str]:
    """The links of a page that lead nowhere."""
    missing = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    return missing


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_somewhere(page):
    assert not dangling(ROOT / page)


def test_a_link_that_leads_nowhere_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        '# A: *page*\n\n[a](#a-page) [b](#b) [c](gone.md) `[d](x.md)`\n\n    [e](y.md)\n\n<img src="f.png">\n'
    )
    assert dangling(page) == ["#b", "gone.md", "f.png"]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= 1000


def test_one_version_is_said_and_its_day():
    said = {name: (ROOT / name).read_text() for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md")}
    patterns = (r'^version = "(.+)"', r"^version: (.+)", r"^## \[(?!Unreleased)(.+)\]")
    assert len({re.search(pattern, said[name], re.M)[1] for name, pattern in zip(said, patterns, strict=True)}) == 1
    released = re.search(r"^## \[\d.*\] - (.+)", said["CHANGELOG.md"], re.M)[1]
    assert f"\ndate-released: {released}\n" in said["CITATION.cff"]


def test_the_index_names_every_page():
    tracked = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} - {"docs/README.md"}
    assert tracked == {f"docs/{link}" for link in links(ROOT / "docs/README.md") if "/" not in link}


@pytest.mark.parametrize("page", NAMES)
def test_one_line_sets_the_shell_up(page):
    """Commands are written as they are typed after `. .venv/bin/activate`, which stands before the first of them."""
    assert not re.search(r"\.venv/bin/(?!activate)", (ROOT / page).read_text())
    words = [command.words for command in shown(ROOT / page)]
    first = next((i for i, each in enumerate(words) if each[0] in ("snakemake", "piti", "python", "pip")), None)
    assert first is None or (".", ".venv/bin/activate") in words[:first]


@pytest.mark.parametrize("page", NAMES)
def test_every_block_says_what_it_is(page):
    """Else a command could hide from its test (tests/house/test_commands.py)."""
    *found, _ = blocks((ROOT / page).read_text())
    assert {language for language, _ in found} <= {"sh", "yaml", "python", "mermaid", "text"}


@pytest.mark.parametrize(("page", "block"), [(page, block) for page in NAMES for block in yaml(page)])
def test_yaml_is_a_configuration(page, block):
    load(pyyaml.safe_load(block), ROOT / "config")


SECTIONS = keys(Config)
KEY = re.compile(rf"`((?:{'|'.join(SECTIONS[''])})\.[\w.<>]+)(?:: [^`]*)?`")


def exists(key: str) -> bool:
    """Whether a dotted key may stand in the configuration."""
    path = ""
    for part in key.split("."):
        below = [f"{path}.{name}".lstrip(".") for name in (part, "<name>")]
        found = [one for one in below if any(f"{section}.".startswith(f"{one}.") for section in SECTIONS)]
        if not found:  # a plain key, or, below one, a name that the user chooses
            return part in SECTIONS.get(path, {part})
        path = found[0]
    return True


@pytest.mark.parametrize("page", [name for name in NAMES if name != "CHANGELOG.md"])
def test_keys_that_are_named_exist(page):
    named = KEY.findall(prose((ROOT / page).read_text()))
    assert not [key for key in named if not key.endswith((".py", ".yaml")) and not exists(key)]


@pytest.mark.parametrize(
    "key", ["machine.thread", "models.spade.presicion", "networks.bas.dropout", "datasets.<name>.pth"]
)
def test_a_key_that_does_not_exist_is_seen(key):
    assert KEY.fullmatch(f"`{key}`") and not exists(key)


# What the shell, the system and Snakemake say.
OTHERS = {"piti: command not found", "snakemake: command not found", "Directory cannot be locked", "Nothing to be done"}
OTHERS |= {"No space left on device", "Disk quota exceeded"}


def quoted() -> list[str]:
    """The messages of docs/troubleshooting.md: what stands in the first column of its tables, between backticks."""
    rows = re.findall(r"^\| (`.+?) \| ", (ROOT / "docs/troubleshooting.md").read_text(), re.M)
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row) if message not in OTHERS]


@pytest.mark.parametrize("message", quoted())
def test_messages_are_what_the_project_says(message):
    """The parts between dots occur in this order in one of its files."""
    said = re.compile(r".{0,200}?".join(map(re.escape, re.split(" *… *", message))), re.S)
    files = [*SOURCES, *(ROOT / "rules").glob("*.smk"), *(ROOT / "config").rglob("*.yaml"), ROOT / "Makefile"]
    assert any(said.search(file.read_text()) for file in files)


def test_the_plug_in_is_one_that_is_tested():
    """docs/add-something.md shows what tests/flow runs, but for remarks and types."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/add-something.md").read_text(), re.M | re.S)
    tested = (ROOT / "tests/flow/toys/toys.py").read_text()

    def bare(text: str) -> set[str]:
        lines = re.sub(r'  #.*|: Path|: np\.ndarray| -> np\.ndarray|f"\{__name__\}|"toys', "", text).splitlines()
        return {line.strip() for line in lines if line.strip()}

    assert bare(code) <= bare(tested)
