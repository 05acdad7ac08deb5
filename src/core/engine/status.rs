//! The answer to `status`.

use super::super::world::{Answer, World};
use super::history::WallClock;
use super::{Engine, Entry};
use crate::process::Exit;
use crate::process::Moment;
use crate::rpc::protocol::ProcessStatus;

impl Engine {
    /// The state of one process, or of all from `offset` on, in the order of the configuration.
    pub(super) fn status(&self, now: Moment, name: Option<&str>, offset: usize, world: &dyn World) -> Answer {
        let clock = WallClock::new(now, world);
        let processes = match name {
            None => self
                .entries
                .iter()
                .skip(offset)
                .map(|(id, entry)| status_of(now, clock, entry, world.bystanders(*id)))
                .collect(),
            Some(name) => match self.find(name).and_then(|id| Some((id, self.entries.get(&id)?))) {
                Some((id, entry)) => vec![status_of(now, clock, entry, world.bystanders(id))],
                None => return Answer::not_found(self.unknown_process(name)),
            },
        };
        Answer::Status { processes, offset }
    }
}

/// What the machine says, and that output is being lost where it is.
pub(super) fn describe(now: Moment, entry: &Entry) -> String {
    let description = entry.machine.describe(now, entry.last_line.as_deref());
    match entry.output_trouble.iter().flatten().next() {
        Some(trouble) => format!("{description}; output is lost: {trouble}"),
        None => description,
    }
}

fn status_of(now: Moment, clock: WallClock, entry: &Entry, bystanders: Option<String>) -> ProcessStatus {
    let machine = &entry.machine;
    let exit = machine.last_run().map(|run| run.exit);
    ProcessStatus {
        name: entry.name().to_owned(),
        state: machine.state().as_str().to_owned(),
        pid: machine.pid(),
        uptime: machine.started_at().map(|start| now.saturating_duration_since(start).as_secs()),
        healthy: machine.healthy(),
        group: Some(entry.config().group_name().to_owned()),
        description: Some(match bystanders {
            Some(bystanders) => format!("{}; {bystanders}", describe(now, entry)),
            None => describe(now, entry),
        }),
        exit_code: match exit {
            Some(Exit::Code(code)) => Some(code),
            Some(Exit::Signal(_)) | None => None,
        },
        exit_signal: match exit {
            Some(Exit::Signal(signal)) => Some(signal),
            Some(Exit::Code(_)) | None => None,
        },
        restarts: Some(machine.restarts()),
        since: entry.since.map(|at| clock.seconds(at)),
        autostart: Some(entry.config().autostart),
        kill_at: machine.kill_at().map(|at| clock.seconds(at)),
        retry_at: machine.retry().map(|(_, _, at)| clock.seconds(at)),
    }
}
