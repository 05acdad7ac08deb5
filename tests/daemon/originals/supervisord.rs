//! Configurations in supervisord's dialect.

use super::{SITE, Site};

macro_rules! sites {
    ($($name:ident { $($field:ident: $value:expr),* $(,)? })*) => {
        $(#[test] fn $name() { Site { $($field: $value,)* ..SITE }.compare(); })*
    };
}

sites! {
    originals_supervisord_numprocs_and_names {
        programs: 4,
        text: "[supervisord]\npidfile=DIR/daemon.pid\n\
               [program:w]\nnumprocs=3\nnumprocs_start=9\nprocess_name=%(program_name)s_%(process_num)02d\n\
               command=%(here)s/show %(process_num)s %(process_num)03d %(numprocs)d %(group_name)s %(host_node_name)s %(here)s\n\
               [program:one]\nprocess_name=uno\ncommand=DIR/show %(process_num)s %(program_name)10s|\n\
               [program:none]\nnumprocs=0\nprocess_name=%(process_num)d\ncommand=DIR/show never\n\
               [program:later]\nautostart=false\ncommand=DIR/show never\n",
    }
    originals_supervisord_groups {
        programs: 5,
        text: "[supervisord]\npidfile=DIR/daemon.pid\n\
               [program:a]\ncommand=DIR/show a %(group_name)s\npriority=5\n\
               [program:b]\ncommand=DIR/show b %(group_name)s\n\
               [program:c]\ncommand=DIR/show c %(group_name)s\nnumprocs=2\nprocess_name=c%(process_num)d\n\
               [group:first]\nprograms=a, c\npriority=1\n\
               [group:second]\nprograms=a,b\n",
    }
    originals_supervisord_environment {
        programs: 3,
        text: "[supervisord]\npidfile=DIR/daemon.pid\nenvironment=GLOBAL=\"all %(here)s\",BOTH=global,TEST_WORD=\"of the file\"\n\
               [program:quotes]\ncommand=DIR/show quotes\n\
               environment=A=1,B='two words',C=\"with, comma\",D=\"it's\" , E=a/b_c.d+e-f:g(h),F=\"\",\n  H=\"on the next line\",G=cut here\n\
               [program:names]\ncommand=DIR/show names\n\
               environment=BOTH=\"own\",NUM=%(process_num)d,NAME=%(program_name)s,OF=\"%(group_name)s on %(host_node_name)s\",SUPERVISOR_ENABLED=\"no\"\n\
               [program:percent]\ncommand=DIR/show percent\n\
               environment=PCT=\"100%%\",WORD=\"%(ENV_TEST_WORD)s\",FROM=\"%(ENV_GLOBAL)s\",EMPTY=\"%(ENV_EMPTY)s\",PATH=\"/opt/none:%(ENV_PATH)s\"\n",
    }
    originals_supervisord_env_in_keys {
        programs: 2,
        text: "[supervisord]\npidfile=%(ENV_PIDFILE)s\nenvironment=LOGS=\"DIR/logs\",SUB=sub\n\
               [program:app]\ncommand=DIR/show %(ENV_OWN)s %(ENV_SUB)s %(ENV_TEST_WORD)s \"%(ENV_TEST_WORD)s\"\n\
               environment=OWN=\"mine\"\ndirectory=DIR/%(ENV_SUB)s\nstdout_logfile=%(ENV_LOGS)s/%(ENV_OWN)s.log\n\
               stderr_logfile=%(ENV_LOGS)s/%%%%(program_name)s.err\nstdout_logfile_maxbytes=%(ENV_SIZE)s\n\
               [program:other]\ncommand=DIR/show other\nautostart=%(ENV_YES)s\numask=%(ENV_UMASK)s\nstderr_logfile=NONE\n",
        before: "PIDFILE=$PWD/daemon.pid SIZE=20MB YES=true UMASK=027; export PIDFILE SIZE YES UMASK",
    }
    originals_supervisord_directory {
        programs: 4,
        text: "[supervisord]\npidfile=DIR/daemon.pid\ndirectory=/usr\n\
               [program:none]\ncommand=DIR/show none\n\
               [program:absolute]\ncommand=DIR/show absolute\ndirectory=/tmp\n\
               [program:relative]\ncommand=DIR/show relative\ndirectory=sub\n\
               [program:dots]\ncommand=%(here)s/sub/../show dots\ndirectory=%(here)s/sub/..\n",
    }
    originals_supervisord_umask {
        programs: 3,
        text: "[supervisord]\npidfile=DIR/daemon.pid\numask=027\n\
               [program:inherits]\ncommand=DIR/show inherits\n\
               [program:own]\ncommand=DIR/show own\numask=077\nstdout_logfile=DIR/logs/own.log\n\
               [program:zero]\ncommand=DIR/show zero\numask=0\n",
        before: "umask 002",
    }
    originals_supervisord_detached {
        programs: 2,
        detached: true,
        text: "[supervisord]\npidfile=daemon.pid\nlogfile=daemon.log\ndirectory=/usr\numask=027\n\
               [program:inherits]\ncommand=DIR/show inherits\nstdout_logfile=DIR/logs/out.log\n\
               [program:own]\ncommand=DIR/show own\numask=002\ndirectory=DIR/sub\n",
    }
    originals_supervisord_user_of_programs {
        programs: 3,
        owner: Some("root"),
        text: "[supervisord]\npidfile=DIR/daemon.pid\n\
               [program:name]\ncommand=DIR/show name\nuser=nobody\nstdout_logfile=DIR/logs/name.log\n\
               [program:number]\ncommand=DIR/show number\nuser=1\n\
               [program:root]\ncommand=DIR/show root\nuser=root\n",
    }
    originals_supervisord_user_of_the_daemon {
        programs: 2,
        owner: Some("nobody"),
        text: "[supervisord]\npidfile=DIR/daemon.pid\nlogfile=DIR/daemon.log\nuser=nobody\n\
               [program:plain]\ncommand=DIR/show plain\nstdout_logfile=DIR/logs/plain.log\n\
               [program:same]\ncommand=DIR/show same\nuser=nobody\n",
    }
    originals_supervisord_quoting_of_commands {
        programs: 5,
        text: "[supervisord]\npidfile=DIR/daemon.pid\n\
               [program:quotes]\ncommand=DIR/show 'one two' \"three 'four'\" fi\\ ve \"\" '' \"a\\\"b\" 'c\\d' \"e\\f\" x'y'z \u{e4}\u{20ac}\n\
               [program:shell]\ncommand=DIR/show $HOME `id` * ~ a|b >c 2>&1 && FOO=bar\n\
               [program:comments]\ncommand=DIR/show a;b c#d ; a comment, \"even\n\
               [program:lines]\ncommand=DIR/show\n  one\n\n  two\n  ; a comment line\n\tthree\n\
               [program:percent]\ncommand=DIR/show %%Y-%%m 100%% \"%%(here)s\"\n",
    }
    originals_supervisord_argv_0_and_path {
        programs: 3,
        text: "[supervisord]\npidfile=DIR/daemon.pid\n\
               [program:bare]\ncommand=sh DIR/show bare\n\
               [program:absolute]\ncommand=/bin/sh DIR/show absolute\n\
               [program:others]\ncommand=sh DIR/show others\nenvironment=PATH=\"DIR/sub:/usr/bin:/bin\"\n",
        files: &[("sub/sh", "#!/bin/sh\nexec /bin/sh \"$@\" by the way of sub\n")],
    }
    originals_supervisord_limits {
        text: "[supervisord]\npidfile=DIR/daemon.pid\nminfds=700\nminprocs=300\n[program:p]\ncommand=DIR/show limits\n",
        before: "ulimit -Sn 500; ulimit -Su 250",
    }
    originals_supervisord_limits_are_not_lowered {
        text: "[supervisord]\npidfile=DIR/daemon.pid\nminfds=100\n[program:p]\ncommand=DIR/show limits\n",
        before: "ulimit -n 800; ulimit -c 0",
    }
    originals_supervisord_include {
        programs: 5,
        text: "[supervisord]\npidfile=DIR/daemon.pid\nenvironment=PLACE=\"main\"\n\
               [program:a]\ncommand=DIR/show a main\n\
               [include]\nfiles=conf.d/*.conf  %(here)s/%(ENV_EXTRA)s/extra.ini none/*.conf\n\
               [program:b]\ncommand=DIR/show b main\ndirectory=DIR/sub\n",
        files: &[
            ("conf.d/10-c.conf", "[program:c]\ncommand=DIR/show c %(here)s %(ENV_PLACE)s\n[program:b]\nenvironment=BY=\"10\"\n"),
            ("conf.d/20-b.conf", "[program:b]\ncommand=DIR/show b over\n[group:g]\nprograms=c,d\n"),
            ("conf.d/ignored.txt", "[program:x]\ncommand=DIR/show never\n"),
            ("more/extra.ini", "[program:d]\ncommand=%(here)s/../show d\n[program:e]\ncommand=DIR/show e\n"),
        ],
        before: "EXTRA=more; export EXTRA",
    }
    originals_supervisord_logs {
        programs: 5,
        text: "[supervisord]\npidfile=DIR/daemon.pid\nchildlogdir=DIR/sub\n\
               [program:both]\ncommand=DIR/show both\nstdout_logfile=logs/%(program_name)s.out\nstderr_logfile=%(here)s/logs/both.err\n\
               [program:one]\ncommand=DIR/show one\nredirect_stderr=true\nstdout_logfile=DIR/logs/one.log\n\
               [program:none]\ncommand=DIR/show none\nstdout_logfile=NONE\nstderr_logfile=off\n\
               [program:null]\ncommand=DIR/show null\nstdout_logfile=/dev/null\nstdout_logfile_maxbytes=0\nstderr_logfile=DIR/logs/null.err\n\
               [program:auto]\ncommand=DIR/show auto\nstderr_logfile=AUTO\n",
    }
    originals_supervisord_url_of_the_server {
        programs: 4,
        text: "[unix_http_server]\nfile=%(here)s/http.sock\nchmod=0o700\n\
               [supervisord]\npidfile=DIR/daemon.pid\n\
               [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
               [supervisorctl]\nserverurl=unix://%(here)s/http.sock\n\
               [program:default]\ncommand=DIR/show default\n\
               [program:auto]\ncommand=DIR/show auto\nserverurl=AUTO\n\
               [program:own]\ncommand=DIR/show own\nserverurl=http://example:1\n\
               [program:empty]\ncommand=DIR/show empty\nserverurl=\n",
    }
    originals_supervisord_forms_of_files {
        programs: 3,
        text: "; a comment\n[DEFAULT]\ndirectory: DIR/sub\r\n[supervisord]\r\nPidFile = DIR/daemon.pid\r\n\
               [program:a-b]\r\nCOMMAND : DIR/show \"a b\"\r\nstartsecs=0\r\n\
               [program:late]\ncommand=DIR/show wrong\n[program:late]\ncommand = DIR/show right\n# a comment\nautorestart = false\n\
               [program:x]\ncommand=DIR/show x\ndirectory=/\nunknown_key=%(unknown)s %\n[x-tool:y]\nz=%\n",
    }
}
