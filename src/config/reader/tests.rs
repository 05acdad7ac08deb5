//! The grammar, case by case; the comparison with Python itself is in `tests/config`.

use super::super::diagnostic::Diagnostic;
use super::super::document::SectionView;
use super::*;

fn read(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let document = Document::from_text(text).expect("grammar");
    let own = |view: SectionView<'_>| {
        (view.name.to_owned(), view.own_entries().map(|e| (e.key.to_owned(), e.value.to_owned())).collect())
    };
    document.sections().map(own).collect()
}

fn one(text: &str) -> String {
    let sections = read(text);
    let [(_, keys)] = sections.as_slice() else { panic!("{sections:?}") };
    let [(_, value)] = keys.as_slice() else { panic!("{keys:?}") };
    value.clone()
}

#[test]
fn values_are_literal() {
    for value in ["date +%s", "%2B", "%t_%p", r"a\", r"C:\x\n", "\"quoted\"", "a=b", "a:b", "x;y", "x#y", "x #y", "[b]"]
    {
        assert_eq!(one(&format!("[a]\nk = {value}\n")), value, "{value}");
    }
}

#[test]
fn inline_comments_are_supervisord_s() {
    let there = |value: &str| {
        let document = Document::from_text_in(&format!("[a]\nk = {value}\n"), Dialect::Supervisord).expect("grammar");
        document.section("a").and_then(|a| a.get("k")).map(|entry| entry.value.to_owned()).expect("the key")
    };
    for (value, read) in [
        ("v ; comment ; more", "v"),
        ("v\t;comment", "v"),
        ("v # comment", "v"),
        ("v;w ;c", "v;w"),
        ("a#b #c ; d", "a#b #c"),
        ("v;w#x", "v;w#x"),
    ] {
        assert_eq!(there(value), read);
        assert_eq!(one(&format!("[a]\nk = {value}\n")), value);
    }
}

#[test]
fn what_a_typing_mistake_swallows_is_said() {
    let warnings = |text: &str| {
        let mut report = Report::default();
        Document::default().read(&Arc::from(Path::new("f")), true, text, &mut report);
        let all = report.problems.iter().chain(&report.warnings);
        all.map(Diagnostic::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        warnings("[a]\nk = 1\n  [program:b]\n"),
        ["f:3: [a] k: this indented line is no section: [program:b] continues the value of line 2; \
          begin it at the margin if a section is meant"]
    );
    assert_eq!(
        warnings("[a]\nk = 1\n# l = 2,\n  3\n  # m\n  4\n"),
        ["f:4: [a] k: an indented line behind a comment continues the value of line 2; \
          make the line a comment too, or put the comment elsewhere"]
    );
    assert_eq!(
        warnings("[a]\nk = 1\n[program:b\n"),
        ["f:3: [a] `[program:b`: the section's ] is missing; write [NAME] alone on its line"]
    );
    assert_eq!(
        warnings("[a]\nk = 1\n[a]\n"),
        [
            "f:3: [a]: this section begins in line 1 already: both are one; give it a name of its own, or put its keys there"
        ]
    );
}

#[test]
fn continuation_lines_comments_and_empty_lines() {
    assert_eq!(one("[a]\nk = 1\n  2\n ; no\n\n   # no\n  3\n\n"), "1\n2\n\n3");
    assert_eq!(one("[a]\nk =\n  [b]\n  x = y\n"), "\n[b]\nx = y");
    assert_eq!(read("[a]\n  k = 1\n  l = 2\n m = 3\n")[0].1.len(), 3);
}

#[test]
fn line_ends_bom_and_spelling_of_keys() {
    assert_eq!(
        read("\u{feff}[A b]\r\nKEY : v\r\nother=w\rthird = x"),
        [(
            "A b".to_owned(),
            vec![("key", "v"), ("other", "w"), ("third", "x")].into_iter().map(|(a, b)| (a.into(), b.into())).collect()
        )]
    );
}

#[test]
fn sections_merge_and_the_last_of_two_keys_counts() {
    let mut document = Document::default();
    let mut report = Report::default();
    let file = Arc::from(Path::new("f.ini"));
    document.read(&file, true, "[a]\nx = 1\n[b]\n[a]\ny = 2\nX = 3\n", &mut report);
    assert!(report.problems.is_empty());
    let lines: Vec<String> = report.warnings.iter().map(Diagnostic::to_string).collect();
    assert_eq!(
        lines,
        [
            "f.ini:4: [a]: this section begins in line 1 already: both are one; \
             give it a name of its own, or put its keys there",
            "f.ini:6: [a] x = 3: set before in line 2: this value, the last, counts; remove one of the two"
        ]
    );
    let a = document.section("a").expect("a");
    assert_eq!(a.get("x").map(|e| (e.value, e.place.line)), Some(("3", 6)));
    assert_eq!(a.get("y").map(|e| e.place.line), Some(5));
}

#[test]
fn each_section_has_its_own_place_whatever_stands_between() {
    let text = "[b]\nx = 1\n[DEFAULT]\ny = 2\n[a]\n[b]\nz = 3\n[program:c]\n[DEFAULT]\nw = 4\n[d]\nx = 5\n";
    let document = Document::from_text(text).unwrap();
    let seen: Vec<_> = document.sections().map(|view| (view.name, view.header().line)).collect();
    assert_eq!(seen, [("b", 1), ("a", 5), ("program:c", 8), ("d", 11)]);
    for view in document.sections() {
        let alone = document.section(view.name).unwrap();
        let keys = |view: SectionView<'_>| view.own_entries().map(|entry| entry.place.line).collect::<Vec<_>>();
        assert_eq!((view.header().line, keys(view)), (alone.header().line, keys(alone)), "{}", view.name);
        assert_eq!(view.get("w").unwrap().place.line, 10);
    }
}

#[test]
fn default_section_serves_all() {
    let document = Document::from_text("[DEFAULT]\nx = 1\n[a]\n[b]\nx = 2\n").expect("grammar");
    assert_eq!(document.sections().map(|s| s.get("x").map(|e| e.value)).collect::<Vec<_>>(), [Some("1"), Some("2")]);
}

#[test]
fn faults_have_lines() {
    for (text, fault) in [
        (
            "\n# c\nk = v\n",
            "<text>:3: `k = v`: the file begins without a section; put a line like [program:NAME] above it",
        ),
        (
            "[a]\nx = 1\nstray\n",
            "<text>:3: [a] `stray`: neither a section nor a key with a value; write key = value, or # for a comment",
        ),
        ("[a]\n= 1\n", "<text>:2: [a] `= 1`: a value without a key; write key = value"),
        ("[]\n", "<text>:1: `[]`: the file begins without a section; put a line like [program:NAME] above it"),
    ] {
        assert_eq!(Document::from_text(text).err().as_deref().map(str::trim_end), Some(fault), "{text:?}");
    }
}

#[test]
fn a_file_of_garbage_is_given_up() {
    let faults = Document::from_text(&format!("[a]\n{}", "garbage\n".repeat(100_000))).err().expect("faults");
    assert_eq!(faults.lines().count(), MAX_SYNTAX_PROBLEMS + 1);
}
