#!/usr/bin/env bash
# What the daemon's file is made of, room by room, beside what was recorded in tests/size.txt; names the rooms that grew.
#
#   tests/size.sh             compares; fails where the file or a room is larger than recorded by more than is allowed
#   tests/size.sh --update    records the present sizes
#   tests/size.sh --show      prints them
#   tests/size.sh --features  builds the variants of README's table, one after the other: the sizes of both programs, and how
#                             much smaller the daemon is than with all
#
# A symbol belongs to the first room of ours that its name tells, or else to its crate: the code of a generic type is counted
# where the type that it was made for is. Inlined code is counted where it went. Sizes depend on the compiler: record them anew
# with a new one.
set -euo pipefail
cd "$(dirname "$0")/.."
recorded=tests/size.txt
# Of a room: so many bytes or a twentieth of it, whichever is more; of the file: 1 %.
allowed=2048

rooms() {
  nm --size-sort --print-size --demangle --radix=d "$1" | awk '
    {
      name = $0; sub(/^[0-9]+ [0-9]+ . /, "", name)
      if ($3 ~ /[bB]/) next
      if (match(name, /supervice::[a-z_]+/)) room = substr(name, RSTART, RLENGTH)
      else if (name ~ /gimli|addr2line|rustc_demangle|backtrace/) room = "the backtrace of a panic"
      else if (match(name, /(alloc|core|std)::/)) room = "standard library"
      else if (match(name, /[a-z][a-z0-9_]+::/)) room = substr(name, RSTART, RLENGTH - 2)
      else room = "other"
      sizes[room] += $2
    }
    END { for (room in sizes) if (sizes[room] >= 1024) printf "%8d %s\n", sizes[room], room }' | sort -k2
}

stripped() { # FILE: its size without symbols
  strip -o target/size.stripped "$1"
  stat -c %s target/size.stripped
  rm target/size.stripped
}

if [ "${1:-}" = --features ]; then
  export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}
  say() { # NAME DIRECTORY
    local size
    size=$(stat -c %s "$2/supervice")
    : "${whole:=$size}"
    printf '%-40s %9d %9d %+9d\n' "$1" "$size" "$(stat -c %s "$2/supervicectl" 2>/dev/null || echo 0)" "$((size - whole))"
  }
  build() { # NAME ARGUMENT…
    local name=$1
    shift
    rm -f "${OUT:=$CARGO_TARGET_DIR/release}"/supervice{,ctl}
    cargo build --quiet --bins "$@"
    say "$name" "$OUT"
  }
  # NAME: who needs it goes with it.
  declare -A with=([http]='http web-page xmlrpc' [schedules]='schedules timezones')
  all=$(sed -n 's/^default = \[\(.*\)\]/\1/p' Cargo.toml | tr -d '",')
  build 'all (default)' --release
  for off in $all; do
    gone=${with[$off]:-$off}
    rest=$(for name in $all; do [[ " $gone " == *" $name "* ]] || printf '%s,' "$name"; done)
    build "without $gone" --release --no-default-features --features "$rest"
  done
  build 'none' --release --no-default-features
  OUT=$CARGO_TARGET_DIR/tiny build 'none, profile tiny' --profile tiny --no-default-features
  target=x86_64-unknown-linux-gnu
  export RUSTFLAGS="-C force-frame-pointers=yes -C relocation-model=static -C link-arg=-Wl,--icf=all"
  OUT=$CARGO_TARGET_DIR/$target/tiny
  build 'none, profile tiny, flags for boards' --profile tiny --no-default-features --target "$target"
  OUT=$CARGO_TARGET_DIR/$target/release
  build 'all, flags for boards' --release --target "$target"
  exit
fi

CARGO_PROFILE_RELEASE_STRIP=none cargo build --quiet --release --bin supervice
binary=target/release/supervice
case ${1:-} in
  --show)
    stripped "$binary"
    rooms "$binary" | sort -rn
    exit
    ;;
  --update)
    { printf '%8d %s\n' "$(stripped "$binary")" 'the whole file'; rooms "$binary"; } > "$recorded"
    exit
    ;;
esac

{ printf '%8d %s\n' "$(stripped "$binary")" 'the whole file'; rooms "$binary"; } | awk -v allowed="$allowed" '
  { size = $1; $1 = ""; sub(/^ /, "") }
  NR == FNR { before[$0] = size; next }
  {
    limit = $0 == "the whole file" ? before[$0] / 100 : before[$0] / 20
    if (limit < allowed) limit = allowed
    if (size > before[$0] + limit) { grown = 1; printf "%s: %d bytes, recorded %d (%+d)\n", $0, size, before[$0], size - before[$0] }
  }
  END {
    if (grown) print "Is that worth it to everybody? A capability of size is a cargo feature. If it is: tests/size.sh --update"
    exit grown
  }' "$recorded" -
