#!/usr/bin/env bash
# What the torch engine does on this machine's NVIDIA GPU: do its layers compute what they do on the CPU, does it train
# in fp32 and bf16, how fast is it beside plain PyTorch, from made-up images and from an LMDB, and which kernels take the
# time. It prints tables, writes gpu_check.json, and ends with 1 if a part failed. Under 10 minutes on an H100.
#
#   scripts/gpu_check.sh                 on a machine with a GPU and a PyTorch, from a plain checkout
#   scripts/gpu_check.sh --wheels DIR    without network: packages that are missing come from the wheels in DIR
#   scripts/gpu_check.sh --cpu           everything that needs no GPU, with tiny sizes: under a minute
#   scripts/gpu_check.sh --help          all options (--gpu N, --parts, --nets, --batch, --limit, --out, ...)
#
# Environment: PYTHON   which Python (default: the first of python3 and .venv's whose PyTorch finds the GPU)
# Packages other than PyTorch that are missing go into a temporary folder; nothing else is installed. Where lmdb alone
# is missing and cannot be had, the parts that need none are run, and it ends with 1.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf 'gpu_check: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

wheels=
device=gpu
parts_given=
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --wheels)
      [ -n "${2:-}" ] || die "--wheels needs a folder of wheels"
      wheels=$2
      shift
      ;;
    --wheels=*) wheels=${1#*=} ;;
    --cpu) device=cpu && arguments+=("$1") ;;
    --parts | --parts=*) parts_given=1 && arguments+=("$1") ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
[ -z "$wheels" ] || [ -d "$wheels" ] || die "--wheels $wheels is no folder: name the one that holds the wheels"

# 2: this Python has a PyTorch that computes on the device wanted; 1: it has a PyTorch; 0: neither, or it is too old.
fitness() {
  "$1" - "$device" <<'PYTHON' 2>/dev/null || echo 0
import importlib.util
import sys

if sys.version_info < (3, 10) or importlib.util.find_spec("torch") is None:
    print(0)
elif sys.argv[1] == "cpu":
    print(2)
else:
    import torch

    print(2 if torch.cuda.is_available() else 1)
PYTHON
}

without_lmdb=(machine throughput step_profile)
python=
best=0
candidates=(python3 "$root/.venv/bin/python" python)
[ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
for candidate in "${candidates[@]}"; do
  [ "$best" = 2 ] && break
  command -v "$candidate" >/dev/null || continue
  fit=$(fitness "$candidate")
  if [ "$fit" -gt "$best" ]; then best=$fit python=$candidate; fi
done
[ -n "$python" ] || die "no Python 3.10 or newer with PyTorch was found: name one in PYTHON"

missing() { # the packages, as pip calls them, whose modules that Python has not
  "$1" - <<'PYTHON'
import importlib.util

PACKAGES = {
    "google.protobuf": "protobuf>=4.21", "yaml": "pyyaml>=6", "numpy": "numpy>=1.22", "lmdb": "lmdb>=1.3",
    "cv2": "opencv-python-headless>=4.5,<5", "typer": "typer>=0.12", "rich": "rich>=13",
    "matplotlib": "matplotlib>=3.6", "h5py": "h5py>=3.8", "six": "six",
}


def is_there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


print(*(package for module, package in PACKAGES.items() if not is_there(module)))
PYTHON
}

status=0
needed=$(missing "$python")
if [ -n "$needed" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  say "installing $needed${wheels:+ from $wheels} into a temporary folder"
  "$python" -m venv --without-pip --system-site-packages "$work/venv" ||
    die "'$python -m venv' failed; on Debian and Ubuntu: sudo apt-get install python3-venv"
  # A venv of a venv sees the packages of the innermost Python alone: this has it see those of ours, pip among them.
  "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib")); print(sysconfig.get_path("platlib"))' \
    >"$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/outer.pth"
  python=$work/venv/bin/python
  from=()
  [ -z "$wheels" ] || from=(--no-index --find-links "$wheels")
  read -ra packages <<<"$needed"
  "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null 2>&1 ||
    die "$python has no pip: install it, or name another Python in PYTHON"
  if ! "$python" -m pip install --quiet --disable-pip-version-check "${from[@]}" "${packages[@]}"; then
    status=1
    say "these packages could not be installed (see above): give their wheels with --wheels DIR: $needed"
    [[ $needed == lmdb* && $needed != *" "* ]] || exit "$status"
    # Only what makes LMDBs needs it.
    [ -n "$parts_given" ] || { say "without it: ${without_lmdb[*]}" && arguments+=(--parts "${without_lmdb[@]}"); }
  fi
fi

PYTHONPATH=$root:$root/benchmarks${PYTHONPATH:+:$PYTHONPATH} "$python" -m gpu_check ${arguments[@]+"${arguments[@]}"} || status=$?
exit "$status"
