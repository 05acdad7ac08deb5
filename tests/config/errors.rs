//! Every error and warning in its exact words: operators have only that line.

use crate::support::{Files, program_error};

#[test]
fn each_program_key_says_what_is_wrong_and_what_is_right() {
    // What may come up until the program is started is in the next test.
    let size = "write bytes, or a number with KB, MB or GB, such as 50MB; 0: no limit";
    let whole = "not a whole number; write a whole number";
    for (keys, error) in [
        ("numprocs = 0", "numprocs = 0: too small; write a whole number from 1 to 10000"),
        ("numprocs = 10001", "numprocs = 10001: too large; write a whole number from 1 to 10000"),
        ("autostart = maybe", "autostart = maybe: neither true nor false; write true or false"),
        ("autorestart = never", "autorestart = never: not one of the choices; write true, false or unexpected"),
        (
            "exitcodes = 0,256",
            "exitcodes = 0,256: not a list of exit codes; write numbers from 0 to 255 with commas, such as 0,2",
        ),
        ("startsecs = -1", "startsecs = -1: below zero; write a whole number, at least 0"),
        ("startsecs = 1s", "startsecs = 1s: a number with a unit; durations are in seconds: write the number alone"),
        ("startretries = x", &format!("startretries = x: {whole}, at least 0, or unlimited")),
        ("stopsignal = TREM", "stopsignal = TREM: not a signal; did you mean TERM?"),
        (
            "stopsignal = PLEASE_STOP",
            "stopsignal = PLEASE_STOP: not a signal; write a name such as TERM, INT, QUIT, HUP, USR1, USR2 or KILL",
        ),
        ("stopwaitsecs =", &format!("stopwaitsecs = : {whole}, at least 0")),
        ("stdout_logfile_maxbytes = 50M", &format!("stdout_logfile_maxbytes = 50M: `M` is not a unit; {size}")),
        ("stderr_logfile_maxbytes = x", &format!("stderr_logfile_maxbytes = x: not a size; {size}")),
        (
            "stdout_logfile_backups = 1001",
            "stdout_logfile_backups = 1001: too large; write a whole number from 0 to 1000",
        ),
        ("stderr_logfile_backups = -1", "stderr_logfile_backups = -1: below zero; write a whole number from 0 to 1000"),
        ("type = daemon", "type = daemon: not a type of program; write simple, oneshot or forking"),
        ("pidfile = x.pid", "pidfile = x.pid: not an absolute path; write the whole path of the file"),
        (
            "start_timeout = 5m",
            "start_timeout = 5m: a number with a unit; durations are in seconds: write the number alone",
        ),
        (
            "ready = yes",
            "ready = yes: not a way to be ready; write startsecs, notify, health, or one of fd:, path:, tcp:, unix:, http:, log: and command: with what it needs",
        ),
        ("ready = path:x.pid", "ready = path:x.pid: not an absolute path; write path:/PATH"),
        (
            "ready = tcp:::1:80",
            "ready = tcp:::1:80: not a host and port; write tcp:HOST:PORT, an IPv6 address in brackets: tcp:[::1]:80",
        ),
        (
            "ready = unix:x",
            "ready = unix:x: not the path of a socket; write unix:/PATH, or unix:@NAME in the abstract namespace",
        ),
        ("ready = http:x", "ready = http:x: not a URL; write http://HOST:PORT/PATH, or http://unix:/SOCKET:/PATH"),
        ("ready = https://x/", "ready = https://x/: TLS is not spoken; write command:curl -fs URL"),
        (
            "ready = log:(",
            "ready = log:(: not a regular expression: found open group without closing ')'; write a regular expression, or plain text",
        ),
        ("start_when = path:x", "start_when = path:x: path:x: not an absolute path; write path:/PATH"),
        (
            "start_when = path:/x, flag",
            "start_when = path:/x, flag: flag: not the name of a flag; write flag:NAME, of at most 64 letters, digits, -, _ and .",
        ),
        (
            "start_when = link:a-name-that-is-too-long",
            "start_when = link:a-name-that-is-too-long: link:a-name-that-is-too-long: not the name of a network interface; write link:NAME, for instance link:eth0",
        ),
        (
            "start_when = route, net",
            "start_when = route, net: net: not a condition; write path:/PATH, tcp:HOST:PORT, unix:/PATH, link:NAME, route, flag:NAME or command:COMMAND",
        ),
        ("ready = command:", "ready = command:: empty; write command:COMMAND"),
        (
            "notify_access = all",
            "notify_access = all: neither run nor main; write run (every process of the program) or main",
        ),
        ("watchdog_signal = ABORT", "watchdog_signal = ABORT: not a signal; did you mean ABRT?"),
        (
            "healthcheck_url = https://x/",
            "healthcheck_url = https://x/: TLS is not spoken; write healthcheck_type = script with curl -fs URL",
        ),
        (
            "healthcheck_url = x",
            "healthcheck_url = x: not a URL; write http://HOST:PORT/PATH, or http://unix:/SOCKET:/PATH",
        ),
        (
            "healthcheck_path = x",
            "healthcheck_path = x: not the path of a socket; write /PATH, or @NAME in the abstract namespace",
        ),
        (
            "healthcheck_status = 2xx",
            "healthcheck_status = 2xx: not statuses of HTTP; write such as 200-399, or 200,301",
        ),
        (
            "healthcheck_action = reboot",
            "healthcheck_action = reboot: not an action; write restart, none, signal:NAME or command:COMMAND",
        ),
        (
            "ready = health",
            "ready = health: no health is checked; write healthcheck_type = tcp, unix, http or script as well",
        ),
        (
            "ready = fd:2",
            "ready = fd:2: neither a descriptor nor a variable; write fd:NUMBER, from 3 to 1023, or fd:NAME of an environment variable",
        ),
        ("exit_on = always", "exit_on = always: not an end to exit on; write never, failure, exit or fatal"),
        ("exit_code = 256", "exit_code = 256: not an exit code; write program, or a number from 0 to 255"),
        ("redirect_stderr = 2", "redirect_stderr = 2: neither true nor false; write true or false"),
        ("log_buffer = 17MB", "log_buffer = 17MB: too large: it is memory of the daemon; write at most 16MB"),
        ("pdeathsig = TERM", "pdeathsig = TERM: neither true nor false; write true or false"),
        ("environment = A", "environment: no KEY=value at the beginning; write KEY=value,KEY2=\"with, comma\""),
        (
            "environment = A=\"x",
            "environment: the quotation mark \" in the value of A is not closed; \
             write KEY=value,KEY2=\"with, comma\"",
        ),
        (
            "environment = A='x'y",
            "environment: no comma after the closing quotation mark of A's value; \
             write KEY=value,KEY2=\"with, comma\"",
        ),
        (
            "environment = A=1,B=x\"",
            "environment: the quotation mark \" at the end of B's value is not opened; \
             write KEY=value,KEY2=\"with, comma\"",
        ),
        (
            "environment = A=1,secret",
            "environment: no KEY=value behind the value of A; write KEY=value,KEY2=\"with, comma\"",
        ),
        (
            "environment = =x",
            "environment: no name of a variable at the beginning; write KEY=value,KEY2=\"with, comma\"",
        ),
        (
            "healthcheck_type = https",
            "healthcheck_type = https: not a kind of health check; write none, tcp, unix, http or script",
        ),
        ("healthcheck_interval = 0", "healthcheck_interval = 0: too small; write a whole number, at least 1"),
        ("healthcheck_timeout = 0", "healthcheck_timeout = 0: too small; write a whole number, at least 1"),
        ("healthcheck_retries = 0", "healthcheck_retries = 0: too small; write a whole number, at least 1"),
        (
            "healthcheck_start_period = -5",
            "healthcheck_start_period = -5: below zero; write a whole number, at least 0",
        ),
        ("healthcheck_port = 0", "healthcheck_port = 0: too small; write a whole number from 1 to 65535"),
        ("healthcheck_port = 65536", "healthcheck_port = 65536: too large; write a whole number from 1 to 65535"),
        ("stray", "`stray`: neither a section nor a key with a value; write key = value, or # for a comment"),
    ] {
        assert_eq!(program_error(keys), error);
    }
}

