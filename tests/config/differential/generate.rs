//! Files as people write them, with what goes wrong in them.

use crate::python::Random;

/// One file of a configuration.
pub struct File {
    pub name: &'static str,
    pub text: String,
}

const PROGRAMS: &[&str] = &["web", "worker", "cat-1", "a.b", "x_y"];

/// A key and the values that it may have; the ones behind `BAD` are rarely taken.
struct Key {
    name: &'static str,
    /// Of ten sections so many have it.
    often: usize,
    values: &'static [&'static str],
    bad: &'static [&'static str],
}

const fn key(name: &'static str, often: usize, values: &'static [&'static str], bad: &'static [&'static str]) -> Key {
    Key { name, often, values, bad }
}

const BOOLEANS: &[&str] = &["true", "false", "yes", "No", "ON", "off", "1", "0", "True"];
const SIGNALS: &[&str] = &["TERM", "INT", "QUIT", "KILL", "USR1", "HUP", "WINCH"];

const SUPERVISORD_PROGRAM: &[Key] = &[
    key("numprocs", 2, &["1", "2", "3", "12", "0"], &["-1", "x", "%(process_num)s"]),
    key("numprocs_start", 1, &["0", "1", "9"], &["x"]),
    key(
        "process_name",
        3,
        &[
            "%(program_name)s_%(process_num)02d",
            "%(program_name)s_%(process_num)02d",
            "p%(process_num)s",
            "%(program_name)s",
            "%(process_num)d",
            "%(group_name)s-%(process_num)3d",
            "fixed",
        ],
        &["a:b%(process_num)d", "a b"],
    ),
    key("priority", 3, &["1", "10", "999", "-1", "0", "500"], &["high"]),
    key("autostart", 4, BOOLEANS, &["maybe"]),
    key("autorestart", 4, &["true", "false", "unexpected", "Unexpected", "1"], &["always"]),
    key("startsecs", 3, &["0", "1", "10", "+5"], &["1s", "1.5"]),
    key("startretries", 3, &["0", "3", "100"], &["many"]),
    key("exitcodes", 2, &["0", "0,2", "0, 1 ,2", ""], &["0,300", "a"]),
    key("stopsignal", 3, &["TERM", "int", "SIGQUIT", "9", "10", "sigusr1"], &["NOPE"]),
    key("stopwaitsecs", 2, &["10", "0", "3600"], &["x"]),
    key("stopasgroup", 3, BOOLEANS, &["x"]),
    key("killasgroup", 2, BOOLEANS, &["x"]),
    key("user", 2, &["root", "0", "nobody", "daemon"], &["%(process_num)d"]),
    key("umask", 1, &["022", "77", "0o27", "002"], &["9"]),
    key("directory", 2, &["/", "/tmp", "%(here)s", "/tmp/..", "/%(program_name)s/.."], &["/%(nothing)s", "/tmp%"]),
    key("redirect_stderr", 3, BOOLEANS, &["x"]),
    key(
        "stdout_logfile",
        6,
        &[
            "/dev/stdout",
            "/dev/fd/1",
            "/tmp/%(program_name)s.log",
            "%(here)s/%(program_name)s_%(process_num)02d.log",
            "NONE",
            "none",
            "AUTO",
            "auto",
            "off",
            "syslog",
            "/tmp/100%%%%.log",
            "~/x.log",
            "out.log",
            "/tmp/%(ENV_LC)s.log",
        ],
        &["/tmp/100%%.log", "/tmp/%(x)s"],
    ),
    key("stdout_logfile_maxbytes", 4, &["0", "50MB", "1kb", "2GB", "1000", "10Mb"], &["10K", "x"]),
    key("stdout_logfile_backups", 2, &["0", "10", "3"], &["x"]),
    key("stdout_syslog", 1, BOOLEANS, &["x"]),
    key(
        "stderr_logfile",
        5,
        &["/dev/stderr", "/tmp/e%(process_num)d.log", "NONE", "AUTO", "syslog", "/dev/null"],
        &["%"],
    ),
    key("stderr_logfile_maxbytes", 3, &["0", "50MB"], &["1TB"]),
    key("stderr_logfile_backups", 2, &["0", "5"], &["x"]),
    key("stderr_syslog", 1, BOOLEANS, &["x"]),
    key(
        "environment",
        4,
        &[
            "A=1",
            "A=\"1\",B='2'",
            "LC=x,PATHS=/usr/bin:/bin",
            "A=\"with, comma\", B=\"x y\"",
            "A=1,",
            "A=a b",
            "KEY = \"v\" , L=%(process_num)d",
            "P=\"%(ENV_PATH)s\",H=%(here)s",
            "URL=\"http://x/?a=1&b=2#f\"",
            "PCT=\"100%%\"",
            "N=%(program_name)s,G=%(group_name)s,LC=\"l\"",
            "A=\"1\" , B=\"2\"",
            "A=x\"y\",B=2",
            "A=a(b)-c+d.e,B=\"\"",
            "",
            "A='it is \"q\"'",
            "W=\"%(ENV_GLOBAL)s\"",
        ],
        &["A=", "A", "A=1,,B=2", "A=\"x", "A=%", "A=$HOME", "A=http://x/?y=1"],
    ),
    key("serverurl", 1, &["AUTO", "auto", "http://x:1", "unix:///tmp/x.sock", ""], &[]),
    key("command", 0, &[], &[]),
];

const COMMANDS: &[&str] = &[
    "/bin/sleep 100",
    "sleep 100",
    "/usr/sbin/nginx -g \"daemon off;\"",
    "/bin/sh -c 'echo a; echo b'",
    "python -m http.server %(process_num)s",
    "run --port=80%(process_num)02d --name %(program_name)s --of %(numprocs)d",
    "run %(here)s/x %(host_node_name)s %(group_name)s",
    "date +%%Y-%%m",
    "run %(ENV_LC)s",
    "run %(ENV_PATH)s",
    "run \"a b\" 'c d' e\\ f",
    "run a#b a;b",
    "run # not this",
    "run ; not this",
    "run a#b #c ; d",
    "run a;b ;c # d",
    "run 'x ;y'",
    "run\n  --first\n  --second",
    "run\n\n  --first\n  ; comment\n  --second",
    "run %(ENV_GLOBAL)s",
    "run %(program_name)10s|%(program_name)-10s|%(process_num)5d|%(process_num)-5d|%(process_num)i",
];
const BAD_COMMANDS: &[&str] = &["date +%Y", "run %(nothing)s", "run %(ENV_SUPERVICE_NOT_SET)s", "100%", "run %(here)d"];

const SUPERVISORD: &[Key] = &[
    key("nodaemon", 6, BOOLEANS, &["x"]),
    key("logfile", 5, &["/dev/null", "/tmp/s.log", "/dev/stdout", "%(here)s/s.log", "s.log", "~/s.log"], &["/tmp/%x"]),
    key("logfile_maxbytes", 3, &["0", "50MB", "1GB"], &["1K"]),
    key("logfile_backups", 3, &["0", "10"], &["x"]),
    key("loglevel", 3, &["info", "WARN", "debug", "error", "critical", "trace", "blather"], &["loud"]),
    key("pidfile", 4, &["/tmp/s.pid", "s.pid", "%(here)s/s.pid"], &["%s.pid"]),
    key("user", 2, &["root"], &[]),
    key("minfds", 2, &["1024", "10"], &["x"]),
    key("minprocs", 2, &["200", "1"], &["x"]),
    key("umask", 1, &["022"], &["x"]),
    key("identifier", 1, &["supervisor", "x"], &["%(x)s"]),
    key(
        "environment",
        3,
        &["GLOBAL=1", "GLOBAL=\"a b\",LC=C", "GLOBAL=\"%(here)s\",B=%(ENV_PATH)s", "GLOBAL=\"%%%%\"", ""],
        &["GLOBAL=%(host_node_name)s", "GLOBAL", "GLOBAL=\"100%%\""],
    ),
];

const FCGI: &[Key] = &[
    key(
        "socket",
        10,
        &["tcp://127.0.0.1:9000", "tcp://LocalHost:1", "unix:///tmp/%(program_name)s.sock", "unix:///tmp/x.sock ; c"],
        &["tcp://9000", "unix://x.sock", "127.0.0.1:9000"],
    ),
    key("socket_backlog", 3, &["1", "65535"], &["0", "65536", "x"]),
];

/// Of a socket with a file alone.
const FCGI_FILE: &[Key] = &[
    key("socket_mode", 3, &["0700", "0o660", "777"], &["x", "9"]),
    key("socket_owner", 3, &["root", "nobody", "nobody:root"], &["nobody-at-all"]),
];

const UNIX_SERVER: &[Key] = &[
    key("file", 10, &["/tmp/x.sock", "%(here)s/x.sock", "/tmp/../tmp/y.sock", "/tmp/z.sock ; comment"], &[]),
    key("chmod", 4, &["0700", "0o777", "770"], &["x"]),
    key("chown", 2, &["root", "root:root", "nobody:root"], &[]),
];

fn pick(random: &mut Random, key: &Key) -> Option<&'static str> {
    if random.below(10) >= key.often {
        return None;
    }
    if !key.bad.is_empty() && random.below(60) == 0 {
        return Some(random.pick(key.bad));
    }
    Some(random.pick(key.values))
}

/// One key as it may be written.
fn line(random: &mut Random, style: &Style, name: &str, value: &str) -> String {
    let name = match random.below(12) {
        0 => name.to_uppercase(),
        _ => name.to_owned(),
    };
    let delimiter = random.pick(&["=", "=", "=", " = ", " = ", ": ", " :"]);
    let comment = match random.below(14) {
        0 => random.pick(style.comments),
        _ => "",
    };
    let value = if style.is_indented { value.replace('\n', "\n  ") } else { value.to_owned() };
    let indent = if style.is_indented { "  " } else { "" };
    format!("{indent}{name}{delimiter}{value}{comment}\n")
}

struct Style {
    /// What may stand behind a value.
    comments: &'static [&'static str],
    is_indented: bool,
}

