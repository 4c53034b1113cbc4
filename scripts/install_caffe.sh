#!/usr/bin/env bash
# Installs BVLC Caffe 1.0 (CPU, OpenBLAS, pycaffe) as Debian 11 packaged it, into the user's cache folder.
# Nothing is compiled and nothing outside that folder changes. It takes about 20 seconds and 630 MB.
#
#   scripts/install_caffe.sh           install, or do nothing where it is installed already
#   scripts/install_caffe.sh --force   install anew
#
# Environment: BATCHBREW_CAFFE_HOME    where to install (default: ~/.cache/batchbrew/caffe)
#              BATCHBREW_DEBIAN_MIRROR a mirror that holds Debian 11 "bullseye" (default: mmdebstrap's own)
set -euo pipefail

home=${BATCHBREW_CAFFE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/batchbrew/caffe}
packages=python3-caffe,caffe,libopenblas0-pthread

say() { printf 'install_caffe: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

works() { # works FOLDER: real Caffe of that folder starts and knows its layers; compiles its Python on the way
  [ -x "$1/bin/caffe-python" ] && env -u PYTHONDONTWRITEBYTECODE -u PYTHONPYCACHEPREFIX "$1/bin/caffe-python" \
    -c 'import caffe; assert "BatchNorm" in caffe.layer_type_list()' >/dev/null 2>&1
}

case ${1:-} in
  "") ;;
  --force) force=1 ;;
  -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) die "unknown option $1 (there is --force and --help)" ;;
esac

if [ -z "${force:-}" ] && works "$home"; then
  say "Caffe is installed already: $home/bin/caffe-python"
  exit 0
fi

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
  die "Debian's Caffe runs on x86-64 Linux only, this is $(uname -s) $(uname -m): name your own Caffe's Python in BATCHBREW_CAFFE_PYTHON"
if ! command -v mmdebstrap >/dev/null; then
  die "mmdebstrap is missing. Install it ('sudo apt-get install mmdebstrap' on Debian and Ubuntu), or name your own Caffe's Python in BATCHBREW_CAFFE_PYTHON"
fi

mkdir -p "$(dirname "$home")"
exec 9>"$home.lock" # two installs at once: the second waits, then finds the work done
flock 9
for old in "$home".installing.old.*/"$(basename "$home")"; do # a --force was killed between its two renames
  if [ -e "$old" ] && [ ! -e "$home" ]; then mv "$old" "$home"; fi
done
rm -rf "$home".installing.* # what killed installs left; we hold the lock, so no one is at work there
if [ -z "${force:-}" ] && works "$home"; then
  say "Caffe is installed already: $home/bin/caffe-python"
  exit 0
fi
new=$(mktemp -d "$home.installing.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$new"

say "unpacking Caffe 1.0 into $home (630 MB, about 20 seconds) ..."
# chrootless: nothing is run inside the tree, so it needs neither root nor user namespaces, and the files are
# the user's own. As "auto" would have it they would be a sub-uid's, which the user himself cannot remove.
if ! mmdebstrap --quiet --mode=chrootless --variant=extract --include="$packages" bullseye "$new/root" \
  ${BATCHBREW_DEBIAN_MIRROR:+"$BATCHBREW_DEBIAN_MIRROR"} >"$home.log" 2>&1 9>&-; then
  tail -n 5 "$home.log" >&2
  die "Debian's packages could not be fetched; the whole story is in $home.log. Debian 11 is past its support: set BATCHBREW_DEBIAN_MIRROR to a mirror that still holds bullseye"
fi

mkdir "$new/bin"
for program in caffe-python caffe convert_imageset compute_image_mean; do
  target=$program
  [ "$program" = caffe-python ] && target=python3.9
  cat >"$new/bin/$program" <<'LAUNCHER'
#!/bin/sh
# Runs a program of the unpacked Debian 11 with its own loader and libraries.
root=$(dirname "$(dirname "$(readlink -f "$0")")")/root
lib=$root/lib/x86_64-linux-gnu
usr=$root/usr/lib/x86_64-linux-gnu
unset PYTHONPATH LD_PRELOAD
PYTHONHOME=$root/usr PYTHONNOUSERSITE=1
export PYTHONHOME PYTHONNOUSERSITE
exec "$lib/ld-2.31.so" --library-path "$lib:$usr/openblas-pthread:$usr:$root/usr/lib" "$root/usr/bin/PROGRAM" "$@"
LAUNCHER
  sed -i "s/PROGRAM/$target/" "$new/bin/$program"
  chmod 755 "$new/bin/$program"
done

works "$new" || { "$new/bin/caffe-python" -c 'import caffe' >&2 || true; die "Caffe was unpacked but does not start (see above)"; }

if [ -e "$home" ]; then
  old=$(mktemp -d "$home.installing.old.XXXXXX")
  mv "$home" "$old/"
  mv "$new" "$home"
  rm -rf "$old"
else
  mv "$new" "$home"
fi
say "Caffe 1.0 is ready: $home/bin/caffe-python"
