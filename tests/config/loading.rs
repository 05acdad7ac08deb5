//! What a configuration that holds says: every key, expansion, includes, supervisord's spelling, reloads, printing.

use std::collections::BTreeMap;

use supervice::config::{Secrets, diff, parse_environment, read_env_file, to_json};
use supervice::models::{
    AutoRestart, DefaultOutput, ExitCode, ExitOn, HealthCheckType, LogFormat, LogSync, ProgramConfig, Reconcile,
    StopScope, SupervisorConfig,
};

use crate::support::{Files, program};

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// One setting changed, compared with a program that has only defaults.
fn with(change: impl FnOnce(&mut ProgramConfig)) -> ProgramConfig {
    let mut expected = ProgramConfig::new("p", "run");
    change(&mut expected);
    expected
}

#[test]
fn an_empty_section_is_the_defaults() {
    let loaded = Files::new("[supervice]\n").load();
    assert_eq!(loaded.config, SupervisorConfig::default());
    assert!(loaded.warnings.is_empty() && !loaded.logfile_given);
    assert_eq!(program(""), ProgramConfig::new("p", "run"));
}

#[test]
fn each_program_key() {
    let cases: Vec<(&str, ProgramConfig)> = vec![
        ("numprocs = 1", with(|p| p.numprocs = 1)),
        ("autostart = no", with(|p| p.autostart = false)),
        ("autorestart = off", with(|p| p.autorestart = AutoRestart::Never)),
        ("autorestart = UNEXPECTED", with(|p| p.autorestart = AutoRestart::Unexpected)),
        ("exitcodes = 0,2", with(|p| p.exitcodes = vec![0, 2])),
        ("exit_on = Failure", with(|p| p.exit_on = ExitOn::Failure)),
        ("exit_on = exit", with(|p| p.exit_on = ExitOn::Exit)),
        ("exit_on = fatal", with(|p| p.exit_on = ExitOn::Fatal)),
        ("exit_on = never", with(|_| ())),
        ("exit_code = program", with(|_| ())),
        ("exit_code = 3", with(|p| p.exit_code = ExitCode::Fixed(3))),
        ("startsecs = 0", with(|p| p.startsecs = 0)),
        ("startretries = 9", with(|p| p.startretries = 9)),
        ("stopsignal = sigint", with(|p| p.stopsignal = "INT".into())),
        ("stopsignal = 10", with(|p| p.stopsignal = "USR1".into())),
        ("stopwaitsecs = 60", with(|p| p.stopwaitsecs = 60)),
        ("stopasgroup = false", with(|p| p.stopasgroup = false)),
        ("killasgroup = no", with(|p| p.killasgroup = false)),
        ("stop_scope = run", with(|_| ())),
        ("stop_scope = group", with(|p| p.stop_scope = StopScope::Group)),
        ("stdout_logfile = /dev/stdout", with(|p| p.stdout_logfile = Some("/dev/stdout".into()))),
        ("stdout_logfile = AUTO", with(|_| ())),
        ("stdout_logfile = NONE", with(|_| ())),
        ("stdout_logfile =", with(|_| ())),
        ("stdout_logfile = syslog", with(|p| p.stdout_logfile = Some("syslog".into()))),
        ("stdout_logfile = /tmp/a%b.log", with(|p| p.stdout_logfile = Some("/tmp/a%b.log".into()))),
        ("stdout_logfile_maxbytes = 1MB", with(|p| p.stdout_logfile_maxbytes = 1 << 20)),
        ("stdout_logfile_backups = 0", with(|p| p.stdout_logfile_backups = 0)),
        ("stderr_logfile = /dev/stderr", with(|p| p.stderr_logfile = Some("/dev/stderr".into()))),
        ("stderr_logfile_maxbytes = 0", with(|p| p.stderr_logfile_maxbytes = 0)),
        ("stderr_logfile_backups = 3", with(|p| p.stderr_logfile_backups = 3)),
        ("stdout_logfile_compress = true", with(|p| p.stdout_logfile_compress = true)),
        ("stderr_logfile_compress = on", with(|p| p.stderr_logfile_compress = true)),
        ("stdout_syslog = true", with(|p| p.stdout_syslog = true)),
        ("stderr_syslog = on", with(|p| p.stderr_syslog = true)),
        ("log_sync = Line", with(|p| p.log_sync = LogSync::Line)),
        ("redirect_stderr = yes", with(|p| p.redirect_stderr = true)),
        ("log_buffer = 4KB", with(|p| p.log_buffer = 4096)),
        ("environment = A=1", with(|p| p.environment = BTreeMap::from([("A".into(), "1".into())]))),
        ("directory = /", with(|p| p.directory = Some("/".into()))),
        ("directory =", with(|_| ())),
        ("user = root", with(|p| p.user = Some("root".into()))),
        ("user = 0", with(|p| p.user = Some("0".into()))),
        ("umask = 022", with(|p| p.umask = Some(0o022))),
        ("umask = 0o777", with(|p| p.umask = Some(0o777))),
        ("umask =", with(|_| ())),
        ("pdeathsig = false", with(|p| p.pdeathsig = false)),
        ("reconcile = Warn", with(|p| p.reconcile = Reconcile::Warn)),
        ("healthcheck_interval = 1", with(|p| p.healthcheck.interval = 1)),
        ("healthcheck_timeout = 2", with(|p| p.healthcheck.timeout = 2)),
        ("healthcheck_retries = 4", with(|p| p.healthcheck.retries = 4)),
        ("healthcheck_start_period = 0", with(|p| p.healthcheck.start_period = 0)),
        ("healthcheck_host = ::1", with(|p| p.healthcheck.host = "::1".into())),
        (
            "healthcheck_type = tcp\nhealthcheck_port = 80",
            with(|p| (p.healthcheck.check_type, p.healthcheck.port) = (HealthCheckType::Tcp, Some(80))),
        ),
        (
            "healthcheck_type = Script\nhealthcheck_command = test -e x",
            with(|p| {
                p.healthcheck.check_type = HealthCheckType::Script;
                p.healthcheck.command = Some("test -e x".into());
            }),
        ),
    ];
    for (keys, expected) in cases {
        assert_eq!(program(keys), expected, "{keys}");
    }
}

