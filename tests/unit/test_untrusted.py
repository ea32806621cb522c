"""Files from elsewhere do no harm: the inventory of what is tested where, and what has no better place.

Everything that others wrote (archives, weights, photographs, labels, annotations, votes, YAML, JSON) is read by one
reader each, which ends with one line for what is hostile. INVENTORY holds the promise and the tests that keep it.
"""

import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from piti.conditions import CONDITIONS
from piti.config import load, parse_yaml
from piti.data.shards import Shards
from piti.datasets import instances, pictures
from piti.networks.pretrained import convert
from piti.plan import resolve
from piti.sample.stages import read_card
from piti.store.files import InputError, read_json, write_json

TESTS = Path(__file__).parent
SHIPPED = TESTS.parents[1] / "config"
INVENTORY = {
    "weights are never unpickled as code": [
        "networks/test_pretrained.py::test_a_hostile_pickle_is_not_executed",
        "test_untrusted.py::test_weights_that_unpack_to_far_more",
        "test_untrusted.py::test_weights_out_of_another_file",
        "networks/test_pretrained.py::test_wrong_keras_files",
    ],
    "archives stay in their folder": [
        "test_archive.py::test_paths_that_leave_the_folder",
        "test_archive.py::test_tar_members_that_are_no_files",
        "test_archive.py::test_zip_members_that_are_no_files",
        "test_archive.py::test_names_that_collide",
    ],
    "archives do not expand without bound": [
        "test_archive.py::test_expansion_bombs",
        "test_archive.py::test_a_tar_header_that_asks_for_all_memory",
        "test_download.py::test_a_package_that_cannot_be_had",
    ],
    "downloads are the web's, and what was promised": [
        "test_download.py::test_only_web_addresses",
        "test_download.py::test_wrong_checksum",
        "test_download.py::test_an_unpublished_checksum_is_pinned_and_its_change_refused",
    ],
    "pictures and arrays have a size": [
        "data/test_layouts.py::test_pixel_limit",
        "data/test_layouts.py::test_broken_arrays",
        "test_untrusted.py::test_a_users_own_picture_has_the_same_limit",
        "test_untrusted.py::test_a_picture_is_never_a_program",
        "test_untrusted.py::test_annotations_that_never_end",
    ],
    "YAML and JSON are data": [
        "test_config.py::test_broken_or_unsafe_yaml_is_refused_with_its_file",
        "test_untrusted.py::test_yaml_that_expands_without_bound",
        "test_untrusted.py::test_nesting_without_end",
        "test_untrusted.py::test_a_card_inside_weights",
    ],
    "names stay in the results folder": [
        "test_untrusted.py::test_names_that_leave_the_results",
        "test_untrusted.py::test_an_index_of_shards_names_its_own",
    ],
    "the report prints, and does not execute": [
        "report/test_html.py::test_nothing_printed_becomes_markup",
        "report/test_html.py::test_the_page_needs_nothing_else",
        "report/test_study.py::test_what_does_not_count_is_said_and_counted",
    ],
}


def refused(message: str, call, *arguments) -> None:
    """The call ends in one line that says so."""
    with pytest.raises(InputError, match=message) as error:
        call(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("place", [place for places in INVENTORY.values() for place in places])
def test_the_inventory_is_there(place):
    file, _, name = place.partition("::")
    assert re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.M)


