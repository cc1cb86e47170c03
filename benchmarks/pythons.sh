#!/usr/bin/env bash
# Installs c4build under every Python at hand, runs the demo, and fails unless all of them give the same shards.
#
#     benchmarks/pythons.sh [3.11 | 3.12 | ... | lowest]...
#
# Without arguments: all that are found. `lowest` takes the oldest dependencies that pyproject.toml allows (by uv), under
# the first Python, and runs the tests as well ($TESTS: which).
set -euo pipefail

KNOWN="3.11 3.12 3.13 3.14"
INSTALL_SECONDS=${INSTALL_SECONDS:-1200}
TESTS=${TESTS:-tests}

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A copy, since an installation compiles a file in the tree it installs from.
mkdir "$work/source"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - ) |
  tar -x -C "$work/source"
cd "$work/source"

find_python() {  # 3.12 -> the path of a Python 3.12
  local candidate
  for candidate in "$(command -v "python$1" || true)" $(ls -d "$HOME/.pyenv/versions/$1".*/bin/python 2>/dev/null | sort -Vr); do
    if [ -n "$candidate" ] && "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

allowed() {  # is this Python one that pyproject.toml asks for?
  local python=$1
  "$python" - <<'PYTHON'
import re, sys, tomllib
bounds = re.findall(r"(>=|<)(\d+)\.(\d+)", tomllib.load(open("pyproject.toml", "rb"))["project"]["requires-python"])
own = sys.version_info[:2]
sys.exit(not all(own >= (int(a), int(b)) if sign == ">=" else own < (int(a), int(b)) for sign, a, b in bounds))
PYTHON
}

digest() {  # of all shards, by name; samples name the inputs, which lie in each environment. raw/ holds inputs that the demo packs:
  # a byte of gzip's header, which names the system, is another from Python 3.13 on
  (cd "$1" && find . \( -name .c4build -o -path ./raw \) -prune -o -type f ! -name '*.json' ! -name samples.jsonl ! -name README.md -print | LC_ALL=C sort |
    tr '\n' '\0' | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1)
}

try() {  # name, python, then the command that installs into $work/NAME
  local name=$1 python=$2 start=$SECONDS
  shift 2
  "$python" -m venv "$work/$name"
  if ! timeout "$INSTALL_SECONDS" "$@" > "$work/$name.log" 2>&1; then
    tail -5 "$work/$name.log"
    echo "$name: the installation failed, or took more than $INSTALL_SECONDS seconds"
    return 1
  fi
  local installed=$((SECONDS - start))
  if ! (cd "$work" && env -u PYTHONPATH timeout 600 "$work/$name/bin/c4build" demo --out "$work/$name-demo" > "$work/$name.log" 2>&1); then
    tail -20 "$work/$name.log"
    echo "$name: the demo failed"
    return 1
  fi
  echo "$(digest "$work/$name-demo")  $("$work/$name/bin/python" -V), $name, installed in $installed s" | tee -a "$work/digests"
}

wanted=${*:-}
if [ -z "$wanted" ]; then
  for version in $KNOWN; do
    if python=$(find_python "$version") && allowed "$python"; then wanted+=" $version"; fi
  done
  wanted+=" lowest"
fi

failed=0
for name in $wanted; do
  if [ "$name" = lowest ]; then
    for version in $KNOWN; do if python=$(find_python "$version") && allowed "$python"; then break; fi; done
    try lowest "$python" uv pip install --python "$work/lowest/bin/python" --resolution lowest-direct '.[test]' || { failed=1; continue; }
    (env -u PYTHONPATH "$work/lowest/bin/python" -m pytest -q -p no:cacheprovider $TESTS) || failed=1
  elif python=$(find_python "$name"); then
    try "$name" "$python" "$work/$name/bin/python" -m pip install --quiet . || failed=1
  else
    echo "$name: no such Python at hand"
    failed=1
  fi
  rm -rf "${work:?}/$name"
done

if [ -s "$work/digests" ] && [ "$(cut -d ' ' -f 1 "$work/digests" | sort -u | wc -l)" -ne 1 ]; then
  echo "the shards differ"
  failed=1
fi
exit $failed
