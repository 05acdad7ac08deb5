//! A number and what it counts.

use std::fmt;

/// `1 program`, `2 programs`, `2 processes`.
pub(crate) fn counted(count: impl TryInto<u64>, noun: &'static str) -> Counted {
    Counted { count: count.try_into().unwrap_or(u64::MAX), noun }
}

/// See [`counted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    count: u64,
    noun: &'static str,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = match self.count {
            1 => "",
            _ if self.noun.ends_with('s') => "es",
            _ => "s",
        };
        write!(f, "{} {}{ending}", self.count, self.noun)
    }
}

/// The one word or the other, as the number asks for it.
pub(crate) fn choose(count: impl TryInto<u64>, one: &'static str, many: &'static str) -> &'static str {
    if count.try_into().is_ok_and(|count| count == 1) { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_all_else_plural() {
        let told = |count: usize, noun| counted(count, noun).to_string();
        assert_eq!([told(0, "byte"), told(1, "byte"), told(2, "byte")], ["0 bytes", "1 byte", "2 bytes"]);
        assert_eq!([told(1, "process"), told(3, "process")], ["1 process", "3 processes"]);
        assert_eq!([choose(0_u32, "was", "were"), choose(1_u32, "was", "were")], ["were", "was"]);
    }
}
