//! The names of the levels of the daemon's log.

use log::LevelFilter;

/// Each name in full, from the most that is logged to the least, and what it means to the `log` crate.
const LEVELS: [(&str, LevelFilter); 5] = [
    ("DEBUG", LevelFilter::Debug),
    ("INFO", LevelFilter::Info),
    ("WARNING", LevelFilter::Warn),
    ("ERROR", LevelFilter::Error),
    // Python's highest level; the `log` crate ends with ERROR.
    ("CRITICAL", LevelFilter::Error),
];

/// The names in full, for completion.
pub(crate) const NAMES: [&str; 5] = [LEVELS[0].0, LEVELS[1].0, LEVELS[2].0, LEVELS[3].0, LEVELS[4].0];

/// The name in full, and the level, of a name in any case; `WARN` is `WARNING`. `None`: there is no such level.
pub(crate) fn parse(text: &str) -> Option<(&'static str, LevelFilter)> {
    let name = text.trim();
    let name = if name.eq_ignore_ascii_case("WARN") { "WARNING" } else { name };
    LEVELS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_known_by_any_case() {
        for (text, name, level) in [
            ("debug", "DEBUG", LevelFilter::Debug),
            ("Info", "INFO", LevelFilter::Info),
            ("WARN", "WARNING", LevelFilter::Warn),
            (" warning ", "WARNING", LevelFilter::Warn),
            ("ERROR", "ERROR", LevelFilter::Error),
            ("critical", "CRITICAL", LevelFilter::Error),
        ] {
            assert_eq!(parse(text), Some((name, level)), "{text}");
        }
        assert_eq!((parse("loud"), parse("")), (None, None));
        assert!(NAMES.iter().all(|name| parse(name).is_some_and(|(known, _)| known == *name)));
    }
}
