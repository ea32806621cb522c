"""Cards: strict reading, coercion from strings, digests that move with what matters and with nothing else."""

import json
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piti.cards.base import digest, dumps, from_dict, to_dict
from piti.registry import Registry, unknown_key
from piti.store.files import InputError


@dataclass(frozen=True)
class Part:
    width: int = 4
    rates: tuple[float, ...] = (0.5,)


@dataclass(frozen=True)
class Animal:
    """A family: its members have their own fields, and may share some."""

    family: ClassVar = Registry("animals")
    age: int = 1


@Animal.family.add
@dataclass(frozen=True)
class Cat(Animal):
    name: ClassVar = "cat"
    lives: int = 9


@Animal.family.add
@dataclass(frozen=True)
class Fish(Animal):
    name: ClassVar = "fish"
    age: int = 2


@dataclass(frozen=True, kw_only=True)
class Whole:
    name: str
    lr: float = 1e-4
    steps: int = 0
    flip: bool = True
    mode: Literal["sample", "channel", 3] = "sample"
    limit: int | None = None
    size: int | str = "auto"
    part: Part = Part()
    wide: Part = Part(width=64, rates=())
    spare: Part | None = None
    pet: Animal | None = None
    zoo: tuple[Animal, ...] = ()
    kind: Annotated[str, ("plain",), Animal.family] = "plain"
    parts: tuple[Part, ...] = ()
    ids: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Twin:
    """The same fields as Part, another meaning."""

    width: int = 4
    rates: tuple[float, ...] = (0.5,)


floats = st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)  # one zero: -0.0 equals 0.0
parts = st.builds(Part, st.integers(), st.lists(floats).map(tuple))
animals = st.builds(Cat, st.integers(), st.integers()) | st.builds(Fish, st.integers())
wholes = st.builds(
    Whole,
    name=st.text(),
    lr=floats,
    steps=st.integers(),
    flip=st.booleans(),
    mode=st.sampled_from(["sample", "channel", 3]),
    limit=st.none() | st.integers(),
    size=st.integers() | st.just("auto"),
    part=parts,
    wide=parts,
    spare=st.none() | parts,
    pet=st.none() | animals,
    zoo=st.lists(animals, max_size=3).map(tuple),
    kind=st.sampled_from(["plain", "cat", "fish"]),
    parts=st.lists(parts, max_size=3).map(tuple),
    ids=st.dictionaries(st.text(), st.lists(st.integers()).map(tuple), max_size=3),
)


def read(**data) -> Whole:
    return from_dict(Whole, {"name": "a"} | data)


# -- there and back ----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(wholes)
def test_a_card_survives_the_command_line(card):
    again = from_dict(Whole, json.loads(dumps(card)))
    assert again == card
    assert digest(again) == digest(card)


@settings(deadline=None)
@given(wholes, wholes)
def test_equal_digests_mean_equal_cards(one, other):
    assert (digest(one) == digest(other)) == (one == other)


def test_defaults_are_left_out():
    assert to_dict(Whole(name="a")) == {"name": "a"}
    assert to_dict(Whole(name="a", part=Part(width=5), ids={})) == {"name": "a", "part": {"width": 5}}


def test_a_part_that_is_there_differs_from_none():
    card = Whole(name="a", spare=Part())
    assert to_dict(card)["spare"] == {}
    assert from_dict(Whole, to_dict(card)) == card


def test_half_a_mapping_changes_half_of_a_default_part():
    card = read(wide={"rates": [1]})
    assert card.wide == Part(width=64, rates=(1.0,))
    assert to_dict(card) == {"name": "a", "wide": {"rates": [1.0]}}
    assert read(wide={"width": 4, "rates": [0.5]}).wide == Part()


def test_a_member_of_a_family_is_told_apart_by_its_name():
    assert to_dict(read(pet={"name": "cat", "lives": "7"})) == {"name": "a", "pet": {"name": "cat", "lives": 7}}
    assert digest(read(pet={"name": "cat"})) != digest(read(pet={"name": "fish", "age": 1}))
    assert from_dict(Cat, {"lives": 3}) == Cat(lives=3)


def test_a_mapping_of_a_family_holds_every_member():
    @dataclass(frozen=True)
    class Ark:
        pairs: dict[str, Animal]

    assert from_dict(Ark, {"pairs": {"fish": {"age": 3}}}).pairs == {"cat": Cat(), "fish": Fish(3)}
    assert from_dict(Ark, to_dict(Ark({"cat": Cat(5), "fish": Fish()}))).pairs["cat"] == Cat(5)
    for pairs, line in (
        ({"dog": {}}, "pairs: unknown key 'dog'; nearest valid key: "),
        ({"cat": {"wings": 2}}, "pairs.cat: unknown key 'wings'; nearest valid key: "),
        ({"cat": {"name": "fish"}}, "pairs.cat.name: found 'fish', expected one of cat"),
    ):
        with pytest.raises(InputError) as refusal:
            from_dict(Ark, {"pairs": pairs})
        assert str(refusal.value).startswith(line)


