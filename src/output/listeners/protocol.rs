//! What an event listener says on its standard output: `READY`, and what has become of the event that it was sent.

/// How a listener announces that it takes an event.
const READY: &[u8] = b"READY\n";
/// What stands before the length of a result.
const RESULT: usize = b"RESULT ".len();
/// The answer that accepts an event.
const ACCEPT: &[u8] = b"OK";
/// A line that is to tell a length, and its result, are no longer than this.
const MAX_RESULT_BYTES: usize = 64 * 1024;

/// How far a listener has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// It has not said yet that it takes an event.
    #[default]
    Acknowledged,
    /// It takes one.
    Ready,
    /// It has one.
    Busy,
    /// It has said what nobody understands, and gets no more.
    Unknown,
}

/// What follows from what a listener has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It takes an event.
    Ready,
    /// It has done what the event asks for.
    Accepted,
    /// It has not: somebody else may.
    Rejected,
    /// What it has said is none of these.
    Nonsense(String),
}

/// The conversation with one listener. What it writes may be joined or split anywhere.
#[derive(Debug, Default)]
pub(super) struct Protocol {
    state: State,
    buffer: Vec<u8>,
    /// The length of the result that is being read.
    result: Option<usize>,
}

impl Protocol {
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// It was sent an event.
    pub(super) fn sent(&mut self) {
        self.state = State::Busy;
    }

    /// Takes what it has written; what follows from that, in order.
    pub(super) fn handle_output(&mut self, bytes: &[u8]) -> Vec<Said> {
        let mut said = Vec::new();
        if self.state == State::Unknown {
            return said;
        }
        self.buffer.extend_from_slice(bytes);
        while let Some(next) = self.next() {
            if let Said::Nonsense(_) = next {
                (self.state, self.buffer, self.result) = (State::Unknown, Vec::new(), None);
                said.push(next);
                break;
            }
            said.push(next);
        }
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        said
    }

    fn next(&mut self) -> Option<Said> {
        match self.state {
            State::Acknowledged => {
                let head = self.buffer.get(..READY.len())?;
                if head != READY {
                    return Some(nonsense(head));
                }
                self.buffer.drain(..READY.len());
                self.state = State::Ready;
                Some(Said::Ready)
            }
            // It has no event to answer.
            State::Ready => (!self.buffer.is_empty()).then(|| nonsense(&self.buffer)),
            State::Busy => self.next_result(),
            State::Unknown => None,
        }
    }

    fn next_result(&mut self) -> Option<Said> {
        let length = match self.result {
            Some(length) => length,
            None => {
                let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
                    return (self.buffer.len() > MAX_RESULT_BYTES).then(|| nonsense(&self.buffer));
                };
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = line.get(..end).unwrap_or_default();
                let number = line.get(RESULT..).and_then(|number| std::str::from_utf8(number).ok());
                let Some(length) = number.and_then(|number| number.trim().parse().ok()) else {
                    return Some(nonsense(line));
                };
                self.result = Some(length);
                length
            }
        };
        if length > MAX_RESULT_BYTES {
            return Some(nonsense(format!("RESULT {length}").as_bytes()));
        }
        if self.buffer.len() < length {
            return None;
        }
        let result: Vec<u8> = self.buffer.drain(..length).collect();
        (self.state, self.result) = (State::Acknowledged, None);
        Some(if result == ACCEPT { Said::Accepted } else { Said::Rejected })
    }
}

/// What is shown of it, in bytes.
const SHOWN: usize = 60;

fn nonsense(said: &[u8]) -> Said {
    let shown = said.get(..said.len().min(SHOWN)).unwrap_or_default();
    Said::Nonsense(String::from_utf8_lossy(shown).escape_debug().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the pieces, the same is understood.
    fn understood(protocol: fn() -> Protocol, text: &[u8]) -> Vec<Said> {
        let mut whole = protocol();
        let said = whole.handle_output(text);
        let mut slow = protocol();
        let one_by_one: Vec<Said> = text.iter().flat_map(|byte| slow.handle_output(&[*byte])).collect();
        assert_eq!((&one_by_one, slow.state()), (&said, whole.state()), "{}", String::from_utf8_lossy(text));
        said
    }

    fn busy() -> Protocol {
        let mut protocol = Protocol::default();
        protocol.handle_output(READY);
        protocol.sent();
        protocol
    }

    #[test]
    fn what_a_listener_says_is_understood_however_it_is_split() {
        assert_eq!(understood(Protocol::default, b"READY\n"), [Said::Ready]);
        assert_eq!(understood(Protocol::default, b"REA"), []);
        assert_eq!(understood(busy, b"RESULT 2\nOK"), [Said::Accepted]);
        assert_eq!(understood(busy, b"RESULT 2\nOKREADY\n"), [Said::Accepted, Said::Ready]);
        assert_eq!(understood(busy, b"RESULT 4\nFAILREADY\n"), [Said::Rejected, Said::Ready]);
        assert_eq!(understood(busy, b"anyword 2\nOK"), [Said::Accepted], "the word itself is not looked at");
    }

    #[test]
    fn nonsense_ends_the_conversation() {
        let nonsense = |text: &str| Said::Nonsense(text.to_owned());
        assert_eq!(understood(Protocol::default, b"hello!"), [nonsense("hello!")]);
        assert_eq!(understood(busy, b"RESULT x\n"), [nonsense("RESULT x")]);
        assert_eq!(understood(busy, b"\n"), [nonsense("")]);
        let mut ready = Protocol::default();
        assert_eq!(ready.handle_output(b"READY\nREADY\n").len(), 2, "a second one has no event to answer");
        assert_eq!((ready.state(), ready.handle_output(b"READY\n")), (State::Unknown, vec![]));
        let mut endless = busy();
        assert_eq!(endless.handle_output(&[b'x'; MAX_RESULT_BYTES + 1]).len(), 1);
        assert_eq!(busy().handle_output(b"RESULT 99999999\n").len(), 1);
    }
}