fn section(random: &mut Random, style: &Style, header: &str, mut keys: Vec<(&str, String)>) -> String {
    let mut text = format!("[{header}]{}\n", random.pick(&["", "", "", "", " ; c", " "]));
    while !keys.is_empty() {
        let (name, value) = keys.remove(random.below(keys.len()));
        match random.below(25) {
            0 => text.push_str("; a comment\n"),
            1 => text.push_str("#another = one\n"),
            2 => text.push('\n'),
            3 => text.push_str("unknown_key = 100% of it\n"),
            _ => {}
        }
        text.push_str(&line(random, style, name, &value));
    }
    text
}

/// The header of a section with a name, around which there may be blanks.
fn header(random: &mut Random, kind: &str, name: &str) -> String {
    let (before, behind) = match random.below(30) {
        0 => (" ", ""),
        1 => ("", " "),
        2 => ("  ", " "),
        _ => ("", ""),
    };
    format!("{kind}:{before}{name}{behind}")
}

fn keys(random: &mut Random, table: &[Key]) -> Vec<(&'static str, String)> {
    table.iter().filter_map(|key| Some((key.name, pick(random, key)?.to_owned()))).collect()
}

fn command(random: &mut Random) -> String {
    let of = if random.below(60) == 0 { BAD_COMMANDS } else { COMMANDS };
    random.pick(of).to_owned()
}

