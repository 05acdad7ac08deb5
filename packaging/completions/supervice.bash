# bash completion for supervice.

_supervice() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word candidates=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        # What follows is another program's.
        if [[ $word == -- ]]; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -c -- "$cur")
            return
        fi
    done
    COMPREPLY=()
    case $prev in
    -c | --config | -l | --logfile | --reload)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    -e | --loglevel) candidates='DEBUG INFO WARNING ERROR CRITICAL' ;;
    --for) candidates='60s 10m 1h' ;;
    --date) candidates="$(date +%F)" ;;
    --ready | --fail | --stop) return ;;
    --mount) candidates='none /proc,/sys,/dev,/dev/pts,/run' ;;
    *)
        candidates='--config --nodaemon --logfile --loglevel --check --json --secrets --graph --simulate --for --date --ready --fail --stop --reload --dialect --strict --init --system-init --mount
            --version --help'
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$cur")
}

complete -F _supervice supervice
