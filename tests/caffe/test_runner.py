"""Scripts behave as under plain Python. Most runs have an empty package for the engine, and start in no time."""

import subprocess
import sys
from pathlib import Path

import pytest

import batchbrew

ENGINE = [sys.executable, "-m", "batchbrew.caffe"]
LAUNCHER = """
import importlib.machinery, sys, types
import batchbrew
package = types.ModuleType("batchbrew.caffe")
package.__path__ = [sys.argv.pop(1), batchbrew.__path__[0] + "/caffe"]
package.__spec__ = importlib.machinery.ModuleSpec("batchbrew.caffe", None, is_package=True)
package.Net = "our Net"
sys.modules["batchbrew.caffe"] = batchbrew.caffe = package
from batchbrew.caffe.runner import main
if __name__ == "__main__":
    main(sys.argv[1:])
"""
SCRIPT = """
import os, sys
print(sys.argv, sys.path[0], __name__, __file__, __package__, __spec__ and __spec__.name)
print(__doc__, __builtins__.__name__)
print(sys.modules["__main__"].SCRIPT if "SCRIPT" in globals() else sorted(n for n in globals() if n < "__f"))
import beside
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with scripts and modules, and a `caffe` that must not be found."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "caffe.py").write_text("print('the wrong caffe')\n")
    (tmp_path / "work" / "beside.py").write_text("print('beside', __name__)\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "extra.py").write_text("from batchbrew.caffe import runner as sibling\n")
    (tmp_path / "launcher.py").write_text(LAUNCHER)
    return tmp_path


def plain(folder: Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """What Python itself does."""
    return run([sys.executable, *arguments], folder, text)


def ours(folder: Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """What we do."""
    return run([sys.executable, "-m", "launcher", str(folder / "parts"), *arguments], folder, text)


def run(command: list[str], folder: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run in `folder`/work, where `launcher` and batchbrew are found."""
    found = f"{folder}:{Path(batchbrew.__file__).parents[1]}"
    return subprocess.run(
        command, cwd=folder / "work", capture_output=True, text=True, input=text,
        env={"PYTHONPATH": found, "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


@pytest.mark.parametrize(
    "code",
    [
        SCRIPT,
        "'a docstring'\nprint(__doc__)\nx: int = 3\nprint(__annotations__)",
        "def f():\n    return 1 / 0\nf()",
        "import beside\nraise KeyError('a') from ValueError('b')",
        "x = (\n",
        "import sys\nsys.exit('a message')",
        "import sys\nsys.exit(7)",
        "raise KeyboardInterrupt",
        "import atexit\natexit.register(lambda: print(SCRIPT))\nSCRIPT = 5\nraise SystemExit",
        "import threading\nthreading.Timer(0.05, lambda: print(X)).start()\nX = 6",
        "import sys\nsys.excepthook = lambda kind, value, trace: print(kind, trace.tb_frame.f_code.co_filename)\n1 / 0",
        "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))))",
        "import os, sys\nif os.fork() == 0:\n    print('child', sys.argv)\n    sys.exit(0)\nos.wait()",
        "import warnings\nwarnings.warn('old', DeprecationWarning)",
        "import nosuchmodule",
        "# -*- coding: latin-1 -*-\nprint(ascii('\xe9'))",
    ],
)
def test_scripts_run_as_under_python(folder: Path, code: str) -> None:
    (folder / "work" / "script.py").write_bytes(code.encode("latin-1"))
    expected, found = plain(folder, "script.py", "a", "-b"), ours(folder, "script.py", "a", "-b")
    assert (found.stdout, found.stderr, found.returncode) == (
        expected.stdout,
        expected.stderr,
        expected.returncode,
    )


def test_modules_run_as_under_python(folder: Path) -> None:
    (folder / "work" / "pack").mkdir()
    (folder / "work" / "pack" / "__init__.py").write_text("print('pack', __name__)\n")
    (folder / "work" / "pack" / "__main__.py").write_text(f"from . import part\n{SCRIPT}\n1 / 0\n")
    (folder / "work" / "pack" / "part.py").write_text("")
    for arguments in (
        ["-m", "pack", "x"],
        ["-mpack"],
        ["-m", "pack.part"],
        ["-m", "nosuch"],
        ["-m", "pack.no"],
    ):
        expected, found = plain(folder, *arguments), ours(folder, *arguments)
        assert (found.stdout, found.returncode) == (expected.stdout, expected.returncode), arguments
        # Python shows its own way to the module, runpy, too
        assert found.stderr.splitlines()[-3:] == expected.stderr.splitlines()[-3:], arguments


def test_code_and_standard_input_run_as_under_python(folder: Path) -> None:
    code = "import sys, beside; print(sys.argv, repr(sys.path[0])); 1 / 0"
    for arguments, text in ((["-c", code, "a"], None), (["-c" + code], None), (["-", "a"], code)):
        expected, found = plain(folder, *arguments, text=text), ours(folder, *arguments, text=text)
        assert (found.stdout, found.stderr, found.returncode) == (
            expected.stdout,
            expected.stderr,
            expected.returncode,
        )


def test_a_folder_with_a_main_runs(folder: Path) -> None:
    (folder / "work" / "program").mkdir()
    (folder / "work" / "program" / "__main__.py").write_text(
        "import sys\nprint(sys.argv, sys.path[0], __name__)"
    )
    assert ours(folder, "program", "a").stdout == plain(folder, "program", "a").stdout != ""


def test_caffe_is_ours(folder: Path) -> None:
    (folder / "work" / "script.py").write_text(
        """
import threading, sys, importlib.util
import caffe, caffe.extra
from caffe import Net
from caffe.extra import sibling
import batchbrew.caffe.extra
assert Net == "our Net" and caffe is sys.modules["batchbrew.caffe"]
assert caffe.extra is batchbrew.caffe.extra is sys.modules["caffe.extra"]
assert caffe.extra.__name__ == caffe.extra.__spec__.name == "batchbrew.caffe.extra"
assert sibling is sys.modules["batchbrew.caffe.runner"]
assert importlib.util.find_spec("caffe.nosuch") is None
try:
    import caffe.nosuch
except ModuleNotFoundError as error:
    print(error)
try:
    import caffe.extra.part
except ModuleNotFoundError as error:
    print(error)
found = []
thread = threading.Thread(target=lambda: found.append(__import__("caffe.alias").alias))
thread.start(); thread.join()
assert found == [sys.modules["batchbrew.caffe.alias"]]
"""
    )
    found = ours(folder, "script.py")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == "No module named 'caffe.nosuch'\n" + (
        "No module named 'caffe.extra.part'; 'caffe.extra' is not a package\n"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["none.py"], 2, "can't open script 'none.py': No such file or directory; give a file, or -m and a module"),
        (["-m"], 2, "-m needs a module: see --help"),
        (["-c"], 2, "-c needs code: see --help"),
        (["-u", "script.py"], 2, "unknown option -u: Python's own come before: python -u -m batchbrew.caffe SCRIPT.py"),
        (["."], 2, "can't find '__main__' module in folder '.': give a script"),
        (["-m", "caffe"], 2, "-m caffe is this program: name a script to run"),
        (["-m", ".x"], 1, "No module named .x"),
    ],
)  # fmt: skip
def test_wrong_command_lines_are_one_line(
    folder: Path, arguments: list[str], status: int, words: str
) -> None:
    found = ours(folder, *arguments)
    assert (found.returncode, found.stdout) == (status, "")
    assert words in found.stderr
    assert found.stderr.count("\n") == 1


