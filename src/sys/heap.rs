//! The allocator of the daemon's program. A daemon lives for months in the few pages that its start has left it, and
//! the C library's allocator is made for other programs: it keeps what each thread has freed, for a next time that a
//! daemon at rest does not have. With twenty programs that was half of the heap.
//!
//! An allocation takes the end of the highest free block that is large enough, so that pages fill up before further
//! ones are touched. A freed piece is merged with its free neighbours at once. No header stands beside a piece, because
//! the caller of
//! `dealloc` says how large it is.
//!
//! A daemon that acts frees much of what it needs next: after the start, the small pieces that were freed last are kept
//! for the next of the same size, a few KiB in all, until it rests again.
//!
//! The heap is a MiB of address space, of which only touched pages take memory. Large pieces, and all that it has no
//! room for, come from the C library: with hundreds of programs, the time of each call counts for more than the memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

mod region;

use region::{GRANULE, NONE, Region};

/// From this size on, in bytes, a piece is the C library's.
const LARGE: usize = 32 * 1024;
/// How large the heap is, in bytes.
const SIZE: usize = 1024 * 1024;
/// Freed pieces up to this size, in granules, are kept for the next of the same size.
const SIZE_CLASSES: usize = 32;
/// How much is kept so, in granules.
const KEPT: u32 = 512;

/// What `#[global_allocator]` of the daemon's program is.
#[derive(Debug)]
pub struct DaemonHeap;

static HEAP: Mutex<Option<Heap>> = Mutex::new(None);
/// Where it begins, as soon as it is there: what is not the heap's needs no lock.
static BEGIN: AtomicUsize = AtomicUsize::new(usize::MAX - SIZE);
/// The largest block that is free, in granules, or more: what has no room in it needs no lock either.
static LARGEST: AtomicU32 = AtomicU32::new(u32::MAX);

/// The mapping, and what is kept of what was freed.
struct Heap {
    region: Region,
    /// The pieces that are kept, by their size: the last one that was freed, which knows the one before.
    kept: [u32; SIZE_CLASSES],
    /// How much more may be kept, in granules: nothing until the start is over. What it makes stays, and is to lie
    /// close together.
    room: u32,
}

impl Heap {
    fn map() -> Option<Heap> {
        Some(Heap { region: Region::map(SIZE)?, kept: [NONE; SIZE_CLASSES], room: 0 })
    }

    fn take(&mut self, wanted: u32) -> Option<u32> {
        match self.kept.get_mut(wanted as usize - 1) {
            Some(last) if *last != NONE => {
                let at = *last;
                *last = self.region.link(at);
                self.room += wanted;
                Some(at)
            }
            _ => self.region.take(wanted),
        }
    }

    fn give_back(&mut self, at: u32, size: u32) {
        match self.kept.get_mut(size as usize - 1) {
            Some(last) if self.room >= size => {
                self.region.set_link(at, *last);
                *last = at;
                self.room -= size;
            }
            _ => self.region.give_back(at, size),
        }
    }

    /// What is kept is free as everything else, and pages that nobody uses go back to the system.
    fn release_unused_pages(&mut self) {
        for (last, size) in self.kept.iter_mut().zip(1..) {
            while *last != NONE {
                let at = *last;
                *last = self.region.link(at);
                self.region.give_back(at, size);
            }
        }
        self.room = KEPT;
        self.region.release();
    }
}

/// Gives pages that nobody uses back to the system. From now on pieces are kept.
pub(super) fn release_unused_pages() {
    if let Some(heap) = heap().as_mut() {
        heap.release_unused_pages();
        LARGEST.store(heap.region.largest(), Ordering::Relaxed);
    }
}

fn heap() -> MutexGuard<'static, Option<Heap>> {
    HEAP.lock().unwrap_or_else(PoisonError::into_inner)
}

