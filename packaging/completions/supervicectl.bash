# bash completion for supervicectl. What could come next supervicectl itself knows: its commands and options, and the
# names of processes and groups from the running daemon, which is given one second.

_supervicectl() {
    local cur words cword line
    if declare -F _get_comp_words_by_ref >/dev/null; then
        # A colon belongs to a name (worker:00), an equals sign to an option.
        _get_comp_words_by_ref -n := cur words cword
    else
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
        cur=${words[cword]}
    fi
    COMPREPLY=()
    case $cword:${words[cword - 1]}:${words[1]} in
    [1-9]*:-s:* | [1-9]*:--socket:* | [1-9]*:--config:* | [1-9]*:-c:-* | 2:-c:*)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    esac
    while IFS=$'\t' read -r line _; do
        # Quoted by hand: compgen -W would expand what a name contains.
        COMPREPLY+=("$(printf %q "$line")")
    done < <("${words[0]}" complete -- "${words[@]:1:cword-1}" "$cur" 2>/dev/null)
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
    return 0
}

complete -F _supervicectl supervicectl
