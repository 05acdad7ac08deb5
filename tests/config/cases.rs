//! Reports of users of supervisors, each with its smallest input.

use supervice::config::{LoadOptions, Secrets, load, split_command, to_json};
use supervice::models::{AutoRestart, Dialect};

use crate::support::Files;

#[test]
fn case_05_an_include_that_matches_nothing_is_said() {
    let files =
        Files::new("[supervisord]\n[program:x]\ncommand=sleep 100\n[include]\nfiles = local.conf conf.d/*.conf\n");
    for pattern in ["local.conf", "conf.d/*.conf"] {
        assert!(files.warnings().contains(&format!("no file matches {pattern};")));
        assert!(files.errors(true).contains(&format!("no file matches {pattern};")));
    }
}

#[test]
fn case_10_autorestart_is_unexpected_where_a_supervisord_file_is_silent() {
    let of = |text: &str| Files::new(text).load().config.programs.remove(0).autorestart;
    assert_eq!(of("[supervisord]\n[program:init]\ncommand=true\n"), AutoRestart::Unexpected);
    assert_eq!(of("[program:init]\ncommand=true\n"), AutoRestart::Always);
}

#[test]
fn case_11_the_user_of_supervisord_is_kept_and_an_unknown_one_is_an_error() {
    let files = Files::new("[supervisord]\nuser=nobody\n");
    assert_eq!(files.load().config.user.as_deref(), Some("nobody"));
    assert!(Files::new("[supervisord]\nuser=no-such-user\n").errors(false).contains("no such user"));
}

#[test]
fn case_12_a_doubled_percent_sign_is_one() {
    let text = "[supervisord]\n[program:stamp]\ncommand=sh -c 'date +%%Y; echo worker@%%h'\n";
    assert_eq!(Files::new(text).load().config.programs[0].command, "sh -c 'date +%Y; echo worker@%h'");
}

#[test]
fn case_13_variables_of_the_configuration_are_known_in_it() {
    let files = Files::new(
        "[supervisord]\nenvironment=REGION=\"eu1\"\n[program:app]\nenvironment=PORT=\"8080\"\n\
         command=echo %(ENV_REGION)s %(ENV_PORT)s\nstdout_logfile=/tmp/%(ENV_REGION)s.log\n",
    );
    let app = files.load().config.programs.remove(0);
    assert_eq!((app.command.as_str(), app.stdout_logfile.as_deref()), ("echo eu1 8080", Some("/tmp/eu1.log")));
}

#[test]
fn case_14_each_process_knows_its_names() {
    let files = Files::new(
        "[supervisord]\n[unix_http_server]\nfile=/tmp/s.sock\n[program:w]\nnumprocs=2\n\
         process_name=%(program_name)s_%(process_num)02d\ncommand=run\n",
    );
    let programs = files.load().config.programs;
    let names: Vec<_> = programs.iter().map(|p| (p.name.as_str(), p.process_name.as_deref(), p.group_name())).collect();
    assert_eq!(names, [("w:w_00", Some("w_00"), "w"), ("w:w_01", Some("w_01"), "w")]);
    assert_eq!(programs[0].serverurl.as_deref(), Some("unix:///tmp/s.sock"));
}

#[test]
fn case_16_a_group_of_an_fcgi_program_keeps_its_other_members() {
    let files = Files::new(
        "[supervisord]\n[fcgi-program:asgi]\nsocket=tcp://127.0.0.1:8001\ncommand=run\n[program:nginx]\ncommand=run\n\
         [group:site]\nprograms=asgi,nginx\n",
    );
    let names: Vec<_> = files.load().config.programs.into_iter().map(|program| program.name).collect();
    assert_eq!(names, ["site:asgi", "site:nginx"], "it is a member as others");
    assert_eq!(files.warnings(), "");
    for (socket, told) in [
        ("", "[fcgi-program:asgi] socket: missing; write socket = tcp://HOST:PORT or unix:///PATH"),
        ("socket=tcp:127.0.0.1:8001", "not the address of a socket; write tcp://HOST:PORT, or unix:///PATH"),
        ("socket=unix://run/x", "not the address of a socket"),
        ("socket=tcp://localhost:1\nsocket_mode=0600", "socket_mode = 0600: a port has no file; remove the key"),
        ("socket=tcp://localhost:1\nsocket_backlog=0", "socket_backlog = 0: "),
        ("socket=unix:///run/x\nsocket_owner=nobody-at-all", "no such user: nobody-at-all"),
    ] {
        let errors = Files::new(&format!("[supervisord]\n[fcgi-program:asgi]\n{socket}\ncommand=run\n")).errors(false);
        assert!(errors.contains(told), "{socket}: {errors}");
    }
}

