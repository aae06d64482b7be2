"""`bileveldsl fmt` writes canonical files, whole or not at all, and says what it would do."""

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from bileveldsl.cli.main import main

UGLY = "upper{var x;minimize x*y # leader\n}\n\n\n\nlower{var y\nminimize (y-x)^2}"
NEAT = """upper {
  var x
  minimize x * y  # leader
}

lower {
  var y
  minimize (y - x)^2
}
"""
FAULTY = "upper { minimize x }\nlower { minimize 2y   }\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ugly.blv").write_bytes(UGLY.encode())
    Path("neat.blv").write_bytes(NEAT.encode())
    Path("faulty.blv").write_bytes(FAULTY.encode())

    def invoke(*words, stdin=None):
        result = CliRunner().invoke(main, ["fmt", *words], input=stdin)
        assert "Traceback" not in result.output
        return result

    return invoke


def texts():
    return {path.stem: path.read_bytes().decode() for path in Path().iterdir()}


def test_files_are_formatted_in_place_and_in_silence(run):
    result = run("ugly.blv", "neat.blv")
    assert (result.exit_code, result.output) == (0, "")
    assert texts() == {"ugly": NEAT, "neat": NEAT, "faulty": FAULTY}


def test_a_canonical_file_is_not_written(run):
    os.utime("neat.blv", (1, 1))
    assert run("neat.blv").exit_code == 0
    assert Path("neat.blv").stat().st_mtime == 1


def test_line_ends_become_those_of_the_canonical_text(run):
    Path("neat.blv").write_bytes(NEAT.replace("\n", "\r\n").encode())
    assert run("--check", "neat.blv").exit_code == 1
    assert run("neat.blv").exit_code == 0
    assert Path("neat.blv").read_bytes() == NEAT.encode()


def test_a_formatted_file_keeps_its_permissions_and_a_link_stays_one(run):
    Path("ugly.blv").chmod(0o640)
    Path("link.blv").symlink_to("ugly.blv")
    assert run("link.blv").exit_code == 0
    assert Path("link.blv").is_symlink() and Path("ugly.blv").read_text() == NEAT
    assert Path("ugly.blv").stat().st_mode & 0o777 == 0o640


def test_check_lists_what_would_change_and_writes_nothing(run):
    result = run("--check", "ugly.blv", "neat.blv")
    assert (result.exit_code, result.stdout) == (1, "ugly.blv\n")
    assert texts()["ugly"] == UGLY
    result = run("--check", "neat.blv")
    assert (result.exit_code, result.output) == (0, "")


def test_diff_is_a_patch_that_formats_the_file(run):
    result = run("--diff", "ugly.blv", "neat.blv")
    assert result.exit_code == 0 and texts()["ugly"] == UGLY
    assert result.stdout.startswith("--- ugly.blv\n+++ ugly.blv\n@@ ")
    assert "\\ No newline at end of file\n" in result.stdout
    subprocess.run(["git", "apply", "-p0", "-"], input=result.stdout, text=True, check=True)
    assert texts()["ugly"] == NEAT


def test_check_with_diff_shows_the_change_and_fails(run):
    result = run("--check", "--diff", "ugly.blv")
    assert result.exit_code == 1 and result.stdout.startswith("--- ugly.blv\n")


def test_syntax_errors_are_shown_and_their_file_stays_while_others_are_formatted(run):
    result = run("faulty.blv", "ugly.blv")
    assert result.exit_code == 1 and result.stdout == ""
    assert "error[E124]" in result.stderr and "faulty.blv:2:18" in result.stderr
    assert texts() == {"ugly": NEAT, "neat": NEAT, "faulty": FAULTY}


def test_stdin_is_formatted_to_stdout(run):
    result = run("-", stdin=f"\ufeff# Größe\r\n{UGLY}".encode())
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout_bytes == f"# Größe\n{NEAT}".encode()
    assert run("-", stdin=NEAT.encode()).stdout == NEAT
    result = run("--check", "-", stdin=UGLY.encode())
    assert (result.exit_code, result.stdout) == (1, "<stdin>\n")


def test_faulty_stdin_is_refused(run):
    result = run("-", stdin=FAULTY.encode())
    assert (result.exit_code, result.stdout) == (1, "") and "<stdin>:2:18" in result.stderr
    result = run("-", stdin=b"# \xff")
    assert result.exit_code == 2
    assert "E102" in result.stderr and "byte 0xff at offset 2" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing argument"),
        (["missing.blv"], "does not exist"),
        (["."], "is a directory"),
        (["-", "ugly.blv"], "stands alone"),
        (["latin.blv"], "E102"),
    ],
)
def test_wrong_usage_and_unreadable_files_exit_with_two(run, words, message):
    Path("latin.blv").write_bytes("# Größe".encode("latin-1"))
    result = run(*words)
    assert result.exit_code == 2 and message in result.stderr
    assert Path("ugly.blv").read_text() == UGLY


def test_a_file_that_cannot_be_written_stays_whole(run, monkeypatch):
    from bileveldsl import files

    monkeypatch.setattr(files.os, "access", lambda path, mode: mode != os.W_OK)
    result = run("ugly.blv")
    assert result.exit_code == 2 and "E415" in result.stderr
    assert texts()["ugly"] == UGLY


def test_a_fault_of_the_formatter_is_a_bug_of_ours_and_the_file_stays(run, monkeypatch):
    from bileveldsl.language import layout

    monkeypatch.setattr(layout, "gap", lambda *_: 0)
    result = run("ugly.blv")
    assert result.exit_code == 70 and "internal error" in result.stderr
    assert texts()["ugly"] == UGLY
