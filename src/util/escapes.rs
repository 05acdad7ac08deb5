//! The escape sequences of terminals as ECMA-48 has them, byte by byte: colours, the cursor's moves, titles, links.

pub(crate) const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

/// Where in a sequence the last byte was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Escapes {
    /// In none.
    #[default]
    Text,
    /// Behind an ESC.
    Escape,
    /// Behind an ESC and intermediate bytes, before the byte that ends it.
    Intermediate,
    /// Behind `ESC [`, before the letter that ends it.
    Control,
    /// In a string, as a title is: ended by BEL or `ESC \`.
    String,
    /// Behind an ESC in a string.
    StringEscape,
}

/// What a byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// No part of a sequence.
    Text,
    /// The beginning or the middle of a sequence.
    Inside,
    /// The last byte of a sequence.
    End,
    /// It breaks off the sequence before it, and is either text or part of another one.
    Broken { is_text: bool },
}

impl Escapes {
    /// Goes on by one byte.
    pub(crate) fn step(&mut self, byte: u8) -> Step {
        const BY_TEXT: Step = Step::Broken { is_text: true };
        const BY_SEQUENCE: Step = Step::Broken { is_text: false };
        let (next, step) = match (*self, byte) {
            (Escapes::Text, ESC) => (Escapes::Escape, Step::Inside),
            (Escapes::Text, _) => (Escapes::Text, Step::Text),
            (Escapes::String, ESC) => (Escapes::StringEscape, Step::Inside),
            (Escapes::StringEscape, b'\\') => (Escapes::Text, Step::End),
            (Escapes::StringEscape, _) => {
                let mut other = Escapes::Escape;
                let step = if other.step(byte) == BY_TEXT { BY_TEXT } else { BY_SEQUENCE };
                (other, step)
            }
            (Escapes::Escape | Escapes::Intermediate | Escapes::Control, ESC) => (Escapes::Escape, BY_SEQUENCE),
            (Escapes::Escape, b'[') => (Escapes::Control, Step::Inside),
            (Escapes::Escape, b']' | b'P' | b'X' | b'^' | b'_') => (Escapes::String, Step::Inside),
            (Escapes::Escape | Escapes::Intermediate, 0x20..=0x2f) => (Escapes::Intermediate, Step::Inside),
            (Escapes::Control, 0x20..=0x3f) => (Escapes::Control, Step::Inside),
            (Escapes::Escape | Escapes::Intermediate, 0x30..=0x7e)
            | (Escapes::Control, 0x40..=0x7e)
            | (Escapes::String, BEL) => (Escapes::Text, Step::End),
            // A string that nobody ends must not take what follows it.
            (Escapes::String, b'\n' | b'\r') | (Escapes::Escape | Escapes::Intermediate | Escapes::Control, _) => {
                (Escapes::Text, BY_TEXT)
            }
            (Escapes::String, _) => (Escapes::String, Step::Inside),
        };
        *self = next;
        step
    }
}

/// The bytes of the sequence that a text begins with; `None` where it has no end here, or begins with none.
pub(crate) fn sequence_length(text: &str) -> Option<usize> {
    let mut escapes = Escapes::default();
    for (at, byte) in text.bytes().enumerate() {
        match escapes.step(byte) {
            Step::Inside => {}
            Step::End => return Some(at + 1),
            Step::Text | Step::Broken { .. } => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_has_its_length_and_one_that_is_broken_off_none() {
        for (text, length) in [
            ("\x1b[1;31mred", Some(7)),
            ("\x1b]0;grün\x07x", Some(10)),
            ("\x1b]8;;http://x\x1b\\x", Some(15)),
            ("\x1bP\x1b\\", Some(4)),
            ("\x1b7x", Some(2)),
            ("\x1b(Bx", Some(3)),
            // An intermediate byte makes any letter the last one.
            ("\x1b([1mx", Some(3)),
            ("x\x1b[m", None),
            ("", None),
            ("\x1b", None),
            ("\x1b[31", None),
            ("\x1b[3\n1m", None),
            ("\x1b\x1b[m", None),
            ("\x1b[\x1b[m", None),
            ("\x1b]title\nx\x07", None),
            ("\x1b]title\x1b[31mx\x07", None),
            ("\x1bä", None),
        ] {
            assert_eq!(sequence_length(text), length, "{text:?}");
        }
    }
}