#[test]
fn each_daemon_key() {
    let loaded = Files::new(
        "[supervice]\nlogfile = none\nloglevel = warn\nlog_maxbytes = 1MB\nlog_backups = 2\npidfile = NONE\n\
         socket = none\nsocket_mode = 0660\nsocket_owner = root:root\nshutdown_timeout = 5\n\
         exit_when_idle = yes\ntermination_log = /tmp/why\n\
         default_output = console\nlog_prefix = [%(pid)s] %(process_name)s:\nlog_format = JSON\n",
    )
    .load();
    let expected = SupervisorConfig {
        logfile: None,
        pidfile: None,
        loglevel: "WARNING".into(),
        socket_path: None,
        socket_mode: 0o660,
        socket_owner: Some("root:root".into()),
        shutdown_timeout: 5,
        exit_when_idle: true,
        termination_log: Some("/tmp/why".into()),
        log_maxbytes: 1 << 20,
        log_backups: 2,
        default_output: DefaultOutput::Console,
        log_prefix: Some("[%(pid)s] %(process_name)s: ".into()),
        log_format: LogFormat::Json,
        programs: Vec::new(),
        ..SupervisorConfig::default()
    };
    assert_eq!(loaded.config, expected);
    // Nothing is started that could end.
    assert!(loaded.logfile_given && loaded.warnings.len() == 1, "{:?}", loaded.warnings);
}

#[test]
fn a_configuration_of_supervisord() {
    let files = Files::new(
        "[unix_http_server]\nfile=/tmp/x.sock ; path\nchmod=0700\nchown=root:root\n\
         [supervisord]\nlogfile=/dev/stdout\nlogfile_maxbytes=0\nlogfile_backups=1\nloglevel=trace\nnodaemon=false\n\
         environment=A=\"1\",B=\"2\"\n\
         [program:web]\ncommand=run --name %(program_name)s\nenvironment=B=3,\n  C='x, %(group_name)s'\n\
         [group:site]\nprograms=web\npriority=999\n",
    );
    let config = files.load().config;
    assert_eq!((config.socket_path.as_deref(), config.socket_mode), (Some("/tmp/x.sock"), 0o700));
    assert_eq!((config.logfile.as_deref(), config.log_maxbytes, config.log_backups), (Some("/dev/stdout"), 0, 1));
    assert_eq!((config.loglevel.as_str(), config.socket_owner.as_deref()), ("DEBUG", Some("root:root")));
    let web = &config.programs[0];
    assert_eq!((web.name.as_str(), web.command.as_str()), ("site:web", "run --name web"));
    assert_eq!((web.group.as_deref(), web.process_name.as_deref()), (Some("site"), Some("web")));
    let environment: Vec<_> = web.environment.clone().into_iter().collect();
    assert_eq!(environment, pairs(&[("A", "1"), ("B", "3"), ("C", "x, site")]));
    assert_eq!((web.autorestart, web.stopasgroup, web.killasgroup), (AutoRestart::Unexpected, false, false));
    assert_eq!(web.stop_scope, StopScope::Group);
    assert_eq!(web.serverurl.as_deref(), Some("unix:///tmp/x.sock"));
    assert_eq!(files.warnings(), "");
}

