# fish completion for supervice.

complete -c supervice -f
complete -c supervice -s c -l config -r -F -d 'the configuration'
complete -c supervice -s n -l nodaemon -d 'stay in the foreground and log to standard output'
complete -c supervice -s l -l logfile -r -F -d "the daemon's own log"
complete -c supervice -s e -l loglevel -x -a 'DEBUG INFO WARNING ERROR CRITICAL' -d 'how much is logged'
complete -c supervice -l check -d 'check the configuration and exit'
complete -c supervice -l json -d 'with --check: print the effective configuration; with --simulate: print JSON'
complete -c supervice -l secrets -d 'with --check --json: with the values of environment'
complete -c supervice -l graph -d 'with --check: print who starts after whom'
complete -c supervice -l simulate -d 'run the configuration on a simulated clock'
complete -c supervice -l for -x -a '60s 10m 1h' -d 'with --simulate: for so long'
complete -c supervice -l ready -x -d 'with --simulate: NAME=TIME, it is ready so long after each start'
complete -c supervice -l fail -x -d 'with --simulate: NAME@TIME=exit:CODE, it ends then'
complete -c supervice -l stop -x -d 'with --simulate: NAME@TIME, an operator stops it then'
complete -c supervice -l reload -r -F -d 'with --simulate: FILE@TIME, the configuration from then on'
complete -c supervice -l dialect -x -a 'supervice supervisord' -d 'read the file as this one does'
complete -c supervice -l strict -d 'unknown sections and keys are errors'
complete -c supervice -l init -d 'reap every orphan; with a program: be its init'
complete -c supervice -l system-init -d 'be the init of the machine'
complete -c supervice -l mount -x -a 'none /proc,/sys,/dev,/dev/pts,/run' -d 'with --system-init: where something is mounted'
complete -c supervice -l version -d 'print the version'
complete -c supervice -s h -l help -d 'print a summary'
