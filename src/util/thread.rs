//! Threads of the daemon, each with a name and no larger a stack than it needs.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Begins `work` on a thread of its own. Of its `stack`, in bytes, only pages that it touches count.
///
/// # Errors
/// The system's, when it permits no further thread; then `work` is dropped.
pub(crate) fn spawn(name: &str, stack: usize, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    spawn_boxed(name, stack, Box::new(work))
}

// The standard library's part of a thread is 2 KB, and made anew for each type of work: boxed, there is one type.
fn spawn_boxed(name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    // A configuration that was made by a program may hold anything; a NUL in a thread's name panics.
    let name = name.replace('\0', " ");
    Builder::new().name(name).stack_size(stack).spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() -> io::Result<()> {
        let (tell, told) = crossbeam_channel::bounded(1);
        let report = move || tell.send(std::thread::current().name().map(str::to_owned)).unwrap_or(());
        let thread = spawn("health:a\0b", 64 * 1024, report)?;
        assert_eq!(told.recv().ok().flatten().as_deref(), Some("health:a b"));
        assert!(thread.join().is_ok());
        Ok(())
    }
}
