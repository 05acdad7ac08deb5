//! The sockets by which clients come in: the control socket, and those on which HTTP alone is spoken.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use crate::control::server::ServerHandle;
use crate::control::server_socket::ServerSocket;
use crate::models::SupervisorConfig;

/// The sockets of HTTP. A reload may change them.
#[derive(Debug, Default, Clone)]
pub(super) struct HttpSockets {
    #[cfg(feature = "http")]
    listeners: Arc<web::Listeners>,
}

impl HttpSockets {
    /// Opens every socket that the configuration asks for.
    pub(super) fn open(
        config: &SupervisorConfig,
        control: Option<UnixListener>,
    ) -> io::Result<(HttpSockets, Vec<ServerSocket>)> {
        let control = control.map(ServerSocket::control);
        #[cfg(feature = "http")]
        {
            let listeners = web::Listeners::default();
            let sockets = listeners.open(config, control)?;
            Ok((HttpSockets { listeners: Arc::new(listeners) }, sockets))
        }
        #[cfg(not(feature = "http"))]
        {
            if !config.http.is_empty() {
                log::warn!(
                    "this supervice was built without HTTP (the feature http of its crate): nobody listens for it"
                );
            }
            Ok((HttpSockets::default(), control.into_iter().collect()))
        }
    }

    /// Opens, changes and closes sockets as another configuration asks for it. A thread of its own does it, which ends
    /// then: a name may have to be looked up, and a file to be read.
    pub(super) fn change(&self, config: Arc<SupervisorConfig>, server: ServerHandle) {
        #[cfg(feature = "http")]
        web::Listeners::change(&self.listeners, config, server);
        #[cfg(not(feature = "http"))]
        drop((config, server));
    }
}

