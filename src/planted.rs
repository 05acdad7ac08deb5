//! Faults that tests plant, to see that a panic in one place harms nothing else. In a release build there are none.

/// Panics if the environment variable `SUPERVICE_PLANTED_PANIC` is `place:detail`. Debug builds only.
#[cfg(debug_assertions)]
pub(crate) fn fault(place: &str, detail: impl FnOnce() -> String) {
    static WANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let wanted = WANTED.get_or_init(|| std::env::var("SUPERVICE_PLANTED_PANIC").ok());
    let here = wanted.as_deref().and_then(|wanted| wanted.split_once(':')).filter(|(name, _)| *name == place);
    if here.is_some_and(|(_, wanted)| wanted == detail()) {
        std::panic::panic_any("planted by a test");
    }
}

/// Does nothing: this is a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn fault(_: &str, _: impl FnOnce() -> String) {}
