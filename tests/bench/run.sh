#!/usr/bin/env bash
# README's comparison in one command: builds the daemon and the bench, gets the peers that are missing, measures on a machine at rest
# and beside two endless loops, and writes README's tables.
#
#   tests/bench/run.sh             all of it, half an hour
#   tests/bench/run.sh --pieces    prints the pieces, a line each: run them one by one where the machine is yours for minutes only
#   tests/bench/run.sh PIECE...    measures these
#   tests/bench/run.sh --write     writes README's tables of the pieces that were measured
#
# dinit comes from the source directory DINIT_SOURCE, or from its public repository; supervisord from the Python virtual environment
# SUPERVICE_BENCH_VENV, or from PyPI. Of the others those are measured that are on the PATH (runit, s6, nitro). What is got and what
# is measured lies in target/peers. BENCH is the bench, where it is built already; WRAP a command that each measurement is run by.
set -euo pipefail
cd "$(dirname "$0")/../.."
peers=$PWD/target/peers
rounds=${ROUNDS:-10}
mkdir -p "$peers/bin" "$peers/samples"

dinit_url=https://github.com/davmac314/dinit.git
dinit_commit=d7d843b

get_dinit() {
  [ ! -x "$peers/bin/dinit" ] || return 0
  local source=${DINIT_SOURCE:-$peers/dinit}
  if [ ! -d "$source" ]; then
    git clone --quiet "$dinit_url" "$source" && git -C "$source" checkout --quiet "$dinit_commit" || return 1
  fi
  [ -x "$source/src/dinit" ] || make -s -C "$source" -j2 || return 1
  cp "$source/src/dinit" "$source/src/dinitctl" "$peers/bin/"
}

get_supervisord() {
  [ -z "${SUPERVICE_BENCH_VENV:-}" ] || return 0
  export SUPERVICE_BENCH_VENV=$peers/python
  [ ! -x "$SUPERVICE_BENCH_VENV/bin/supervisord" ] || return 0
  # supervisor needs pkg_resources, which later versions of setuptools lack.
  python3 -m venv "$SUPERVICE_BENCH_VENV" && "$SUPERVICE_BENCH_VENV/bin/pip" install -q 'supervisor==4.3.0' 'setuptools<80'
}

# At most four minutes each, with ten rounds. Those who take a second for what the others do in milliseconds are apart.
pieces() {
  local mode
  for mode in quiet busy; do
    echo "$mode-20"
    echo "$mode-1000"
  done
  echo quiet-others
  echo quiet-memory
}

measure() { # PIECE
  local mode=${1%%-*} what=${1#*-} arguments
  case $what in
    20 | 1000) arguments=(--n "$what" --only start,respawn,stop --peers "$(here supervice bare dinit dinit.captures nitro)") ;;
    others) arguments=(--n 20 --only start,respawn,stop --peers "$(here runit s6 supervisord)" --rounds 3) ;;
    memory) arguments=(--n 20,1000 --only memory --peers "$(here supervice bare dinit dinit.captures nitro)" --rounds 1) ;;
    *) echo "$1: no such piece" >&2; return 1 ;;
  esac
  [[ " ${arguments[*]} " == *" --rounds "* ]] || arguments+=(--rounds "$rounds")
  [ "$mode" = quiet ] || arguments+=(--busy 2)
  ${WRAP:-} "$bench" "${arguments[@]}" --json "$peers/samples/$1.json"
}

here() { # NAME…: those that are here, with commas
  local name found=()
  for name; do
    grep -q "^$name " <<<"$list" && found+=("$name")
  done
  (IFS=, && echo "${found[*]}")
}

write() {
  local files=("$peers"/samples/*.json)
  "$bench" --readme README.md --from "$(IFS=, && echo "${files[*]}")"
}

case ${1:-} in
  --pieces) pieces; exit ;;
esac
get_dinit || echo "dinit: neither built nor got; measured without it" >&2
get_supervisord || echo "supervisord: not installed; measured without it" >&2
export PATH=$peers/bin:$PATH
# The programs beside it are those of the same profile.
bench=${BENCH:-$(cargo bench --bench supervisors --no-run --message-format=json | sed -n 's/.*"executable":"\([^"]*supervisors-[^"]*\)".*/\1/p' | tail -1)}
list=$("$bench" --list)
case ${1:-} in
  --write) write ;;
  '')
    for piece in $(pieces); do measure "$piece"; done
    write
    ;;
  *) for piece; do measure "$piece"; done ;;
esac
