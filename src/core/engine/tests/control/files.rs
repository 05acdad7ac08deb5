//! Configuration files, and what follows from them: told here in the words of the manual, not read from the text.

use std::collections::{BTreeMap, BTreeSet};

use super::super::sim::random::Random;

/// The instances of the template that somebody may ask for.
pub(super) const INSTANCES: [&str; 3] = ["worker@eu", "worker@us", "worker@asia"];

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// A setting of each of these programs, for which it has to be restarted: db, web, the workers, front.
    pub(super) versions: [u64; 4],
    pub(super) numprocs: u32,
    pub(super) web_needs_db: bool,
    /// The key by which `front` depends on `web`; without it there is no `front`.
    pub(super) front: Option<&'static str>,
    pub(super) has_template: bool,
    /// `worker@eu` stands in the file.
    pub(super) has_eu: bool,
    pub(super) has_job: bool,
    pub(super) is_broken: bool,
}

/// How many instances of `web` somebody wants, as long as the file says this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scaled {
    pub(super) instances: u32,
    pub(super) in_file: u32,
}

impl File {
    pub(super) fn draw(random: &mut Random) -> File {
        let mut version = || random.below(2);
        File {
            versions: [version(), version(), version(), version()],
            numprocs: random.pick(&[1, 2, 2, 2, 3]),
            web_needs_db: random.chance(60),
            front: random.pick(&[None, Some("requires"), Some("binds"), Some("wants")]),
            has_template: random.chance(85),
            has_eu: random.chance(50),
            has_job: random.chance(70),
            is_broken: random.chance(8),
        }
    }

    /// Another one, of which most is as it was.
    pub(super) fn changed(&self, random: &mut Random) -> File {
        let other = File::draw(random);
        let mut file = File { is_broken: other.is_broken, ..self.clone() };
        match random.below(7) {
            0 => file.numprocs = other.numprocs,
            1 => file.web_needs_db = other.web_needs_db,
            2 => file.front = other.front,
            3 => (file.has_template, file.has_eu) = (other.has_template, other.has_eu),
            4 => file.has_job = other.has_job,
            5 => file.versions = other.versions,
            _ => return other,
        }
        file
    }

    pub(super) fn text(&self) -> String {
        let [db, web, worker, front] = self.versions;
        let mut text =
            String::from("[supervice]\nstate_dir = /nowhere/state\n[defaults]\nautorestart = true\nstartsecs = 0\n");
        text += &format!("[program:db]\ncommand = db\nenvironment = V={db}\n");
        text += &format!("[program:web]\ncommand = web\nnumprocs = {}\nenvironment = V={web}\n", self.numprocs);
        text += if self.web_needs_db { "requires = db\n" } else { "" };
        if let Some(key) = self.front {
            text += &format!("[program:front]\ncommand = front\nenvironment = V={front}\n{key} = web\n");
        }
        if self.has_template {
            text += &format!("[template:worker]\ncommand = worker %(instance)s\nenvironment = V={worker}\n");
        }
        if self.has_eu {
            // Without its template it is a program like any other.
            text += "[program:worker@eu]\ncommand = worker eu\n";
        }
        if self.has_job {
            text += "[program:job]\ncommand = job\nschedule = * * * * *\n";
        }
        text += if self.is_broken { "no_such_key = 1\nautorestart = perhaps\n" } else { "" };
        text
    }

    /// The programs with what was added at run time, each with its version.
    pub(super) fn programs(&self, scaled: Option<Scaled>, made: &BTreeSet<String>) -> BTreeMap<String, u64> {
        let [db, web, worker, front] = self.versions;
        let mut programs = BTreeMap::from([("db".to_owned(), db)]);
        programs.extend(self.web(scaled).into_iter().map(|name| (name, web)));
        programs.extend(self.front.map(|_| ("front".to_owned(), front)));
        programs.extend(self.has_job.then(|| ("job".to_owned(), 0)));
        if self.has_template {
            programs.extend(made.iter().map(|name| (name.clone(), worker)));
        }
        if self.has_eu {
            programs.insert("worker@eu".to_owned(), if self.has_template { worker } else { 0 });
        }
        programs
    }

    /// The instances of `web`.
    pub(super) fn web(&self, scaled: Option<Scaled>) -> Vec<String> {
        if self.numprocs == 1 {
            return vec!["web".to_owned()];
        }
        let count = scaled.filter(|scaled| scaled.in_file == self.numprocs).map_or(self.numprocs, |it| it.instances);
        (0..count).map(|number| format!("web:{number:02}")).collect()
    }
}
