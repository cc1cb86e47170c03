#!/usr/bin/env bash
# core/fuzz/run.sh SECONDS [CORPUS]: builds the fuzz targets with clang and runs each for so long. Seeds are in core/fuzz/seeds.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1 corpus=${2:-$(mktemp -d)}
clang=$(command -v clang++ || compgen -c clang++- | sort -V | tail -1)
python=${PYTHON:-python3}
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
sources=$(ls ./*.cpp | grep -v -e /bind_ -e /module.cpp)
for target in fuzz/fuzz_*.cpp; do
  name=$(basename "$target" .cpp)
  "$clang" -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -D_GLIBCXX_ASSERTIONS \
    $("$python"-config --includes 2>/dev/null || "$python" -c 'import sysconfig; print("-I" + sysconfig.get_path("include"))') \
    "$target" $sources -o "$built/$name" \
    $("$python" -c 'import sysconfig as s; print(f"-L{s.get_config_var("LIBDIR")} -Wl,-rpath,{s.get_config_var("LIBDIR")} -lpython{s.get_config_var("LDVERSION")}")')
  mkdir -p "$corpus/$name"
  ASAN_OPTIONS=detect_leaks=0 "$built/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=4096 "$corpus/$name" "fuzz/seeds/$name"
done
