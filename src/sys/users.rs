//! Users and groups: from `/etc/passwd` and `/etc/group` first, and from the name service only in a
//! dynamically linked program, because a static glibc can't load the modules that a host's
//! configuration may name.

use crate::util::sort;
use std::fmt;
use std::fs;
use std::io;

/// Whom a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's id.
    pub uid: u32,
    /// The id of the user's primary group.
    pub gid: u32,
    /// All groups, the primary one among them.
    pub groups: Vec<u32>,
    /// The login name; `None` for a bare number without an entry.
    pub name: Option<String>,
    /// The home directory.
    pub home: Option<String>,
    /// The login shell.
    pub shell: Option<String>,
    /// The groups are not the user's but those of a configuration, and are wanted exactly.
    pub has_chosen_groups: bool,
}

impl Credentials {
    /// The name, else the number: what messages call the user.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uid.to_string())
    }

    /// Whether there is nothing to take on. An unprivileged daemon is already its own user and can't change groups
    /// anyway, so that only those which were asked for count; root skips the calls only where they would change
    /// nothing, which keeps containers without CAP_SETGID working.
    pub fn are_ours(&self) -> bool {
        // SAFETY: none of the four has preconditions.
        let (uid, euid, gid, egid) = unsafe { (libc::getuid(), libc::geteuid(), libc::getgid(), libc::getegid()) };
        if self.uid != uid || self.uid != euid {
            return false;
        }
        (euid != 0 && !self.has_chosen_groups)
            || (self.gid == gid && self.gid == egid && same_groups(&self.groups, &own_groups()))
    }
}

impl Credentials {
    /// Those of this process.
    pub fn own() -> Credentials {
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        Credentials { uid, gid, groups: own_groups(), name: None, home: None, shell: None, has_chosen_groups: false }
    }

    /// With another group of its own, and with other supplementary groups; `None`: as before.
    #[must_use]
    pub fn with_groups(mut self, own: Option<u32>, others: Option<Vec<u32>>) -> Credentials {
        let former = self.gid;
        self.gid = own.unwrap_or(former);
        let others = others.unwrap_or_else(|| self.groups.into_iter().filter(|gid| *gid != former).collect());
        self.groups = [self.gid].into_iter().chain(others.into_iter().filter(|gid| *gid != self.gid)).collect();
        self.has_chosen_groups = true;
        self
    }
}

fn own_groups() -> Vec<u32> {
    nix::unistd::getgroups().unwrap_or_default().into_iter().map(nix::unistd::Gid::as_raw).collect()
}

fn same_groups(one: &[u32], other: &[u32]) -> bool {
    let sorted = |groups: &[u32]| {
        let mut groups = groups.to_vec();
        sort::sort(&mut groups);
        groups.dedup();
        groups
    };
    sorted(one) == sorted(other)
}

/// Why a user or group could not be found.
#[derive(Debug)]
pub enum UserError {
    /// There is no such user.
    UnknownUser(String),
    /// There is no such group.
    UnknownGroup(String),
    /// A data base could not be read.
    Database {
        /// The file, or the name service.
        source: &'static str,
        /// The system's reason.
        error: io::Error,
    },
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserError::UnknownUser(name) => write!(f, "no user {name:?} in /etc/passwd; add it or give a numeric id"),
            UserError::UnknownGroup(name) => write!(f, "no group {name:?} in /etc/group; add it or give a numeric id"),
            UserError::Database { source, error } => {
                write!(f, "cannot read {source}: {}", crate::util::errno::reason(error))
            }
        }
    }
}

impl std::error::Error for UserError {}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A missing file is an empty one (minimal containers have neither).
fn read(path: &'static str) -> Result<String, UserError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(UserError::Database { source: path, error }),
    }
}

