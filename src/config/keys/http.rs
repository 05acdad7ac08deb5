//! The keys of a socket on which HTTP is spoken, in the order of the manual.

use super::row::{KeyRow, Rare, Reload, Scope, Section, field, key, other_than, set, there};
use crate::config::diagnostic::Fault;
use crate::config::fields::Given;
use crate::config::users_file::read_users_file;
use crate::config::values::{boolean, mode, path_or_none};
use crate::models::{Dialect, HttpAddress, HttpConfig};

/// Every key of `[http]`, and those of supervisord's servers.
pub(crate) static HTTP: &[KeyRow<HttpConfig>] = &[
    key!(Http "listen" [(Section::UnixServer, "file"), (Section::InetServer, "port")] => listen by listen; Section Live; "127.0.0.1:9001";
        "`ADDRESS:PORT`, or `unix:PATH`: a socket with a file, such as the control socket"),
    key!(Http "mode" [(Section::UnixServer, "chmod")] => mode = mode; Section Live; "0600";
        "permission bits of a socket with a file"),
    key!(Http "owner" [(Section::UnixServer, "chown")] => owner by owner; Section Live; "";
        "`user`, `user:group` or `:group` that a socket with a file belongs to"),
    key!(Http "username" [(Section::UnixServer, "username"), (Section::InetServer, "username")] => username by username; Section Live; "";
        "who may come in, with `password`"),
    key!(Http "password" [(Section::UnixServer, "password"), (Section::InetServer, "password")] => password by password; Section Live; "";
        "his password, or `{SHA256}` or `{SHA}` and its hash in lower-case hexadecimal"),
    key!(Http "users_file" => users_file by users_file; Section Live; "";
        "a file of lines `name:{SHA256}hash`, as `supervicectl token NAME` makes them: who may come in"),
    key!(Http "hosts" => hosts = hosts; Section Live; "";
        "names by which browsers may call the daemon, besides addresses and `localhost`"),
    key!(Http "insecure" => insecure = boolean; Section Live; "false";
        "everybody may come in from the network, and that is meant"),
    key!(Http "probes" => open_probes = probes; Section Live; "";
        "`open`: `/livez` and `/readyz` need no password, `closed`: they do; else open on this machine"),
];

fn listen(http: &mut HttpConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    let right = "write ADDRESS:PORT, such as 127.0.0.1:9001 or [::1]:9001, or unix:/path/to/socket";
    http.listen = match (given.dialect(), given.key()) {
        (Dialect::Supervisord, "port") => inet_port(&text)?,
        (Dialect::Supervisord, _) => HttpAddress::Unix(super::readers::expand_home(Dialect::Supervisord, text)),
        (Dialect::Supervice, _) => {
            HttpAddress::parse(&text).ok_or_else(|| Fault::new("no place to listen at", right))?
        }
    };
    match &http.listen {
        HttpAddress::Unix(path) => given.checks.socket(path),
        HttpAddress::Tcp { .. } => Ok(()),
    }
}

/// A port as supervisord has it: `9001`, `:9001`, `*:9001`, `host:9001`.
fn inet_port(text: &str) -> Result<HttpAddress, Fault> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let host = if host.is_empty() { "*" } else { host };
    match port.parse() {
        Ok(port) => Ok(HttpAddress::Tcp { host: host.to_owned(), port }),
        Err(_) => Err(Fault::new("no port", "write PORT, *:PORT or HOST:PORT")),
    }
}

fn owner(http: &mut HttpConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    http.owner = given.filled()?;
    http.owner.as_deref().map_or(Ok(()), |owner| given.checks.owner(owner))
}

fn username(http: &mut HttpConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    http.username = given.filled()?;
    match &http.username {
        Some(name) if name.contains(':') => Err(Fault::new("a name with a colon", "write a name without one")),
        Some(_) | None => Ok(()),
    }
}

fn password(http: &mut HttpConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    http.password = given.filled()?;
    if http.password.as_deref().is_some_and(is_hash_in_capitals) {
        given.warn(Fault::new("a hash in the wrong case is taken as the password itself", HASH_IN_LOWER_CASE));
    }
    Ok(())
}

const HASH_IN_LOWER_CASE: &str = "write {SHA} or {SHA256} in capitals, and the hash in lower case";

/// It is a hash but for the case of its letters.
fn is_hash_in_capitals(secret: &str) -> bool {
    let Some((kind, hash)) = secret.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { return false };
    let digits = match kind.to_ascii_uppercase().as_str() {
        "SHA" => 40,
        "SHA256" => 64,
        _ => return false,
    };
    let is_hash = hash.len() == digits && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_as_it_should_be = kind == kind.to_ascii_uppercase() && hash == hash.to_ascii_lowercase();
    is_hash && !is_as_it_should_be
}

fn users_file(http: &mut HttpConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    http.users_file = path_or_none(&given.text()?);
    let Some(path) = &http.users_file else { return Ok(()) };
    match read_users_file(path) {
        Ok(users) => {
            let names = users.iter().filter(|(_, secret)| is_hash_in_capitals(secret)).map(|(name, _)| name.as_str());
            let names: Vec<&str> = names.collect();
            if !names.is_empty() {
                let fault = format!("a hash in the wrong case is taken as the password itself: {}", names.join(", "));
                given.warn(Fault::new(fault, HASH_IN_LOWER_CASE));
            }
            Ok(())
        }
        Err(error) => Err(Fault::new(error.to_string(), "make its lines with supervicectl token NAME")),
    }
}

fn hosts(text: &str) -> Result<Vec<String>, Fault> {
    let names = text.split([',', ' ', '\n']).map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(str::to_ascii_lowercase).collect();
    match names.iter().find(|name| name.contains(['/', ':'])) {
        Some(name) => Err(Fault::new(format!("{name} is no name of a host"), "write names without scheme and port")),
        None => Ok(names),
    }
}

fn probes(text: &str) -> Result<Option<bool>, Fault> {
    match text {
        "open" => Ok(Some(true)),
        "closed" => Ok(Some(false)),
        _ => Err(Fault::new("neither open nor closed", "write open or closed")),
    }
}