# -- weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["torch", "openai_clip"])
def test_weights_that_unpack_to_far_more(tmp_path, format):
    torch.save({"weight": torch.zeros(1_000_000)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain:
        with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
            for member in plain.infolist():
                bomb.writestr(member.filename, plain.read(member))
    refused(r"bomb.pt: found \d+ bytes packed into \d+", convert, tmp_path / "bomb.pt", format)
    assert torch.load(tmp_path / "bomb.pt")["weight"].shape == (1_000_000,)  # torch would have taken it


def test_a_tensor_that_repeats_one_number_without_end(tmp_path):
    torch.save({"weight": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "w.pt")
    refused("found tensors of 4000000000000 bytes in a file of", convert, tmp_path / "w.pt", "torch")


@pytest.mark.parametrize("how", ["stored elsewhere", "linked", "virtual"])
def test_weights_out_of_another_file(tmp_path, how):
    """HDF5 can take a data set's bytes out of any file on the disk."""
    (tmp_path / "secret").write_bytes(b"\1" * 400_000)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["kernel"] = np.ones((3, 3, 3, 64), np.float32)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["padding"] = np.zeros(100_000, np.float32)
        place = "block1/layers/conv2d/vars"
        if how == "linked":
            file.create_group(place)["0"] = h5py.ExternalLink("other.h5", "kernel")
        elif how == "virtual":
            layout = h5py.VirtualLayout((3, 3, 3, 64), np.float32)
            layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "kernel", (3, 3, 3, 64))
            file.create_virtual_dataset(f"{place}/0", layout)
        else:
            outside = [(str(tmp_path / "secret"), 0, 4 * 3 * 3 * 3 * 64)]
            file.create_dataset(f"{place}/0", (3, 3, 3, 64), np.float32, external=outside)
        file[f"{place}/1"] = np.zeros(64, np.float32)
    refused("found the contents of another file", convert, tmp_path / "w.h5", "vgg16_keras_h5")


@pytest.mark.parametrize("card", ["no JSON", "[" * 100_000, "[]", '{"steps": 1}', "{}"])
def test_a_card_inside_weights(tmp_path, card):
    save_file({"weight": np.zeros(1, np.float32)}, tmp_path / "w.safetensors", {"card": card})
    refused("w.safetensors: card: ", read_card, tmp_path / "w.safetensors")


# -- pictures and annotations ------------------------------------------------------------------------------------------


def test_a_users_own_picture_has_the_same_limit(tmp_path, monkeypatch):
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 399)
    refused("found 20×20 pixels, expected at most 399", CONDITIONS["sketch"].open, tmp_path / "a.png", 4)


def test_a_picture_is_never_a_program(tmp_path):
    """PIL would run Ghostscript on PostScript, whatever the file is called."""
    (tmp_path / "a.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    assert Image.open(tmp_path / "a.jpg").format == "EPS"
    refused("a.jpg: not a whole image .cannot identify", CONDITIONS["sketch"].open, tmp_path / "a.jpg", 4)


@pytest.mark.parametrize(
    "counts",
    [
        "o" * 1_000_000,  # a number of five million bits, in a quadratic time
        [2**63 - 1, 2**63 - 1, 2 + 16],  # wraps around to the right sum
        [[8, 8]],
        16,
        [-1, 17],
        [],
        None,
    ],
    ids=["endless", "wrapped", "nested", "one", "negative", "empty", "none"],
)
def test_annotations_that_never_end(counts):
    with pytest.raises(ValueError, match="run length"):
        instances.decode({"size": [4, 4], "counts": counts}, 4, 4)


@pytest.mark.parametrize("text", ["[" * 100_000, "[1]", '{"images": 1}', '{"images": [], "annotations": [[]]}'])
def test_annotations_of_another_shape(tmp_path, text):
    (tmp_path / "instances.json").write_text(text)
    refused("not COCO's instance annotations", instances.read, tmp_path / "instances.json")


# -- YAML and JSON -----------------------------------------------------------------------------------------------------


def laughs(kind: str) -> str:
    """A few lines that stand for 10^30 values, or for values without end."""
    if kind == "circle":
        return "a: &a [*a]"
    levels = [f"l{n}: &l{n} {'{<<: [' if kind == 'merged' else '['}" for n in range(1, 31)]
    close = "]}" if kind == "merged" else "]"
    first = "l0: &l0 {k: 1}" if kind == "merged" else "l0: &l0 [lol]"
    return "\n".join([first, *(f"{text}{', '.join([f'*l{n}'] * 10)}{close}" for n, text in enumerate(levels))])


@pytest.mark.parametrize("kind", ["listed", "merged", "circle"])
def test_yaml_that_expands_without_bound(kind):
    refused("mine.yaml: found more than 100000 values", parse_yaml, laughs(kind), "mine.yaml")


def test_aliases_as_such_are_welcome():
    assert parse_yaml("a: &a {k: 1}\nb: {<<: *a, l: *a}", "mine.yaml")["b"] == {"k": 1, "l": {"k": 1}}


def test_nesting_without_end(tmp_path):
    refused("mine.yaml: not YAML", parse_yaml, "[" * 5_000, "mine.yaml")
    (tmp_path / "a.json").write_text('{"a":' * 100_000)
    refused("a.json: not JSON", read_json, tmp_path / "a.json")


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../../outside", "/etc/cron.d/x", "..", ".hidden", "a b", "$(touch x)", "-rf", "a\nb"]
)
def test_names_that_leave_the_results(name):
    table = {"title": "T", "rows": {"ours": {"method": "ours"}}, "columns": {"x": {"task": "ade20k_mask"}}, "paper": {}}
    named = {
        "table": {"tables": {name: table | {"run": {"metric": "fid_c"}}}},
        "file": {"datasets": {"ade20k": {"archives": {name: {"url": ["https://example.org/a.zip"]}}}}},
        "download": {"weights": {"vgg19": {"url": [f"https://example.org/{name}"]}}},
        "row": {"methods": {"ours": {"base": name}}, "models": {name: {"kind": "base", "steps": 1}}},
    }
    tail = name.rsplit("/", 1)[-1]
    for what, user in named.items():
        if what != "download" or not re.fullmatch(r"\w+", tail):  # of an address the last part is the name
            refused("name: found ", lambda user=user: resolve(load(user, SHIPPED)))


def test_an_index_of_shards_names_its_own(tmp_path):
    shard = {"file": "../outside.h5", "count": 1, "bytes": 1}
    index = {"kind": "mask", "count": 1, "resolution": 4, "attributes": {}, "shards": [shard]}
    write_json(tmp_path / "index.json", index)
    refused("index.json: file: found '../outside.h5'", Shards, tmp_path / "index.json")
