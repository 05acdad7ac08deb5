//! Values as JSON.

use serde::Serialize;
use serde_json::Value;

/// `value` as JSON; null for what JSON has no words for.
///
/// By way of its text: what serialises settings as text is part of the daemon anyway, and as [`Value`] of each type
/// directly would be 20 KB of code beside it.
pub(crate) fn value_of(value: &impl Serialize) -> Value {
    serde_json::to_vec(value).map(parsed).unwrap_or_default()
}

fn parsed(text: Vec<u8>) -> Value {
    serde_json::from_slice(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_through_its_text_unchanged() {
        for value in [0.1, 0.3, 2.5, 1e9, 0.000_001] {
            assert_eq!(value_of(&value), serde_json::json!(value));
        }
        let row = (u64::MAX, "a\"\u{1f600}\n", None::<u8>, [("key", true)]);
        assert_eq!(value_of(&row), serde_json::json!(row));
    }

    #[test]
    fn what_json_has_no_words_for_is_null() {
        assert_eq!(value_of(&f64::NAN), Value::Null);
        assert_eq!(value_of(&std::collections::BTreeMap::from([((1, 2), 3)])), Value::Null);
    }
}
