//! What has to be done at the end of something, however it ends.

/// Does something once, when it is dropped: also where a thread panics, or was never begun.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    /// Does this when it is dropped.
    pub(crate) fn new(work: F) -> OnDrop<F> {
        OnDrop(Some(work))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn it_is_done_once_and_by_a_panic_too() {
        let count = Arc::new(AtomicUsize::new(0));
        let guard = || {
            let count = Arc::clone(&count);
            OnDrop::new(move || _ = count.fetch_add(1, Ordering::Relaxed))
        };
        drop(guard());
        assert_eq!(count.load(Ordering::Relaxed), 1);
        let guard = guard();
        let thread = std::thread::spawn(move || {
            let _guard = guard;
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}
