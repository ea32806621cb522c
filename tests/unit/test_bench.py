"""Every benchmark at tiny sizes: the two ways agree (bench checks it), and the table is written."""

import csv

import pytest
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
