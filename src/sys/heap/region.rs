//! One mapping, and what of it is free.
//!
//! The free blocks are a treap (a tree by address, and a heap by a hash of the address, which keeps it balanced), and
//! each has its own node in it. A node knows the largest block below it, so that one way down finds the block.

use std::ptr;

use crate::sys::pages;

/// Places and sizes are counted in these, in bytes; a node of the tree takes one.
pub(super) const GRANULE: usize = 16;
/// No block: the first granule of a region is none.
pub(super) const NONE: u32 = 0;

/// A free block, in its own first granule.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Node {
    size: u32,
    /// The largest size of this one and all below it.
    largest: u32,
    /// Those at lower places.
    left: u32,
    /// Those at higher places.
    right: u32,
}

const _: () = assert!(size_of::<Node>() == GRANULE);

/// One mapping, and the tree of what is free in it.
pub(super) struct Region {
    base: *mut u8,
    root: u32,
}

// SAFETY: the mapping belongs to this value alone and is not bound to a thread.
unsafe impl Send for Region {}

impl Region {
    pub(super) fn map(bytes: usize) -> Option<Region> {
        let size = u32::try_from(bytes / GRANULE).ok()?;
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no other memory.
        let base = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: our own mapping. A huge page would be all there for the sake of one piece; what can't be had is not
        // needed.
        unsafe { libc::madvise(base, bytes, libc::MADV_NOHUGEPAGE) };
        let mut region = Region { base: base.cast(), root: NONE };
        region.root = region.insert(NONE, NONE + 1, size - 1);
        Some(region)
    }

    #[inline]
    pub(super) fn place(&self, at: u32) -> *mut u8 {
        // SAFETY: places are within the region.
        unsafe { self.base.add(at as usize * GRANULE) }
    }

    /// Which place a piece of it has.
    pub(super) fn place_of(&self, piece: *mut u8) -> u32 {
        (piece.addr().wrapping_sub(self.base.addr()) / GRANULE) as u32
    }

    #[inline]
    fn node(&self, at: u32) -> Node {
        // SAFETY: at the beginning of a free block stands its node.
        unsafe { self.place(at).cast::<Node>().read() }
    }

    #[inline]
    fn write(&self, at: u32, node: Node) {
        // SAFETY: the block is free, so its granules are ours.
        unsafe { self.place(at).cast::<Node>().write(node) };
    }

    /// What the holder of this piece has written to its beginning.
    pub(super) fn link(&self, at: u32) -> u32 {
        // SAFETY: a piece is as large as a granule at least, and was written to.
        unsafe { self.place(at).cast::<u32>().read() }
    }

    /// Writes this to the beginning of a piece that is the caller's.
    pub(super) fn set_link(&self, at: u32, link: u32) {
        // SAFETY: as above; the piece is nobody else's.
        unsafe { self.place(at).cast::<u32>().write(link) };
    }

    /// Writes it down, and what is the largest of it and those below.
    fn write_anew(&self, at: u32, mut node: Node) {
        node.largest = node.size.max(self.largest_below(node.left)).max(self.largest_below(node.right));
        self.write(at, node);
    }

    /// The largest block that is free.
    #[inline]
    pub(super) fn largest(&self) -> u32 {
        self.largest_below(self.root)
    }

    #[inline]
    fn largest_below(&self, at: u32) -> u32 {
        if at == NONE { 0 } else { self.node(at).largest }
    }

    /// Where it begins.
    pub(super) fn begin(&self) -> usize {
        self.base.addr()
    }

    /// Takes the end of the highest block that is large enough.
    pub(super) fn take(&mut self, wanted: u32) -> Option<u32> {
        let mut at = self.root;
        if self.largest_below(at) < wanted {
            return None;
        }
        let size = loop {
            let node = self.node(at);
            if self.largest_below(node.right) >= wanted {
                at = node.right;
            } else if node.size >= wanted {
                break node.size;
            } else {
                at = node.left;
            }
        };
        let rest = size - wanted;
        if rest == 0 {
            self.root = self.remove(self.root, at, size);
        } else {
            self.shrink(at, size, rest);
        }
        Some(at + rest)
    }

