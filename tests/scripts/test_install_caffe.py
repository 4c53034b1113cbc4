"""scripts/install_caffe.sh with an mmdebstrap that unpacks nothing but a loader, which is a shell script."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install_caffe.sh"
DEADLINE_SECONDS = 60
TOOLS = (
    "basename", "bash", "cat", "chmod", "dirname", "env", "flock", "mkdir", "mktemp", "mv", "readlink", "rm", "sed",
    "sh", "sleep", "tail", "uname",
)  # fmt: skip

# Appends its arguments to `calls`, makes the tree, says in `unpacked` where, and then does as the test says.
MMDEBSTRAP = """#!/bin/sh
echo "$@" >>"{here}/calls"
for last; do :; done
case $last in *://*) tree=$(eval echo "\\${{$(($# - 1))}}") ;; *) tree=$last ;; esac
mkdir -p "$tree/lib/x86_64-linux-gnu"
loader=$tree/lib/x86_64-linux-gnu/ld-2.31.so
printf '#!/bin/sh\\n{loader}\\n' >"$loader"
chmod 755 "$loader"
echo "$tree" >"{here}/unpacked"
{then}
"""


@dataclass
class Place:
    """Where an install goes to, and the mmdebstrap that it finds."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "cache" / "my caffe"

    @property
    def launcher(self) -> Path:
        return self.home / "bin" / "caffe-python"

    def mmdebstrap(self, then: str = "exit 0", loader: str = "exit 0") -> None:
        path = self.folder / "bin" / "mmdebstrap"
        path.write_text(MMDEBSTRAP.format(here=self.folder, then=then, loader=loader))
        path.chmod(0o755)

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BATCHBREW")},
            "PATH": f"{self.folder}/bin:{self.folder}/tools",
            "BATCHBREW_CAFFE_HOME": str(self.home),
            **environment,
        }
        return subprocess.Popen(
            [SCRIPT, *arguments], env=variables, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def install(self, *arguments: str, status: int = 0, **environment: str) -> str:
        process = self.start(*arguments, **environment)
        text, _ = process.communicate(timeout=DEADLINE_SECONDS)
        assert process.returncode == status, text
        return text

    def beside_home(self) -> set[str]:
        """What lies there besides the log and the lock."""
        return {path.name for path in self.home.parent.iterdir()} - {"my caffe.log", "my caffe.lock"}

    def wait_for(self, name: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (self.folder / name).exists():
            assert time.monotonic() < deadline, f"no {name}"
            time.sleep(0.01)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """All the machine's programs are there, of mmdebstrap only the test's own."""
    place = Place(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "tools").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None, f"{tool} is not there"
        (tmp_path / "tools" / tool).symlink_to(found)
    return place


def test_without_mmdebstrap(place: Place) -> None:
    text = place.install(status=1)
    assert text.startswith(
        "install_caffe: mmdebstrap is missing. Install it ('sudo apt-get install mmdebstrap'"
    )
    assert "BATCHBREW_CAFFE_PYTHON" in text
    assert not place.home.parent.exists()


def test_an_install_is_made_once(place: Place) -> None:
    place.mmdebstrap()
    assert f"Caffe 1.0 is ready: {place.launcher}" in place.install()
    for program in ("caffe-python", "caffe", "convert_imageset", "compute_image_mean"):
        subprocess.run([place.home / "bin" / program], check=True)
    assert f"is installed already: {place.launcher}" in place.install()
    assert len(place.calls()) == 1
    assert "--mode=chrootless --variant=extract" in place.calls()[0]
    assert place.beside_home() == {"my caffe"}


def test_a_launcher_runs_its_program_with_its_own_loader_and_libraries(place: Place) -> None:
    place.mmdebstrap(loader='[ "$4" = -c ] || echo "$PYTHONHOME" "$@"')
    place.install()
    done = subprocess.run([place.launcher, "a b"], capture_output=True, text=True, check=True)
    root = place.home / "root"
    assert done.stdout.startswith(f"{root}/usr --library-path {root}/lib/x86_64-linux-gnu:{root}/usr/lib/")
    assert done.stdout.endswith(f" {root}/usr/bin/python3.9 a b\n")


def test_a_mirror(place: Place) -> None:
    place.mmdebstrap()
    place.install(BATCHBREW_DEBIAN_MIRROR="file:///mirror/debian")
    assert place.calls()[0].endswith("/root file:///mirror/debian")
    assert place.launcher.exists()


def test_packages_that_cannot_be_fetched(place: Place) -> None:
    place.mmdebstrap(then='echo "E: unable to locate package caffe" >&2; exit 1')
    text = place.install(status=1)
    assert "E: unable to locate package caffe" in text
    assert "set BATCHBREW_DEBIAN_MIRROR to a mirror that still holds bullseye" in text
    assert f"the whole story is in {place.home}.log" in text
    assert place.beside_home() == set()
    place.mmdebstrap()
    place.install()


def test_a_caffe_that_does_not_start_is_not_installed(place: Place) -> None:
    place.mmdebstrap(loader='echo "no such library" >&2; exit 1')
    text = place.install(status=1)
    assert "no such library\ninstall_caffe: Caffe was unpacked but does not start" in text
    assert place.beside_home() == set()


def test_an_install_killed_in_the_middle_is_not_taken_for_whole(place: Place) -> None:
    place.mmdebstrap(then="sleep 1000")
    process = place.start()
    place.wait_for("unpacked")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not place.home.exists()
    assert len(place.beside_home()) == 1
    place.mmdebstrap()
    assert "is ready" in place.install()
    assert place.beside_home() == {"my caffe"}


def test_an_interrupted_install_leaves_nothing(place: Place) -> None:
    place.mmdebstrap(then="exec sleep 1000")
    process = place.start()
    place.wait_for("unpacked")
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C
    process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode != 0
    assert place.beside_home() == set()


def test_two_installs_at_once(place: Place) -> None:
    place.mmdebstrap(then="sleep 0.3")
    first, second = place.start(), place.start()
    texts = [process.communicate(timeout=DEADLINE_SECONDS)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], texts
    assert len(place.calls()) == 1
    assert sum("is installed already" in text for text in texts) == 1


def test_force_replaces_an_install_only_by_a_whole_one(place: Place) -> None:
    place.mmdebstrap(loader="exit 0 # first")
    place.install()
    loader = place.home / "root" / "lib" / "x86_64-linux-gnu" / "ld-2.31.so"
    place.mmdebstrap(then="exit 1", loader="exit 0 # failed")
    place.install("--force", status=1)
    assert "first" in loader.read_text()
    (place.folder / "unpacked").unlink()
    place.mmdebstrap(then=f'until [ -e "{place.folder}/go" ]; do sleep 0.01; done', loader="exit 0 # second")
    process = place.start("--force")
    place.wait_for("unpacked")
    subprocess.run([place.launcher], check=True)  # the old one is there to the end
    assert "first" in loader.read_text()
    (place.folder / "go").touch()
    process.communicate(timeout=DEADLINE_SECONDS)
    assert "second" in loader.read_text()
    assert place.beside_home() == {"my caffe"}


def test_force_killed_between_its_two_renames_brings_the_old_one_back(place: Place) -> None:
    place.mmdebstrap()
    place.install()
    left = place.home.with_name("my caffe.installing.old.X")
    left.mkdir()
    place.home.rename(left / place.home.name)
    place.mmdebstrap(then="exit 1")  # no network, say
    assert "is installed already" in place.install()
    assert place.beside_home() == {"my caffe"}


def test_options(place: Place) -> None:
    assert "scripts/install_caffe.sh --force" in place.install("--help")
    assert "unknown option --forse (there is --force and --help)" in place.install("--forse", status=1)
