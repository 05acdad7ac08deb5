//! Which part of something a request asks for.

use super::Head;

/// The one part that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From this byte on, up to the second one, or to the end.
    From(u64, Option<u64>),
    /// This many at the end.
    Last(u64),
}

impl Head {
    /// The part that is asked for; `None`: all of it. What is no range, or several at a time, asks for all, as
    /// everywhere.
    pub fn range(&self) -> Option<ByteRange> {
        let (first, last) = self.text("range")?.strip_prefix("bytes=")?.trim().split_once('-')?;
        let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        match (first, last) {
            ("", last) => number(last).map(ByteRange::Last),
            (first, "") => Some(ByteRange::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(ByteRange::From(first, Some(last)))
            }
        }
    }
}