fn names(random: &mut Random) -> Vec<&'static str> {
    let count = 1 + random.below(4);
    let first = random.below(PROGRAMS.len());
    (0..count).map(|offset| PROGRAMS[(first + offset) % PROGRAMS.len()]).collect()
}

/// The line ends of a file.
fn ends(random: &mut Random, text: String) -> String {
    match random.below(12) {
        0 => text.replace('\n', "\r\n"),
        1 => text.replace('\n', "\r"),
        2 => text.trim_end().to_owned(),
        _ => text,
    }
}

fn members(random: &mut Random, programs: &[&str]) -> String {
    let count = 1 + random.below(programs.len());
    let first = random.below(programs.len());
    let members: Vec<&str> = (0..count).map(|offset| programs[(first + offset) % programs.len()]).collect();
    members.join(random.pick(&[",", ", ", " , "]))
}

/// A configuration of supervisord.
pub fn supervisord(random: &mut Random) -> Vec<File> {
    let style = Style { comments: &[" ; c", " # c", "\t;c", " ", " ;"], is_indented: random.below(10) == 0 };
    let programs = names(random);
    let mut sections = Vec::new();
    let daemon = keys(random, SUPERVISORD);
    sections.push(section(random, &style, "supervisord", daemon));
    if random.below(2) == 0 {
        let server = keys(random, UNIX_SERVER);
        sections.push(section(random, &style, "unix_http_server", server));
    }
    if random.below(5) == 0 {
        let port = random.pick(&["9001", "*:9001", "127.0.0.1:9001", "LocalHost:9001"]);
        sections.push(format!("[inet_http_server]\nport={port}\n"));
    }
    if random.below(2) == 0 {
        sections.push(
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
             [supervisorctl]\nserverurl=unix:///tmp/%x.sock\n"
                .to_owned(),
        );
    }
    for name in &programs {
        let mut own = keys(random, SUPERVISORD_PROGRAM);
        own.push(("command", command(random)));
        if own.iter().any(|(name, value)| *name == "numprocs" && !["0", "1"].contains(&value.as_str()))
            && random.below(10) > 0
        {
            own.retain(|(name, _)| *name != "process_name");
            own.push(("process_name", "%(program_name)s_%(process_num)02d".to_owned()));
        }
        let name = header(random, "program", name);
        sections.push(section(random, &style, &name, own));
    }
    if random.below(4) == 0 {
        let mut own = keys(random, SUPERVISORD_PROGRAM);
        own.retain(|(name, _)| !["process_name", "numprocs"].contains(name));
        own.extend(keys(random, FCGI));
        if own.iter().any(|(name, value)| *name == "socket" && value.starts_with("unix")) {
            own.extend(keys(random, FCGI_FILE));
        }
        own.push(("command", command(random)));
        let name = header(random, "fcgi-program", "fcgi");
        sections.push(section(random, &style, &name, own));
        if random.below(4) == 0 {
            sections.push("[group:f]\nprograms=fcgi\n".to_owned());
        }
    }
    for number in 0..[0, 0, 1, 2][random.below(4)] {
        let name = header(random, "group", &format!("g{number}"));
        let mut group = format!("[{name}]\nprograms={}\n", members(random, &programs));
        if random.below(2) == 0 {
            group.push_str(&format!("priority={}\n", random.pick(&["1", "999", "-5", "20"])));
        }
        sections.push(group);
    }
    if random.below(8) == 0 {
        let keys = random.pick(&["autorestart=true\n", "user=root\n", "startsecs=7\n", "priority=3\n", "nothing=x\n"]);
        sections.push(format!("[DEFAULT]\n{keys}"));
    }
    if random.below(8) == 0 {
        sections.push(format!("[program:{}]\nstartsecs=9\nStartSecs=11\n", programs[0]));
    }
    let mut included = String::new();
    if random.below(5) == 0 {
        sections.push(format!(
            "[include]\nfiles = {}\n",
            random.pick(&["conf.d/*.conf", "conf.d/a.conf none/*.x", "%(here)s/conf.d/*"])
        ));
        let moved = random.below(sections.len().saturating_sub(1));
        included = sections.remove(moved);
        included.push_str("[program:included]\ncommand=%(here)s/run\n");
    }
    let mut text = String::new();
    while !sections.is_empty() {
        text.push_str(&sections.remove(random.below(sections.len())));
        text.push_str(random.pick(&["", "\n", "\n\n", "; ---\n"]));
    }
    let mut files = vec![File { name: "main.conf", text: ends(random, text) }];
    if !included.is_empty() {
        files.push(File { name: "conf.d/a.conf", text: ends(random, included) });
    }
    files
}

