//! What is read all the same, and warned of.

use crate::support::Files;

#[test]
fn unknown_keys_and_sections_are_warnings_and_strictly_errors() {
    let files = Files::new(
        "[supervice]\nlog_level = debug\n[program:p]\ncommand = x\ncomand = y\ncolour = red\n[programm:q]\ncommand = z\n[nginx]\n",
    );
    let expected = [
        "DIR/main.ini:2: [supervice] log_level: unknown key; did you mean loglevel?",
        "DIR/main.ini:5: [program:p] comand: unknown key; did you mean command?",
        "DIR/main.ini:6: [program:p] colour: unknown key; it has no effect: remove it, or see supervice.conf(5) \
         for the keys of this section",
        "DIR/main.ini:7: [programm:q]: unknown section; did you mean [program:NAME]?",
        "DIR/main.ini:9: [nginx]: unknown section; sections are [supervice], [http], [access:NAME], [program:NAME], [template:NAME], [defaults], [eventlistener:NAME], [fcgi-program:NAME], [group:NAME] and [include]",
    ];
    assert_eq!(files.warnings(), expected.join("\n"));
    assert_eq!(files.errors(true), expected.join("\n"));
}

/// In supervisord's dialect, where such files are in use, it is a warning: see the next test.
#[test]
fn row_119_a_port_of_the_network_without_a_password_is_an_error_unless_it_is_meant() {
    let told = |keys: &str| Files::new(&format!("[http]\n{keys}\n[program:p]\ncommand = date\n")).errors(false);
    for open in ["0.0.0.0:9001", "[::]:9001", "192.0.2.1:9001", "*:9001"] {
        let told = told(&format!("listen = {open}"));
        assert!(told.contains("everybody who can reach this port may do everything"), "{open}: {told}");
    }
    for closed in [
        "listen = 127.0.0.1:9001",
        "listen = [::1]:9001",
        "listen = 0.0.0.0:9001\nusername = a\npassword = b",
        "listen = 0.0.0.0:9001\ninsecure = true",
    ] {
        assert_eq!(told(closed), "", "{closed}");
    }
}

/// supervisord and this daemon know such hashes in one spelling only; the other lets nobody in, or whoever has the hash.
#[test]
fn a_hash_in_other_letters_is_told_and_not_shown() {
    let hash = "516b9783fca517eecbd1d064da2d165310b19759";
    let capitals = hash.to_ascii_uppercase();
    let told = |password: &str| {
        let server = "[unix_http_server]\nfile=%(here)s/x\nusername=u\n";
        Files::new(&format!("[supervisord]\n{server}password={password}\n[program:p]\ncommand=date\n")).warnings()
    };
    for wrong in [format!("{{SHA}}{capitals}"), format!("{{sha}}{hash}"), format!("{{sha256}}{}", "0a".repeat(32))] {
        let expected = "DIR/main.ini:5: [unix_http_server] password: a hash in the wrong case is taken as the password \
                        itself; write {SHA} or {SHA256} in capitals, and the hash in lower case";
        assert_eq!(told(&wrong), expected, "{wrong}");
    }
    for right in [format!("{{SHA}}{hash}"), capitals.clone(), format!("{{SHA}}{hash}0"), "{SHA}".to_owned()] {
        assert_eq!(told(&right), "", "{right}");
    }
}

/// The default that stands for it meanwhile was said to be taken by another one.
#[test]
fn a_place_that_is_missing_or_wrong_is_all_that_is_told_of_a_socket() {
    let told = |sections: &str| Files::new(&format!("{sections}[program:p]\ncommand = date\n")).errors(false);
    let expected = [
        "DIR/main.ini:2: [unix_http_server] file: missing; write file = /path/to/socket",
        "DIR/main.ini:4: [inet_http_server] port = abc: no port; write PORT, *:PORT or HOST:PORT",
    ];
    let sections = "[supervisord]\n[unix_http_server]\n[inet_http_server]\nport = abc\n";
    assert_eq!(told(sections), expected.join("\n"));
    let told = told("[http]\n[http:b]\nlisten = x\n[http:c]\nlisten = 127.0.0.1:9001\n");
    assert!(told.contains("4: [http:c]: [http] listens at 127.0.0.1:9001 already"), "{told}");
    assert_eq!(told.matches(" already").count(), 1, "{told}");
}

#[test]
fn what_supervisord_knows_and_we_do_not_is_a_warning_even_strictly() {
    let files = Files::new(
        "[supervisord]\nnodaemon = true\nstrip_ansi = true\nchildlogdir = /tmp\n[inet_http_server]\nport = 9001\n\
         [program:p]\ncommand = date +%%s\npriority = 1\nstdout_events_enabled = true\n\
         process_name = %(program_name)s\n[fcgi-program:e]\ncommand = x\nsocket = tcp://localhost:1\n[eventlistener:f]\ncommand = x\n\
         events = EVENT\nresult_handler = my:handler\n",
    );
    let expected = [
        "DIR/main.ini:5: [inet_http_server]: everybody who can reach this port may do everything, as the daemon's \
         user; set username and password, or listen at 127.0.0.1",
        "DIR/main.ini:18: [eventlistener:f] result_handler = my:handler: this key has no effect here; \
         there is no Python here: OK accepts an event, everything else rejects it",
    ];
    assert_eq!(files.warnings(), expected.join("\n"));
    assert_eq!(files.errors(true), "");
}

