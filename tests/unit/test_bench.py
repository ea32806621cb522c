"""Every benchmark at tiny sizes: the two ways agree (bench checks it), and the table is written."""

import csv

import pytest
from bench import hours
from bench.__main__ import main


@pytest.mark.slow
def test_every_row(tmp_path, capsys):
    output = tmp_path / "bench.csv"
    main(["--small", "--repeat", "1", "--output", str(output)])
    with open(output, newline="") as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    assert {"denoise_fp32", "stage1_fp32", "stage1_memory_fp32", "unet_fp32_of_matmul", "loader", "hed"} <= set(rows)
    assert {"frechet_32d_20_images", "l0_smooth", "degradation", "sample_oasis"} <= set(rows)
    for name, row in rows.items():
        assert float(row["ours"]) > 0
        assert name.startswith("sample_") or float(row["ratio"]) > 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in rows)


@pytest.mark.slow
def test_the_plan_beside_this_machine(tmp_path, capsys):
    """Of each kind of work one, at smoke's size: a training by its real objective, a sampler."""
    output = tmp_path / "hours.csv"
    wanted = ["train:spade-ade20k", "train:upsampler-ade20k", "train:estimator-ade20k", "sample:scratch", "upsample:"]
    hours.main(["--preset", "smoke", "--work", *wanted, "--machine", "{micro_batch: 4}", "--output", str(output)])
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file))
    made = [next(name for name in wanted if row["work"].startswith(name)) for row in rows]
    assert sorted(made) == sorted(wanted)
    assert all(float(row[key]) > 0 for row in rows for key in ("s", "s planned", "ratio"))
    assert "all of it on one" not in capsys.readouterr().out  # only some of it was measured
