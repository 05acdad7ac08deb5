//! Who the daemon is to the kernel.

use std::os::fd::AsFd;
use std::time::Instant;

use super::{ClientError, Controller};
use crate::sys::peer::peer_credentials;

impl Controller {
    /// The daemon's process as this process's namespace has it; `None` where it lives in another that we do not see.
    ///
    /// # Errors
    /// As for every command that gets no connection.
    pub(crate) fn peer_pid(&self) -> Result<Option<i32>, ClientError> {
        let wire = self.connect(Instant::now() + self.timeout)?;
        // Over the network the kernel knows nobody.
        Ok(peer_credentials(wire.as_fd()).ok().map(|peer| peer.pid).filter(|pid| *pid > 0))
    }
}