#[test]
fn instances_differ_where_they_may() {
    let files = Files::new(
        "[program:w]\ncommand = run %(process_num)s date +%s\nnumprocs = 3\nenvironment = N=%(process_num)s\n\
         directory = /%(process_num)s/..\nstdout_logfile = /tmp/w%(process_num)s.log\nhealthcheck_type = tcp\n\
         healthcheck_port = 80%(process_num)s\nstopsignal = INT\n",
    );
    let warnings = files.warnings();
    assert!(warnings.contains("directory = /00/..: the directory does not exist"), "{warnings}");
    let config = Files::new(
        "[program:w]\ncommand = run %(process_num)s date +%s\nnumprocs = 3\nenvironment = N=%(process_num)s of %(numprocs)s\n\
         stdout_logfile = /tmp/w%(process_num)s.log\nhealthcheck_type = tcp\nhealthcheck_port = 80%(process_num)s\n",
    )
    .load()
    .config;
    let names: Vec<&str> = config.programs.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["w:00", "w:01", "w:02"]);
    let last = &config.programs[2];
    assert_eq!(last.command, "run 02 date +%s");
    assert_eq!(last.environment.get("N").map(String::as_str), Some("02 of %(numprocs)s"));
    assert_eq!(last.stdout_logfile.as_deref(), Some("/tmp/w02.log"));
    assert_eq!((last.healthcheck.port, last.numprocs, last.group_name()), (Some(8002), 3, "w"));
    assert_eq!(program("environment = N=%(process_num)s").environment.get("N").map(String::as_str), Some("00"));
}

#[test]
fn the_name_of_the_machine_may_stand_in_a_value() {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let text = "[supervisord]\n[program:p]\ncommand = run\nstdout_logfile = /tmp/%(host_node_name)s.log\n";
    let log = Files::new(text).load().config.programs.remove(0).stdout_logfile;
    assert_eq!(log, Some(format!("/tmp/{}.log", host.trim())));
}

#[test]
fn percent_signs_are_literal() {
    for value in ["date +%s", "x %2B", "%t_%p", "100%", "%%", "%(unknown)s"] {
        let config = Files::new(&format!("[program:p]\ncommand = {value}\n")).load().config;
        assert_eq!(config.programs[0].command, value);
    }
}

#[test]
fn includes_are_read_once_in_order_and_do_not_include() {
    let files = Files::new("[include]\nfiles = conf/*.ini conf/b.ini *.ini\n[program:a]\ncommand = x\n")
        .with("conf/b.ini", "[program:b]\ncommand = run b\n[program:a]\ncommand = y\n")
        .with("conf/a.ini", "[program:c]\ncommand = z\n[include]\nfiles = *.ini\n")
        .with("conf/.hidden.ini", "garbage");
    let loaded = files.load();
    let programs: Vec<(&str, &str)> =
        loaded.config.programs.iter().map(|p| (p.name.as_str(), p.command.as_str())).collect();
    assert_eq!(programs, [("a", "y"), ("c", "z"), ("b", "run b")]);
    let names: Vec<_> = loaded.files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    assert_eq!(names, ["main.ini", "a.ini", "b.ini"]);
    let expected = [
        "DIR/conf/a.ini:3: [include]: an included file includes no further files: this section has no effect; \
         list the files in the [include] of the main file",
        "DIR/conf/b.ini:4: [program:a] command = y: set before in DIR/main.ini:4: this value, the last, counts; \
         remove one of the two",
    ];
    assert_eq!(files.warnings(), expected.join("\n"));
}

#[test]
fn an_included_file_that_is_not_there_or_wrong() {
    let files = Files::new("[include]\nfiles = missing.ini none/*.ini bad.ini\n").with("bad.ini", "x = 1\n");
    let expected = [
        "DIR/main.ini:2: [include] files = missing.ini none/*.ini bad.ini: no file matches missing.ini; \
         put the path right, or remove it",
        "DIR/main.ini:2: [include] files = missing.ini none/*.ini bad.ini: no file matches none/*.ini; \
         put the path right, or remove it",
        "DIR/bad.ini:1: `x = 1`: the file begins without a section; put a line like [program:NAME] above it",
    ];
    assert_eq!(files.errors(true), expected.join("\n"));
    assert_eq!(files.errors(false), expected[2]);
}

