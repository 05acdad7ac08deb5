# fish completion for supervicectl. Names come from the running daemon, which is given one second.

function __supervicectl_names --argument-names key
    set -l words (commandline -opc)
    set -l socket
    for i in (seq 2 (count $words))
        switch $words[$i]
            case -s --socket
                set -l next (math $i + 1)
                test $next -le (count $words); and set socket -s $words[$next]
            case '--socket=*'
                set socket $words[$i]
        end
    end
    supervicectl $socket --timeout 1 status --json 2>/dev/null |
        string match -rag '"'$key'":"([^"\\\\]*)"' | sort -u
end

set -l commands status start stop restart startgroup stopgroup reload tail clear reopen health poweroff reboot halt version
complete -c supervicectl -f
complete -c supervicectl -s s -l socket -r -F -d "the daemon's socket"
complete -c supervicectl -l timeout -x -d 'give up waiting for an answer after this time'
complete -c supervicectl -l json -d 'with status and reload: print the answer as JSON'
complete -c supervicectl -l version -d 'print the version'
complete -c supervicectl -s h -l help -d 'print a summary'
complete -c supervicectl -n "__fish_seen_subcommand_from restart" -l force -d 'stop by SIGKILL'
complete -c supervicectl -n "__fish_seen_subcommand_from tail" -s f -l follow -d 'go on with what comes'
complete -c supervicectl -n "__fish_seen_subcommand_from tail" -s n -l lines -x -d 'so many lines'
complete -c supervicectl -n "__fish_seen_subcommand_from tail" -s c -l bytes -x -d 'so many bytes'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a status -d 'the state of the processes'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a start -d 'start, and wait until RUNNING'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a stop -d 'stop, and wait until nothing is left'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a restart -d 'stop and start'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a startgroup -d 'start all members of a group'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a stopgroup -d 'stop all members of a group'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a reload -d 'read the configuration again'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a tail -d 'show the newest output'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a clear -d 'empty the log files'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a reopen -d 'open all log files anew'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a health -d 'tell whether all is well, for probes'
complete -c supervicectl -n "__fish_seen_subcommand_from health" -l ready -d 'none may be STARTING'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a poweroff -d 'turn the machine off'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a reboot -d 'start the machine anew'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a halt -d 'stop the machine'
complete -c supervicectl -n "not __fish_seen_subcommand_from $commands" -a version -d 'print the version'
complete -c supervicectl -n "__fish_seen_subcommand_from health status start stop restart tail clear" -a '(__supervicectl_names name)'
complete -c supervicectl -n "__fish_seen_subcommand_from startgroup stopgroup" -a '(__supervicectl_names group)'
