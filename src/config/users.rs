//! Users and groups by name or number. /etc/passwd and /etc/group come first: in a static binary the
//! C library's own look-up is not to be trusted on hosts whose nsswitch.conf names modules.

use std::fs;

/// The uid of a user that is named by name or number; `None`: there is no such user. A number needs no entry.
pub(crate) fn user_id(name: &str) -> Option<u32> {
    id("/etc/passwd", name, |name| Some(nix::unistd::User::from_name(name).ok()??.uid.as_raw()))
}

/// The gid of a group that is named by name or number; `None`: there is no such group.
pub(crate) fn group_id(name: &str) -> Option<u32> {
    id("/etc/group", name, |name| Some(nix::unistd::Group::from_name(name).ok()??.gid.as_raw()))
}

fn id(file: &str, name: &str, ask_system: impl Fn(&str) -> Option<u32>) -> Option<u32> {
    if name.is_empty() || name.contains(['\0', ':', '\n']) {
        return None;
    }
    if name.bytes().all(|b| b.is_ascii_digit()) {
        // The highest number means "no change" to the kernel.
        return name.parse().ok().filter(|id| *id != u32::MAX);
    }
    let bytes = fs::read(file).unwrap_or_default();
    let found = String::from_utf8_lossy(&bytes).lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    if found.is_some() || cfg!(target_feature = "crt-static") {
        return found;
    }
    ask_system(name)
}
