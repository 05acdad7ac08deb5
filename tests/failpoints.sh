#!/usr/bin/env bash
# Do the failpoints cost a release build nothing? Builds the daemon twice in the same place, as it is and from sources in which
# no failpoint is left, and compares the two files.
#
#   tests/failpoints.sh [ARGUMENTS OF CARGO BUILD...]
#
# The sources are copied: the work tree stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/target/failpoints
tree=$out/tree
rm -rf "$tree/src"
mkdir -p "$tree"
git ls-files -z -- Cargo.toml Cargo.lock .cargo bin src tests README.md packaging | xargs -0 cp -p --parents -t "$tree"

build() { # NAME: builds what is in the tree, keeps it with its symbols and without
  (cd "$tree" && cargo build --release --bin supervice --config profile.release.strip=false --target-dir "$out/target" "${@:2}")
  cp "$out/target/release/supervice" "$out/$1.symbols"
  strip -o "$out/$1" "$out/$1.symbols"
}

build with "$@"

# Lines stay lines: their numbers are in the messages of panics.
grep -rlE 'failpoint' "$tree/src" | xargs sed -i -E \
  -e 's/^( *)(crate::)?failpoint::hit\(.*\);$//' \
  -e 's/^(pub\(crate\) )?(use crate::failpoint|mod failpoint);$//'
: > "$tree/src/failpoint.rs"
if grep -rnE 'failpoint::' "$tree/src"; then
  echo 'these failpoints were not removed' >&2
  exit 1
fi
build without "$@"

for name in with without; do
  printf '%-8s %s bytes, sha256 %s\n' "$name" "$(stat -c %s "$out/$name")" "$(sha256sum < "$out/$name" | cut -d' ' -f1)"
done
cmp "$out/with" "$out/without" && echo 'the same file, byte for byte' && exit

# Where a function is gone from the sources the compiler numbers those behind it anew, and may put them elsewhere. So every
# function and constant is compared: its name, and its size.
echo 'not the same bytes'
for name in with without; do
  size --format=sysv "$out/$name" > "$out/$name.sections"
  nm --print-size --demangle --radix=d "$out/$name.symbols" | awk '{ $1 = ""; print }' | sed -E 's/::h[0-9a-f]{16}//' |
    grep -v 'anon\.' | sort > "$out/$name.list"
done
sizes() { awk '$1 ~ /^\./ { print $1, $2 }' "$1"; }
diff <(sizes "$out/with.sections") <(sizes "$out/without.sections") && echo 'every section has the same size'
echo "of $(wc -l < "$out/with.list") functions and constants these have another size (elsewhere a jump may take another form):"
diff "$out/with.list" "$out/without.list" || true
