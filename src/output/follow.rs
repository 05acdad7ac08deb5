//! Those who watch a program's output as it comes.

use super::{Follower, MAX_FOLLOWERS, StreamKind};

/// The followers of one program; owns no memory while there are none.
#[derive(Default)]
pub(super) struct Followers(Vec<(StreamKind, Box<dyn Follower>)>);

impl Followers {
    /// Adds one; those who have gone make room, then the oldest.
    pub fn add(&mut self, kind: StreamKind, follower: Box<dyn Follower>) {
        self.0.retain(|(_, follower)| follower.is_there());
        if self.0.len() >= MAX_FOLLOWERS {
            self.0.remove(0).1.finish();
        }
        self.0.push((kind, follower));
    }

    /// Passes output on to all who follow this stream.
    pub fn push(&mut self, kind: StreamKind, data: &[u8]) {
        if self.0.is_empty() {
            return;
        }
        self.0.retain(|(of, follower)| *of != kind || follower.push(data));
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, follower)| follower.finish());
    }
}

/// The last `count` lines; what follows the last newline counts as one.
pub(super) fn last_lines(mut bytes: Vec<u8>, count: usize) -> Vec<u8> {
    let ends = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let begin = match count.checked_sub(1) {
        None => bytes.len(),
        Some(before) => {
            let newlines = ends.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
            newlines.map(|(at, _)| at + 1).nth(before).unwrap_or(0)
        }
    };
    bytes.drain(..begin);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_the_end() {
        for (count, wanted) in [(0, ""), (1, "c\n"), (2, "b\nc\n"), (3, "a\nb\nc\n"), (9, "a\nb\nc\n")] {
            assert_eq!(last_lines(b"a\nb\nc\n".to_vec(), count), wanted.as_bytes(), "{count}");
        }
        assert_eq!(last_lines(b"a\nb".to_vec(), 1), b"b");
        assert_eq!(last_lines(b"\n\n".to_vec(), 1), b"\n");
        assert_eq!(last_lines(Vec::new(), 3), b"");
    }
}