    pub(super) fn give_back(&mut self, at: u32, mut size: u32) {
        let (before, after) = self.neighbours(at);
        if after != NONE && at + size == after {
            let behind = self.node(after).size;
            self.root = self.remove(self.root, after, behind);
            size += behind;
        }
        let in_front = if before == NONE { 0 } else { self.node(before).size };
        if before + in_front == at {
            self.grow(before, in_front + size);
        } else {
            self.root = self.insert(self.root, at, size);
        }
    }

    /// The free blocks before and behind this place.
    fn neighbours(&self, place: u32) -> (u32, u32) {
        let (mut before, mut after, mut at) = (NONE, NONE, self.root);
        while at != NONE {
            let node = self.node(at);
            if at < place {
                (before, at) = (at, node.right);
            } else {
                (after, at) = (at, node.left);
            }
        }
        (before, after)
    }

    /// Adds a block to this tree; the tree then.
    fn insert(&self, root: u32, at: u32, size: u32) -> u32 {
        if root == NONE || rank(at) > rank(root) {
            let (left, right) = self.split(root, at);
            self.write_anew(at, Node { size, largest: size, left, right });
            return at;
        }
        let mut node = self.node(root);
        if at < root {
            node.left = self.insert(node.left, at, size);
        } else {
            node.right = self.insert(node.right, at, size);
        }
        node.largest = node.largest.max(size);
        self.write(root, node);
        root
    }

    /// Takes a block out of this tree, which has it, of this size; the tree then.
    fn remove(&self, root: u32, at: u32, size: u32) -> u32 {
        let mut node = self.node(root);
        if at == root {
            return self.join(node.left, node.right);
        }
        if at < root {
            node.left = self.remove(node.left, at, size);
        } else {
            node.right = self.remove(node.right, at, size);
        }
        if node.largest == size {
            self.write_anew(root, node);
        } else {
            self.write(root, node);
        }
        root
    }

    /// A block has become larger: so large.
    fn grow(&self, at: u32, size: u32) {
        let mut above = self.root;
        loop {
            let mut node = self.node(above);
            if above == at {
                node.size = size;
                return self.write(at, Node { largest: node.largest.max(size), ..node });
            }
            if node.largest < size {
                self.write(above, Node { largest: size, ..node });
            }
            above = if at < above { node.left } else { node.right };
        }
    }

    /// A block has become smaller.
    fn shrink(&self, at: u32, from: u32, size: u32) {
        // Where there is a larger one anyway nothing changes.
        let mut above = self.root;
        while above != at && self.node(above).largest > from {
            above = self.towards(above, at);
        }
        self.shrink_below(above, at, size);
    }

    fn shrink_below(&self, root: u32, at: u32, size: u32) {
        let mut node = self.node(root);
        if root == at {
            node.size = size;
        } else {
            self.shrink_below(self.towards(root, at), at, size);
        }
        self.write_anew(root, node);
    }

    /// The one below this block on the way to that one.
    fn towards(&self, above: u32, at: u32) -> u32 {
        let node = self.node(above);
        if at < above { node.left } else { node.right }
    }

    /// The blocks of a tree before and behind a place.
    fn split(&self, root: u32, place: u32) -> (u32, u32) {
        if root == NONE {
            return (NONE, NONE);
        }
        let mut node = self.node(root);
        let parts;
        if root < place {
            let (left, right) = self.split(node.right, place);
            node.right = left;
            parts = (root, right);
        } else {
            let (left, right) = self.split(node.left, place);
            node.left = right;
            parts = (left, root);
        }
        self.write_anew(root, node);
        parts
    }

    /// One tree of two; all of the first stands before the other.
    fn join(&self, left: u32, right: u32) -> u32 {
        if left == NONE || right == NONE {
            return left.max(right);
        }
        if rank(left) > rank(right) {
            let mut node = self.node(left);
            node.right = self.join(node.right, right);
            self.write_anew(left, node);
            left
        } else {
            let mut node = self.node(right);
            node.left = self.join(left, node.left);
            self.write_anew(right, node);
            right
        }
    }

    /// Gives the pages back that lie in free blocks, but for their nodes.
    pub(super) fn release(&self) {
        self.release_below(self.root);
    }

    fn release_below(&self, at: u32) {
        if at != NONE {
            let node = self.node(at);
            self.release_below(node.left);
            pages::advise(self.place(at + 1).addr(), (node.size - 1) as usize * GRANULE, libc::MADV_DONTNEED);
            self.release_below(node.right);
        }
    }
}

