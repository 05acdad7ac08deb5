#!/usr/bin/env bash
# Mutants of the state machine and the engine: how many of a sample do the tests kill?
#
#   tests/mutants.sh [COUNT [SEED [GLOB...]]]     (40 mutants, seed 1, src/process and src/core/engine)
#
# The same count, seed, globs and sources always draw the same mutants. Needs cargo-mutants. The sources are copied: the work tree stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

count=${1:-40} seed=${2:-1}
shift $(($# < 2 ? $# : 2))
[ $# -gt 0 ] || set -- 'src/process/**' 'src/core/engine/**'
out=target/mutants
mkdir -p "$out"

files=()
for glob in "$@"; do files+=(-f "$glob"); done
# Tests are not mutated.
files+=(-e '**/tests/**' -e '**/tests.rs')

# A mutant's place in the sample is the hash of the seed and its name, so that it does not depend on other mutants.
cargo mutants --list --colors never "${files[@]}" > "$out/all"
while IFS= read -r mutant; do
  printf '%s %s\n' "$(printf '%s %s' "$seed" "$mutant" | cksum | cut -d' ' -f1)" "$mutant"
done < "$out/all" | sort -n > "$out/drawn"
sed -n "1,${count}p" "$out/drawn" | cut -d' ' -f2- > "$out/sample"

# cargo-mutants selects by regular expression: each name is quoted.
names=()
while IFS= read -r mutant; do
  names+=(-F "^$(printf '%s' "$mutant" | sed 's/[][\\.*^$+?(){}|&~#-]/\\&/g')\$")
done < "$out/sample"
[ ${#names[@]} -gt 0 ] || { echo "no mutants in $*" >&2; exit 1; }

# 2: some survive, 3: some ran out of time, which counts as killed. The summary below says how many.
status=0
cargo mutants --colors never --no-shuffle --timeout 120 --build-timeout 300 -o "$out" "${files[@]}" "${names[@]}" \
  -C --lib -C --test=sim || status=$?
case $status in 0 | 2 | 3) ;; *) exit "$status" ;; esac

lines() { wc -l < "$out/mutants.out/$1.txt"; }
killed=$(($(lines caught) + $(lines timeout)))
printf 'seed %s: %d of %d mutants killed (%d more do not compile)\n' "$seed" "$killed" $((killed + $(lines missed))) "$(lines unviable)"