#[test]
fn a_listener_listens_to_something_and_keeps_its_streams_for_that() {
    for (keys, error) in [
        ("", "1: [eventlistener:e] events: missing; write events = PROCESS_STATE and the like"),
        ("events = TICK_6", "3: [eventlistener:e] events = TICK_6: no such event: TICK_6; did you mean TICK_5?"),
        (
            "events = ,",
            "3: [eventlistener:e] events = ,: no event; write PROCESS_STATE, TICK_60 and the like, or EVENT for all",
        ),
        (
            "events = TICK\nredirect_stderr = true",
            "4: [eventlistener:e] redirect_stderr = true: its standard output is what it answers events by; remove the key",
        ),
        (
            "events = TICK\nstdin = null",
            "4: [eventlistener:e] stdin = null: its standard input is what it is told events by; remove the key",
        ),
        (
            "events = TICK\nbuffer_size = 0",
            "4: [eventlistener:e] buffer_size = 0: too small; write a whole number, at least 1",
        ),
        (
            "events = TICK\n[group:g]\nprograms = e",
            "1: [eventlistener:e]: an event listener in the group g; it is a group of its own, a pool of its instances: \
             remove it from the other one",
        ),
    ] {
        let files = Files::new(&format!("[eventlistener:e]\ncommand = x\n{keys}\n"));
        assert_eq!(files.errors(false), format!("DIR/main.ini:{error}"), "{keys}");
    }
}

#[test]
fn what_supervisord_knows_means_nothing_in_supervice_s_dialect() {
    let files = Files::new(
        "[supervice]\nminfds = 10\n[unix_http_server]\nfile = %(here)s/x\n[program:p]\ncommand = x\npriority = 1\n\
         process_name = y\n",
    );
    let expected = [
        "DIR/main.ini:2: [supervice] minfds = 10: this key has no effect here; \
         set the limit before supervice is started (ulimit -n)",
        "DIR/main.ini:3: [unix_http_server]: this section has no effect here; \
         the file is read in supervice's dialect: write socket and the like in [supervice]",
        "DIR/main.ini:7: [program:p] priority = 1: this key has no effect here; \
         all programs are started and stopped at the same time",
        "DIR/main.ini:8: [program:p] process_name = y: this key has no effect here; \
         a program has its section's name, instances are named NAME:00, NAME:01 and so on",
    ];
    assert_eq!(files.warnings(), expected.join("\n"));
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    for (keys, warning) in [
        (
            "command = /missing/program -x",
            "2: [program:p] command = /missing/program -x: /missing/program: No such file or directory; \
             the program will not start until it is there and executable",
        ),
        (
            "command = /etc/passwd",
            "2: [program:p] command = /etc/passwd: it is not executable; \
             the program will not start until it is there and executable",
        ),
        (
            "command = x %(ENV_SUPERVICE_NOT_SET)s",
            "2: [program:p] command = x %(ENV_SUPERVICE_NOT_SET)s: %(ENV_SUPERVICE_NOT_SET)s stays as it is: only \
             %(process_num)s is replaced in supervice's dialect; write the text itself; a file with a [supervisord] \
             section has supervisord's names",
        ),
        (
            "command = x\nhealthcheck_port = 80",
            "3: [program:p] healthcheck_port = 80: no health is checked; write healthcheck_type = tcp as well",
        ),
        (
            "command = x\nredirect_stderr = true\nstderr_logfile = /dev/stderr",
            "4: [program:p] stderr_logfile = /dev/stderr: it stays empty: redirect_stderr sends standard error where \
             standard output goes; remove one of the two",
        ),
        (
            "command = x\n[group:g]\nprograms =",
            "4: [group:g] programs = : a group without members; write programs = a,b",
        ),
    ] {
        assert_eq!(Files::new(&format!("[program:p]\n{keys}\n")).warnings(), format!("DIR/main.ini:{warning}"));
    }
}