// SAFETY: a piece is cut out of one free block, as large as asked for and aligned to a granule, and is part of none
// until it is given back; all others are the C library's. Nothing here panics or allocates.
unsafe impl GlobalAlloc for DaemonHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match granules(layout).and_then(take) {
            Some(piece) => piece,
            // SAFETY: as the caller has promised.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match granules(layout).and_then(take) {
            Some(piece) => {
                // SAFETY: it is as large as that.
                unsafe { piece.write_bytes(0, layout.size()) };
                piece
            }
            // What is large is zero already, and is touched only when it is used.
            // SAFETY: as the caller has promised.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match granules(layout) {
            Some(size) if is_ours(piece) => give_back(piece, size),
            // SAFETY: it is not ours, so it comes from there.
            Some(_) | None => unsafe { System.dealloc(piece, layout) },
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that it is no larger than a layout may be.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if !is_ours(piece) {
            // SAFETY: it is the C library's, and stays there.
            return unsafe { System.realloc(piece, layout, size) };
        }
        if granules(layout) == granules(wanted) {
            return piece;
        }
        // SAFETY: as the caller has promised; what is new is other memory, and as large as the smaller of both at
        // least.
        unsafe {
            let new = self.alloc(wanted);
            if !new.is_null() {
                ptr::copy_nonoverlapping(piece, new, layout.size().min(size));
                self.dealloc(piece, layout);
            }
            new
        }
    }
}

/// How large a piece of the heap's would be; `None`: it is the C library's.
fn granules(layout: Layout) -> Option<u32> {
    let is_ours = layout.size() < LARGE && layout.align() <= GRANULE;
    is_ours.then(|| layout.size().div_ceil(GRANULE).max(1) as u32)
}

fn is_ours(piece: *mut u8) -> bool {
    piece.addr().wrapping_sub(BEGIN.load(Ordering::Relaxed)) < SIZE
}

fn take(wanted: u32) -> Option<*mut u8> {
    if LARGEST.load(Ordering::Relaxed) < wanted {
        return None;
    }
    let mut heap = heap();
    if heap.is_none() {
        *heap = Heap::map();
        let begin = heap.as_ref().map_or(usize::MAX - SIZE, |heap| heap.region.begin());
        BEGIN.store(begin, Ordering::Relaxed);
    }
    let Some(heap) = heap.as_mut() else {
        LARGEST.store(0, Ordering::Relaxed);
        return None;
    };
    let at = heap.take(wanted);
    LARGEST.store(heap.region.largest(), Ordering::Relaxed);
    at.map(|at| heap.region.place(at))
}

fn give_back(piece: *mut u8, size: u32) {
    if let Some(heap) = heap().as_mut() {
        heap.give_back(heap.region.place_of(piece), size);
        LARGEST.store(heap.region.largest(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::region::tests::Chance;
    use super::*;

    #[test]
    fn it_hands_out_what_is_asked_for_on_several_threads_at_once() {
        let work = |seed: u64| {
            let (mut chance, mut held) = (Chance(seed), Vec::new());
            for _ in 0..5_000 {
                if chance.below(2) == 0 {
                    let size = chance.size(18);
                    let layout = Layout::from_size_align(size, 1 << chance.below(8)).unwrap();
                    // SAFETY: no size is 0, and what is written is within it.
                    let piece = unsafe { DaemonHeap.alloc(layout) };
                    assert!(!piece.is_null());
                    assert_eq!(piece.addr() % layout.align(), 0);
                    // SAFETY: as above.
                    unsafe { piece.write_bytes(size as u8, size) };
                    held.push((piece, layout));
                } else if let Some(last) = held.len().checked_sub(1) {
                    let (mut piece, mut layout) = held.swap_remove(chance.below(last + 1));
                    // SAFETY: it was made with this layout, or made anew with the next one; all of it was written to.
                    unsafe {
                        let byte = layout.size() as u8;
                        let size = chance.size(18);
                        piece = DaemonHeap.realloc(piece, layout, size);
                        let kept = std::slice::from_raw_parts(piece, size.min(layout.size()));
                        assert!(kept.iter().all(|kept| *kept == byte));
                        layout = Layout::from_size_align(size, layout.align()).unwrap();
                        DaemonHeap.dealloc(piece, layout);
                    }
                }
            }
            for (piece, layout) in held {
                // SAFETY: it was made with this layout.
                unsafe { DaemonHeap.dealloc(piece, layout) };
            }
        };
        std::thread::scope(|scope| {
            for seed in 1..5 {
                scope.spawn(move || work(seed));
            }
            release_unused_pages();
        });
        release_unused_pages();
        let heap = heap();
        assert_eq!(heap.as_ref().unwrap().region.free(), [(1, (SIZE / GRANULE) as u32 - 1)], "all was given back");
        assert_eq!(LARGEST.load(Ordering::Relaxed), (SIZE / GRANULE) as u32 - 1);
    }
}
