//! Requests of supervice's protocol: both ways a big-endian length, then JSON.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::error::{Context, Result};

/// A connection to the control socket.
pub struct Connection(UnixStream);

impl Connection {
    /// Connects.
    pub fn open(path: &Path) -> Result<Connection> {
        let stream = UnixStream::connect(path).context(format!("cannot connect to {}", path.display()))?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).context("cannot set a time-out")?;
        Ok(Connection(stream))
    }

    /// Sends the request and waits for its success.
    pub fn ask(&mut self, request: &serde_json::Value) -> Result<()> {
        let text = request.to_string();
        let length = u32::try_from(text.len()).context("request too long")?;
        self.0
            .write_all(&[&length.to_be_bytes()[..], text.as_bytes()].concat())
            .context(format!("cannot send {text}"))?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length).context(format!("no answer to {text}"))?;
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).context("answer too long")?];
        self.0.read_exact(&mut answer).context(format!("half an answer to {text}"))?;
        // An answer of ten thousand rows would take longer to parse here than it takes there.
        if answer.starts_with(br#"{"status":"ok""#) {
            return Ok(());
        }
        let parsed: serde_json::Value = serde_json::from_slice(&answer).context(format!("no JSON answers {text}"))?;
        match parsed.get("status").and_then(|status| status.as_str()) {
            Some("ok") => Ok(()),
            _ => Err(format!("{text} was refused: {parsed}")),
        }
    }
}
