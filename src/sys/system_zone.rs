//! Whether the system's time zone is known. The C library takes UTC in silence where it is not.

use std::fs;
use std::path::{Path, PathBuf};

/// Where libraries look for zones, unless `$TZDIR` says otherwise.
const DIRECTORIES: [&str; 3] = ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];

const LOCAL_TIME: &str = "/etc/localtime";

/// Why times are those of UTC although another zone is asked for, and what to do about it; `None`: they are as they
/// should be.
pub fn trouble() -> Option<String> {
    match std::env::var("TZ") {
        Ok(zone) => trouble_of(&zone, &directories()),
        Err(std::env::VarError::NotPresent) => dangling_link(Path::new(LOCAL_TIME)),
        Err(std::env::VarError::NotUnicode(_)) => Some(format!("TZ is not valid UTF-8: {IS_UTC}")),
    }
}

const IS_UTC: &str = "times in the log, and of schedules without schedule_timezone, are in UTC";

fn directories() -> Vec<PathBuf> {
    let named = std::env::var_os("TZDIR").map(PathBuf::from);
    named.into_iter().chain(DIRECTORIES.map(PathBuf::from)).collect()
}

fn trouble_of(zone: &str, directories: &[PathBuf]) -> Option<String> {
    let name = zone.strip_prefix(':').unwrap_or(zone);
    let is_utc = matches!(name, "" | "UTC" | "GMT" | "UCT" | "Zulu" | "Universal");
    if is_utc || has_offset(name) || directories.iter().any(|directory| directory.join(name).is_file()) {
        return None;
    }
    let why = match directories.iter().find(|directory| directory.is_dir()) {
        Some(directory) => format!("{} has no such time zone", directory.display()),
        None => "no time zones are installed".to_owned(),
    };
    Some(format!(
        "TZ={zone}: {why}: {IS_UTC}; install tzdata, or write the offset, as in TZ=CET-1CEST,M3.5.0,M10.5.0/3"
    ))
}

/// It says itself how far it is from UTC: `CET-1CEST,…`, `<+03>-3`.
fn has_offset(zone: &str) -> bool {
    let rest = match zone.strip_prefix('<') {
        Some(quoted) => match quoted.split_once('>') {
            Some((_, rest)) => rest,
            None => return false,
        },
        None => zone.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    zone.len() - rest.len() >= 3 && digits.starts_with(|c: char| c.is_ascii_digit())
}

fn dangling_link(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok().filter(|_| !path.exists())?;
    let (path, target) = (path.display(), target.display());
    Some(format!("{path} is a link to {target}, which does not exist: {IS_UTC}; install tzdata, or put the link right"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_installed_is_told_and_an_offset_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("Europe")).expect("a directory");
        fs::write(dir.path().join("Europe/Berlin"), "").expect("written");
        let known = [dir.path().to_path_buf()];
        let absolute = dir.path().join("Europe/Berlin").display().to_string();
        for fine in [
            "",
            "UTC",
            "Europe/Berlin",
            ":Europe/Berlin",
            &absolute,
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "EST5EDT",
            "<+03>-3",
        ] {
            assert_eq!(trouble_of(fine, &known), None, "{fine}");
        }
        for wrong in ["Europe/Berlim", "Europe", "CET", "/no/such/file", "5", "<+03"] {
            let told = trouble_of(wrong, &known).expect("it is none");
            let start = format!("TZ={wrong}: {} has no such time zone: times in the log", dir.path().display());
            assert!(told.starts_with(&start), "{told}");
        }
        let told = trouble_of("Europe/Berlin", &[]).expect("nothing is there");
        assert!(told.contains("no time zones are installed") && told.contains("install tzdata"), "{told}");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("localtime");
        assert_eq!(dangling_link(&link), None);
        std::os::unix::fs::symlink("/no/such/zone", &link).expect("a link");
        assert!(
            dangling_link(&link).is_some_and(|told| told.contains("is a link to /no/such/zone, which does not exist"))
        );
    }
}
