//! What a browser may have been talked into: requests of other people's pages, and names that were bent to lead here.

use super::gate::AccessGate;
use crate::codec::http::{Head, Method, Status};

/// What kind of body a resource takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// JSON, or nothing at all.
    Json,
    /// XML, whatever it is called: the clients of supervisord.
    #[cfg(feature = "xmlrpc")]
    Xml,
}

/// Why a request is refused whoever has sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forbidden {
    pub(super) status: Status,
    pub(super) message: String,
}

fn forbidden(status: Status, message: impl Into<String>) -> Forbidden {
    Forbidden { status, message: message.into() }
}

/// The host that is meant has to be ours. Whoever owns a name can have it lead to any address, and a page of that name
/// may then read what we answer.
pub(super) fn check_host(gate: &AccessGate, head: &Head) -> Result<(), Forbidden> {
    if !gate.is_remote {
        return Ok(());
    }
    match head.host() {
        None if head.minor == 0 => Ok(()),
        None => Err(forbidden(Status::BadRequest, "a request of HTTP/1.1 has a Host")),
        Some(host) if is_ours(gate, host) => Ok(()),
        Some(host) => {
            let host: String = host.chars().take(100).collect();
            let message = format!("this is not known as {host}: name it in `hosts` if it is meant");
            Err(forbidden(Status::Forbidden, message))
        }
    }
}

fn is_ours(gate: &AccessGate, host: &str) -> bool {
    let name = name_of(host).to_ascii_lowercase();
    name == "localhost" || is_address(&name) || gate.hosts.contains(&name)
}

fn is_address(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok()
}

/// `host:port` without the port, and an address of IPv6 without its brackets.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// What changes something has to come from a page of ours, or from no page at all. `body`: the length of its body.
pub(super) fn check_change(head: &Head, takes: BodyKind) -> Result<(), Forbidden> {
    if head.method != Method::Post {
        return Ok(());
    }
    let foreign = |whose: &str| forbidden(Status::Forbidden, format!("a page of {whose} may change nothing here"));
    if head.count("origin") > 1 || head.count("sec-fetch-site") > 1 {
        // Whoever stands between may have added what it believes.
        return Err(foreign("more than one site"));
    }
    if let Some(origin) = head.text("origin") {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let is_own = host.zip(head.host()).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host));
        if !is_own {
            return Err(foreign(&origin.chars().take(100).collect::<String>()));
        }
    }
    let site = head.text("sec-fetch-site");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(foreign("another site"));
    }
    // Where it has said from which site the request comes, that is ours. One that is too old to say so may send the
    // form of another site, but not without its own name, and not as JSON.
    let is_old_browser = site.is_none()
        && head.field("origin").is_none()
        && head.text("user-agent").is_some_and(|agent| agent.starts_with("Mozilla/"));
    match takes {
        #[cfg(feature = "xmlrpc")]
        BodyKind::Xml => Ok(()),
        BodyKind::Json => match head.content_type() {
            Some(kind) if kind.eq_ignore_ascii_case("application/json") => Ok(()),
            // `curl -d ''` sends the type of a form with it.
            Some(_) | None if head.length == 0 && !is_old_browser => Ok(()),
            Some(_) | None => {
                Err(forbidden(Status::UnsupportedMediaType, "send JSON, with Content-Type: application/json"))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::http::HeadReader;

    fn head(line: &str, fields: &[&str]) -> Head {
        let text =
            format!("{line} HTTP/1.1\r\n{}\r\n", fields.iter().map(|field| format!("{field}\r\n")).collect::<String>());
        HeadReader::default().take(&mut text.into_bytes()).expect("a request").expect("a whole one")
    }

    #[test]
    fn only_our_own_names_are_answered_on_the_network() {
        let gate = AccessGate { hosts: vec!["board.local".to_owned()], is_remote: true, ..AccessGate::default() };
        let status = |fields: &[&str]| check_host(&gate, &head("GET /", fields)).err().map(|barred| barred.status);
        for ours in ["localhost", "LOCALHOST:9001", "127.0.0.1:9001", "[::1]:9001", "192.168.1.2", "Board.Local:80"] {
            assert_eq!(status(&[&format!("Host: {ours}")]), None, "{ours}");
        }
        for theirs in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9001", "", "[::1].x:1x"] {
            let status = status(&[&format!("Host: {theirs}")]);
            assert!(status == Some(Status::Forbidden) || theirs == "[::1].x:1x", "{theirs}: {status:?}");
        }
        assert_eq!(status(&[]), Some(Status::BadRequest));
        assert_eq!(
            check_host(&AccessGate::default(), &head("GET /", &[])),
            Ok(()),
            "nobody is led to a file by a name"
        );
    }

    #[test]
    fn a_foreign_page_changes_nothing() {
        let json = "Content-Type: application/json; charset=utf-8";
        let status = |fields: &[&str]| {
            let all: Vec<&str> = ["Host: here:9001"].iter().chain(fields).copied().collect();
            check_change(&head("POST /", &all), BodyKind::Json).err().map(|barred| barred.status)
        };
        for fine in [
            &[json][..],
            &[],
            &[json, "Content-Length: 2"],
            &[json, "Origin: http://here:9001", "Sec-Fetch-Site: same-origin"],
            &[json, "Origin: https://HERE:9001"],
            &[json, "Sec-Fetch-Site: none"],
            // `curl -d ''`, and a page of ours.
            &["Content-Type: application/x-www-form-urlencoded", "Content-Length: 0", "User-Agent: curl/8.1"],
            &["Content-Type: application/x-www-form-urlencoded"],
            &["Content-Type:", "Content-Length: 0"],
            &["Sec-Fetch-Site: same-origin", "User-Agent: Mozilla/5.0"],
            &["Origin: http://here:9001", "User-Agent: Mozilla/5.0"],
        ] {
            assert_eq!(status(fine), None, "{fine:?}");
        }
        for (foreign, refused) in [
            (&[json, "Origin: http://evil.example"][..], Status::Forbidden),
            (&[json, "Origin: http://here"], Status::Forbidden),
            (&[json, "Origin: http://here:9001.evil.example"], Status::Forbidden),
            (&[json, "Origin: null"], Status::Forbidden),
            (&[json, "Origin: http://here:9001", "Origin: http://evil.example"], Status::Forbidden),
            (&[json, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"], Status::Forbidden),
            (&[json, "Sec-Fetch-Site: cross-site"], Status::Forbidden),
            (&[json, "Sec-Fetch-Site: same-site"], Status::Forbidden),
            (&["Content-Type: text/plain", "Content-Length: 2"], Status::UnsupportedMediaType),
            // A form of another site, sent by a browser that is too old to say so.
            (
                &["Content-Type: application/x-www-form-urlencoded", "User-Agent: Mozilla/5.0"],
                Status::UnsupportedMediaType,
            ),
            (&["User-Agent: Mozilla/5.0"], Status::UnsupportedMediaType),
            (&["Content-Length: 2"], Status::UnsupportedMediaType),
        ] {
            assert_eq!(status(foreign), Some(refused), "{foreign:?}");
        }
        assert_eq!(check_change(&head("GET /", &["Origin: http://evil.example"]), BodyKind::Json), Ok(()));
    }
}
