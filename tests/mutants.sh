#!/usr/bin/env bash
# Mutants of the state machine and the engine: how many of a sample do the tests kill?
#
#   tests/mutants.sh [COUNT [SEED [GLOB...]]]     (40 mutants, seed 1, src/process and src/core/engine)
#
# The same count, seed, globs and sources always draw the same mutants. Needs cargo-mutants, which lists them: what it
# would run besides those that are asked for by name is left out. The sources are copied: the work tree stays as it is.
# SUPERVICE_SIM_STEPS shortens the simulations.
set -euo pipefail
cd "$(dirname "$0")/.."

count=${1:-40} seed=${2:-1}
shift $(($# < 2 ? $# : 2))
[ $# -gt 0 ] || set -- 'src/process/**' 'src/core/engine/**'
out=$PWD/target/mutants
tree=$out/tree
mkdir -p "$tree"

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
[ -s "$out/sample" ] || { echo "no mutants in $*" >&2; exit 1; }
cargo mutants --list --diff --colors never "${files[@]}" > "$out/diffs"

git ls-files -z -- Cargo.toml Cargo.lock .cargo bin src tests README.md packaging | xargs -0 cp -p --parents -t "$tree"

# Prints the change that makes a mutant, to be applied in the sources.
change() {
  MUTANT=$1 awk '
    $0 == ENVIRON["MUTANT"] { found = 1; next }
    found && /^src\/[^ ]*:[0-9]+:[0-9]+: / { exit }
    found && /^--- / { path = $2 }
    found && /^\+\+\+ / { print "+++ " path; next }
    found
  ' "$out/diffs"
}

# Runs the tests of the copy that look at machine and engine, those that tell most of the time first. A mutant that hangs is
# killed, too.
passes() {
  (cd "$tree" && timeout 600 cargo test --quiet --lib -- process:: core:: --skip tests::sim:: &&
    timeout 1200 cargo test --quiet --lib -- tests::sim:: && timeout 1200 cargo test --quiet --test sim) > "$out/log" 2>&1
}

passes || { tail -30 "$out/log" >&2; echo "the tests fail without a mutant" >&2; exit 1; }
killed=0 missed=0 unviable=0
while IFS= read -r mutant <&3; do
  file=${mutant%%:*}
  change "$mutant" | (cd "$tree" && patch --quiet -p0)
  if ! (cd "$tree" && cargo test --quiet --lib --no-run) > "$out/log" 2>&1; then
    unviable=$((unviable + 1)) verdict='does not compile'
  elif passes; then
    missed=$((missed + 1)) verdict='SURVIVES'
  else
    killed=$((killed + 1)) verdict=killed
  fi
  printf '%s: %s\n' "$verdict" "$mutant"
  # A newer file, so that it is compiled again.
  cp "$file" "$tree/$file"
done 3< "$out/sample"
printf 'seed %s: %d of %d mutants killed (%d more do not compile)\n' "$seed" "$killed" $((killed + missed)) "$unviable"
