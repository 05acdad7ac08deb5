//! Messages of programs about themselves: the socket for them, and of which run the sender of one is.

use super::super::effect::Input;
use super::super::environment::Prepared;
use super::{Effects, Owner};
use crate::api::ProcId;
use crate::control::server::Received;
use crate::failpoint;
use crate::models::{NotifyAccess, ProgramConfig};
use crate::process::{Generation, SpawnError, SpawnStage};
use crate::sys::ancestry::Ancestry;
use crate::sys::notify_socket::NotifySocket;

/// What is known of a run that can tell of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotifyRun {
    /// The user that it was started as.
    uid: u32,
    access: NotifyAccess,
}

impl Effects {
    /// Gives a program what it needs to tell of itself, where it is to.
    pub(super) fn prepare_notify(
        &mut self,
        config: &ProgramConfig,
        prepared: &mut Prepared,
    ) -> Result<Option<NotifyRun>, SpawnError> {
        if !config.can_notify() {
            return Ok(None);
        }
        let name = self.notify_socket()?;
        prepared.set_variable("NOTIFY_SOCKET", &name)?;
        if config.watchdog > 0 {
            prepared.set_variable("WATCHDOG_USEC", &format!("{}000000", config.watchdog))?;
            prepared.set_pid_variable(c"WATCHDOG_PID");
        }
        Ok(Some(NotifyRun { uid: prepared.uid(), access: config.notify_access }))
    }

    /// The name of the socket, which is made when the first program needs it.
    fn notify_socket(&mut self) -> Result<String, SpawnError> {
        if let Some(name) = &self.notify_socket {
            return Ok(name.clone());
        }
        failpoint::hit("notify_socket", String::new);
        let socket = NotifySocket::new().map_err(|error| {
            SpawnError::system(SpawnStage::Pipe, "the notify socket", error.raw_os_error().unwrap_or(libc::EIO))
        })?;
        let name = socket.name().to_owned();
        self.parts.server.listen_notify(socket);
        self.notify_socket = Some(name.clone());
        Ok(name)
    }

    /// The message as the engine is told it: as that of a run, or of a stranger.
    pub(in crate::core) fn identify_sender(&self, received: Received) -> Input {
        let Received { pid, uid, ancestry, message } = received;
        let found = match &ancestry {
            Some(ancestry) => self.run_of_ancestry(ancestry),
            None => self.only_run_of(uid),
        };
        let found = found.and_then(|id| Some((id, self.runs.get(&id).filter(|run| run.notify.is_some())?)));
        match found {
            Some((id, run)) => {
                let (generation, is_main) = (run.generation, run.main_pid() == pid);
                Input::Notified { id, generation, pid, is_main, message: Box::new(message) }
            }
            None => Input::NotifiedByStranger { pid, uid, is_gone: ancestry.is_none() },
        }
    }

    /// The run that a process is of: by its ancestors, else by its tag or its session, which is what what was left
    /// behind by its parents still has.
    pub(super) fn run_of_ancestry(&self, ancestry: &Ancestry) -> Option<ProcId> {
        let by_descent = ancestry.lineage.iter().find_map(|pid| self.children.get(pid));
        if let Some(owner) = by_descent {
            return match owner {
                Owner::Process(id) => Some(*id),
                // A health check or a hook has no part in it.
                Owner::Task(_) => None,
                Owner::Former => self.run_of_session(ancestry),
            };
        }
        self.run_of_session(ancestry)
    }

    fn run_of_session(&self, ancestry: &Ancestry) -> Option<ProcId> {
        let tagged = ancestry.tag.as_deref().zip(self.parts.identity.as_ref());
        let leader = tagged.and_then(|(tag, identity)| identity.leader_in_tag(tag)).unwrap_or(ancestry.session);
        self.runs.iter().find(|(_, run)| run.is_led_by(leader)).map(|(id, _)| *id)
    }

    /// The run of a sender that has gone before anybody could look whose process it was: known only where a single run
    /// can be meant. Its user can do what it likes to that anyway.
    fn only_run_of(&self, uid: u32) -> Option<ProcId> {
        let may_be = |notify: NotifyRun| notify.access == NotifyAccess::Run && (notify.uid == uid || uid == 0);
        let mut candidates = self.runs.iter().filter(|(_, run)| run.notify.is_some_and(may_be) && run.reaped.is_none());
        let (only, _) = candidates.next()?;
        candidates.next().is_none().then_some(*only)
    }

    /// Has everything read that is on the socket by now.
    pub(super) fn read_notifications(&self, id: ProcId, generation: Generation) {
        self.parts.server.read_notifications(crate::control::server::ReadyRun { id, generation });
    }
}