/// Finds a user by name or numeric id, with all its groups.
///
/// A number without an entry is taken as it is, with the group of the same number and no others
/// (and no home): what container images do that name their user by number.
///
/// # Errors
///
/// An unknown name, or a data base that can't be read.
pub fn lookup_user(user: &str) -> Result<Credentials, UserError> {
    let passwd = read(PASSWD)?;
    if let Some(mut found) = parse_passwd(&passwd, user) {
        if let Some(name) = &found.name {
            found.groups = parse_memberships(&read(GROUP)?, name, found.gid);
        }
        return Ok(found);
    }
    if let Some(found) = ask_name_service(user)? {
        return Ok(found);
    }
    match user.parse::<u32>() {
        Ok(uid) if uid != u32::MAX => Ok(Credentials {
            uid,
            gid: uid,
            groups: vec![uid],
            name: None,
            home: None,
            shell: None,
            has_chosen_groups: false,
        }),
        _ => Err(UserError::UnknownUser(user.to_owned())),
    }
}

/// Finds the id of a group by name or number.
///
/// # Errors
///
/// An unknown name, or a data base that can't be read.
pub fn lookup_group(group: &str) -> Result<u32, UserError> {
    if let Some(gid) = parse_group(&read(GROUP)?, group) {
        return Ok(gid);
    }
    if !cfg!(target_feature = "crt-static")
        && let Ok(Some(found)) = nix::unistd::Group::from_name(group)
    {
        return Ok(found.gid.as_raw());
    }
    group.parse::<u32>().ok().filter(|gid| *gid != u32::MAX).ok_or_else(|| UserError::UnknownGroup(group.to_owned()))
}

/// Reads `user`, `user:group` or `:group`. A user alone leaves the group as it is.
///
/// # Errors
///
/// As [`lookup_user`] and [`lookup_group`].
pub fn lookup_owner(owner: &str) -> Result<(Option<u32>, Option<u32>), UserError> {
    let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
    let uid = if user.is_empty() { None } else { Some(lookup_user(user)?.uid) };
    let gid = if group.is_empty() { None } else { Some(lookup_group(group)?) };
    Ok((uid, gid))
}

/// A name wins over a number, as everywhere; `NAME:x:UID:GID:gecos:home:shell`.
fn parse_passwd(text: &str, user: &str) -> Option<Credentials> {
    let entry = |line: &str| -> Option<Credentials> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1).filter(|home| !home.is_empty()).map(str::to_owned);
        let shell = fields.next().filter(|shell| !shell.is_empty()).map(str::to_owned);
        Some(Credentials {
            uid,
            gid,
            groups: vec![gid],
            name: Some(name.to_owned()),
            home,
            shell,
            has_chosen_groups: false,
        })
    };
    let by_name = text.lines().filter_map(entry).find(|found| found.name.as_deref() == Some(user));
    by_name.or_else(|| {
        let uid = user.parse::<u32>().ok()?;
        text.lines().filter_map(entry).find(|found| found.uid == uid)
    })
}

/// `NAME:x:GID:member,member`.
fn parse_group(text: &str, group: &str) -> Option<u32> {
    let mut entries = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse::<u32>().ok()?))
    });
    entries.find(|(name, _)| *name == group).map(|(_, gid)| gid)
}

/// The primary group and every group that lists the user.
fn parse_memberships(text: &str, user: &str, primary: u32) -> Vec<u32> {
    let mut groups = vec![primary];
    for line in text.lines() {
        let mut fields = line.split(':');
        let Some(gid) = fields.nth(2).and_then(|gid| gid.parse().ok()) else { continue };
        let listed = fields.next().is_some_and(|members| members.split(',').any(|member| member.trim() == user));
        if listed && !groups.contains(&gid) {
            groups.push(gid);
        }
    }
    groups
}