#[test]
fn what_may_be_there_when_the_program_is_started_is_a_warning() {
    for (key, warning) in [
        (
            "env_file = /missing/env",
            "No such file or directory; name files that the daemon can read, with commas between them",
        ),
        ("directory = /missing", "the directory does not exist; create it, or write another path"),
        ("directory = /etc/passwd", "it is not a directory; write the path of a directory"),
        ("directory = /etc/passwd/x", "Not a directory; write a path that can be reached"),
        ("stdout_logfile = /missing/x.log", "the directory /missing does not exist; create it, or write another path"),
        ("stderr_logfile = /etc", "it is a directory; write the path of a file"),
        ("user = no-such-user", "no such user; write the name of a user of this system, or a numeric id"),
        ("user = 4294967295", "no such user; write the name of a user of this system, or a numeric id"),
    ] {
        let files = Files::new(&format!("[program:p]\ncommand = run\n{key}\n"));
        assert_eq!(files.warnings(), format!("DIR/main.ini:3: [program:p] {key}: {warning}"));
    }
}

/// Row 28: `1M` is not one byte, nor a mebibyte, nor the default.
#[test]
fn failures_28_a_size_with_an_unknown_unit_is_an_error_with_its_line() {
    let text =
        "[program:p]\ncommand = run\nstderr_logfile_maxbytes = 1M\nstdout_logfile_maxbytes = 2 MiB\nlog_buffer = 3k\n";
    let size = "is not a unit; write bytes, or a number with KB, MB or GB, such as 50MB";
    let errors = Files::new(text).errors(false);
    let expected = [
        ("DIR/main.ini:3: [program:p] stderr_logfile_maxbytes = 1M: `M`", "; 0: no limit"),
        ("DIR/main.ini:4: [program:p] stdout_logfile_maxbytes = 2 MiB: `MIB`", "; 0: no limit"),
        ("DIR/main.ini:5: [program:p] log_buffer = 3k: `K`", ""),
    ];
    for (begin, end) in expected {
        assert!(errors.lines().any(|line| line.starts_with(&format!("{begin} {size}{end}"))), "{begin}:\n{errors}");
    }
}