def test_help(folder: Path) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        found = ours(folder, *arguments)
        assert (found.returncode, found.stderr) == (0, "")
        assert found.stdout.startswith("Usage: python -m batchbrew.caffe SCRIPT.py")
        assert "Example: " in found.stdout


def test_the_engine_runs_old_scripts(folder: Path) -> None:
    """The one run with the engine itself."""
    (folder / "work" / "script.py").write_text(
        """
import sys
import caffe
assert caffe.proto.caffe_pb2.NetParameter and caffe.io.Transformer and caffe.Classifier and caffe.Detector
import caffe.io
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2
from caffe.pycaffe import Net
import caffe._caffe
import caffe.draw
import batchbrew.caffe.layers.pooling, batchbrew.proto.caffe_pb2
assert caffe_pb2 is batchbrew.proto.caffe_pb2 is caffe.proto.caffe_pb2
assert Net is caffe.Net is caffe._caffe.Net
n = caffe.NetSpec()
n.data = L.Input(input_param=dict(shape=dict(dim=[1, 2])))
n.out = L.Power(n.data, scale=3)
open("net.prototxt", "w").write(str(n.to_proto()))
net = caffe.Net("net.prototxt", caffe.TEST)
net.blobs["data"].data[...] = 2
print(net.forward()["out"].tolist(), caffe.layers is L)
caffe.Net("none.prototxt", caffe.TEST)
"""
    )
    found = run([*ENGINE, "script.py"], folder)
    assert found.stdout == "[[6.0, 6.0]] True\n"
    assert found.returncode == 1
    lines = found.stderr.splitlines()  # after the engine's log
    assert "script.py" in lines[lines.index("Traceback (most recent call last):") + 1]
    assert "none.prototxt" in lines[-1]
