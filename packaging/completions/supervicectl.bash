# bash completion for supervicectl. Names come from the running daemon, which is given one second.

# The daemon's socket as the command line has it, then the command's words.
_supervicectl_ask() {
    supervicectl ${socket:+-s "$socket"} --timeout 1 "$@" 2>/dev/null
}

_supervicectl_names() {
    case $1 in
    groups) _supervicectl_ask status --json | grep -o '"group":"[^"\\]*"' | cut -d'"' -f4 | sort -u ;;
    *) _supervicectl_ask status --json | grep -o '"name":"[^"\\]*"' | cut -d'"' -f4 ;;
    esac
}

_supervicectl() {
    local cur prev words cword command= socket= candidates= word i
    if declare -F _get_comp_words_by_ref >/dev/null; then
        # A colon belongs to a name (worker:00).
        _get_comp_words_by_ref -n : cur prev words cword
    else
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
        cur=${words[cword]} prev=${words[cword - 1]}
    fi
    for ((i = 1; i < cword; i++)); do
        word=${words[i]}
        case $word in
        -s | --socket) socket=${words[++i]} ;;
        --socket=*) socket=${word#*=} ;;
        --timeout) ((i++)) ;;
        -*) ;;
        *) command=${command:-$word} ;;
        esac
    done
    COMPREPLY=()
    case $prev in
    -s | --socket)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --timeout) return ;;
    esac
    case $cur:$command in
    -*:restart) candidates=$'--force\n--socket\n--timeout' ;;
    -*:health) candidates=$'--ready\n--socket\n--timeout' ;;
    -*:tail) candidates=$'--follow\n--lines\n--bytes\n--socket\n--timeout' ;;
    -*) candidates=$'--socket\n--timeout\n--json\n--force\n--version\n--help' ;;
    *:health | *:start | *:stop | *:restart | *:status | *:tail | *:clear) candidates=$(_supervicectl_names processes) ;;
    *:startgroup | *:stopgroup) candidates=$(_supervicectl_names groups) ;;
    *:) candidates=$'status\nstart\nstop\nrestart\nstartgroup\nstopgroup\nreload\ntail\nclear\nreopen\nhealth\npoweroff\nreboot\nhalt\nversion' ;;
    esac
    while IFS= read -r word; do
        # Compared and quoted by hand: compgen -W would expand what a name contains.
        [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$(printf %q "$word")")
    done <<<"$candidates"
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
    return 0
}

complete -F _supervicectl supervicectl