#[test]
fn environment_lists() {
    for (text, expected) in [
        ("", pairs(&[])),
        ("A=1,B=2", pairs(&[("A", "1"), ("B", "2")])),
        ("A=\"x, y\", B='z \"q\"' ,C=", pairs(&[("A", "x, y"), ("B", "z \"q\""), ("C", "")])),
        ("A = 1 ,\nB=\"2\"\nC=a=b,", pairs(&[("A", "1"), ("B", "2"), ("C", "a=b")])),
        ("A=1\nB=2", pairs(&[("A", "1\nB=2")])),
        ("A=x\"y\",B=%s\\n", pairs(&[("A", "x\"y\""), ("B", "%s\\n")])),
        ("A=1,A=2", pairs(&[("A", "1"), ("A", "2")])),
    ] {
        assert_eq!(parse_environment(text), Ok(expected), "{text}");
    }
}

#[test]
fn env_files_and_the_printed_configuration() {
    let files = Files::new("")
        .with("one", "\u{feff}# c\r\nA=1\r\n export B = \"x y\"\nC='#z'\nD=\"\nE=a=b # no comment\nexport=1\n\n")
        .with("two", "A=2\nB=3\n");
    let one = files.dir().join("one");
    let expected =
        pairs(&[("A", "1"), ("B", "x y"), ("C", "#z"), ("D", "\""), ("E", "a=b # no comment"), ("export", "1")]);
    assert_eq!(read_env_file(&one).expect("an env file"), expected);

    let list = format!("{}, {}", one.display(), files.dir().join("two").display());
    let files = files.with("main.ini", format!("[program:p]\ncommand = x\nenv_file = {list}\nenvironment = B=4\n"));
    let config = files.load().config;
    assert_eq!(config.programs[0].environment.len(), 1, "the files are read when the program is started");
    let json: serde_json::Value = serde_json::from_str(&to_json(&config, Secrets::Shown)).expect("json");
    let program = &json["programs"][0];
    assert_eq!(program["environment"]["A"], "2");
    assert_eq!(program["environment"]["B"], "4");
    assert_eq!(program["environment"]["C"], "#z");
    assert!(program["user"].is_null() && program["healthcheck"]["port"].is_null());
    assert_eq!(program["healthcheck"]["type"], "none");
    assert_eq!(
        (json["log_maxbytes"].as_u64(), json["socket_path"].as_str()),
        (Some(52_428_800), Some("/tmp/supervice.sock"))
    );
}

#[test]
fn env_files_never_reveal_their_values() {
    let files =
        Files::new("").with("env", "SECRET\n").with("bytes", b"A=\xffsecret").with("long", vec![b'#'; (1 << 20) + 1]);
    for (name, line) in [("env", 1), ("bytes", 1), ("long", 0)] {
        let error = read_env_file(files.dir().join(name)).expect_err("a fault");
        assert_eq!(error.line, line);
        assert!(!error.to_string().to_lowercase().contains("secret"), "{error}");
    }
}

#[test]
fn reloads() {
    let load = |text: &str| Files::new(text).load().config;
    let old = load("[program:a]\ncommand = x\n[program:b]\ncommand = x\n[program:c]\ncommand = x\n");
    let same = load("[program:c]\ncommand = x\n[program:a]\ncommand: x\n[program:b]\nCOMMAND = x\n");
    assert!(diff(&old, &same).is_empty());
    let new = load(
        "[supervice]\nloglevel = debug\nsocket_mode = 660\n[program:d]\ncommand = x\nnumprocs = 2\n[program:a]\n\
         command = y\n[program:b]\ncommand = x\n[group:g]\nprograms = b\n",
    );
    let plan = diff(&old, &new);
    assert_eq!(
        (plan.added, plan.removed, plan.changed),
        (vec!["d:00".to_owned(), "d:01".to_owned()], vec!["c".to_owned()], vec!["a".to_owned(), "b".to_owned()],)
    );
    let settings: Vec<_> = plan.daemon_settings_changed.iter().map(|setting| (setting.key, setting.live)).collect();
    assert_eq!(settings, [("loglevel", true), ("socket_mode", false)]);
}