#[test]
fn commands_and_health_checks_that_are_incomplete() {
    let hint = "write command = /path/to/program arguments";
    let close = "close it";
    for (section, error) in [
        ("autostart = true", format!("1: [program:p] command: missing; {hint}")),
        ("command =", format!("2: [program:p] command = : empty; {hint}")),
        ("command = '' x", format!("2: [program:p] command = '' x: the program's name is empty; {hint}")),
        ("command = sh 'x", format!("2: [program:p] command = sh 'x: the quotation mark ' is not closed; {close}")),
        (
            "command = sh \\",
            format!("2: [program:p] command = sh \\: nothing follows the backslash at the end; {close}"),
        ),
        (
            "command = x\nhealthcheck_type = tcp",
            "1: [program:p] healthcheck_port: missing: a tcp check needs a port; write healthcheck_port = 1 to 65535"
                .to_owned(),
        ),
        (
            "command = x\nhealthcheck_type = tcp\nhealthcheck_port = 0",
            "4: [program:p] healthcheck_port = 0: too small; write a whole number from 1 to 65535".to_owned(),
        ),
        (
            "command = x\nhealthcheck_type = script\nhealthcheck_command =",
            "4: [program:p] healthcheck_command = : missing: a script check needs a command; \
             write healthcheck_command = COMMAND"
                .to_owned(),
        ),
    ] {
        assert_eq!(Files::new(&format!("[program:p]\n{section}\n")).errors(false), format!("DIR/main.ini:{error}"));
    }
}

