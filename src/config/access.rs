//! Rules of access: `[access:NAME]`.

use super::checks::Checks;
use super::diagnostic::{Fault, Report};
use super::document::Document;
use super::expand::Scope;
use super::fields::{Fields, section_diagnostic};
use super::keys::{self, Section};
use super::names::{name_fault, same_name};
use super::sections::{SectionKind, section_kind};
use super::unknown_keys::check_keys;
use crate::models::{AccessRule, Principal, ProgramConfig, ProgramPattern, Rights};
use crate::util::glob;

/// Reads the rules. One that can't be read is an error: without it, others could do what it was to keep from them.
pub(crate) fn read(document: &Document, scope: Scope<'_>, checks: &mut Checks, report: &mut Report) -> Vec<AccessRule> {
    let mut rules: Vec<AccessRule> = Vec::new();
    for view in document.other_sections() {
        let SectionKind::Access(name) = section_kind(view.name, document.dialect) else { continue };
        check_keys(&view, Section::Access, document.dialect, report);
        if let Some(fault) = name_fault(name, "access", document.dialect) {
            report.error(section_diagnostic(&view, fault));
        } else if rules.iter().any(|rule| rule.name == name) {
            report.error(section_diagnostic(&view, same_name(name, "rule", view.header())));
        }
        let mut rule = AccessRule::new(name);
        let mut fields = Fields { view, scope, report };
        for row in keys::ACCESS {
            let Some(read) = row.read else { continue };
            fields.parse(row.name, checks, &mut |given| read(&mut rule, given));
        }
        if view.get("who").is_none() {
            fields.missing("who", Fault::new("missing", "write who = user:NAME, group:NAME or http:NAME"));
        }
        if view.get("allow").is_none() {
            fields.missing("allow", Fault::new("missing", "write allow = read, restart and the like, or all"));
        }
        if cfg!(not(feature = "http")) && rule.who.iter().all(|who| matches!(who, Principal::Http { .. })) {
            let message = "this supervice was built without HTTP: this rule is about nobody";
            let fault = Fault::new(message, "build it with the feature http, or remove the section");
            fields.report.warn(section_diagnostic(&view, fault));
        }
        rules.push(rule);
    }
    rules
}

/// Warns of rules that are about no program that there is: mostly a name was misspelt.
pub(crate) fn check_programs(
    document: &Document,
    rules: &[AccessRule],
    programs: &[ProgramConfig],
    report: &mut Report,
) {
    for view in document.other_sections() {
        let SectionKind::Access(name) = section_kind(view.name, document.dialect) else { continue };
        let Some(rule) = rules.iter().find(|rule| rule.name == name && rule.allow != Rights::NONE) else { continue };
        for pattern in &rule.programs {
            let (found, word) = match pattern {
                ProgramPattern::Name(pattern) => {
                    let is_meant = |program: &ProgramConfig| {
                        let base = program.name.split(':').next().unwrap_or_default();
                        glob::matches(pattern, &program.name) || glob::matches(pattern, base)
                    };
                    (programs.iter().any(is_meant), pattern.clone())
                }
                ProgramPattern::Group(pattern) => {
                    let is_meant = |program: &ProgramConfig| glob::matches(pattern, program.group_name());
                    (programs.iter().any(is_meant), format!("group:{pattern}"))
                }
            };
            if !found {
                let fault = Fault::new(format!("{word} is about no program that there is"), "check its spelling");
                report.warn(section_diagnostic(&view, fault));
            }
        }
    }
}
