//! Reading the configuration, on a thread of its own: a slow disk or name server delays nobody.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::descriptor_need;
use super::super::effect::{External, Input, LoadJob};
use super::Effects;
use crate::config::{self, ConfigError, Diagnostic, LoadOptions, LoadResult};
use crate::models::SupervisorConfig;
use crate::sys;
use crate::util::thread;

/// Room for NSS, which the checks of users may call. Only touched pages count.
const LOADER_STACK: usize = 512 * 1024;

/// Has the last word about a configuration that was read.
pub type Adjust = Arc<dyn Fn(&mut SupervisorConfig) + Send + Sync>;

impl Effects {
    /// Begins to read the file; what can be said at once is returned.
    pub(super) fn load_config(&mut self, load: u64, job: LoadJob) -> Option<Input> {
        let LoadJob { file, additions, origins_of, in_force } = job;
        let failed =
            |path, error| Some(Input::ConfigLoaded { load, result: Box::new(Err(ConfigError::Read { path, error })) });
        let Some(path) = file.map(PathBuf::from).or_else(|| self.parts.config_path.clone()) else {
            let error = io::Error::new(io::ErrorKind::NotFound, "this supervisor was not given a configuration file");
            return failed(PathBuf::new(), error);
        };
        let (inputs, users, failed_path) = (self.parts.inputs.clone(), self.parts.users.clone(), path.clone());
        let adjust = Arc::clone(&self.parts.adjust);
        let options = LoadOptions { reload: true, ..self.parts.load_options };
        let spawned = thread::spawn("config", LOADER_STACK, move || {
            let read = || {
                let mut loaded = config::load_with(&path, &options, &origins_of, &additions)?;
                adjust(&mut loaded.config);
                users.learn(loaded.config.programs.iter());
                let programs = loaded.config.programs.iter();
                let warning = descriptor_need::warning(programs, loaded.config.default_output);
                loaded.warnings.extend(warning.map(|message| Diagnostic::of_file(&path, message)));
                Ok(LoadResult::new(loaded, &in_force))
            };
            // `adjust` is somebody else's code. Without an answer no reload would ever come to an end.
            let result = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
                let error = io::Error::other("the thread that read it panicked (a bug)");
                Err(ConfigError::Read { path: path.clone(), error })
            });
            let _ = inputs.send(External::Input(Input::ConfigLoaded { load, result: Box::new(result) }));
            sys::memory::trim_heap();
        });
        spawned.err().and_then(|error| failed(failed_path, error))
    }
}
