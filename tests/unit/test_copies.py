"""What is shown under a plain name is a copy of what is current, in all its files."""

import pytest

from piti.plan.copies import current


@pytest.mark.parametrize(
    ("plain", "path", "files"),
    [
        (
            "table1.csv",
            "table.csv",
            {"table1.long.csv": "long.csv", "table1.md": "table.md", "table1.tex": "table.tex"},
        ),
        ("figure3.png", "figure.png", {"figure3.pdf": "figure.pdf"}),
        ("report.html", "report.html", {}),
    ],
)
def test_a_copy_is_current_where_each_of_its_files_is(tmp_path, plain, path, files):
    """Two people's tables may differ in their titles alone, which the CSV does not have."""
    made = tmp_path / "tables/0123456789"
    made.mkdir(parents=True)
    for copy, file in (files | {plain: path}).items():
        (made / file).write_text(f"content of {file}")
        (tmp_path / copy).write_text(f"content of {file}")
    assert current(str(tmp_path / plain), str(made / path))
    for copy, file in (files | {plain: path}).items():
        (tmp_path / copy).write_text("somebody else's")
        assert not current(str(tmp_path / plain), str(made / path))
        (tmp_path / copy).unlink()
        assert not current(str(tmp_path / plain), str(made / path))
        (tmp_path / copy).write_text(f"content of {file}")
