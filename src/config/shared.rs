//! A configuration whose programs are shared: what is in force, and what was read to replace it.
//!
//! Most reloads change little. What was read is compared with what is in force by the thread that has read it, and of a
//! program that is the same the settings in force take its place. Whoever gets it then tells by their addresses,
//! without a look at the settings of ten thousand programs, that nothing is to be done; and nothing is copied to be
//! compared or kept.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Diagnostic, Loaded, ProgramOrigins, Scaled, additions};
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::util::quick_hash::QuickState;

/// See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Configuration {
    /// The settings of the daemon. Its own list of programs is empty.
    pub settings: SupervisorConfig,
    /// In their order.
    pub programs: Vec<Arc<ProgramConfig>>,
}

impl From<SupervisorConfig> for Configuration {
    fn from(mut settings: SupervisorConfig) -> Configuration {
        let programs = std::mem::take(&mut settings.programs).into_iter().map(Arc::new).collect();
        Configuration { settings, programs }
    }
}

impl Configuration {
    /// The program with this name.
    pub(crate) fn program(&self, name: &str) -> Option<&Arc<ProgramConfig>> {
        self.programs.iter().find(|program| program.name == name)
    }
}

/// A configuration that was read, with what its user should hear about it.
#[derive(Debug, Clone)]
pub(crate) struct LoadResult {
    /// What holds by it.
    pub config: Configuration,
    /// What has no effect, or probably not the intended one.
    pub warnings: Vec<Diagnostic>,
    /// Where the settings of those programs come from that were asked for.
    pub origins: Vec<ProgramOrigins>,
    /// What it says of programs that are scaled.
    pub scaled: Vec<Scaled>,
}

impl LoadResult {
    /// From what was loaded. Programs that have not changed share the settings in force.
    pub(crate) fn new(loaded: Loaded, in_force: &[Arc<ProgramConfig>]) -> LoadResult {
        let Loaded { config: mut settings, warnings, origins, scaled, files: _, logfile_given: _, pidfile_given: _ } =
            loaded;
        let programs = shared(std::mem::take(&mut settings.programs), in_force);
        LoadResult { config: Configuration { settings, programs }, warnings, origins, scaled }
    }

    /// These programs, which name the instances of what is scaled among their dependencies as this reading does.
    pub(crate) fn with_their_instances(&self, programs: Vec<Arc<ProgramConfig>>) -> Vec<Arc<ProgramConfig>> {
        additions::with_their_instances(programs, &self.config.programs, &self.scaled)
    }
}

/// These programs; in the place of those that are in force as they are, the ones in force.
fn shared(programs: Vec<ProgramConfig>, in_force: &[Arc<ProgramConfig>]) -> Vec<Arc<ProgramConfig>> {
    let mut by_name: Option<HashMap<&str, &Arc<ProgramConfig>, QuickState>> = None;
    let mut in_order = in_force.iter();
    let share = |program: ProgramConfig| {
        // Mostly they are in one order.
        let former = match in_order.next().filter(|next| next.name == program.name) {
            Some(next) => Some(next),
            None => {
                let all = || in_force.iter().map(|former| (former.name.as_str(), former)).collect();
                by_name.get_or_insert_with(all).get(program.name.as_str()).copied()
            }
        };
        match former.filter(|former| ***former == program) {
            Some(former) => Arc::clone(former),
            None => Arc::new(program),
        }
    };
    programs.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn program((name, version): (u8, u8)) -> ProgramConfig {
        ProgramConfig { startsecs: u32::from(version), ..ProgramConfig::new(format!("p{name}"), "true") }
    }

    proptest! {
        /// Whatever was in force: what is shared says what was read, and is shared wherever it can be.
        #[test]
        fn what_is_shared_is_what_was_read(
            read in proptest::collection::vec((0..12u8, 0..3u8), 0..12),
            in_force in proptest::collection::hash_map(0..12u8, 0..3u8, 0..12),
        ) {
            let read: Vec<ProgramConfig> = read.into_iter().map(program).collect();
            let in_force: Vec<Arc<ProgramConfig>> = in_force.into_iter().map(program).map(Arc::new).collect();
            let found = shared(read.clone(), &in_force);
            prop_assert_eq!(found.iter().map(|program| (**program).clone()).collect::<Vec<_>>(), read);
            for program in &found {
                let same = in_force.iter().find(|former| former == &program);
                prop_assert_eq!(same.is_some_and(|same| Arc::ptr_eq(same, program)), same.is_some());
            }
        }
    }
}