def test_with_the_defaults_every_value_is_said_and_read_back():
    card = read(pet={"name": "cat"}, part={"width": 5})
    said = json.loads(json.dumps(to_dict(card, defaults=True)))
    assert said["pet"] == {"name": "cat", "age": 1, "lives": 9} and said["part"] == {"width": 5, "rates": [0.5]}
    assert said.keys() == Whole.__dataclass_fields__.keys() and from_dict(Whole, said) == card


def test_digest_does_not_depend_on_the_order_of_keys():
    assert digest(read(ids={"x": [1], "y": [2]}, steps=1)) == digest(read(steps=1, ids={"y": [2], "x": [1]}))


def test_digest_holds_the_type():
    assert to_dict(Part(width=5)) == to_dict(Twin(width=5))
    assert digest(Part(width=5)) != digest(Twin(width=5))


def test_digest_is_pinned():
    card = Whole(name="é", lr=3.5e-5, part=Part(width=5), ids={"b": (1,), "a": ()})
    assert digest(card) == "2563ba63f0"  # another rule would orphan every artefact on disk


# -- coercion ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "given", "got"),
    [
        ("steps", "4", 4),
        ("steps", "1e3", 1000),
        ("steps", 4.0, 4),
        ("steps", 2**53 + 1, 2**53 + 1),
        ("steps", str(2**53 + 1), 2**53 + 1),
        ("lr", "1e-4", 1e-4),
        ("lr", 1, 1.0),
        ("flip", "False", False),
        ("name", 25, "25"),
        ("mode", "3", 3),
        ("limit", None, None),
        ("limit", "7", 7),
        ("size", "7", 7),
        ("size", "auto", "auto"),
        ("part", {"width": "8"}, Part(width=8)),
        ("parts", [{"width": 1}, {}], (Part(width=1), Part())),
        ("ids", {3: ["4"]}, {"3": (4,)}),
    ],
)
def test_coerced(key, given, got):
    value = getattr(read(**{key: given}), key)
    assert value == got
    assert type(value) is type(got)


@pytest.mark.parametrize(
    ("key", "given", "words"),
    [
        ("steps", "many", ["steps", "'many'", "a whole number"]),
        ("steps", 1.5, ["steps", "1.5", "a whole number"]),
        ("steps", True, ["steps", "True", "a whole number"]),
        ("steps", float("inf"), ["steps", "inf", "a whole number"]),
        ("steps", None, ["steps", "None", "a whole number"]),
        ("lr", [1], ["lr", "[1]", "a number"]),
        ("lr", "nan", ["lr", "'nan'", "a number"]),
        ("flip", 1, ["flip", "1", "true or false"]),
        ("name", None, ["name", "None", "text"]),
        ("mode", "chanel", ["mode", "'chanel'", "sample, channel, 3", "nearest: channel"]),
        ("limit", "x", ["limit", "'x'", "a whole number"]),
        ("size", [], ["size", "[]", "a whole number or text"]),
        ("part", 3, ["part", "3", "keys and values"]),
        ("pet", {}, ["pet.name", "None", "one of cat, fish"]),
        ("pet", {"name": "cta"}, ["pet.name", "'cta'", "one of cat, fish", "nearest: cat"]),
        ("pet", {"name": "fish", "lives": 1}, ["pet: unknown key 'lives'"]),
        ("pet", {"name": ["cat"]}, ["pet.name", "['cat']", "one of cat, fish"]),
        ("pet", "cat", ["pet", "'cat'", "keys and values"]),
        ("kind", "dog", ["kind", "'dog'", "one of plain, cat, fish"]),
        ("parts", {}, ["parts", "{}", "a list"]),
        ("parts", [{}, {"width": "x"}], ["parts[1].width", "'x'", "a whole number"]),
        ("ids", [], ["ids", "[]", "keys and values"]),
        ("ids", {"a": [None]}, ["ids.a[0]", "None", "a whole number"]),
    ],
)
def test_refused_in_one_line_with_key_found_and_expected(key, given, words):
    with pytest.raises(InputError) as refusal:
        read(**{key: given})
    text = str(refusal.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_unknown_keys_are_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"^unknown key 'stepps'; nearest valid key: steps$"):
        read(stepps=1)
    with pytest.raises(InputError, match=r"^part: unknown key 'widht'; nearest valid key: width$"):
        read(part={"widht": 1})


def test_nothing_is_near_when_nothing_is_known():
    assert unknown_key("a", []) == "unknown key 'a'"


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match=r"^name: missing \(expected text\)$"):
        from_dict(Whole, {})


def test_what_a_card_refuses_itself_names_the_place():
    @dataclass(frozen=True)
    class Even:
        resolution: int

        def __post_init__(self):
            if self.resolution % 2:
                raise ValueError(f"resolution: found {self.resolution}, expected an even number")

    with pytest.raises(InputError, match=r"^networks: resolution: found 3, expected an even number$"):
        from_dict(Even, {"resolution": 3}, "networks")
