//! What `[supervisord]` asks of the daemon itself before anything of it is opened: its user, its limits; and, once it
//! has detached, its directory and its mask.

use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, chdir, setgid, setgroups, setuid};

use crate::models::SupervisorConfig;
use crate::sys::limits::{self, Resource};
use crate::sys::users::lookup_user;
use crate::util::errno;

/// Becomes the configured user, and makes sure of the configured limits.
pub(super) fn apply(config: &SupervisorConfig) -> Result<(), String> {
    if let Some(user) = &config.user {
        become_user(user).map_err(|reason| format!("[supervisord] user = {user}: {reason}"))?;
    }
    for (key, least, resource) in
        [("minfds", config.minfds, Resource::OpenFiles), ("minprocs", config.minprocs, Resource::Processes)]
    {
        limits::require(resource, u64::from(least)).map_err(|error| {
            let reason = errno::reason(&error);
            format!("[supervisord] {key} = {least}: the limit can't be raised: {reason}; write a smaller number, or raise the hard limit")
        })?;
    }
    Ok(())
}

/// Takes on the user's ids and groups for good: the groups first, while that is still allowed.
fn become_user(user: &str) -> Result<(), String> {
    let wanted = lookup_user(user).map_err(|error| error.to_string())?;
    if Uid::effective().as_raw() == wanted.uid {
        return Ok(());
    }
    if !Uid::effective().is_root() {
        return Err("only root can become another user; start supervice as root, or remove the key".to_owned());
    }
    let groups: Vec<Gid> = wanted.groups.iter().copied().map(Gid::from_raw).collect();
    let done = setgroups(&groups).and_then(|()| setgid(Gid::from_raw(wanted.gid)));
    done.and_then(|()| setuid(Uid::from_raw(wanted.uid))).map_err(|number| errno::text(number as i32))
}

/// Resolves what is relative to the directory of the start, where the daemon is to go elsewhere.
pub(super) fn resolve(config: &mut SupervisorConfig, path: PathBuf) -> PathBuf {
    if config.directory.is_none() {
        return path;
    }
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let files = [&mut config.logfile, &mut config.pidfile, &mut config.socket_path];
    for file in files.into_iter().flatten().filter(|file| !file.starts_with('@')) {
        *file = absolute(Path::new(file.as_str())).to_string_lossy().into_owned();
    }
    absolute(&path)
}

/// Goes to the configured directory and takes on the configured mask: of a daemon that has detached alone.
pub(super) fn settle(config: &SupervisorConfig) -> Result<(), String> {
    if let Some(directory) = &config.directory {
        chdir(directory.as_str())
            .map_err(|number| format!("[supervisord] directory = {directory}: {}", errno::text(number as i32)))?;
    }
    if let Some(mask) = config.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    Ok(())
}