#[test]
fn case_17_swallowed_headers_and_continuation_lines_are_said() {
    let begin = "[supervice]\n[program:a]\ncommand=sleep 100\n";
    assert!(Files::new(&format!("{begin}  [program:b]\n")).warnings().contains("this indented line is no section"));
    assert!(
        Files::new(&format!("{begin}[program:b\ncommand=x\n")).errors(false).contains("the section's ] is missing")
    );
    let commented = Files::new(&format!("{begin}# environment=A=\"1\",\n  B=\"2\"\n"));
    assert!(commented.warnings().contains("continues the value of line 3"));
}

/// The siblings of case 17, in both dialects: what follows program `a`, and what is said of it.
#[test]
fn case_17_each_misspelt_header_and_key_is_told() {
    let found = |dialect: &str, text: &str| {
        let files = Files::new(&format!("{dialect}\n[program:a]\ncommand=sleep 1\n{text}command=sleep 2\n"));
        files.try_load(false).map_or_else(|_| files.errors(false), |_| files.warnings())
    };
    for (text, told) in [
        ("[program:b\n", "4: [program:a] `[program:b`: the section's ] is missing; write [NAME] alone on its line"),
        ("program:b]\n", "4: [program:a] `program:b]`: the section's [ is missing; write [NAME] alone on its line"),
        ("{program:b}\n", "4: [program:a] `{program:b}`: a section's name stands in [ and ]"),
        ("program:b\n", "4: [program:a] program: unknown key; a section's header is [program:NAME]"),
        (
            "program b\n",
            "4: [program:a] `program b`: neither a section nor a key with a value; write key = value, or #",
        ),
        ("[program b]\n", "4: [program b]: unknown section; did you mean [program:NAME]?"),
        ("[Program:b]\n", "4: [Program:b]: unknown section; did you mean [program:NAME]?"),
        ("[ program:b]\n", "4: [ program:b]: unknown section; did you mean [program:NAME]?"),
        ("[program:]\n", "4: [program:]: the program has no name; write [program:NAME]"),
        ("[[program:b]]\n", "4: [[program:b]]: the name goes up to the last ] of the line; write [NAME] alone"),
        (
            "[program:b] user=nobody\n",
            "4: [program:b]: what follows the ] has no effect; write it on a line of its own",
        ),
        (
            " [program:b]\n",
            "4: [program:a] command: this indented line is no section: [program:b] continues the value of",
        ),
        (
            " [program:b\n",
            "4: [program:a] command: this indented line is no section: [program:b continues the value of",
        ),
        (
            "  user = nobody\n",
            "4: [program:a] command: this indented line does not set user: it continues the value of line 3; begin it at",
        ),
        (
            ";[program:b]\n",
            "5: [program:a] command = sleep 2: set before in line 3: this value, the last, counts; is the section's header \
             in line 4 a comment by mistake?",
        ),
    ] {
        for dialect in ["[supervice]", "[supervisord]"] {
            assert!(found(dialect, text).contains(&format!("DIR/main.ini:{told}")), "{text}{}", found(dialect, text));
        }
    }
    assert!(
        found("[supervice]", "[program: b]\n").contains("white space around a name is part of it; write [program:b]")
    );
}

/// Lines that only look like the mistakes of case 17.
#[test]
fn case_17_no_warning_where_nothing_is_mistaken() {
    for text in [
        "[program:b] ; the second\ncommand=run\n",
        "[program:b]\n  command = run\n  user = root\n",
        "[program:b]\n;[program:c]\n;command=x\ncommand=run\n",
        "[program:b]\ncommand=run\n  --user=nobody\n  if=/dev/null\n",
        "[program:b]\ncommand=sh -c '\n  user=nobody\n  exec run'\n",
        "[program:b]\ncommand=run \\\n  user=nobody\n",
        "[program:b]\ncommand=\n  run\nenvironment=\n  user=\"1\",\n  priority=\"2\"\n",
    ] {
        for dialect in ["[supervice]", "[supervisord]"] {
            let files = Files::new(&format!("{dialect}\n{text}"));
            // Whoever is not root is told that he can't become another user.
            let warnings = files.warnings();
            let others = warnings.lines().filter(|line| !line.contains("only root can"));
            assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{text}");
        }
    }
}

