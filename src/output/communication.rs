//! What a program says between the marks of a communication: an event for listeners, and no line of its log.

const BEGIN: &[u8] = b"<!--XSUPERVISOR:BEGIN-->";
const END: &[u8] = b"<!--XSUPERVISOR:END-->";

/// Takes the communications out of a stream, whatever the pieces that it comes in.
#[derive(Debug, Default)]
pub(super) struct Communications {
    /// Between the marks: what was said so far.
    open: Option<Vec<u8>>,
    /// What may be the beginning of a mark.
    held: Vec<u8>,
}

/// What a piece of a stream consists of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parted {
    /// What is for the log.
    pub(super) plain: Vec<u8>,
    /// Communications that have ended in it.
    pub(super) said: Vec<Vec<u8>>,
}

impl Communications {
    /// Takes the next piece. Of a communication that is longer than `most` bytes the last are kept.
    pub(super) fn part(&mut self, piece: &[u8], most: usize) -> Parted {
        let mut parted = Parted::default();
        let mut rest = std::mem::take(&mut self.held);
        rest.extend_from_slice(piece);
        loop {
            let mark = if self.open.is_some() { END } else { BEGIN };
            let found = rest.windows(mark.len()).position(|window| window == mark);
            let (before, behind) = match found {
                Some(at) => (at, at + mark.len()),
                None => {
                    let kept = beginning_of(mark, &rest);
                    (rest.len() - kept, rest.len() - kept)
                }
            };
            let said = rest.get(..before).unwrap_or_default();
            match &mut self.open {
                Some(open) => {
                    open.extend_from_slice(said);
                    open.drain(..open.len().saturating_sub(most));
                }
                None => parted.plain.extend_from_slice(said),
            }
            rest.drain(..behind);
            if found.is_none() {
                self.held = rest;
                return parted;
            }
            match self.open.take() {
                Some(open) => parted.said.push(open),
                None => self.open = Some(Vec::new()),
            }
        }
    }

    /// The run has ended: what may have been the beginning of a mark was none.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        if self.open.take().is_some() { Vec::new() } else { held }
    }
}

/// How many bytes at the end of a text are the beginning of a mark.
fn beginning_of(mark: &[u8], text: &[u8]) -> usize {
    (1..mark.len().min(text.len() + 1)).rev().find(|count| mark.starts_with(&text[text.len() - count..])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(pieces: &[&[u8]], most: usize) -> (String, Vec<String>) {
        let mut communications = Communications::default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (mut plain, mut said) = (Vec::new(), Vec::new());
        for piece in pieces {
            let part = communications.part(piece, most);
            plain.extend(part.plain);
            said.extend(part.said.iter().map(|said| text(said)));
        }
        plain.extend(communications.end());
        (text(&plain), said)
    }

    #[test]
    fn communications_are_taken_out_however_they_are_split() {
        let text = b"a<!--XSUPERVISOR:BEGIN-->one<!--XSUPERVISOR:END-->b<!--XSUPERVISOR:BEGIN-->two<!--XSUPERVISOR:END-->c<!--";
        let whole = parted(&[text], 100);
        assert_eq!(whole, ("abc<!--".to_owned(), vec!["one".to_owned(), "two".to_owned()]));
        for at in 0..text.len() {
            let (one, two) = text.split_at(at);
            assert_eq!(parted(&[one, two], 100), whole, "{at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(parted(&bytes, 100), whole);
    }

    #[test]
    fn of_a_long_one_the_end_is_kept_and_of_one_without_end_nothing() {
        assert_eq!(parted(&[b"<!--XSUPERVISOR:BEGIN-->12345<!--XSUPERVISOR:END-->"], 3).1, ["345"]);
        assert_eq!(parted(&[b"x<!--XSUPERVISOR:BEGIN-->secret"], 100), ("x".to_owned(), vec![]));
    }
}
