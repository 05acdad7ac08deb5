# bash completion for supervicectl. What could come next supervicectl itself knows: its commands and options, and the
# names of processes and groups from the running daemon, which is given one second.

_supervicectl() {
    local line=${COMP_LINE:0:COMP_POINT} word about quote='' i
    local -a words=()
    # bash splits worker:00 and --for=running into three words: those that no space separates are one.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i -gt 0 && $line != [[:space:]]* && -n $word ]]; then
            words[${#words[@]} - 1]+=$word
        else
            line=${line#"${line%%[![:space:]]*}"}
            words+=("$word")
        fi
        line=${line#"$word"}
    done
    local last=$((${#words[@]} - 1))
    local cur=${words[last]}
    COMPREPLY=()
    case $last:${words[last - 1]}:${words[1]} in
    *:-s:* | *:--socket:* | *:--config:* | *:-c:-* | 2:-c:*)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    esac
    # What supervicectl would be given, without quotation marks and backslashes.
    [[ $cur == [\'\"]* ]] && quote=${cur:0:1}
    words=("${words[@]//[\\\'\"]/}")
    while IFS=$'\t' read -r word about; do
        # Quoted by hand: compgen -W would expand what a name contains.
        if [[ $quote ]]; then COMPREPLY+=("$word"); else COMPREPLY+=("$(printf %q "$word")"); fi
    done < <("${words[0]/#\~/$HOME}" complete -- "${words[@]:1}" 2>/dev/null)
    # What stands before the last colon or equals sign is, for bash, another word.
    [[ ! $quote && $cur == *[:=]* ]] && COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*[:=]}"}"}")
    return 0
}

complete -F _supervicectl supervicectl
