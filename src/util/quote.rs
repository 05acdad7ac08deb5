//! Quoting for a shell.

/// A word, quoted where a shell would not take it literally.
pub(crate) fn quote_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.:/@%+,=".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