#[test]
fn daemon_settings() {
    let long = format!("/tmp/{}", "x".repeat(103));
    for (keys, error) in [
        ("loglevel = loud", "loglevel = loud: not a log level; write DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("log_backups = many", "log_backups = many: not a whole number; write a whole number from 0 to 1000"),
        ("shutdown_timeout = 0", "shutdown_timeout = 0: too small; write a whole number, at least 1"),
        ("socket_mode = 888", "socket_mode = 888: not an octal number; write permission bits in octal, such as 0660"),
        ("socket_owner = :", "socket_owner = :: names neither user nor group; write user, user:group or :group"),
        (
            "socket_owner = root:no-such-group",
            "socket_owner = root:no-such-group: no such group: no-such-group; \
             write user:group of this system, or numeric ids",
        ),
        (
            "pidfile = /missing/x.pid",
            "pidfile = /missing/x.pid: the directory /missing does not exist; create it, or write another path",
        ),
        ("pidfile = /tmp", "pidfile = /tmp: it is a directory; write the path of a file, or none"),
        (
            "socket = /etc/passwd",
            "socket = /etc/passwd: there is something that is not a socket; \
             write a path that is free, or remove what is there",
        ),
        (
            &format!("socket = {long}"),
            &format!(
                "socket = {}…: 108 bytes are too long for a socket's path; write a path of at most 107 bytes",
                &long[..100]
            ),
        ),
        (
            "logfile = /missing/x.log",
            "logfile = /missing/x.log: the directory /missing does not exist; create it, or write another path",
        ),
    ] {
        let errors = Files::new(&format!("[supervice]\n{keys}\n")).errors(false);
        assert_eq!(errors, format!("DIR/main.ini:2: [supervice] {error}"));
    }
}

#[test]
fn all_errors_are_reported_in_the_order_of_lines() {
    let files = Files::new(
        "[group:g]\nprograms = a,nobody\n[program:a]\nstartsecs = x\nstopsignal = Y\n[supervice]\nloglevel = z\nstray\n",
    );
    let expected = [
        "DIR/main.ini:2: [group:g] programs = a,nobody: no such program: nobody; \
         name programs that are configured, or add [program:nobody]",
        "DIR/main.ini:3: [program:a] command: missing; write command = /path/to/program arguments",
        "DIR/main.ini:4: [program:a] startsecs = x: not a whole number; write a whole number, at least 0",
        "DIR/main.ini:5: [program:a] stopsignal = Y: not a signal; \
         write a name such as TERM, INT, QUIT, HUP, USR1, USR2 or KILL",
        "DIR/main.ini:7: [supervice] loglevel = z: not a log level; write DEBUG, INFO, WARNING, ERROR or CRITICAL",
        "DIR/main.ini:8: [supervice] `stray`: neither a section nor a key with a value; \
         write key = value, or # for a comment",
    ];
    assert_eq!(files.errors(false), expected.join("\n"));
}

#[test]
fn names_of_programs_and_groups() {
    let hint = "write [program:NAME] with letters, digits, - _ and .";
    let long = "x".repeat(129);
    for (name, error) in [
        ("", format!("[program:]: the program has no name; {hint}")),
        ("a/b", format!("[program:a/b]: `/` in the name; {hint}")),
        ("a:b", format!("[program:a:b]: `:` in the name; {hint}")),
        ("a\u{7}b", format!("[program:a\\u{{7}}b]: characters in the name that can't be printed; {hint}")),
        ("a\u{202e}b", format!("[program:a\\u{{202e}}b]: characters in the name that can't be printed; {hint}")),
        (&long, format!("[program:{}…]: a name of more than 128 bytes; {hint}", &long[..92])),
        (" ", format!("[program: ]: the program has no name; {hint}")),
    ] {
        let errors = Files::new(&format!("[program:{name}]\ncommand = x\n")).errors(false);
        assert_eq!(errors, format!("DIR/main.ini:1: {error}"));
    }
    assert_eq!(Files::new(&format!("[program:{}]\ncommand = x\n", &long[..128])).errors(true), "");
    // As the Python package reads it.
    let both = Files::new("[program:a]\ncommand = x\n[program: a]\ncommand = y\n").load();
    assert_eq!(both.config.programs.iter().map(|program| program.name.as_str()).collect::<Vec<_>>(), ["a", " a"]);
    let twins = Files::new("[supervisord]\n[program:a]\ncommand = x\n[program: a]\ncommand = y\n").errors(false);
    let told = "DIR/main.ini:4: [program: a]: a second program called a: the first is in DIR/main.ini:2; give it a name of its own";
    assert!(twins.contains(told), "{twins}");
}

#[test]
fn groups() {
    let programs = "[program:web]\ncommand = x\n[program:db]\ncommand = x\nnumprocs = 2\n";
    for (group, errors) in [
        ("[group:g]\nprograms = wbe", "7: [group:g] programs = wbe: no such program: wbe; did you mean web?"),
        (
            "[group:g]\nprograms = db:00",
            "7: [group:g] programs = db:00: no such program: db:00; all instances of db are in its group: write db",
        ),
        (
            "[group:g]\nprograms = xyz:00",
            "7: [group:g] programs = xyz:00: no such program: xyz:00; \
             name programs that are configured, or add [program:xyz]",
        ),
        (
            "[group:web]\nprograms = db",
            "7: [group:web] programs = db: the program web (DIR/main.ini:1) is not in this group of its name; \
             rename the group, or write web among its programs",
        ),
        (
            "[group:a/b]\nprograms = db",
            "6: [group:a/b]: `/` in the name; write [group:NAME] with letters, digits, - _ and .",
        ),
    ] {
        assert_eq!(Files::new(&format!("{programs}{group}\n")).errors(false), format!("DIR/main.ini:{errors}"));
    }
    assert_eq!(Files::new(&format!("{programs}[group:g]\nprograms = web, web\n")).errors(true), "", "once is enough");
    let both =
        Files::new(&format!("{programs}[group:g]\nprograms = web\n[group:h]\nprograms = db, web\n[group:none]\n"));
    assert_eq!(
        both.warnings(),
        "DIR/main.ini:9: [group:h] programs = db, web: web is in the group g already: this group, the last, counts; \
         a program is in one group: remove it from the others\n\
         DIR/main.ini:10: [group:none] programs: missing: a group without members; write programs = a,b"
    );
    assert_eq!(both.load().config.programs[0].group.as_deref(), Some("h"));
}

#[test]
fn one_error_for_all_instances() {
    let errors =
        Files::new("[program:p]\ncommand = x '%(process_num)s\nnumprocs = 50\nhealthcheck_type = tcp\n").errors(false);
    let expected = [
        "DIR/main.ini:1: [program:p] healthcheck_port: missing: a tcp check needs a port; write healthcheck_port = 1 to 65535",
        "DIR/main.ini:2: [program:p] command = x '00: the quotation mark ' is not closed; \
         close it",
    ];
    assert_eq!(errors, expected.join("\n"));
    // An instance that is the first to be wrong is reported by its own value.
    let errors =
        Files::new("[program:p]\ncommand = x\nnumprocs = 38\nhealthcheck_port = 655%(process_num)s\n").errors(false);
    assert_eq!(
        errors,
        "DIR/main.ini:4: [program:p] healthcheck_port = 65536: too large; write a whole number from 1 to 65535"
    );
}

#[test]
fn files_that_are_no_text() {
    for (contents, error) in [
        (&b"[supervice]\nlogfile = \xff\n"[..], "2: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"[supervice]\n\nlogfile = a\0b\n", "3: a NUL byte: not a text file; remove it"),
    ] {
        assert_eq!(Files::new("").with("main.ini", contents).errors(false), format!("DIR/main.ini:{error}"));
    }
    let long = vec![b'\n'; 16 * 1024 * 1024 + 1];
    assert_eq!(
        Files::new("").with("main.ini", long).errors(false),
        "DIR/main.ini: longer than 16777216 bytes; is it the right file?"
    );
}

/// What a full disk or a half-done deployment leaves of a file: a reload of it would stop everything.
#[test]
fn a_file_without_any_section() {
    let told = "1: the file has no section; write [supervice], with nothing in it, for a daemon without programs";
    for contents in ["", "\n\n", "; all of it\n# is a comment\n"] {
        assert_eq!(Files::new(contents).errors(false), format!("DIR/main.ini:{told}"));
    }
    for contents in ["[supervice]", "[include]\nfiles = conf.d/*.ini\n", "[supervisord]\n"] {
        Files::new(contents).load();
    }
}

#[test]
fn files_that_are_no_files() {
    let files = Files::new("");
    let fifo = files.dir().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let said = |path: &std::path::Path| supervice::config::parse_config(path).expect_err("no file").to_string();
    for (path, error) in [
        (fifo.clone(), "cannot read the configuration file: it is a FIFO or pipe; a regular file is needed"),
        (files.dir().to_owned(), "cannot read the configuration file: it is a directory; a regular file is needed"),
        ("/dev/null".into(), "cannot read the configuration file: it is no regular file; a regular file is needed"),
        (files.dir().join("missing"), "no such configuration file; name one with -c FILE"),
    ] {
        assert_eq!(said(&path), format!("{}: {error}", path.display()));
    }
    let error = supervice::config::read_env_file(&fifo).expect_err("a fifo holds no variables");
    assert_eq!(error.to_string(), format!("{}: it is a FIFO or pipe; a regular file is needed", fifo.display()));
}

#[test]
fn an_error_tells_its_cause() {
    let cause = |files: &Files, path: &str| {
        let error =
            supervice::config::load(files.dir().join(path), &Default::default()).expect_err("it can't be loaded");
        std::error::Error::source(&error).map(ToString::to_string)
    };
    let files = Files::new("[program:p]\n");
    assert_eq!(cause(&files, "missing.ini"), None);
    assert!(cause(&files, "").is_some_and(|cause| cause.starts_with("it is a directory")));
    assert!(cause(&files, "main.ini").is_some_and(|cause| cause.contains("command: missing")));
}
