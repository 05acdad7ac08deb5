//! A number that is always the same on this machine, and another one elsewhere.

use std::sync::OnceLock;

static HOST: OnceLock<u64> = OnceLock::new();

/// The number of this machine: from its machine id, or else from its name. The first time it reads a file.
pub fn host_id() -> u64 {
    *HOST.get_or_init(|| {
        let id = std::fs::read("/etc/machine-id").ok().filter(|id| !id.is_empty());
        let id = id.or_else(|| nix::unistd::gethostname().ok().map(|name| name.into_encoded_bytes()));
        crate::util::fnv::hash([id.unwrap_or_default().as_slice()])
    })
}