/// Work per program does not grow with their number: ten times the programs may take up to forty times as long,
/// where quadratic work takes a hundred times.
#[test]
fn loading_is_linear() {
    let time = |programs: usize| {
        let section = |i: usize| {
            format!(
                "[program:p{i}]\ncommand = /bin/sleep 60\nuser = root\nstdout_logfile = /tmp/p{i}.log\nunknown = 1\n"
            )
        };
        let members: Vec<String> = (0..programs).map(|i| format!("p{i}")).collect();
        let text: String = (0..programs).map(section).collect();
        let files = Files::new(&format!("{text}[group:all]\nprograms = {}\n", members.join(",")));
        (0..3)
            .map(|_| {
                let start = std::time::Instant::now();
                assert_eq!(files.load().config.programs.len(), programs);
                start.elapsed()
            })
            .min()
            .expect("three runs")
    };
    // A machine that does other things meanwhile may spoil one measurement, but not each of them.
    let measures: Vec<_> =
        (0..5).map(|_| (time(200), time(2000))).take_while(|(few, many)| *many >= *few * 40).collect();
    assert!(measures.len() < 5, "for 200 and for 2000 programs: {measures:?}");
}

/// What the start of the daemon needs was there then: a reload is for the programs.
#[test]
fn what_the_daemon_itself_lacks_at_a_reload_is_a_warning() {
    let text = "[supervice]\nsocket = /missing/run/s\npidfile = /missing/p\nlogfile = /missing/l\nsocket_owner = no-such-user\n";
    let files = Files::new(text);
    assert_eq!(files.errors(false).lines().count(), 4);
    let options = supervice::config::LoadOptions { reload: true, ..Default::default() };
    let loaded = supervice::config::load(files.main(), &options).expect("it holds");
    assert_eq!((loaded.warnings.len(), loaded.config.socket_path.as_deref()), (4, Some("/missing/run/s")));
}

#[test]
fn failure_87_a_limit_that_failed_starts_never_reach_is_told_with_the_arithmetic() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("supervice.conf");
    let load = |keys: &str| {
        std::fs::write(&path, format!("[program:p]\ncommand = sleep 1\n{keys}\n")).expect("written");
        supervice::config::load(&path, &supervice::config::LoadOptions::default())
    };
    let warnings =
        |keys: &str| load(keys).expect("it holds").warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(warnings("restart_limit = 5/60"), [""; 0]);
    let [warning] = &warnings("restart_limit = 5/20")[..] else { panic!("one warning") };
    assert!(
        warning.ends_with(
            "[program:p] restart_limit = 5/20: failed starts never reach it: 6 restarts of them, with restart_delay = 1, take \
             20 s at least, and 20 s are looked at; write 5/21 or more"
        ),
        "{warning}"
    );
    assert_eq!(warnings("restart_limit = 5/20\nrestart_delay_growth = none"), [""; 0]);
    assert_eq!(warnings("restart_limit = 2/60\nrestart_delay = 30").len(), 1);
    let error = load("restart_delay = 31").expect_err("above the most").to_string();
    assert!(
        error.contains("restart_delay = 31 is above restart_delay_max = 30; write restart_delay_max = 31 or more"),
        "{error}"
    );
    let [warning] = &warnings("max_runtime = 5")[..] else { panic!("one warning") };
    assert!(warning.contains("only a oneshot is to come to its end"), "{warning}");
}

#[test]
fn a_program_has_the_keys_of_its_template_and_of_the_defaults_above_it() {
    let files = Files::new(
        "[program:above]\ncommand = run\n[defaults]\nstopwaitsecs = 7\nstartsecs = 3\nuser = root\n\
         [template:worker]\ncommand = work --region %(instance)s --number %(process_num)s\nstartsecs = 4\n\
         environment = REGION=%(instance)s\nstdout_logfile = /tmp/%(instance)s.log\n\
         [program:worker@eu-west]\n[program:worker@us]\nstartsecs = 5\nnumprocs = 2\n[program:plain@x]\ncommand = run %(instance)s\n",
    );
    let config = files.load().config;
    let shown: Vec<_> = config
        .programs
        .iter()
        .map(|p| (p.name.as_str(), p.command.as_str(), p.startsecs, p.stopwaitsecs, p.user.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("above", "run", 1, 10, None),
            ("worker@eu-west", "work --region eu-west --number 00", 4, 7, Some("root")),
            ("worker@us:00", "work --region us --number 00", 5, 7, Some("root")),
            ("worker@us:01", "work --region us --number 01", 5, 7, Some("root")),
            ("plain@x", "run %(instance)s", 3, 7, Some("root")),
        ]
    );
    assert_eq!(config.programs[1].environment["REGION"], "eu-west", "byte for byte");
    assert_eq!(config.programs[1].stdout_logfile.as_deref(), Some("/tmp/eu-west.log"));
}

