//! Time zones: the system's, by libc; others by the files of the zone database.

use std::fmt;
use std::mem::MaybeUninit;

#[cfg(feature = "timezones")]
use named::Zone;

/// How far a zone is ahead of UTC.
#[derive(Debug, Clone)]
pub enum TimeZone {
    /// The system's own.
    System,
    /// No offset at all.
    Utc,
    /// One of the database.
    #[cfg(feature = "timezones")]
    Named(std::sync::Arc<Zone>),
}

impl TimeZone {
    /// The zone of this name; without one the system's. Whoever has asked for it before gets the same;
    /// [`renew`](Self::renew) reads its file again.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn find(name: Option<&str>) -> Result<TimeZone, NoZone> {
        match name {
            None => Ok(TimeZone::System),
            Some("UTC") => Ok(TimeZone::Utc),
            #[cfg(feature = "timezones")]
            Some(name) => named::find(name, false).map(TimeZone::Named),
            #[cfg(not(feature = "timezones"))]
            Some(_) => Err(NoZone::NotBuilt),
        }
    }

    /// As [`find`](Self::find), as the files are now: they change with the laws of the lands. Reads a file.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn renew(name: Option<&str>) -> Result<TimeZone, NoZone> {
        match name {
            None => {
                renew_system();
                Ok(TimeZone::System)
            }
            #[cfg(feature = "timezones")]
            Some(name) if name != "UTC" => named::find(name, true).map(TimeZone::Named),
            Some(name) => TimeZone::find(Some(name)),
        }
    }

    /// Seconds that it is ahead of UTC at this moment, in seconds since 1970.
    pub fn offset(&self, at: i64) -> i32 {
        match self {
            TimeZone::Utc => 0,
            TimeZone::System => system_offset(at),
            #[cfg(feature = "timezones")]
            TimeZone::Named(zone) => zone.offset(at),
        }
    }
}

/// Why a zone can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoZone {
    /// It is no name of one.
    #[cfg(feature = "timezones")]
    NoName,
    /// The database does not have it, or there is no database.
    #[cfg(feature = "timezones")]
    Missing {
        /// The directory in which it was looked for.
        directory: &'static str,
        /// It is there.
        has_directory: bool,
    },
    /// Its file is not what it should be.
    #[cfg(feature = "timezones")]
    Broken(String),
    /// This program knows the system's zone and UTC alone.
    #[cfg(not(feature = "timezones"))]
    NotBuilt,
}

impl fmt::Display for NoZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "timezones")]
            NoZone::NoName => f.write_str("it is no name of a time zone"),
            #[cfg(feature = "timezones")]
            NoZone::Missing { directory, has_directory: true } => write!(f, "{directory} has no such time zone"),
            #[cfg(feature = "timezones")]
            NoZone::Missing { directory, has_directory: false } => {
                write!(f, "{directory} is not there: no time zone is known by name")
            }
            #[cfg(feature = "timezones")]
            NoZone::Broken(why) => write!(f, "its file can't be read: {why}"),
            #[cfg(not(feature = "timezones"))]
            NoZone::NotBuilt => f.write_str("this supervice was built without named time zones"),
        }
    }
}

unsafe extern "C" {
    /// Of the C library; every one has it.
    fn tzset();
}

/// Has the system's zone read again, if it is another by now.
pub fn renew_system() {
    // SAFETY: it takes nothing; the C library guards what it changes from its own readers, and nobody of us reads
    // `timezone` or `tzname`.
    unsafe { tzset() };
}

fn system_offset(at: i64) -> i32 {
    // Never `libc::time_t` by name: for musl that name is deprecated.
    let at = i128::from(at).try_into().unwrap_or_default();
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and localtime_r keeps neither. Zero is a valid value of every field
    // of
    // `tm`, so `parts` is initialised even if the call fails.
    let parts = unsafe {
        libc::localtime_r(&raw const at, parts.as_mut_ptr());
        parts.assume_init()
    };
    // Offsets are less than a day.
    parts.tm_gmtoff as i32
}

#[cfg(feature = "timezones")]
mod named {
    use std::fs::File;
    use std::io::{self, Read};
    use std::path::Path;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::NoZone;

    const DIRECTORY: &str = "/usr/share/zoneinfo";

    /// The longest file of the database is far shorter.
    const MAX_FILE_BYTES: u64 = 256 * 1024;

