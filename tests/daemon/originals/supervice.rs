//! Configurations in supervice's dialect.

use super::{Original, SITE, Site};

macro_rules! sites {
    ($($name:ident { $($field:ident: $value:expr),* $(,)? })*) => {
        $(#[test] fn $name() { Site { original: Original::Supervice, $($field: $value,)* ..SITE }.compare(); })*
    };
}

sites! {
    originals_supervice_numprocs {
        programs: 4,
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:w]\nnumprocs=3\ncommand=DIR/show w %(process_num)s %(process_num)02d %(program_name)s\n\
               environment=N=%(process_num)s,P=80%(process_num)s\nstdout_logfile=DIR/logs/w-%(process_num)s.log\n\
               [program:one]\ncommand=DIR/show one %(process_num)s\nstderr_logfile=DIR/logs/one-%(process_num)s.err\n\
               [program:later]\ncommand=DIR/show never\nautostart=false\n",
    }
    originals_supervice_groups {
        programs: 4,
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:a]\ncommand=DIR/show a\n[program:b]\ncommand=DIR/show b\nnumprocs=2\n[program:c]\ncommand=DIR/show c\n\
               [group:g]\nprograms=a, b\n[group:h]\nprograms=a\n",
    }
    originals_supervice_environment {
        programs: 2,
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:quotes]\ncommand=DIR/show quotes\n\
               environment=A=1,B='two words',C=\"with, comma\",D=\"it's\" , E=a b c,F=,G=\"\",H=x=y,\n  I=\"on the next line\"\n\
               [program:signs]\ncommand=DIR/show signs\n\
               environment=PCT=100%,NAME=%(program_name)s,TEST_WORD=own,HASH=a#b,SEMI=a;b,URL=http://x/?a=1&b=2,DOLLAR=$HOME\n",
    }
    originals_supervice_env_file {
        programs: 2,
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:w]\ncommand=DIR/show w %(process_num)s\nnumprocs=2\nenv_file=DIR/a.env, DIR/b.env\nenvironment=C=environment\n",
        files: &[
            ("a.env", "# comment\n\nA=1\nB='single quotes'\nC=file\nD=\"double quotes\"\nN=%(process_num)s\nE = spaces \nF=a=b#c\n"),
            ("b.env", "A=2\nEMPTY=\nQ=it's\n"),
        ],
    }
    originals_supervice_directory {
        programs: 3,
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:none]\ncommand=DIR/show none\n\
               [program:absolute]\ncommand=DIR/show absolute\ndirectory=/tmp\n\
               [program:relative]\ncommand=DIR/show relative\ndirectory=sub\n",
    }
    originals_supervice_user {
        programs: 2,
        owner: Some("root"),
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:name]\ncommand=DIR/show name\nuser=nobody\nstdout_logfile=DIR/logs/name.log\n\
               [program:root]\ncommand=DIR/show root\nuser=root\n",
    }
    originals_supervice_quoting_of_commands {
        programs: 4,
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:quotes]\ncommand=DIR/show 'one two' \"three 'four'\" fi\\ ve \"\" '' \"a\\\"b\" 'c\\d' \"e\\f\" x'y'z \u{e4}\u{20ac}\n\
               [program:shell]\ncommand=DIR/show $HOME `id` * ~ a|b >c 2>&1 && FOO=bar\n\
               [program:comments]\ncommand=DIR/show a;b c#d ; no comment # here\n\
               [program:lines]\ncommand=DIR/show\n  one\n\n  two\n  ; a comment line\n\tthree %% %Y\n",
    }
    originals_supervice_argv_0_and_path {
        programs: 3,
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:bare]\ncommand=sh DIR/show bare\n\
               [program:absolute]\ncommand=/bin/sh DIR/show absolute\n\
               [program:others]\ncommand=sh DIR/show others\nenvironment=PATH=/nowhere:/usr/bin:/bin\n",
    }
    originals_supervice_logs {
        programs: 3,
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:both]\ncommand=DIR/show both\nstdout_logfile=DIR/logs/both.out\nstderr_logfile=logs/both.err\n\
               [program:one]\ncommand=DIR/show one\nstdout_logfile=DIR/logs/one.log\nstderr_logfile=DIR/logs/one.log\n\
               [program:none]\ncommand=DIR/show none\nstdout_logfile=\n",
    }
    originals_supervice_umask_and_limits {
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:p]\ncommand=DIR/show p\nstdout_logfile=DIR/logs/p.log\n",
        before: "umask 027; ulimit -Sn 600; ulimit -c 0",
    }
    originals_supervice_priority_is_no_key {
        programs: 2,
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:a]\ncommand=DIR/show a\npriority=%(x)s\n[program:b]\ncommand=DIR/show b\nprocess_name=other\n",
    }
    originals_supervice_detached {
        detached: true,
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=daemon.pid\nlogfile=daemon.log\n\
               [program:p]\ncommand=DIR/show p\nstdout_logfile=DIR/logs/p.log\n",
        before: "umask 027",
    }
    originals_supervice_forms_of_files {
        programs: 3,
        text: "; a comment\n# another\n[DEFAULT]\ndirectory: DIR/sub\r\n[supervice]\r\nSocket = DIR/ctl.sock\r\npidfile : DIR/daemon.pid\nlogfile=DIR/daemon.log\n\
               [program:a b]\r\nCOMMAND : DIR/show \"a b\"\r\nstartsecs=0\r\n\
               [program:none]\ncommand=DIR/show none\nautorestart = no\npdeathsig = no\n\
               [program:x]\ncommand=DIR/show x ; y\ndirectory=/\nunknown_key=%(unknown)s %\n",
    }
    originals_supervice_no_pid_file_and_no_section {
        text: "[program:p]\ncommand=DIR/show p\n[supervice]\nsocket=DIR/ctl.sock\npidfile=none\nlogfile=DIR/daemon.log\n",
    }
    originals_supervice_health_check_and_stop_keys {
        text: "[supervice]\nsocket=DIR/ctl.sock\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\nshutdown_timeout=5\n\
               [program:p]\ncommand=DIR/show p %(process_num)s\nhealthcheck_type=script\nhealthcheck_command=true\n\
               healthcheck_start_period=0\nstopsignal=USR1\nstopwaitsecs=2\nexitcodes=0\n",
    }
}