#[test]
fn templates_mean_the_same_in_supervisords_dialect() {
    let files = Files::new(
        "[supervisord]\n[defaults]\nstopwaitsecs = 7\n[template:worker]\ncommand = work %(instance)s %(program_name)s\n\
         [program:worker@eu]\n[program:worker@us]\nprocess_name = %(instance)s\n",
    );
    let config = files.load().config;
    let shown: Vec<_> = config.programs.iter().map(|p| (p.name.as_str(), p.command.as_str(), p.stopwaitsecs)).collect();
    assert_eq!(shown, [("worker@eu", "work eu worker@eu", 7), ("worker@us:us", "work us worker@us", 7)]);
}

#[test]
fn what_is_wrong_with_a_template_is_said_once_and_where_it_stands() {
    let files = Files::new(
        "[template:worker]\ncommand = work\nstartsecs = soon\nno_such_key = 1\n[program:worker@a]\n[program:worker@b]\n\
         [program:worker@]\n[template:x/y]\n[defaults]\ncolour = red\n",
    );
    let told = files.errors(true);
    let lines: Vec<&str> =
        told.lines().map(|line| line.rsplit_once("main.ini:").map_or(line, |(_, rest)| rest)).collect();
    assert_eq!(
        lines,
        [
            "3: [template:worker] startsecs = soon: not a whole number; write a whole number, at least 0",
            "4: [template:worker] no_such_key: unknown key; it has no effect: remove it, or see supervice.conf(5) for the keys of this section",
            "7: [program:worker@]: the instance of the template has no name; write [program:worker@NAME]",
            "8: [template:x/y]: `/` in the name; write [template:NAME] with letters, digits, - _ and .",
            "10: [defaults] colour: unknown key; it has no effect: remove it, or see supervice.conf(5) for the keys of this section",
        ]
    );
}

/// The CPU time of this thread so far, in microseconds.
fn cpu_us() -> i64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).expect("a usage");
    [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec()).iter().sum()
}

/// Four times as many programs and edges take about four times as long to read and check, whichever way the edges go.
#[test]
fn a_graph_is_read_in_time_that_grows_with_its_edges() {
    let took = |n: usize| {
        let mut text = String::new();
        let mut random: u64 = 15;
        for program in 0..n {
            text += &format!("[program:p{program:05}]\ncommand = run\n");
            let mut needs = std::collections::BTreeSet::new();
            while needs.len() < program.min(5) {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                needs.insert((random >> 33) as usize % program);
            }
            let names: Vec<String> = needs.iter().map(|need| format!("p{need:05}")).collect();
            if !names.is_empty() {
                text += &format!("requires = {}\n", names.join(", "));
            }
        }
        let files = Files::new(&text);
        let begin = cpu_us();
        assert_eq!(files.load().config.programs.len(), n);
        cpu_us() - begin
    };
    let best = |n| (0..5).map(|_| took(n)).min().unwrap_or(i64::MAX);
    let (few, many) = (best(500), best(2_000));
    assert!(many < few * 7, "{few} µs for 500 programs, {many} µs for 2,000");
}

#[test]
fn exit_when_idle_is_a_warning_where_it_cannot_come_about() {
    let warnings = |programs: &str| Files::new(&format!("[supervice]\nexit_when_idle = true\n{programs}")).warnings();
    let nothing = "DIR/main.ini:2: [supervice] exit_when_idle = true: nothing is started with the daemon: it goes on until \
                   somebody has started a program and that has ended; write autostart = true in a program, or \
                   exit_when_idle = false";
    assert_eq!(warnings(""), nothing);
    assert_eq!(warnings("[program:a]\ncommand = true\nautostart = false\n"), nothing);
    assert_eq!(warnings("[program:a]\ncommand = true\n[program:b]\ncommand = true\nautostart = false\n"), "");
    assert_eq!(Files::new("[program:a]\ncommand = true\nautostart = false\n").warnings(), "", "it is not written");
    let scheduled = "DIR/main.ini:2: [supervice] exit_when_idle = true: b has a schedule and never ends for good: the daemon \
                     goes on; take its schedule away, or write exit_when_idle = false";
    assert_eq!(warnings("[program:a]\ncommand = true\n[program:b]\ncommand = true\nschedule = @daily\n"), scheduled);
}
