"""What is installed is the tree: every file of the package is in the wheel, and nothing else."""

import email
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACES = {"bileveldsl": "bileveldsl", "backends": "bileveldsl/backends", "grammar": "bileveldsl/grammar"}


def files_of(folder):
    """The files of a folder of the tree, without what Python leaves behind."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT / folder).as_posix() for path in found}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source distribution, built as pip would."""
    from hatchling.build import build_sdist, build_wheel

    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return folder / build_wheel(str(folder)), folder / build_sdist(str(folder))


def test_the_wheel_holds_exactly_the_files_of_the_tree(built):
    expected = {f"{place}/{file}" for folder, place in PLACES.items() for file in files_of(folder)}
    with zipfile.ZipFile(built[0]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == expected
    assert {"bileveldsl/py.typed", "bileveldsl/grammar/blv.lark", "bileveldsl/language/explain/E601.md"} <= names


def test_the_wheel_says_what_it_is(built):
    from bileveldsl import __version__

    with zipfile.ZipFile(built[0]) as wheel:
        inside = {name.split("/", 1)[1]: name for name in wheel.namelist() if ".dist-info/" in name}
        metadata = email.message_from_bytes(wheel.read(inside["METADATA"]))
        scripts = wheel.read(inside["entry_points.txt"]).decode()
        license = wheel.read(inside["licenses/LICENSE"]).decode()
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in license and "END OF TERMS AND CONDITIONS" in license
    assert "bileveldsl = bileveldsl.cli.main:main" in scripts


def test_the_source_distribution_holds_what_the_wheel_is_built_from(built):
    with tarfile.open(built[1]) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    assert {f"{folder}/{file}" for folder in (*PLACES, "tests") for file in files_of(folder)} <= names
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names


def test_top_level_folders_are_not_packages_of_their_own(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    for name in ("backends", "grammar"):
        with pytest.raises(ImportError, match=f"import this package as bileveldsl.{name}"):
            __import__(name)
