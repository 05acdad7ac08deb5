//! The files of the crate as modules, and which of them each one uses: read from the paths in the source.
//!
//! `use` trees are expanded, and so are paths in the code that begin with `crate::`, `super::` or `self::`. A path leads to
//! the file of the longest module that it names, and on through what that module re-exports to the file of the definition.
//! What lies behind `#[cfg(test)]`, and files of tests, do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The path of a module below the crate, for instance `["core", "engine"]`.
pub type ModulePath = Vec<String>;

/// Where a path is written.
#[derive(Debug, Clone)]
pub struct Use {
    pub line: usize,
    /// Below the crate, with the item at its end.
    pub path: ModulePath,
}

#[derive(Debug, Default)]
struct Module {
    file: String,
    children: BTreeSet<String>,
    /// Names that `use` brings in, and what they stand for. They can be named through the module.
    names: BTreeMap<String, ModulePath>,
    uses: Vec<Use>,
}

#[derive(Debug, Default)]
pub struct Modules(BTreeMap<ModulePath, Module>);

impl Modules {
    /// Of these files below `root`, each with its text.
    pub fn read<'a>(root: &Path, files: impl Iterator<Item = (&'a Path, &'a str)>) -> Modules {
        let mut modules = Modules::default();
        let files: Vec<(ModulePath, String, &str)> = files
            .filter_map(|(path, text)| {
                let below = path.strip_prefix(root).ok()?.with_extension("");
                let mut name: ModulePath =
                    below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
                name.pop_if(|last| last == "mod" || last == "lib");
                Some((name, path.display().to_string(), text))
            })
            .collect();
        for (name, ..) in &files {
            if let Some((child, parent)) = name.split_last() {
                modules.0.entry(parent.to_vec()).or_default().children.insert(child.clone());
            }
        }
        for (name, file, text) in files {
            let module = modules.0.entry(name.clone()).or_default();
            module.file = file;
            let code = code(text);
            for (line, path, alias) in paths(&code) {
                let Some(path) = absolute(&name, &module.children, path) else { continue };
                module.uses.push(Use { line, path: path.clone() });
                if let Some(alias) = alias {
                    module.names.insert(alias, path);
                }
            }
        }
        modules
    }

    /// Every module with its file.
    pub fn all(&self) -> impl Iterator<Item = (&ModulePath, &str)> {
        self.0.iter().map(|(name, module)| (name, module.file.as_str()))
    }

    /// What is written in a module.
    pub fn uses(&self, module: &ModulePath) -> &[Use] {
        self.0.get(module).map_or(&[], |module| &module.uses)
    }

    /// The modules that a path leads to: the one that it names, and that of the definition.
    pub fn targets(&self, path: &[String]) -> Vec<ModulePath> {
        let mut targets = Vec::new();
        let mut path = path.to_vec();
        // A re-export leads on; none of them goes round.
        for _ in 0..8 {
            let Some(length) = (0..=path.len()).rev().find(|length| self.0.contains_key(&path[..*length])) else {
                break;
            };
            let module = path[..length].to_vec();
            let next = path.get(length).and_then(|item| self.0[&module].names.get(item));
            targets.push(module);
            match next {
                Some(next) => path = next.iter().chain(&path[length + 1..]).cloned().collect(),
                None => break,
            }
        }
        targets
    }

    /// Circles of files that use each other, directly or around a corner. A module and those inside it are one room: the
    /// children use the parent's own types, and the parent its children, and that is no circle; siblings that use each
    /// other are one.
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let edges: BTreeMap<&ModulePath, BTreeSet<ModulePath>> = self
            .0
            .iter()
            .map(|(name, module)| {
                let targets = module.uses.iter().flat_map(|found| self.targets(&found.path));
                (name, targets.filter(|target| !target.starts_with(name) && !name.starts_with(target)).collect())
            })
            .collect();
        let reach = |from: &ModulePath| {
            let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(next) = open.pop() {
                open.extend(edges.get(next).into_iter().flatten().filter(|target| reached.insert((*target).clone())));
            }
            reached
        };
        let reached: BTreeMap<&ModulePath, BTreeSet<ModulePath>> =
            edges.keys().map(|name| (*name, reach(name))).collect();
        let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
        for (name, from_here) in &reached {
            if from_here.contains(*name) {
                let circle =
                    from_here.iter().filter(|other| reached.get(other).is_some_and(|back| back.contains(*name)));
                circles.insert(circle.map(|member| self.0[member].file.as_str()).collect());
            }
        }
        circles.into_iter().collect()
    }
}