const SUPERVICE_PROGRAM: &[Key] = &[
    key("numprocs", 3, &["1", "2", "3", "11"], &["0", "x", "-1"]),
    key("autostart", 4, BOOLEANS, &[]),
    key("autorestart", 4, BOOLEANS, &[]),
    key("startsecs", 3, &["0", "1", "10", "+5"], &["1s", "-1", ""]),
    key("startretries", 3, &["0", "3", "100"], &["many"]),
    key("stopsignal", 3, SIGNALS, &["NOPE"]),
    key("stopwaitsecs", 2, &["10", "0", "3600"], &["x"]),
    key("user", 2, &["root", "nobody", ""], &[]),
    key("directory", 2, &["/", "/tmp", "/tmp/..", ""], &[]),
    key(
        "stdout_logfile",
        5,
        &[
            "/dev/null",
            "/tmp/w%(process_num)s.log",
            "/tmp/%(process_num)02d.log",
            "/tmp/100%.log",
            "out.log",
            "/tmp/a ; b",
        ],
        &[],
    ),
    key("stderr_logfile", 5, &["/dev/null", "/tmp/e.log", "/tmp/%(program_name)s.log", ""], &[]),
    key("stdout_logfile_maxbytes", 3, &["0", "1000000"], &["x"]),
    key("stdout_logfile_backups", 3, &["0", "10"], &["x"]),
    key("stderr_logfile_maxbytes", 3, &["0", "1000000"], &["x"]),
    key("stderr_logfile_backups", 3, &["0", "10"], &["x"]),
    key(
        "environment",
        5,
        &[
            "A=1",
            "A=\"1\",B='2'",
            "A=\"with, comma\", B=\"x y\"",
            "A=1,",
            "A=a b",
            "A=,B=2",
            "A=",
            "KEY = \"v\" , N=%(process_num)s",
            "N=\"%(process_num)02d %(here)s\"",
            "URL=http://x/?a=1&b=2#f",
            "PCT=100%,P=%%",
            "A=x\"y\",B=2",
            "A=it's,B=2",
            "A=1,\n  B=\"2\",\n  C='3'",
            "A=1\n  B=2",
            "",
            "A=b ; c,D=e # f",
            "A=\"a=b\",B=c=d",
        ],
        &[],
    ),
    key("pdeathsig", 2, BOOLEANS, &[]),
    key("reconcile", 2, &["auto", "kill", "WARN", " off "], &["x"]),
    key("healthcheck_type", 2, &["none", "None"], &[]),
    key("healthcheck_interval", 2, &["1", "30"], &["x"]),
    key("healthcheck_timeout", 2, &["1", "30"], &["x"]),
    key("healthcheck_retries", 2, &["1", "30"], &["x"]),
    key("healthcheck_start_period", 2, &["0", "30"], &["x"]),
    key("healthcheck_port", 2, &["80", "65535", ""], &["x"]),
    key("healthcheck_host", 2, &["127.0.0.1", "::1", "localhost"], &[]),
    key("healthcheck_command", 2, &["test -e x", "curl -f http://localhost/ ; true"], &[]),
];