#[test]
fn case_21_a_backslash_at_the_end_of_a_line_joins_it_with_the_next() {
    for begin in ["", "[supervisord]\n"] {
        let command = "command=run \\\n   one \\\n   'two \\\n   three' four\\\\\n  five\n";
        let program = Files::new(&format!("{begin}[program:p]\n{command}")).load().config.programs.remove(0);
        assert_eq!(
            split_command(&program.command).expect("words"),
            ["run", "one", "two  three", "four\\", "five"],
            "{begin}"
        );
    }
}

#[test]
fn a_file_of_both_dialects_is_refused_and_read_as_asked() {
    let files = Files::new("[supervice]\n[supervisord]\n[program:p]\ncommand=x ; y\n");
    assert!(files.errors(false).contains("a file has [supervice] or [supervisord]"));
    for (dialect, command) in [(Dialect::Supervice, "x ; y"), (Dialect::Supervisord, "x")] {
        let options = LoadOptions { dialect: Some(dialect), ..LoadOptions::default() };
        let config = load(files.main(), &options).expect("it holds").config;
        assert_eq!((config.dialect, config.programs[0].command.as_str()), (dialect, command));
    }
}

#[test]
fn a_section_in_an_included_file_decides() {
    let files = Files::new("[program:p]\ncommand=x ; y\n[include]\nfiles=%(here)s/more.conf\n")
        .with("more.conf", "[supervisord]\n");
    let config = files.load().config;
    assert_eq!((config.dialect, config.programs[0].command.as_str()), (Dialect::Supervisord, "x"));
}

#[test]
fn no_message_and_no_printed_configuration_tells_a_secret() {
    let files = Files::new(
        "[supervisord]\nenvironment=T=s3cret,\n[unix_http_server]\nfile=%(here)s/x\nusername=s3cret\npassword=s3cret\n\
         [program:p]\ncommand=x\nenviroment=T=s3cret\nenvironment=U=\"s3cret\"\n",
    );
    assert!(!files.warnings().contains("s3cret"), "{}", files.warnings());
    let config = files.load().config;
    assert!(!to_json(&config, Secrets::Hidden).contains("s3cret"));
    assert!(to_json(&config, Secrets::Shown).contains("s3cret"));
    for environment in ["A", "A=1,s3cret", "A=\"s3cret", "A='1's3cret", "A=s3cret\""] {
        for begin in ["", "[supervisord]\n"] {
            let errors =
                Files::new(&format!("{begin}[program:p]\ncommand=x\nenvironment={environment}\n")).errors(false);
            assert!(!errors.contains("s3cret"), "{errors}");
        }
    }
}

/// Supervisor/supervisor #779, #291: an @ or a % in a password, and nothing told which key it was or what to write.
#[test]
fn reports_signs_in_environment_are_an_error_with_the_remedy_or_what_they_are() {
    let errors = |value: &str| {
        Files::new(&format!("[supervisord]\n[program:p]\ncommand=x\nenvironment={value}\n")).errors(false)
    };
    let unquoted = errors("MAIL=me@example.com,N=2");
    assert!(unquoted.contains("DIR/main.ini:4: [program:p] environment") && unquoted.contains("quot"), "{unquoted}");
    let percent = errors("URL=\"a%2Bs3cret\"");
    assert!(percent.contains("%%") && !percent.contains("s3cret"), "{percent}");
    let values = "MAIL=me@example.com,URL=a%2Bb,LAST=100%";
    let program =
        Files::new(&format!("[program:p]\ncommand=x\nenvironment={values}\n")).load().config.programs.remove(0);
    let of = |key: &str| program.environment.get(key).map(String::as_str);
    assert_eq!((of("MAIL"), of("URL"), of("LAST")), (Some("me@example.com"), Some("a%2Bb"), Some("100%")));
}

