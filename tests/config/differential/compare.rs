//! What ours came to, beside what an original says.

use std::path::Path;

use serde_json::{Value, json};
use supervice::config::{ConfigError, Loaded, split_command};
use supervice::models::{DEFAULT_SOCKET_PATH, Dialect, FcgiAddress, ProgramConfig, SupervisorConfig};

/// Errors of ours about what an original takes in silence, and loses something by (point 8 of the list), or finds out when the
/// program is started.
const NONSENSE: &[&str] = &[
    "neither true nor false",
    "a second group called",
    "two processes of this group",
    "is missing",
    "is not closed",
    "no comma after the closing quotation mark",
    "is not opened",
];

/// What stands for a command with a quotation mark too few, which supervisord's dialect takes.
const UNSPLIT: &str = "no words";

/// Errors of the originals about what is allowed here (points 7 and 9 of the list).
const ALLOWED: &[&str] = &["DuplicateOptionError", "DuplicateSectionError", "names unknown program"];

/// `Err`: how they differ.
pub fn compare(
    dialect: Dialect,
    path: &Path,
    ours: &Result<Loaded, ConfigError>,
    theirs: &Value,
) -> Result<(), String> {
    let error = theirs.get("error").and_then(Value::as_str);
    match (ours, error) {
        (Err(_), Some(_)) => Ok(()),
        (Err(ours), None) if lines(ours).iter().all(|line| NONSENSE.iter().any(|known| line.contains(known))) => Ok(()),
        (Err(ours), None) => Err(format!("it loads there, and not here: {ours}")),
        (Ok(_), Some(theirs)) if ALLOWED.iter().any(|known| theirs.contains(known)) => Ok(()),
        (Ok(_), Some(theirs)) => Err(format!("it loads here, and not there: {theirs}")),
        (Ok(loaded), None) => {
            let home = path.parent().expect("a directory");
            let config = &loaded.config;
            if config.dialect != dialect {
                return Err(format!("read in {:?}", config.dialect));
            }
            let ours = match dialect {
                Dialect::Supervisord => supervisord(config, home, theirs),
                Dialect::Supervice => supervice(loaded, theirs),
            };
            same("", &ours, theirs)
        }
    }
}

fn lines(error: &ConfigError) -> Vec<String> {
    error.to_string().lines().map(str::to_owned).collect()
}

/// The first place at which two values differ.
fn same(place: &str, ours: &Value, theirs: &Value) -> Result<(), String> {
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, theirs) in other {
                same(&format!("{place}.{key}"), one.get(key).unwrap_or(&Value::Null), theirs)?;
            }
            match one.keys().find(|key| !other.contains_key(*key)) {
                Some(key) => Err(format!("{place}.{key} is here alone")),
                None => Ok(()),
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => (0..)
            .zip(one.iter().zip(other))
            .try_for_each(|(at, (one, other)): (usize, _)| same(&format!("{place}[{at}]"), one, other)),
        _ if ours == theirs => Ok(()),
        _ => Err(format!("{place}: here {ours}, there {theirs}")),
    }
}

fn argv(program: &ProgramConfig) -> Value {
    split_command(&program.command).map_or_else(|_| json!(UNSPLIT), |words| json!(words))
}

fn number_of(signal: &str) -> i32 {
    let signal: nix::sys::signal::Signal = format!("SIG{signal}").parse().expect("a signal");
    signal as i32
}

fn supervisord(config: &SupervisorConfig, home: &Path, theirs: &Value) -> Value {
    let absolute = |path: &Option<String>| path.as_ref().map(|path| normal(&home.join(path).display().to_string()));
    let has_socket = theirs.get("socket").is_some_and(Value::is_string);
    json!({
        "processes": config.programs.iter().map(|program| {
            let uid = program.user.as_deref().map(|user| match user.parse::<u32>() {
                Ok(uid) => uid,
                Err(_) => nix::unistd::User::from_name(user).expect("read").expect("a user").uid.as_raw(),
            });
            // Ours keeps the word, theirs is a switch of its own.
            let log = |path: &Option<String>| path.clone().filter(|path| path != "syslog");
            let syslog = |path: &Option<String>, also: bool| also || path.as_deref() == Some("syslog");
            json!({
                "group": program.group_name(),
                "process_name": program.process_name,
                "name": program.name,
                "argv": argv(program),
                "environment": program.environment,
                "directory": program.directory,
                "uid": uid,
                "umask": program.umask,
                "priority": program.priority,
                "autostart": program.autostart,
                "autorestart": program.autorestart,
                "startsecs": program.startsecs,
                "startretries": program.startretries,
                "stopsignal": number_of(&program.stopsignal),
                "stopwaitsecs": program.stopwaitsecs,
                "stopasgroup": program.stopasgroup,
                "killasgroup": program.killasgroup,
                "exitcodes": program.exitcodes,
                "redirect_stderr": program.redirect_stderr,
                "stdout_logfile": log(&program.stdout_logfile),
                "stdout_logfile_maxbytes": program.stdout_logfile_maxbytes,
                "stdout_logfile_backups": program.stdout_logfile_backups,
                "stdout_syslog": syslog(&program.stdout_logfile, program.stdout_syslog),
                "stderr_logfile": log(&program.stderr_logfile),
                "stderr_logfile_maxbytes": program.stderr_logfile_maxbytes,
                "stderr_logfile_backups": program.stderr_logfile_backups,
                "stderr_syslog": syslog(&program.stderr_logfile, program.stderr_syslog),
                "socket": fcgi_socket(program),
                "serverurl": program.serverurl,
            })
        }).collect::<Vec<_>>(),
        "logfile": absolute(&config.logfile),
        "pidfile": absolute(&config.pidfile),
        "log_maxbytes": config.log_maxbytes,
        "log_backups": config.log_backups,
        "socket": has_socket.then(|| absolute(&config.socket_path)),
        "socket_mode": has_socket.then_some(config.socket_mode),
    })
}

