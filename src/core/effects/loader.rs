//! Reading the configuration, on a thread of its own: a slow disk or name server delays nobody.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::effect::{External, Input};
use super::Effects;
use crate::config::{self, ConfigError, LoadOptions};
use crate::sys;

/// Room for NSS, which the checks of users may call. Only touched pages count.
const LOADER_STACK: usize = 512 * 1024;

/// Reads that may hang on a dead disk at the same time. Each holds a thread: with one more for every reload that is tried
/// there would be none left for anything else after some days.
const MOST_LOADS: usize = 4;

/// Counts the reads that have not come back.
#[derive(Debug, Default)]
pub(super) struct Loads(Arc<()>);

impl Loads {
    /// Room for one more read, which takes it until it drops this; `None`: too many hang.
    fn begin(&self) -> Option<Arc<()>> {
        // One of them is ours.
        (Arc::strong_count(&self.0) <= MOST_LOADS).then(|| Arc::clone(&self.0))
    }
}

impl Effects {
    /// Begins to read the file; what can be said at once is returned.
    pub(super) fn load_config(&mut self, load: u64) -> Option<Input> {
        let failed =
            |path, error| Some(Input::ConfigLoaded { load, result: Box::new(Err(ConfigError::Read { path, error })) });
        let Some(path) = self.parts.config_path.clone() else {
            let error = io::Error::new(io::ErrorKind::NotFound, "this supervisor was not given a configuration file");
            return failed(PathBuf::new(), error);
        };
        let Some(load_in_flight) = self.loads.begin() else {
            let message = format!("{MOST_LOADS} earlier reads of it have not come back; does its file system answer?");
            return failed(path, io::Error::new(io::ErrorKind::TimedOut, message));
        };
        let (inputs, users, failed_path) = (self.parts.inputs.clone(), self.parts.users.clone(), path.clone());
        let adjust = Arc::clone(&self.parts.adjust);
        let thread = std::thread::Builder::new().name("config".to_owned()).stack_size(LOADER_STACK);
        let spawned = thread.spawn(move || {
            let read = || {
                let mut result = config::load(&path, &LoadOptions::default());
                if let Ok(loaded) = &mut result {
                    adjust(&mut loaded.config);
                    users.learn(loaded.config.programs.iter());
                }
                result
            };
            // `adjust` is somebody else's code. Without an answer no reload would ever come to an end.
            let result = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
                let error = io::Error::other("the thread that read it panicked (a bug)");
                Err(ConfigError::Read { path: path.clone(), error })
            });
            let _ = inputs.send(External::Input(Input::ConfigLoaded { load, result: Box::new(result) }));
            drop(load_in_flight);
            sys::memory::trim_heap();
        });
        spawned.err().and_then(|error| failed(failed_path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_hang_take_a_bounded_number_of_threads() {
        let loads = Loads::default();
        let mut hanging: Vec<Arc<()>> = (0..MOST_LOADS).map(|_| loads.begin().expect("there is room")).collect();
        assert!(loads.begin().is_none());
        hanging.pop();
        assert!(loads.begin().is_some(), "one has come back");
    }
}