/// Where each is one, the line with the later one is told.
#[test]
fn a_log_file_of_several_is_a_warning() {
    let log = |name: &str| format!("logfile = {name}");
    let program = |name: &str, keys: &str| format!("[program:{name}]\ncommand = x\n{keys}\n");
    let told = |text: &str| Files::new(text).warnings();
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (a, b) = (path("a"), path("b"));
    let two = program("p", &format!("stdout_{}", log(&a))) + &program("q", &format!("stderr_{}", log(&a)));
    let warning = "p writes to it as well (stdout_logfile): nothing tells whose a line is; write a file for each";
    assert_eq!(told(&two), format!("DIR/main.ini:6: [program:q] stderr_logfile = {a}: {warning}"));
    let one = program("p", &format!("numprocs = 3\nstdout_{}\nstderr_{}", log(&a), log(&b)));
    let warning =
        "all of its instances write to it: nothing tells whose a line is; write %(process_num)s into the name";
    let both = [("4", "stdout", &a), ("5", "stderr", &b)];
    let both = both
        .map(|(line, stream, path)| format!("DIR/main.ini:{line}: [program:p] {stream}_logfile = {path}: {warning}"));
    assert_eq!(told(&one), both.join("\n"));
    let streams = program("p", &format!("stdout_{0}\nstderr_{0}", log(&a)));
    assert!(told(&streams).contains("it is the stdout_logfile as well"), "{}", told(&streams));
    let daemon = format!("[supervice]\n{}\n", log(&a)) + &program("p", &format!("stdout_{}", log(&a)));
    assert!(told(&daemon).contains("the daemon writes its own log to it"), "{}", told(&daemon));
    let supervisord = format!("[supervisord]\n{two}");
    assert!(told(&supervisord).contains("p writes to it as well"), "{}", told(&supervisord));
}

#[test]
fn what_is_meant_for_many_or_for_each_is_no_log_file_of_several() {
    let dir = tempfile::tempdir().expect("a directory");
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let each = format!("{}/%(process_num)s.log", dir.path().display());
    for path in ["/dev/stdout", "/dev/stderr", "/dev/null", "syslog", &fifo.display().to_string(), &each] {
        let keys = format!("numprocs = 2\nstdout_logfile = {path}");
        assert_eq!(Files::new(&format!("[program:p]\ncommand = x\n{keys}\n")).warnings(), "", "{path}");
    }
}

#[test]
fn a_state_dir_in_which_nothing_can_be_kept_is_a_warning() {
    let told = |path: &str| Files::new(&format!("[supervice]\nstate_dir = {path}\n")).warnings();
    let missing = "DIR/main.ini:2: [supervice] state_dir = /no/such/place: nothing can be kept: the directory /no/such does \
                   not exist; create it, or write another path";
    assert_eq!(told("/no/such/place"), missing);
    assert!(told("/etc/passwd").contains("nothing can be kept: /etc/passwd is not a directory"));
    let dir = tempfile::tempdir().expect("a directory");
    for fine in [dir.path().to_path_buf(), dir.path().join("made")] {
        assert_eq!(told(&fine.display().to_string()), "");
    }
}

#[test]
fn a_health_check_that_can_never_be_run_is_a_warning() {
    let told = |keys: &str, command: &str| {
        let keys = format!("{keys}healthcheck_type = script\nhealthcheck_command = {command}");
        Files::new(&format!("[program:p]\ncommand = x\n{keys}\n")).warnings()
    };
    let hint = "each check fails until it is there and can be executed";
    for (command, why) in [
        ("/no/check.sh -x", "/no/check.sh: No such file or directory"),
        ("exec /etc/passwd", "/etc/passwd is not executable"),
        ("/no/check || exit 1", "/no/check: No such file or directory"),
    ] {
        let warning = format!("DIR/main.ini:4: [program:p] healthcheck_command = {command}: {why}; {hint}");
        assert_eq!(told("", command), warning);
    }
    for shell in ["test -e x", "A=1 /no/check", "[ -e x ]", "/bin/true", "$HOME/x", "\"/no/x\""] {
        assert_eq!(told("", shell), "", "{shell}");
    }
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: what nobody may not needs root");
        return;
    }
    let files = Files::new("").with("check.sh", "#!/bin/sh\n");
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("a mode");
    };
    open(files.dir(), 0o755);
    open(&files.dir().join("check.sh"), 0o700);
    let check = files.dir().join("check.sh").display().to_string();
    assert_eq!(told("", &check), "");
    assert!(told("user = nobody\n", &check).contains("user nobody may not execute it (mode 0700"), "{check}");
}

#[test]
fn what_is_meant_is_no_warning() {
    for keys in ["stderr_logfile = /dev/stderr", "redirect_stderr = true"] {
        assert_eq!(Files::new(&format!("[program:p]\ncommand = x\n{keys}\n")).warnings(), "");
    }
    // To the others it is one.
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: what root may needs root");
        return;
    }
    assert_eq!(Files::new("[program:p]\ncommand = x\nuser = nobody\n").warnings(), "");
}

#[test]
fn env_files_are_checked_with_their_lines() {
    let files = Files::new("").with("env", "A=1\n\n# c\nnonsense\n");
    let path = files.dir().join("env");
    let files = files.with("main.ini", format!("[program:p]\ncommand = x\nenv_file = {}\n", path.display()));
    let errors = files.errors(false);
    assert!(errors.ends_with("DIR/env:4: not KEY=VALUE; # begins a comment; put the file right"), "{errors}");
}