/// LDAP, systemd's dynamic users and the like.
fn ask_name_service(user: &str) -> Result<Option<Credentials>, UserError> {
    use nix::unistd::{Uid, User, getgrouplist};
    if cfg!(target_feature = "crt-static") {
        return Ok(None);
    }
    let by_name = match User::from_name(user) {
        Ok(found) => found,
        // What C libraries say where there is no data base at all.
        Err(nix::Error::ENOENT | nix::Error::ESRCH | nix::Error::EBADF | nix::Error::EPERM) => None,
        Err(error) => return Err(UserError::Database { source: "the name service", error: error.into() }),
    };
    let by_number = || user.parse().ok().and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok().flatten());
    let Some(found) = by_name.or_else(by_number) else { return Ok(None) };
    let gid = found.gid;
    let listed = std::ffi::CString::new(found.name.as_str()).ok().and_then(|name| getgrouplist(&name, gid).ok());
    let groups = listed.unwrap_or_else(|| vec![gid]).into_iter().map(nix::unistd::Gid::as_raw).collect();
    let text = |path: std::path::PathBuf| path.into_os_string().into_string().ok().filter(|text| !text.is_empty());
    Ok(Some(Credentials {
        uid: found.uid.as_raw(),
        gid: gid.as_raw(),
        groups,
        name: Some(found.name),
        home: text(found.dir),
        shell: text(found.shell),
        has_chosen_groups: false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str =
        "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nweb:x:33:34:Web,,:/var/www:\n7:x:8:9::/:/x\n";
    const GROUPS: &str = "root:x:0:\nwww:x:34:\nlog:x:4:syslog,web\nbad\ndup:x:34:web\nx:y:z:web\n";

    #[test]
    fn a_user_is_found_by_name_and_by_number_and_a_name_wins() {
        let web = parse_passwd(USERS, "web").unwrap();
        assert_eq!((web.uid, web.gid, web.home.as_deref(), web.shell), (33, 34, Some("/var/www"), None));
        assert_eq!(parse_passwd(USERS, "33").unwrap().name.as_deref(), Some("web"));
        assert_eq!(parse_passwd(USERS, "7").unwrap().uid, 8);
        assert_eq!(parse_passwd(USERS, "broken"), None);
        assert_eq!(parse_passwd("", "0"), None);
    }

    #[test]
    fn memberships_hold_the_primary_group_first_and_no_group_twice() {
        assert_eq!(parse_memberships(GROUPS, "web", 34), [34, 4]);
        assert_eq!(parse_memberships(GROUPS, "nobody", 99), [99]);
        assert_eq!(parse_group(GROUPS, "log"), Some(4));
        assert_eq!(parse_group(GROUPS, "bad"), None);
    }

    #[test]
    fn chosen_groups_are_in_place_of_the_users_own() {
        let mut web = parse_passwd(USERS, "web").unwrap();
        web.groups = vec![34, 4];
        let groups = |own, others| {
            let found = web.clone().with_groups(own, others);
            (found.gid, found.groups)
        };
        assert_eq!(groups(Some(7), None), (7, vec![7, 4]));
        assert_eq!(groups(None, Some(vec![9, 34])), (34, vec![34, 9]));
        assert_eq!(groups(Some(7), Some(Vec::new())), (7, vec![7]));
    }

    #[test]
    fn the_real_root_is_found_and_unknown_names_are_told() {
        assert_eq!(lookup_user("root").unwrap().uid, 0);
        assert_eq!(lookup_owner("root:0").unwrap(), (Some(0), Some(0)));
        assert_eq!(lookup_owner(":root").unwrap(), (None, Some(0)));
        let error = lookup_user("no-such-user-here").unwrap_err().to_string();
        assert!(error.contains("no-such-user-here"), "{error}");
        assert!(lookup_owner("root:no-such-group-here").is_err());
        assert!(lookup_user("4294967295").is_err(), "-1 means 'leave it' to the kernel");
    }

    #[test]
    fn a_number_without_an_entry_is_its_own_group() {
        let found = lookup_user("3987654321").unwrap();
        assert_eq!(
            (found.uid, found.gid, found.groups, found.name),
            (3_987_654_321, 3_987_654_321, vec![3_987_654_321], None)
        );
    }
}
