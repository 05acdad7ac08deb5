//! Failpoints: places at which a test makes the daemon panic, to see that the panic harms nothing else. A release build
//! has none of them.

/// Panics if the environment variable `SUPERVICE_FAILPOINT` is `place:detail`. Debug builds only.
#[cfg(debug_assertions)]
pub(crate) fn hit(place: &str, detail: impl FnOnce() -> String) {
    static WANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let wanted = WANTED.get_or_init(|| std::env::var("SUPERVICE_FAILPOINT").ok());
    let here = wanted.as_deref().and_then(|wanted| wanted.split_once(':')).filter(|(name, _)| *name == place);
    if here.is_some_and(|(_, wanted)| wanted == detail()) {
        std::panic::panic_any("a failpoint was hit");
    }
}

/// Does nothing: this is a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn hit(_: &str, _: impl FnOnce() -> String) {}