/// The part of a file that ships, without comments; lines stay lines.
fn code(text: &str) -> String {
    let mut lines = vec![""; text.lines().count()];
    for (number, line) in crate::shipped(text) {
        lines[number - 1] = line.split("//").next().unwrap_or(line);
    }
    lines.join("\n")
}

/// The paths that stand in the code: line, segments, and the name that a `use` gives it.
fn paths(code: &str) -> Vec<(usize, Vec<String>, Option<String>)> {
    let mut found = Vec::new();
    let mut statement: Option<(usize, String)> = None;
    for (number, line) in code.lines().enumerate() {
        let trimmed = line.trim();
        let unpublished = trimmed.strip_prefix("pub").map_or(trimmed, |rest| match rest.strip_prefix('(') {
            Some(rest) => rest.split_once(')').map_or(rest, |(_, rest)| rest).trim_start(),
            None => rest.trim_start(),
        });
        if let Some((_, text)) = &mut statement {
            text.push_str(trimmed);
        } else if let Some(rest) = unpublished.strip_prefix("use ") {
            statement = Some((number + 1, rest.to_owned()));
        } else {
            found.extend(inline(line).into_iter().map(|path| (number + 1, path, None)));
        }
        if let Some((line, text)) = statement.take_if(|(_, text)| text.ends_with(';')) {
            let mut leaves = Vec::new();
            expand(text.trim_end_matches(';'), &[], &mut leaves);
            found.extend(leaves.into_iter().map(|(path, alias)| (line, path, Some(alias))));
        }
    }
    found
}

fn inline(line: &str) -> Vec<Vec<String>> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = line.split(|c: char| !is_part(c));
    let paths = words.filter(|word| ["crate::", "super::", "self::"].iter().any(|start| word.starts_with(start)));
    paths.map(|path| path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()).collect()
}

/// The leaves of a `use` tree, each with the name that it brings in.
fn expand(tree: &str, before: &[String], leaves: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    if let Some((head, inner)) = tree.split_once('{') {
        let mut path = before.to_vec();
        path.extend(head.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
        let (mut depth, mut item) = (0, String::new());
        let inner = inner.strip_suffix('}').unwrap_or(inner);
        for c in inner.chars().chain([',']) {
            match c {
                ',' if depth == 0 => {
                    let leaf = std::mem::take(&mut item);
                    if !leaf.trim().is_empty() {
                        expand(&leaf, &path, leaves);
                    }
                }
                _ => {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    item.push(c);
                }
            }
        }
        return;
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
    let mut whole = before.to_vec();
    whole.extend(path.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "self").map(str::to_owned));
    if path.trim().starts_with("self::") && before.is_empty() {
        whole.insert(0, "self".to_owned());
    }
    if let Some(last) = alias.map(|alias| alias.trim().to_owned()).or_else(|| whole.last().cloned()) {
        leaves.push((whole, last));
    }
}

/// A path below the crate; `None` for one that leads into another crate.
fn absolute(module: &ModulePath, children: &BTreeSet<String>, path: Vec<String>) -> Option<ModulePath> {
    let mut base = module.clone();
    let mut rest = path.as_slice();
    match rest.first()?.as_str() {
        "crate" => (base, rest) = (Vec::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        first if children.contains(first) => {}
        _ => return None,
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

#[test]
fn paths_lead_to_the_files_of_what_they_name() {
    let root = Path::new("/c");
    let files = [
        ("/c/lib.rs", "mod a;\nmod b;\npub use a::Thing;\n"),
        ("/c/a/mod.rs", "mod one;\nmod two;\npub use one::Thing;\npub struct Own;\n"),
        ("/c/a/one.rs", "use super::{Own, two::{self, Other as Else}};\npub struct Thing;\n"),
        (
            "/c/a/two.rs",
            "// use super::one::Thing;\nfn f() { crate::b::g() }\n#[cfg(test)]\nmod tests { use super::one; }\n",
        ),
        ("/c/b.rs", "pub(crate) use crate::a::Thing;\nuse std::fmt;\n"),
    ];
    let modules = Modules::read(root, files.iter().map(|(path, text)| (Path::new(*path), *text)));
    let words = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(modules.targets(&words("b::Thing")), [words("b"), words("a"), words("a::one")]);
    let uses = modules.uses(&words("a::one"));
    assert_eq!(
        uses.iter().map(|found| found.path.join("::")).collect::<Vec<_>>(),
        ["a::Own", "a::two", "a::two::Other"]
    );
    // `one` uses `two`, which uses `b`, which uses `one` by way of the name that `a` gives it.
    assert_eq!(modules.circles(), [["/c/a/one.rs", "/c/a/two.rs", "/c/b.rs"]]);
}
