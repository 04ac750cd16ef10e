"""Installation from the checkout, and from a wheel in a new environment."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
from support.project_files import ROOT, project_files
from support.smoke import run, smoke

from ckfunc import __version__

# All in one worker of a parallel run, so that the wheel is built and installed once.
pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the source archive, and the wheel that was built from the archive alone."""
    directory = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `ckfunc` of an environment with only the wheel installed; its path contains a space."""
    directory = tmp_path_factory.mktemp("else where") / "env"
    venv.create(directory, with_pip=False)
    binaries = directory / ("Scripts" if sys.platform == "win32" else "bin")
    python = binaries / ("python.exe" if sys.platform == "win32" else "python")
    # The versions that the tests run with: those of the lock file, or the newest or oldest ones.
    versions = {
        distribution.name: distribution.version for distribution in distributions() if distribution.name != "ckfunc"
    }
    constraints = directory / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
    pip += ["--constraint", str(constraints), str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False, cwd=directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return binaries / "ckfunc"


@pytest.mark.slow
def test_the_checkout_passes_the_smoke_test(tmp_path: Path) -> None:
    smoke(Path(sys.executable).with_name("ckfunc"), tmp_path, __version__)


@pytest.mark.slow
def test_the_wheel_passes_the_smoke_test_in_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    smoke(installed, tmp_path, __version__)


@pytest.mark.slow
def test_the_installed_ckfunc_does_not_import_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    python = next(installed.parent.glob("python*"))
    done = subprocess.run(
        [str(python), "-I", "-c", "import ckfunc; print(ckfunc.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert Path(done.stdout.strip()).is_relative_to(installed.parent.parent)
    assert run(installed, "--help", cwd=tmp_path).code == 0


@pytest.mark.slow
def test_the_wheel_contains_exactly_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {path.relative_to(ROOT).as_posix() for path in project_files("ckfunc")}
    templates = {f"ckfunc/_{path.relative_to(ROOT).as_posix()}" for path in project_files("templates")}
    assert names == package | templates
    assert "ckfunc/py.typed" in names
    assert any(name.endswith("host.mjs") for name in names)


@pytest.mark.slow
def test_the_wheel_metadata_has_license_command_and_python_versions(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        infos = {
            name.rpartition("/")[2]: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name
        }
    assert "ckfunc = ckfunc.__main__:main" in infos["entry_points.txt"]
    assert "License-Expression: MIT" in infos["METADATA"]
    assert "Requires-Python: >=3.11" in infos["METADATA"]
    assert "LICENSE" in infos


@pytest.mark.slow
def test_the_wheel_requires_exactly_the_declared_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    asked = {line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")}
    needed = {re.split(r"[<>=]", requirement)[0].lower() for requirement in asked if "extra ==" not in requirement}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert needed == {re.split(r"[<>=]", requirement)[0].lower() for requirement in declared}


def test_the_source_archive_contains_exactly_the_files_for_building_and_testing(built: Path) -> None:
    (found,) = built.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    folders = ("ckfunc", "templates", "tests", "example-project", "bench", "docs", "requirements", "website")
    files = {path.relative_to(ROOT).as_posix() for folder in folders for path in project_files(folder)}
    files |= {path.name for path in ROOT.glob("*.md")}
    files |= {"LICENSE", "Makefile", "pyproject.toml", "mkdocs.yml", "Dockerfile", ".dockerignore", ".gitignore"}
    assert names - files == {"PKG-INFO"}
    assert files - names == set()


@pytest.mark.slow
def test_the_wheel_is_platform_independent(wheel: Path) -> None:
    assert wheel.name == f"ckfunc-{__version__}-py3-none-any.whl"
