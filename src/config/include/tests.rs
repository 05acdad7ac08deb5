//! Patterns.

use super::*;

#[test]
fn files_are_sorted_and_hidden_ones_left_out() {
    let dir = tempfile::tempdir().expect("tempdir");
    fs::create_dir(dir.path().join("sub")).expect("a directory");
    for name in ["b.ini", "a.ini", ".hidden.ini", "c.txt"] {
        fs::write(dir.path().join(name), "").expect("write");
    }
    let names = |pattern: &str| -> Vec<String> {
        let files = expand(dir.path(), pattern);
        files.iter().filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect()
    };
    assert_eq!(names("*.ini"), ["a.ini", "b.ini"]);
    assert_eq!(names("./.h*"), [".hidden.ini"]);
    assert_eq!(names("missing.ini"), ["missing.ini"]);
    assert_eq!(expand(dir.path(), ".//a.ini")[0].as_os_str(), dir.path().join("a.ini").as_os_str(), "as it is shown");
    assert_eq!(names("missing/*.ini"), [""; 0]);
    assert_eq!(names("*/missing.ini"), [""; 0], "what a pattern leads to must be there");
    assert_eq!(expand(Path::new("/"), &format!("{}/[a].ini", dir.path().display())).len(), 1);
}
