"""`make reproduce` killed, Snakemake and all its jobs at once: started again, it ends in the same tables."""

import base64
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml
from tests.faults.workspace import CONFIG, efficientnet
from tests.house import ROOT

KILLS = 2
SEED = 7
METHOD = {"label": "Ours", "base": "scratch", "upsampler": "scratch_upsampler"}
EXPERIMENTS = {  # the smallest that has every kind of rule but stages and baselines
    "tasks": {"coco_mask": {"label": "COCO", "dataset": "coco", "condition": "mask"}},
    "methods": {"ours": METHOD, "again": METHOD | {"label": "Ours again"}},
    "extractors": {"fid_c": "efficientnet_lite0"},
    "tables": {
        "column": {
            "title": "One column",
            "run": {"metric": "fid_c"},
            "rows": {"ours": {"method": "ours"}},
            "columns": {"coco_mask": {"task": "coco_mask"}},
            "paper": {},
        }
    },
    "figures": {"figure": {"title": "One figure", "tasks": ["coco_mask"], "columns": ["condition", "ours"]}},
    "study": {"title": "Study", "task": "coco_mask", "method": "ours", "against": {"again": "50"}, "pairs": 2},
    "claims": {},
}
MODELS = {
    "scratch": {"kind": "base", "steps": 6, "batch": 4},
    "scratch_upsampler": {"kind": "upsampler", "steps": 6, "batch": 4, "noise_schedule": "linear"},
}


def clone(folder: Path) -> Path:
    """What a fresh clone has, with the smallest experiments, and weights that need no network."""
    for name in ("rules", "config", "profiles", "envs", "src"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Snakefile", "DEVIATIONS.md"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "given").mkdir()
    efficientnet(folder / "given/efficientnet.pth")
    weights = {"efficientnet_lite0": {"format": "efficientnet_lite0", "path": "given/efficientnet.pth"}}
    parts = {"experiments": EXPERIMENTS, "models": {"models": MODELS}, "weights": {"weights": weights}, "jobs": {}}
    for name, part in parts.items():
        (folder / f"config/{name}.yaml").write_text(yaml.safe_dump(part))
    smoke = folder / "config/presets/smoke.yaml"
    preset = yaml.safe_load(smoke.read_text())
    kept = {key: preset[key] for key in ("results", "note", "networks", "machine")}
    kept["networks"] |= {"hed": "", "perceptual": ""}
    own = {key: CONFIG[key] for key in ("min_images", "shard_size", "sample_shard_size", "sampling")}
    smoke.write_text(yaml.safe_dump(kept | own | {"datasets": {"coco": CONFIG["datasets"]["coco"]}}))
    return folder


def reproduce(folder: Path, seconds: float | None = None) -> tuple[int, str]:
    """Run it; with `seconds`, kill it and all that it has started by then. Its exit code, and what it said."""
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-m", "piti", "reproduce", "--config", "preset=smoke"]
    with open(folder / "log", "w+") as log:
        run = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            run.wait(seconds or 900)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
        log.seek(0)
        return run.returncode, log.read()


def made(folder: Path) -> dict[str, bytes]:
    """Tables, weights, pictures and scores, by path."""
    results = folder / "results/smoke"
    kinds = ("*.csv", "*.md", "*.safetensors", "*.h5", "score.json", "figure.png")
    return {
        str(p.relative_to(results)): p.read_bytes()
        for k in kinds
        for p in results.rglob(k)
        if "checkpoint-" not in str(p)
    }


def test_killed_and_started_again(tmp_path):
    whole, parts = (clone(tmp_path / name) for name in ("whole", "parts"))
    began = time.monotonic()
    code, said = reproduce(whole)
    seconds = time.monotonic() - began
    assert code == 0, said
    rng, ends = random.Random(SEED), []
    for _ in range(KILLS):
        ends.append(reproduce(parts, rng.uniform(0.1, 0.6) * seconds)[0])
    assert -signal.SIGKILL in ends
    code, said = reproduce(parts)
    assert code == 0, said
    expected, found = made(whole), made(parts)
    assert found.keys() == expected.keys()
    assert [name for name in expected if expected[name] != found[name]] == []
    assert not list(parts.rglob("*.partial"))
    assert re.search(r"everything is there, after [\d.]+ (s|min)", said)

    # killed as a training ended: its files are whole, Snakemake's mark of an unfinished job is there, nothing after it
    for folder in ("sampled", "upsampled", "features", "scores", "tables", "figures"):
        shutil.rmtree(parts / "results/smoke" / folder)
    for file in (*parts.glob("results/smoke/*.csv"), *parts.glob("results/smoke/*.png")):
        file.unlink()
    for file in (file for file in parts.glob("results/smoke/models/*/*/*") if file.suffix in (".csv", ".safetensors")):
        if "checkpoint-" not in file.parent.name:
            mark = base64.b64encode(str(file.relative_to(parts)).encode()).decode()
            (parts / ".snakemake/incomplete" / mark).touch()
    code, said = reproduce(parts)
    assert code == 0, said
    assert made(parts) == expected