#[cfg(feature = "http")]
mod web {
    use std::io;
    use std::net::ToSocketAddrs;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};

    use crate::config::read_users_file;
    use crate::control::server::{Place, ServerHandle};
    use crate::control::server_socket::{ServerSocket, Socket};
    use crate::control::web::{AccessGate, Secret, User};
    use crate::models::{HttpAddress, HttpConfig, SupervisorConfig};
    use crate::sys;
    use crate::util::{errno, thread};

    const STACK: usize = 128 * 1024;

    /// The sockets that are open.
    #[derive(Debug, Default)]
    pub(super) struct Listeners {
        open: Mutex<Vec<HttpConfig>>,
        /// Counts the changes that were asked for: the last one counts, whoever comes first.
        asked: AtomicU64,
    }

    impl Listeners {
        pub(super) fn open(
            &self,
            config: &SupervisorConfig,
            mut control: Option<ServerSocket>,
        ) -> io::Result<Vec<ServerSocket>> {
            let mut sockets = Vec::new();
            for http in &config.http {
                let gate = Arc::new(gate(http)?);
                match &mut control {
                    Some(control) if is_control(http, config) => control.gate = gate,
                    Some(_) | None => sockets.push(bind(http, gate)?),
                }
            }
            self.open.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&config.http);
            Ok(control.into_iter().chain(sockets).collect())
        }

        pub(super) fn change(this: &Arc<Listeners>, config: Arc<SupervisorConfig>, server: ServerHandle) {
            let number = this.asked.fetch_add(1, Ordering::Relaxed) + 1;
            let listeners = Arc::clone(this);
            let spawned = thread::spawn("listeners", STACK, move || {
                let mut open = listeners.open.lock().unwrap_or_else(PoisonError::into_inner);
                if listeners.asked.load(Ordering::Relaxed) == number {
                    bring_about(&mut open, &config, &server);
                }
            });
            if let Err(error) = spawned {
                log::error!("the sockets of HTTP stay as they are: no thread: {}", errno::reason(&error));
            }
        }
    }

    fn is_control(http: &HttpConfig, config: &SupervisorConfig) -> bool {
        match &http.listen {
            HttpAddress::Unix(path) => config.socket_path.as_deref() == Some(path),
            HttpAddress::Tcp { .. } => false,
        }
    }

    /// The same socket may serve both: only who comes in is another question.
    fn is_same_socket(one: &HttpConfig, other: &HttpConfig) -> bool {
        one.listen == other.listen && one.mode == other.mode && one.owner == other.owner
    }

    /// The sections with the rules of their sockets. Whoever has lost his password must not come in by it: where it
    /// can't be known who may, a socket is closed. That of the frames stays open, but nobody gets in there by HTTP.
    fn with_gates(config: &SupervisorConfig) -> Vec<(&HttpConfig, Arc<AccessGate>)> {
        let of = |http| match gate(http) {
            Ok(gate) => Some((http, Arc::new(gate))),
            Err(error) => {
                log::error!("[{}] is closed: {}", http.name, errno::reason(&error));
                let closed = || (http, Arc::new(AccessGate { is_closed: true, ..AccessGate::default() }));
                is_control(http, config).then(closed)
            }
        };
        config.http.iter().filter_map(of).collect()
    }

    /// Makes the sockets that are open those of the configuration, as far as that can be.
    fn bring_about(open: &mut Vec<HttpConfig>, config: &SupervisorConfig, server: &ServerHandle) {
        let mut gates = Vec::new();
        if !config.http.iter().any(|http| is_control(http, config)) {
            gates.push((Place::Control, Arc::default()));
        }
        let wanted = with_gates(config);
        let stays = |old: &HttpConfig| wanted.iter().any(|(new, _)| is_same_socket(old, new));
        let mut close: Vec<HttpConfig> = open.extract_if(.., |old| !is_control(old, config) && !stays(old)).collect();
        let mut sockets = Vec::new();
        for (http, gate) in wanted {
            if is_control(http, config) {
                gates.push((Place::Control, gate));
            } else if let Some(old) = open.iter_mut().find(|old| old.listen == http.listen) {
                gates.push((Place::At(http.listen.clone()), gate));
                old.clone_from(http);
                continue;
            } else {
                let bound = bind(http, Arc::clone(&gate)).or_else(|error| {
                    // One that is to be closed may be in the way.
                    if close.is_empty() {
                        return Err(error);
                    }
                    drop(server.change_sockets(addresses(&std::mem::take(&mut close)), Vec::new(), Vec::new()));
                    bind(http, gate)
                });
                match bound {
                    Ok(door) => sockets.push(door),
                    Err(error) => {
                        log::error!("[{}]: {}; the other sockets stay", http.name, errno::reason(&error));
                        continue;
                    }
                }
            }
            open.retain(|old| old.listen != http.listen);
            open.push(http.clone());
        }
        for old in &close {
            log::info!("HTTP is spoken at {} no more", old.listen);
        }
        drop(server.change_sockets(addresses(&close), sockets, gates));
    }

    fn addresses(all: &[HttpConfig]) -> Vec<HttpAddress> {
        all.iter().map(|http| http.listen.clone()).collect()
    }

    fn gate(http: &HttpConfig) -> io::Result<AccessGate> {
        let user = |name: &str, secret: &str| User { name: name.into(), secret: Secret::parse(secret) };
        let mut users = Vec::new();
        if let (Some(name), Some(password)) = (&http.username, &http.password) {
            users.push(user(name, password));
        }
        if let Some(path) = &http.users_file {
            let file = read_users_file(path).map_err(|error| io::Error::other(format!("users_file: {error}")))?;
            users.extend(file.iter().map(|(name, secret)| user(name, secret)));
        }
        let mut hosts = http.hosts.clone();
        let is_remote = match &http.listen {
            HttpAddress::Tcp { host, .. } => {
                hosts.push(host.to_ascii_lowercase());
                true
            }
            HttpAddress::Unix(_) => false,
        };
        let open_probes = http.open_probes.unwrap_or(http.listen.is_of_this_machine());
        Ok(AccessGate { users, hosts, is_remote, open_probes, ..AccessGate::default() })
    }

    fn bind(http: &HttpConfig, gate: Arc<AccessGate>) -> io::Result<ServerSocket> {
        let (socket, guard) = match &http.listen {
            HttpAddress::Unix(path) => {
                let owner = http.owner.as_deref().map_or(Ok((None, None)), sys::users::lookup_owner);
                let owner = owner.map_err(|error| io::Error::other(format!("[{}] owner: {error}", http.name)))?;
                let (listener, guard) = sys::net::bind_control_socket(Path::new(path), http.mode, owner)?;
                (Socket::Unix(listener), Some(guard))
            }
            HttpAddress::Tcp { host, port } => {
                let host = if host == "*" { "0.0.0.0" } else { host };
                let listener = (host, *port)
                    .to_socket_addrs()
                    .and_then(sys::tcp_listener::listen_tcp)
                    .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
                let failed = |error: io::Error| {
                    let remedy = match error.kind() {
                        io::ErrorKind::AddrInUse => "; another program has this port: give one of them another",
                        io::ErrorKind::AddrNotAvailable => "; no interface has this address: write one that has, or *",
                        io::ErrorKind::PermissionDenied => "; a port below 1024 needs root: write a higher one",
                        _ => "",
                    };
                    let text = format!("cannot listen on {} for HTTP: {}{remedy}", http.listen, errno::reason(&error));
                    io::Error::new(error.kind(), text)
                };
                (Socket::Tcp(listener.map_err(failed)?), None)
            }
        };
        log::info!("HTTP is spoken at {}", http.listen);
        Ok(ServerSocket { socket, guard, at: Some(http.listen.clone()), gate })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_section_whose_users_cannot_be_read_lets_nobody_in() {
            let section = |listen: HttpAddress| HttpConfig {
                listen,
                users_file: Some("/nowhere/users".to_owned()),
                ..HttpConfig::new("http")
            };
            let control = HttpAddress::Unix("/run/control.sock".to_owned());
            let other = HttpAddress::Tcp { host: "localhost".to_owned(), port: 9001 };
            let config = SupervisorConfig {
                socket_path: Some("/run/control.sock".to_owned()),
                http: vec![section(other), section(control.clone())],
                ..SupervisorConfig::default()
            };
            let all = with_gates(&config);
            let [(http, gate)] = all.as_slice() else { panic!("one is closed, and the control socket stays: {all:?}") };
            assert!(http.listen == control && gate.is_closed && !gate.open_probes);
        }
    }
}