    /// A moment long after the last change that a file tells of: what comes then has to follow by rule.
    const FAR: i64 = 32_503_680_000;

    /// A zone of the database.
    #[derive(Debug)]
    pub struct Zone(tz::TimeZone);

    impl Zone {
        pub(super) fn offset(&self, at: i64) -> i32 {
            // It was tried when it was read.
            self.0.find_local_time_type(at).map_or(0, tz::timezone::LocalTimeType::ut_offset)
        }
    }

    /// Those that were asked for: a handful.
    static KNOWN: Mutex<Vec<(String, Arc<Zone>)>> = Mutex::new(Vec::new());

    pub(super) fn find(name: &str, renew: bool) -> Result<Arc<Zone>, NoZone> {
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if !renew && let Some((_, zone)) = known().iter().find(|(other, _)| other == name) {
            return Ok(Arc::clone(zone));
        }
        let zone = Arc::new(read(name)?);
        let mut known = known();
        known.retain(|(other, _)| other != name);
        known.push((name.to_owned(), Arc::clone(&zone)));
        Ok(zone)
    }

    /// `right/` has leap seconds, in which no other clock of this machine counts.
    fn is_name(name: &str) -> bool {
        let is_part = |part: &str| {
            let is_of_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+');
            !part.is_empty() && part.bytes().all(is_of_part)
        };
        name.split('/').all(is_part) && !name.starts_with("right/")
    }

    fn read(name: &str) -> Result<Zone, NoZone> {
        if !is_name(name) {
            return Err(NoZone::NoName);
        }
        let broken = |error: &dyn std::fmt::Display| NoZone::Broken(error.to_string());
        let mut bytes = Vec::new();
        let file = File::open(Path::new(DIRECTORY).join(name));
        match file.and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => {
                let has_directory = Path::new(DIRECTORY).is_dir();
                return Err(NoZone::Missing { directory: DIRECTORY, has_directory });
            }
            Err(error) => return Err(NoZone::Broken(crate::util::errno::reason(&error))),
        }
        let zone = tz::TimeZone::from_tz_data(&bytes).map_err(|error| broken(&error))?;
        for at in [0, FAR] {
            zone.find_local_time_type(at).map_err(|error| broken(&error))?;
        }
        Ok(Zone(zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_and_utc_are_always_known() {
        assert_eq!(TimeZone::find(Some("UTC")).map(|zone| zone.offset(1_700_000_000)), Ok(0));
        let here = TimeZone::renew(None).expect("the system's");
        let local = crate::sys::time::local(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000));
        let second = (1_700_000_000 + i64::from(here.offset(1_700_000_000))).rem_euclid(86_400);
        assert_eq!(second, i64::from(local.hour * 3600 + local.minute * 60 + local.second));
    }

    #[cfg(not(feature = "timezones"))]
    #[test]
    fn other_zones_are_a_matter_of_the_build() {
        assert_eq!(TimeZone::find(Some("Europe/Berlin")).err(), Some(NoZone::NotBuilt));
    }

    #[cfg(feature = "timezones")]
    #[test]
    fn zones_of_the_database_are_known_by_name() {
        let berlin = TimeZone::find(Some("Europe/Berlin")).expect("the zone database");
        assert_eq!(
            (berlin.offset(1_767_225_600), berlin.offset(1_782_864_000)),
            (3600, 7200),
            "winter and summer of 2026"
        );
        assert_eq!((berlin.offset(4_070_908_800), berlin.offset(4_086_547_200)), (3600, 7200), "and of 2099");
        for wrong in
            ["", "/etc/passwd", "../../../etc/passwd", "Europe/../../../etc/passwd", "right/UTC", "Europe//Berlin", "."]
        {
            assert_eq!(TimeZone::renew(Some(wrong)).err(), Some(NoZone::NoName), "{wrong}");
        }
        let missing = NoZone::Missing { directory: "/usr/share/zoneinfo", has_directory: true };
        for wrong in ["Europe/Berlim", "Europe", "europe/berlin"] {
            assert_eq!(TimeZone::find(Some(wrong)).err(), Some(missing.clone()), "{wrong}");
        }
        assert!(matches!(TimeZone::find(Some("zone1970")), Err(NoZone::Missing { .. } | NoZone::Broken(_))));
    }
}