/// unbit/uwsgi #1683: a value that ended with a percent sign swallowed the line behind it.
#[test]
fn reports_a_sign_at_the_end_of_a_value_leaves_the_next_line_alone() {
    for begin in ["[supervice]\n", "[supervisord]\n"] {
        for sign in ["%%", "\\\\", "\"\"", "#", "=", ","] {
            let text = format!("{begin}[program:p]\ncommand=x a{sign}\nstartsecs=7\n[program:q]\ncommand=y\n");
            let programs = Files::new(&text).load().config.programs;
            assert_eq!((programs.len(), programs[0].startsecs), (2, 7), "{text}");
        }
    }
}

/// Whoever can write to a configuration decides what root executes.
#[test]
fn case_23_a_configuration_that_others_can_write_is_a_warning_for_root() {
    use std::os::unix::fs::{PermissionsExt, chown};
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: only root is warned");
        return;
    }
    let text = "[program:a]\ncommand=sh\n[include]\nfiles=more/*.ini\n";
    let files = || Files::new(text).with("more/b.ini", "[program:b]\ncommand=sh\n");
    assert_eq!(files().warnings(), "");
    let mode = |path: std::path::PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    let theirs = |path: std::path::PathBuf| chown(path, Some(65534), None).expect("root may");
    for (change, told) in [
        (
            &(|files: &Files| mode(files.main(), 0o666)) as &dyn Fn(&Files),
            "DIR/main.ini: everybody can write to this file",
        ),
        (&|files| theirs(files.main()), "DIR/main.ini: its owner (uid 65534) can write to this file"),
        (
            &|files| theirs(files.dir().join("more/b.ini")),
            "DIR/more/b.ini: its owner (uid 65534) can write to this file",
        ),
        (&|files| mode(files.dir().join("more"), 0o777), "DIR/more/b.ini: everybody can put another file in its place"),
        (
            &|files| theirs(files.dir().to_owned()),
            "DIR/main.ini: its owner (uid 65534) can put another file in its place",
        ),
    ] {
        let files = files();
        change(&files);
        let warnings = files.warnings();
        assert!(warnings.starts_with(told) && warnings.lines().count() == 1, "{warnings}");
        assert!(warnings.contains(", and so decide what root executes; chown root and chmod go-w "), "{warnings}");
        assert!(files.errors(true).starts_with(told), "{}", files.errors(true));
    }
    let kept = files();
    mode(kept.dir().to_owned(), 0o1777);
    assert_eq!(kept.warnings(), "", "nobody can exchange a file of root's there");
}

/// Mistakes with quotes that end with a quotation mark, of which both originals make something else in silence: an error in the one
/// dialect, a warning in the other, whose meaning is kept. No value is told.
#[test]
fn quoting_mistakes_in_an_environment_are_told() {
    let of = |begin: &str, environment: &str| {
        Files::new(&format!("{begin}\n[program:p]\ncommand=sh\nenvironment={environment}\n"))
    };
    for environment in ["A=s3cret\"", "A=s3cret'", "B=1,A=s3cret\",C=2", "A=s3cret\",B=\"s3cret"] {
        let told = of("[supervice]", environment).errors(false);
        assert!(told.contains("at the end of A's value is not opened") && !told.contains("s3cret"), "{told}");
    }
    for environment in ["A=\"s3cret\"s\"", "A='s3cret''", "A=\"s3cret\" \"s\"", "A=\"s3cret\"\",B=1"] {
        let told = of("[supervice]", environment).errors(false);
        assert!(told.contains("no comma after the closing quotation mark of A's value"), "{told}");
    }
    for (environment, value, told) in [
        ("A=s3cret\"", "s3cret", "the quotation mark at the end of A's value is not its beginning's, and is removed"),
        (
            "B=1,A=s3cret'",
            "s3cret",
            "the quotation mark at the end of A's value is not its beginning's, and is removed",
        ),
        ("A=s3cret x", "s3cret", "no comma behind the value of A: a part of what follows is ignored"),
        ("A=\"s3cret\" \"x\"", "s3cret", "no comma behind the value of A: a part of what follows is ignored"),
    ] {
        let files = of("[supervisord]", environment);
        assert!(files.warnings().contains(told) && !files.warnings().contains("s3cret"), "{}", files.warnings());
        let program = files.load().config.programs.remove(0);
        assert_eq!(program.environment.get("A").map(String::as_str), Some(value), "{environment}");
        let global = Files::new(&format!("[supervisord]\nenvironment={environment}\n"));
        assert!(global.warnings().contains(told), "{}", global.warnings());
    }
    for environment in ["A=\"x\",B='y, z'", "A=it's", "A=x\"y", "A=\"\"", "A=\"x\","] {
        for begin in ["[supervice]", "[supervisord]"] {
            if let Ok(loaded) = of(begin, environment).try_load(false) {
                assert!(loaded.warnings.is_empty(), "{environment}: {:?}", loaded.warnings);
            }
        }
    }
}

