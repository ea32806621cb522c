"""What is shown: tables, figures, the user study, the report."""

from dataclasses import dataclass

from piti.cards.base import Card


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a table: the scores behind it, one a seed, or the reason why there is none."""

    row: str
    column: str
    paper: str = "-"
    scores: tuple[str, ...] = ()  # digests, in the order of the rule's score files
    seeds: tuple[int, ...] = ()
    extractor: str = ""
    run: str = ""  # method/task/fraction, as a person would ask for it
    ceiling: bool = False  # of the real images themselves
    selected: bool = False  # scores are those of alternatives, each of all seeds; the best on the test set is shown
    by_rule: bool = False  # trainings behind the scores end when they have converged
    reason: str = ""
    substitution: str = ""


@dataclass(frozen=True, kw_only=True)
class TableCard(Card):
    """A table: a grid of cells."""

    name: str
    title: str
    preset: str
    comparable: bool
    note: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a strip: the digest of its pictures, or the reason why there are none."""

    heading: str
    pictures: str = ""
    variant: str = ""  # the pictures are those with this behind their id: ID/VARIANT
    reason: str = ""
    curve: str = ""  # the curve over w that measures these pictures
    guidance: float | None = None  # their w; nothing: a level


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Some images of one task, each a line of pictures. The first column says which images there are."""

    columns: tuple[Column, ...]  # those with pictures in the order of the rule's files
    ids: tuple[str, ...] = ()  # else picked by seed
    worst: str = ""  # digest of the score whose worst images are shown


@dataclass(frozen=True, kw_only=True)
class FigureCard(Card):
    """A grid of pictures."""

    name: str
    title: str
    preset: str
    note: str
    images: int
    seed: int
    strips: tuple[Strip, ...]
    page: int = 0  # how many times as many images the seed picks before these
    wrap: int = 0  # columns a line; 0: all
    crop: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One method of the user study: the digest of its samples, or the reason why there are none."""

    method: str
    samples: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyCard(Card):
    """A user study: pairs of pictures, each of one condition, by Ours and by an opponent."""

    ours: Contestant
    against: tuple[Contestant, ...]
    pairs: int  # of each comparison
    seed: int
    page: str  # digest of the page's own files; every vote carries it


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One opponent in Table 2."""

    over: str
    label: str
    paper: str


@dataclass(frozen=True, kw_only=True)
class TallyCard(Card):
    """The count of a user study's votes."""

    name: str
    title: str
    preset: str
    comparable: bool
    note: str
    ours: str  # label
    study: str
    comparisons: tuple[Comparison, ...]
    votes: str = ""  # digest of the vote files; empty: there is no folder of them
    substitution: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportCard(Card):
    """The report: what it shows, and what the code is now, so that an edit makes a new one."""

    title: str
    preset: str
    note: str
    comparable: bool
    tables: tuple[str, ...]  # digests, in the order of the rule's files
    figures: tuple[str, ...]
    claims: str
    deviations: str  # digest of DEVIATIONS.md
    code_now: dict[str, str]  # step -> digest of its code
    rows: tuple[str, ...] = ()  # of models.yaml, with one of which the name of each training begins
