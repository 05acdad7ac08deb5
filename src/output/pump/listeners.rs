//! Event listeners, and what programs write that is told to them.

use std::fmt::Write as _;

use super::super::communication::Communications;
use super::super::listeners::Act;
use super::super::messages::Note;
use super::*;
use crate::models::ListenerEvent;

/// Something in a stream that is not for its log alone.
pub(super) enum StreamEvent {
    /// The answers of an event listener.
    Answer(Vec<u8>),
    /// What is told to listeners as it is written.
    Log(Vec<u8>),
    /// What stands between the marks of a communication.
    Communication(Vec<u8>),
}

/// Takes what is not for the log out of a piece of a stream, and what is told from it; what is for the log.
pub(super) fn tap(
    config: &ProgramConfig,
    kind: StreamKind,
    communications: &mut Communications,
    piece: &[u8],
    events: &mut Vec<StreamEvent>,
) -> Vec<u8> {
    if config.is_listener() && kind == StreamKind::Stdout {
        events.push(StreamEvent::Answer(piece.to_vec()));
        return piece.to_vec();
    }
    let (most, is_told) = match kind {
        StreamKind::Stdout => (config.stdout_capture_maxbytes, config.stdout_events_enabled),
        StreamKind::Stderr => (config.stderr_capture_maxbytes, config.stderr_events_enabled),
    };
    let plain = match most {
        0 => piece.to_vec(),
        most => {
            let parted = communications.part(piece, usize::try_from(most).unwrap_or(usize::MAX));
            events.extend(parted.said.into_iter().map(StreamEvent::Communication));
            parted.plain
        }
    };
    if is_told && !plain.is_empty() {
        events.push(StreamEvent::Log(plain.clone()));
    }
    plain
}

/// Whether a stream has to be [tapped](tap).
pub(super) fn is_tapped(config: &ProgramConfig, kind: StreamKind) -> bool {
    match kind {
        StreamKind::Stdout => {
            config.is_listener() || config.stdout_events_enabled || config.stdout_capture_maxbytes > 0
        }
        StreamKind::Stderr => config.stderr_events_enabled || config.stderr_capture_maxbytes > 0,
    }
}

impl Pump {
    /// Passes on what a stream holds for others than its log.
    pub(super) fn publish_stream_events(
        &mut self,
        now: Instant,
        Origin { program: id, stream: kind }: Origin,
        generation: Generation,
        events: Vec<StreamEvent>,
    ) {
        for event in events {
            match event {
                StreamEvent::Answer(bytes) => {
                    // It waits for the next event: nothing is to be gathered.
                    self.is_told = true;
                    let acts = self.listeners.handle_output(now, id, &bytes);
                    self.notify_lost(&acts, generation);
                    self.do_for_listeners(acts);
                }
                StreamEvent::Log(bytes) => {
                    let event = match kind {
                        StreamKind::Stdout => ListenerEvent::LogStdout,
                        StreamKind::Stderr => ListenerEvent::LogStderr,
                    };
                    self.notify_stream(now, id, event, &format!(" channel:{}", kind.as_str()), &bytes);
                }
                StreamEvent::Communication(bytes) => {
                    let event = match kind {
                        StreamKind::Stdout => ListenerEvent::CommunicationStdout,
                        StreamKind::Stderr => ListenerEvent::CommunicationStderr,
                    };
                    self.notify_stream(now, id, event, "", &bytes);
                }
            }
        }
    }

    fn notify_stream(&mut self, now: Instant, id: ProgramId, kind: ListenerEvent, channel: &str, bytes: &[u8]) {
        if !self.listeners.wants(kind) {
            return;
        }
        // Each read is told: it is not to be of more than was written together.
        self.is_told = true;
        let Some(program) = self.programs.get(&id) else { return };
        let (group, process) = program.config.group_and_process();
        let pid = program.pid;
        let text = std::str::from_utf8(bytes).map_or_else(|_| undecodable(bytes), str::to_owned);
        let payload = format!("processname:{process} groupname:{group} pid:{pid}{channel}\n{text}");
        self.notify_listeners(now, kind, &payload.into());
    }

    pub(super) fn notify_listeners(&mut self, now: Instant, kind: ListenerEvent, payload: &Arc<str>) {
        let acts = self.listeners.publish(now, kind, payload);
        self.do_for_listeners(acts);
    }

    /// Time has passed.
    pub(super) fn elapse_for_listeners(&mut self, now: Instant) {
        if self.listeners.due().is_some_and(|due| due <= now) {
            let acts = self.listeners.elapse(now, crate::sys::time::wall_clock().1);
            self.do_for_listeners(acts);
        }
    }

    pub(super) fn do_for_listeners(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                // One that has closed its standard input is about to end, and gives the event back then.
                Act::Send(id, bytes) => drop(self.send_to_listener(id, &bytes)),
                Act::Discarded(pool, serial) => {
                    log::error!("pool {pool} event buffer overflowed, discarding event {serial}");
                }
                Act::Rejected(id, serial) => log::warn!("{}: event {serial} was rejected", self.name_of(id)),
                // Told where it was events.
                Act::Lost(..) => {}
            }
        }
    }

    /// Tells of those that this run of one of them has said something by which they get no more events.
    fn notify_lost(&self, acts: &[Act], generation: Generation) {
        for act in acts {
            let Act::Lost(program, said) = act else { continue };
            log::warn!(
                "{}: it has said '{said}', which is neither READY nor a RESULT; it gets no more events until it is restarted",
                self.name_of(*program)
            );
            self.pool.notify(Note::ListenerLost { program: *program, generation, said: said.clone() });
        }
    }

    fn name_of(&self, id: ProgramId) -> &str {
        self.programs.get(&id).map_or("", |program| &program.config.name)
    }
}

/// Bytes that are no text, as supervisord tells them: as Python writes them.
fn undecodable(bytes: &[u8]) -> String {
    let mut text = String::from("Undecodable: b'");
    for byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b'\'' => text.push_str("\\'"),
            b' '..=b'~' => text.push(char::from(*byte)),
            // Writing to a string can't fail.
            other => drop(write!(text, "\\x{other:02x}")),
        }
    }
    text.push('\'');
    text
}
