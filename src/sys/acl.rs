//! Access control lists of files.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const ACL: &CStr = c"system.posix_acl_access";

/// Whether a file has an access control list, which may allow users more, or less, than its mode tells.
pub(super) fn has_acl(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: both names end with NUL, and nothing is written to a buffer of size 0.
    let length = unsafe { libc::getxattr(path.as_ptr(), ACL.as_ptr(), std::ptr::null_mut(), 0) };
    length > 0
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Lets one user more execute a file, by a list. `false`: the file system has none.
    pub(in crate::sys) fn let_execute(path: &Path, uid: u32) -> bool {
        let path = CString::new(path.as_os_str().as_bytes()).expect("a path");
        // The kernel's version 2: tag, permissions, id of the owner, the user, the group, the mask and the others.
        const NOBODY: u32 = u32::MAX;
        let entries =
            [(0x01_u16, 7_u16, NOBODY), (0x02, 5, uid), (0x04, 0, NOBODY), (0x10, 5, NOBODY), (0x20, 0, NOBODY)];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            list.extend(tag.to_le_bytes());
            list.extend(permissions.to_le_bytes());
            list.extend(id.to_le_bytes());
        }
        // SAFETY: both names end with NUL, and the list has as many bytes as is said.
        unsafe { libc::setxattr(path.as_ptr(), ACL.as_ptr(), list.as_ptr().cast(), list.len(), 0) == 0 }
    }
}