const SUPERVICE_COMMANDS: &[&str] = &[
    "/bin/sleep 100",
    "sleep 100",
    "/usr/sbin/nginx -g \"daemon off;\"",
    "/bin/sh -c 'echo a; echo b'",
    "python -m http.server 80%(process_num)s",
    "run %(process_num)d %(process_num)02d %(here)s %(ENV_PATH)s",
    "date +%s 100% %%",
    "run \"a b\" 'c d' e\\ f",
    "run ; this # too",
    "run\n  --first\n  --second",
    "run\n\n  --first\n    ; comment\n  --second",
];

const SUPERVICE: &[Key] = &[
    key("logfile", 5, &["/dev/null", "/tmp/s.log", "s.log", ""], &[]),
    key("loglevel", 4, &["info", "WARN", "Debug", "error", "critical"], &["loud", "info ; c"]),
    key("pidfile", 4, &["/tmp/s.pid", "s.pid", "none", "None"], &[]),
    key("socket", 5, &["/tmp/x.sock", "x.sock"], &[]),
    key("shutdown_timeout", 3, &["1", "30"], &["0", "x"]),
    key("log_maxbytes", 3, &["0", "1000"], &["-1", "x"]),
    key("log_backups", 3, &["0", "7"], &["x"]),
];

/// A configuration of the Python package.
pub fn supervice(random: &mut Random) -> Vec<File> {
    let style = Style { comments: &[" ", "  "], is_indented: random.below(10) == 0 };
    let programs = names(random);
    let mut sections = Vec::new();
    if random.below(3) > 0 {
        let daemon = keys(random, SUPERVICE);
        sections.push(section(random, &style, "supervice", daemon));
    }
    for name in &programs {
        let mut own = keys(random, SUPERVICE_PROGRAM);
        if random.below(5) == 0 {
            let (kind, key, value) =
                [("tcp", "healthcheck_port", "8080"), ("Script", "healthcheck_command", "true")][random.below(2)];
            own.retain(|(name, _)| !["healthcheck_type", key].contains(name));
            own.extend([("healthcheck_type", kind.to_owned()), (key, value.to_owned())]);
        }
        if random.below(60) > 0 {
            own.push(("command", random.pick(SUPERVICE_COMMANDS).to_owned()));
        }
        let name = header(random, "program", name);
        sections.push(section(random, &style, &name, own));
    }
    for number in 0..[0, 0, 1, 2][random.below(4)] {
        let list = if random.below(15) == 0 { "nobody".to_owned() } else { members(random, &programs) };
        let name = header(random, "group", &format!("g{number}"));
        sections.push(format!("[{name}]\nprograms={list}\n"));
    }
    if random.below(10) == 0 {
        sections.push("[group:empty]\nprograms=\n".to_owned());
    }
    if random.below(8) == 0 {
        let keys = random.pick(&["autorestart=false\n", "user=root\n", "startsecs=7\n", "nothing=%\n"]);
        sections.push(format!("[DEFAULT]\n{keys}"));
    }
    if random.below(12) == 0 {
        sections.push("[other]\nkey = value ; with % this\n".to_owned());
    }
    let mut text = String::new();
    while !sections.is_empty() {
        text.push_str(&sections.remove(random.below(sections.len())));
        text.push_str(random.pick(&["", "\n", "\n\n", "; ---\n"]));
    }
    vec![File { name: "main.conf", text: ends(random, text) }]
}
