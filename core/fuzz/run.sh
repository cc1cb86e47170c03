#!/usr/bin/env bash
# core/fuzz/run.sh SECONDS [CORPUS]: where c4build is installed, builds the fuzz targets with clang and runs each for so long. Seeds are in core/fuzz/seeds.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1 corpus=${2:-$(mktemp -d)}
clang=$(command -v clang++ || compgen -c clang++- | sort -V | tail -1)
python=${PYTHON:-python3}
library=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
export LANGDETECT=$built/langdetect
"$python" - "$LANGDETECT" <<'END' # what fuzz_language.cpp reads
import pathlib, shutil, sys
import langdetect
from langdetect.utils.ngram import NGram

folder = pathlib.Path(sys.argv[1])
shutil.copytree(pathlib.Path(langdetect.__file__).parent / "profiles", folder / "profiles")
lines = {"spaces": [NGram.LATIN1_EXCLUDED], "kanji": NGram.CJK_CLASS, "marks": [NGram.DMARK_CLASS]}
lines |= {"letters": [NGram.TO_NORMALIZE_VI_CHARS], "vietnamese": NGram.NORMALIZED_VI_CHARS}
for name, texts in lines.items():
    (folder / name).write_text("\n".join(texts), encoding="utf-8")
END
sources=$(ls ./*.cpp | grep -v -e /bind_ -e /module.cpp)
for target in fuzz/fuzz_*.cpp; do
  name=$(basename "$target" .cpp)
  "$clang" -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -D_GLIBCXX_ASSERTIONS -Wno-psabi \
    -I"$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
    "$target" $sources -o "$built/$name" \
    -L"$library" -Wl,-rpath,"$library" -lpython"$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LDVERSION"))')"
  mkdir -p "$corpus/$name"
  ASAN_OPTIONS=detect_leaks=0 "$built/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=4096 "$corpus/$name" "fuzz/seeds/$name"
done
