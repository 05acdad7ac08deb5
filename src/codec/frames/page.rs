//! Lists that may be longer than a frame.

use serde::Serialize;

use super::STATUS_LIMIT;

/// The member `processes` behind what is before it: as many of the items as one frame holds. If there are more, `next`
/// is the
/// `offset` of the request that gets them.
pub(super) fn page(head: String, items: impl Iterator<Item = impl Serialize>, offset: usize) -> String {
    let mut text = head + "\"processes\":[";
    for (number, item) in items.enumerate() {
        // Strings, numbers and truth values always serialize.
        let item = serde_json::to_string(&item).unwrap_or_default();
        // The first one goes into the frame in any case: a client that asks for the rest gets further each time.
        if number > 0 && text.len() + item.len() > STATUS_LIMIT {
            return text + &format!("],\"next\":{}", offset + number);
        }
        if number > 0 {
            text.push(',');
        }
        text.push_str(&item);
    }
    text + "]"
}
