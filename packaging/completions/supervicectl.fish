# fish completion for supervicectl. What could come next supervicectl itself knows: its commands and options, and the
# names of processes and groups from the running daemon, which is given one second.

function __supervicectl_candidates
    set -l words (commandline -opc)
    supervicectl complete -- $words[2..-1] (commandline -ct) 2>/dev/null
end

complete -c supervicectl -f -a '(__supervicectl_candidates)'
complete -c supervicectl -s s -l socket -r -F -d "the daemon's socket"
complete -c supervicectl -l config -r -F -d "the daemon's configuration, which names the socket"
