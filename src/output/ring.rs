//! The newest bytes of a stream, in memory.

/// A ring of bytes that owns no memory until something is written, then grows by need up to its limit.
#[derive(Debug, Default)]
pub(super) struct Ring {
    bytes: Vec<u8>,
    /// Where the oldest byte is, once the ring is full.
    start: usize,
}

/// What the ring allocates first, in bytes.
const FIRST_ALLOCATION: usize = 512;

impl Ring {
    /// Appends `data`; of what exceeds `limit` bytes in all, the oldest goes.
    pub fn push(&mut self, data: &[u8], limit: usize) {
        if limit == 0 {
            *self = Ring::default();
            return;
        }
        let data = &data[data.len().saturating_sub(limit)..];
        if self.bytes.len() > limit {
            // The limit was lowered by a reload: keep the newest.
            let newest = self.newest(limit);
            *self = Ring { bytes: newest, start: 0 };
        }
        let room = limit - self.bytes.len();
        if room > 0 && self.start != 0 {
            // The limit was raised: a ring that has wrapped must be straightened before it can grow.
            self.bytes.rotate_left(self.start);
            self.start = 0;
        }
        let (grow, wrap) = data.split_at(room.min(data.len()));
        self.reserve(grow.len(), limit);
        self.bytes.extend_from_slice(grow);
        self.overwrite(wrap);
    }

    /// The newest `count` bytes, or all that there are.
    pub fn newest(&self, count: usize) -> Vec<u8> {
        let (new, old) = self.bytes.split_at(self.start);
        let take_new = count.min(new.len());
        let take_old = (count - take_new).min(old.len());
        let mut newest = Vec::with_capacity(take_new + take_old);
        newest.extend_from_slice(&old[old.len() - take_old..]);
        newest.extend_from_slice(&new[new.len() - take_new..]);
        newest
    }

    fn reserve(&mut self, more: usize, limit: usize) {
        let need = self.bytes.len() + more;
        if need > self.bytes.capacity() {
            let capacity = need.max(self.bytes.capacity() * 2).max(FIRST_ALLOCATION).min(limit);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
    }

    fn overwrite(&mut self, data: &[u8]) {
        let first = data.len().min(self.bytes.len() - self.start);
        let (head, tail) = data.split_at(first);
        self.bytes[self.start..self.start + first].copy_from_slice(head);
        self.bytes[..tail.len()].copy_from_slice(tail);
        if !self.bytes.is_empty() {
            self.start = (self.start + data.len()) % self.bytes.len();
        }
    }
}