/// The socket of an fcgi-program; in a `[group:x]` the original forgets it.
fn fcgi_socket(program: &ProgramConfig) -> Value {
    let Some(address) = program.fcgi.address.as_ref().filter(|_| program.group.is_none()) else { return Value::Null };
    let of_number = |number: u32| nix::unistd::User::from_uid(number.into()).expect("read");
    let by_name = |name: &str| nix::unistd::User::from_name(name).expect("read");
    let uid = |name: &str| name.parse().map_or_else(|_| by_name(name), of_number).expect("a user");
    let is_file = matches!(address, FcgiAddress::Unix(_));
    let owner = match (&program.fcgi.owner, &program.user) {
        (Some(owner), _) => {
            let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
            let group = nix::unistd::Group::from_name(group).expect("read");
            Some(json!([uid(user).uid.as_raw(), group.map_or(-1, |group| i64::from(group.gid.as_raw()))]))
        }
        (None, Some(user)) => {
            let user = uid(user);
            (user.uid != nix::unistd::getuid()).then(|| json!([user.uid.as_raw(), user.gid.as_raw()]))
        }
        (None, None) => None,
    };
    json!({
        "url": address.to_string(),
        "backlog": program.fcgi.backlog,
        "mode": is_file.then_some(program.fcgi.mode),
        "owner": owner.filter(|_| is_file),
    })
}

/// A path without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
}

/// The settings of a check that the package has, too.
fn health_check(program: &ProgramConfig) -> Value {
    let mut check = json!(*program.healthcheck);
    if let Value::Object(fields) = &mut check {
        fields.retain(|key, _| !["path", "url", "status", "header", "action"].contains(&key.as_str()));
    }
    check
}

fn supervice(loaded: &Loaded, theirs: &Value) -> Value {
    let config = &loaded.config;
    // The documents of the package tell other defaults of these two than the package itself has; the documents count.
    let logfile = if loaded.logfile_given { json!(config.logfile) } else { theirs["logfile"].clone() };
    let is_default =
        theirs["socket"] == "/run/supervice.sock" && config.socket_path.as_deref() == Some(DEFAULT_SOCKET_PATH);
    let socket = if is_default { theirs["socket"].clone() } else { json!(config.socket_path) };
    json!({
        "processes": config.programs.iter().map(|program| json!({
            "name": program.name,
            "group": program.group,
            "argv": argv(program),
            "environment": program.environment,
            "directory": program.directory,
            "user": program.user,
            "autostart": program.autostart,
            "autorestart": program.autorestart,
            "startsecs": program.startsecs,
            "startretries": program.startretries,
            "stopsignal": number_of(&program.stopsignal),
            "stopwaitsecs": program.stopwaitsecs,
            "stdout_logfile": program.stdout_logfile,
            "stdout_logfile_maxbytes": program.stdout_logfile_maxbytes,
            "stdout_logfile_backups": program.stdout_logfile_backups,
            "stderr_logfile": program.stderr_logfile,
            "stderr_logfile_maxbytes": program.stderr_logfile_maxbytes,
            "stderr_logfile_backups": program.stderr_logfile_backups,
            "pdeathsig": program.pdeathsig,
            "reconcile": program.reconcile,
            "healthcheck": health_check(program),
        })).collect::<Vec<_>>(),
        "logfile": logfile,
        "pidfile": config.pidfile,
        "loglevel": config.loglevel,
        "socket": socket,
        "shutdown_timeout": config.shutdown_timeout,
        "log_maxbytes": config.log_maxbytes,
        "log_backups": config.log_backups,
    })
}