#[test]
fn the_null_device_is_no_pid_file() {
    for section in ["[supervisord]", "[supervice]"] {
        assert_eq!(Files::new(&format!("{section}\npidfile=/dev/null\n")).load().config.pidfile, None, "{section}");
    }
    assert_eq!(Files::new("[supervisord]\npidfile=/dev/zero\n").load().config.pidfile.as_deref(), Some("/dev/zero"));
}

#[test]
fn the_end_of_the_daemon_gives_each_group_its_time_in_supervisords_dialect() {
    let program = "[program:q]\ncommand=run\nnumprocs=2\nprocess_name=%(process_num)d\nstopwaitsecs=60\n\
                   [program:r]\ncommand=run\nstopwaitsecs=60\n[program:s]\ncommand=run\n";
    let files = |daemon: &str| Files::new(&format!("{daemon}\n{program}"));
    let timeout = |files: &Files| files.load().config.shutdown_timeout;
    // One group behind the other, the members of one together.
    let unwritten = files("[supervisord]");
    assert_eq!((timeout(&unwritten), unwritten.warnings()), (60 + 60 + 10, String::new()));
    assert_eq!(timeout(&Files::new("[supervisord]\n[program:s]\ncommand=run\n")), 30, "not less than in ours");
    // What is written holds, and what it cuts short is said once.
    let told = "DIR/main.ini:7: [program:q] stopwaitsecs = 60: a stop of q:0 may take 60 s (and those of 2 other programs), but \
                a shutdown sends SIGKILL after 20 s (shutdown_timeout); write shutdown_timeout = 60 or more in [supervisord]";
    let short = files("[supervisord]\nshutdown_timeout=20");
    assert_eq!((timeout(&short), short.warnings()), (20, told.to_owned()));
    assert_eq!(files("[supervisord]\nshutdown_timeout=60").warnings(), "");
    // The Python package ends within shutdown_timeout too.
    let ours = Files::new("[supervice]\n[program:q]\ncommand=run\nstopwaitsecs=60\n");
    let told = "DIR/main.ini:4: [program:q] stopwaitsecs = 60: a stop of q may take 60 s, but a shutdown sends SIGKILL \
                after 30 s (shutdown_timeout); write shutdown_timeout = 60 or more in [supervice]";
    assert_eq!((timeout(&ours), ours.warnings()), (30, told.to_owned()));
    let steps = Files::new("[supervice]\n[program:q]\ncommand=run\nstopsignal=QUIT:30, TERM\n").warnings();
    assert!(steps.contains("stopsignal = QUIT:30, TERM: a stop of q may take 40 s"), "{steps}");
    for short in ["shutdown_timeout=5\n[program:q]\ncommand=run", "[program:q]\ncommand=run\nstopwaitsecs=30"] {
        assert_eq!(Files::new(&format!("[supervice]\n{short}\n")).warnings(), "", "{short}");
    }
}

/// Another `command` is not what helps.
#[test]
fn a_hook_that_is_written_for_a_shell_is_told_what_to_write_in_its_own_key() {
    for key in ["on_fatal = command:", "pre_start = "] {
        let warnings = Files::new(&format!("[program:a]\ncommand = /bin/true\n{key}echo x > /tmp/y\n")).warnings();
        assert!(warnings.contains("write sh -c 'COMMAND' if one is meant"), "{warnings}");
        assert!(!warnings.contains("command = sh") && !warnings.contains("stdout_logfile"), "{warnings}");
    }
    assert_eq!(
        Files::new("[program:a]\ncommand = /bin/true\non_fatal = command:sh -c 'echo x > /tmp/y'\n").warnings(),
        ""
    );
}