/// A block stands above those of a lower rank. A permutation: no two have the same.
fn rank(at: u32) -> u32 {
    let mixed = (at ^ (at >> 15)).wrapping_mul(0x2c1b_3c6d);
    (mixed ^ (mixed >> 12)).wrapping_mul(0x297a_2d39)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    impl Region {
        /// The free blocks in their order. Everything that holds between calls is looked at.
        pub(in crate::sys::heap) fn free(&self) -> Vec<(u32, u32)> {
            let mut blocks = Vec::new();
            self.walk(self.root, &mut blocks);
            for pair in blocks.windows(2) {
                assert!(pair[0].0 + pair[0].1 < pair[1].0, "in order, and none beside another: {pair:?}");
            }
            blocks
        }

        fn walk(&self, at: u32, blocks: &mut Vec<(u32, u32)>) -> u32 {
            if at == NONE {
                return 0;
            }
            let node = self.node(at);
            for below in [node.left, node.right] {
                assert!(below == NONE || rank(below) < rank(at), "the higher rank stands above");
            }
            let left = self.walk(node.left, blocks);
            blocks.push((at, node.size));
            let right = self.walk(node.right, blocks);
            assert_eq!(node.largest, node.size.max(left).max(right), "the largest below {at}");
            node.largest
        }
    }

    /// Numbers that look like chance, the same each time.
    pub(in crate::sys::heap) struct Chance(pub u64);

    impl Chance {
        pub fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % end
        }

        /// At least 1, mostly small.
        pub fn size(&mut self, bits: usize) -> usize {
            let most = 1 << self.below(bits);
            1 + self.below(most)
        }
    }

    #[test]
    fn pieces_never_overlap_and_what_is_given_back_is_one_with_what_is_free_beside_it() {
        let mut region = Region::map(64 * 1024).unwrap();
        let (all, mut chance, mut taken) = ((64 * 1024 / GRANULE) as u32, Chance(1), Vec::new());
        for round in 0..20_000 {
            // Nearly full at times, nearly empty at others.
            let takes = chance.below(100) < if round / 1_000 % 2 == 0 { 60 } else { 40 };
            if takes {
                let wanted = chance.size(8) as u32;
                let largest = region.free().iter().map(|block| block.1).max().unwrap_or(0);
                let highest = region.free().into_iter().rfind(|block| block.1 >= wanted);
                let at = region.take(wanted);
                assert_eq!(at.is_some(), largest >= wanted);
                assert_eq!(
                    at,
                    highest.map(|(at, size)| at + size - wanted),
                    "the end of the highest that is large enough"
                );
                taken.extend(at.map(|at| (at, wanted)));
            } else if !taken.is_empty() {
                let (at, size) = taken.swap_remove(chance.below(taken.len()));
                region.give_back(at, size);
            }
            let mut pieces: Vec<_> = region.free().into_iter().chain(taken.iter().copied()).collect();
            pieces.sort_unstable();
            let end = pieces.iter().fold(1, |end, (at, size)| {
                assert_eq!(*at, end, "no gap, nothing twice");
                at + size
            });
            assert_eq!(end, all);
        }
        while let Some((at, size)) = taken.pop() {
            region.give_back(at, size);
        }
        assert_eq!(region.free(), [(1, all - 1)]);
    }

    #[test]
    fn pages_that_nobody_uses_go_and_the_others_stay() {
        let mut region = Region::map(1024 * 1024).unwrap();
        let pieces: Vec<u32> = (0..60).map(|_| region.take(1024).unwrap()).collect();
        for at in &pieces {
            // SAFETY: 16 KiB of ours.
            unsafe { region.place(*at).write_bytes(7, 1024 * GRANULE) };
        }
        for pair in pieces.chunks(2) {
            region.give_back(pair[0], 1024);
        }
        region.release();
        region.free();
        let page = 4096;
        let is_there = |at: u32| {
            let mut there = 0u8;
            let start = region.place(at).map_addr(|address| address.next_multiple_of(page));
            // SAFETY: one whole page of our own mapping, and a byte for it.
            assert_eq!(unsafe { libc::mincore(start.cast(), page, &raw mut there) }, 0);
            there & 1 == 1
        };
        for pair in pieces.chunks(2) {
            assert!(!is_there(pair[0] + 512));
            assert!(is_there(pair[1] + 512));
            // SAFETY: as above.
            assert_eq!(unsafe { region.place(pair[1]).read() }, 7);
        }
    }
}
