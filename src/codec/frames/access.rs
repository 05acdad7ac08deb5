//! The answer to `access`: what whoever asks may do.

use serde::{Deserialize, Serialize};

use crate::api::{AccessTable, Unlimited};
use crate::models::Rights;

/// What somebody may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Who it is, as the log calls him.
    pub who: String,
    /// Why he may do all: `no_rules`, or `own_user` for root and the daemon's own user; null where rules tell.
    pub unlimited: Option<String>,
    /// What he may do with the daemon itself.
    pub daemon: Rights,
    /// What he may do with each program that he may read.
    pub programs: Vec<ProgramRights>,
}

/// What somebody may do with one program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRights {
    /// Its name.
    pub name: String,
    /// What.
    pub rights: Rights,
}

impl Access {
    pub(super) fn of(table: &AccessTable) -> Access {
        let unlimited = table.unlimited.map(|why| match why {
            Unlimited::NoRules => "no_rules",
            Unlimited::OwnUser => "own_user",
        });
        let rows = table.programs.iter();
        Access {
            who: table.by.who().to_string(),
            unlimited: unlimited.map(str::to_owned),
            daemon: table.daemon,
            programs: rows.map(|(name, rights)| ProgramRights { name: name.clone(), rights: *rights }).collect(),
        }
    }
}
