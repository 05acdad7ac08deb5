//! `supervicectl restart --rolling`: one after the other, each ready before the next.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::call::{is_of_old_daemon, is_unknown_command};
use crate::client::{ClientError, Controller, GraphItem, Results, Terms, WaitFor};

/// A restart of one after the other.
pub(super) struct Rolling<'a> {
    controller: &'a Controller,
    force: bool,
    terms: Terms,
    /// Those that were restarted because they need one that came before them, with its name: once is enough.
    restarted_with: Mutex<HashMap<String, String>>,
}

impl<'a> Rolling<'a> {
    pub(super) fn new(controller: &'a Controller, force: bool, terms: Terms) -> Rolling<'a> {
        Rolling { controller, force, terms, restarted_with: Mutex::default() }
    }

    /// Restarts one, unless it was restarted with another one, and waits until it is `RUNNING` and healthy.
    pub(super) fn roll(&self, name: &str) -> Result<String, ClientError> {
        let with = self.restarted_with().get(name).cloned();
        let restarted = match with {
            Some(other) => format!("Restarted {name} with {other}"),
            None => self.restart(name)?,
        };
        match self.controller.wait_for(name, WaitFor::Healthy, self.terms.timeout) {
            Ok(_) => Ok(restarted),
            Err(error) if is_unknown_command(&error) => {
                let message = format!("{restarted}, but this daemon can't tell when it is healthy ({error})");
                Err(ClientError::Failed { code: None, refusal: None, message, cause_data: None })
            }
            Err(error) => Err(error),
        }
    }

    /// As an operation on several: its answer names those that were restarted with it.
    fn restart(&self, name: &str) -> Result<String, ClientError> {
        let done = self.controller.restart_processes(&[name.to_owned()], self.force, self.terms);
        if done.as_ref().is_err_and(is_of_old_daemon) {
            return self.controller.restart_process_with(name, self.force, self.terms);
        }
        let Results { results, also } = done?;
        // Behind its own stand those of others that need it and have failed.
        let (own, others): (Vec<_>, Vec<_>) = results.into_iter().partition(|(of, _)| of == name);
        let Some((_, restarted)) = own.into_iter().next() else {
            let message = format!("the daemon does not say what became of {name}");
            return Err(ClientError::Failed { code: None, refusal: None, message, cause_data: None });
        };
        let mut message = restarted?;
        if let Some((_, failure)) = others.into_iter().find(|(_, result)| result.is_err()) {
            return failure;
        }
        if !also.is_empty() {
            message.push_str(&format!(", and what needs it: {}", also.join(", ")));
        }
        self.restarted_with().extend(also.into_iter().map(|other| (other, name.to_owned())));
        Ok(message)
    }

    fn restarted_with(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.restarted_with.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// These, and before each those of them that it needs: their restart takes it along, and would be a second one behind
/// its own. Where the daemon does not tell who needs whom they stay in their order.
pub(super) fn needed_first(controller: &Controller, names: Vec<String>) -> Vec<String> {
    if names.len() < 2 {
        return names;
    }
    // One that is not there is told when its turn comes.
    let items = controller.graph(&names).or_else(|_| controller.graph(&[]));
    items.map_or(names.clone(), |items| in_order(&names, &items))
}

fn in_order(names: &[String], items: &[GraphItem]) -> Vec<String> {
    let needs: HashMap<&str, &GraphItem> = items.iter().map(|item| (item.name.as_str(), item)).collect();
    let named: HashSet<&str> = names.iter().map(String::as_str).collect();
    let (mut ordered, mut seen) = (Vec::with_capacity(names.len()), HashSet::new());
    for name in names {
        // Each stands behind all that it needs, which may be by way of others.
        let mut open = vec![(name.as_str(), false)];
        while let Some((name, has_its_needs)) = open.pop() {
            if has_its_needs {
                ordered.extend(named.contains(name).then(|| name.to_owned()));
            } else if seen.insert(name) {
                open.push((name, true));
                let on = needs.get(name).into_iter().flat_map(|item| item.needs.iter().rev());
                open.extend(on.map(|need| (need.on.as_str(), false)));
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::frames::GraphNeed;

    #[test]
    fn what_is_needed_comes_first_and_else_they_stay_in_their_order() {
        let item = |(name, needs): (&str, &[&str])| {
            let need = |on: &&str| GraphNeed { on: (*on).to_owned(), ..GraphNeed::default() };
            GraphItem { name: name.to_owned(), needs: needs.iter().map(need).collect(), ..GraphItem::default() }
        };
        let items = [("web", &["api", "cache"][..]), ("api", &["db"]), ("cache", &["db"]), ("db", &[]), ("log", &[])];
        let items = items.map(item);
        let ordered =
            |names: &[&str]| in_order(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &items);
        assert_eq!(ordered(&["web", "db"]), ["db", "web"], "by way of others");
        assert_eq!(ordered(&["log", "web", "cache", "api"]), ["log", "api", "cache", "web"]);
        assert_eq!(ordered(&["nobody", "log", "db"]), ["nobody", "log", "db"]);
        // No configuration has a circle; this ends all the same.
        let circle = [("a", &["b"][..]), ("b", &["a"])].map(item);
        assert_eq!(in_order(&["a".to_owned(), "b".to_owned()], &circle).len(), 2);
    }
}
