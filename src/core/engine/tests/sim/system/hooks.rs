//! Hooks: what the oracle knows of them. Each run that has begun is cleaned up once, beside nothing of it and before
//! the next one.

use super::*;
use crate::core::effect::HookLaunch;
use crate::models::{Hook, HookCommand, Hooks, Rare};

/// How far the present run of a process has got with its hooks.
#[derive(Debug, Default)]
pub(in super::super) struct HookBook {
    /// How the last command of `pre_start` has ended, and its number.
    prepared_by: Option<(usize, Exit)>,
    /// A run has begun that has a `post_stop`, which was not begun.
    owes_clean_up: bool,
}

/// A command that tells which one it is: `pre_start 0`.
fn commands(hook: Hook, count: u32) -> Vec<HookCommand> {
    let command = |number| HookCommand { command: format!("{hook} {number}"), may_fail: false, as_daemon: false };
    (0..count).map(command).collect()
}

/// Which hook it is, and the number of its command.
fn which(launch: &HookLaunch) -> (Hook, usize) {
    let (name, number) = launch.command.command.split_once(' ').unwrap_or_default();
    let hook = Hook::ALL.into_iter().find(|hook| hook.as_str() == name).unwrap_or(Hook::OnState);
    (hook, number.parse().unwrap_or_default())
}

/// The hook of a task that belongs to a run.
pub(super) fn hook_of(command: &TaskCommand) -> Option<(Hook, usize)> {
    match command {
        TaskCommand::Script(_) | TaskCommand::Action(_) => None,
        TaskCommand::Hook(launch) => Some(which(launch)),
    }
}

impl FakeSystem {
    /// Some programs have hooks, of one or two commands.
    pub(super) fn hooks(&mut self) -> Rare<Hooks> {
        let mut hooks = Rare::default();
        if self.random.chance(65) {
            return hooks;
        }
        let mut some = |hook| {
            let count = if self.random.chance(45) { 1 + self.random.small(2) } else { 0 };
            commands(hook, count)
        };
        *hooks = Hooks {
            pre_start: some(Hook::PreStart),
            post_start: some(Hook::PostStart),
            stop_command: some(Hook::StopCommand),
            post_stop: some(Hook::PostStop),
            reload_command: some(Hook::ReloadCommand),
            on_state: some(Hook::OnState),
            reload_signal: None,
            timeout: 0,
        };
        hooks.timeout = 1 + self.random.small(3);
        hooks.reload_signal = self.random.chance(50).then(|| "HUP".to_owned());
        hooks
    }

    /// A command of a hook begins.
    pub(super) fn hook_begins(&mut self, launch: &HookLaunch, config: &Arc<ProgramConfig>) {
        let (id, name) = (launch.program, &config.name);
        let (hook, number) = which(launch);
        self.oracle.note(self.now, || format!("{name}: {hook} {number}"));
        self.oracle.counts.hooks += 1;
        let alive = self.alive(id) + self.hooks_alive(id);
        let (has_run, book) = (self.runs.contains_key(&id), self.books.entry(id).or_default());
        match hook {
            Hook::PreStart if number == 0 => {
                let owes = std::mem::replace(&mut book.owes_clean_up, !config.hooks.post_stop.is_empty());
                book.prepared_by = None;
                self.oracle.rule(!owes, || format!("{name}: prepared, but the run before was not cleaned up"));
                self.oracle.rule(alive == 0 && !has_run, || format!("{name}: prepared beside {alive} of its tasks"));
                self.oracle.attempted(self.now, id, config);
            }
            Hook::PostStop if number == 0 => {
                let owes = std::mem::take(&mut book.owes_clean_up);
                book.prepared_by = None;
                self.oracle.rule(owes, || format!("{name}: cleaned up twice, or without a run"));
                self.oracle.rule(alive == 0 && !has_run, || format!("{name}: cleaned up beside {alive} of its tasks"));
            }
            Hook::PreStart
            | Hook::PostStart
            | Hook::StopCommand
            | Hook::PostStop
            | Hook::ReloadCommand
            | Hook::OnState
            | Hook::OnFatal => {}
        }
    }

    /// The leader of a command of a hook was reaped.
    pub(super) fn hook_ended(&mut self, id: ProcId, hook: Option<(Hook, usize)>, exit: Exit) {
        if let Some((Hook::PreStart, number)) = hook {
            self.books.entry(id).or_default().prepared_by = Some((number, exit));
        }
    }

    /// A run begins, or would have: whether its `pre_start` was run for it.
    pub(super) fn begins(&mut self, id: ProcId, config: &ProgramConfig, is_spawned: bool) -> bool {
        let (name, hooks) = (&config.name, self.hooks_alive(id));
        let book = self.books.entry(id).or_default();
        let is_prepared = !config.hooks.pre_start.is_empty();
        let has_succeeded =
            book.prepared_by == config.hooks.pre_start.len().checked_sub(1).map(|last| (last, Exit::Code(0)));
        let owes = book.owes_clean_up;
        if is_spawned {
            (book.owes_clean_up, book.prepared_by) = (!config.hooks.post_stop.is_empty(), None);
        }
        self.oracle.rule(hooks == 0, || format!("{name}: spawned beside {hooks} of its hooks"));
        self.oracle
            .rule(!is_prepared || has_succeeded, || format!("{name}: spawned, but not all of pre_start has succeeded"));
        self.oracle.rule(is_prepared || !owes, || format!("{name}: spawned, but the run before was not cleaned up"));
        is_prepared
    }

    /// Commands of a process's hooks that belong to its runs and were not forgotten.
    fn hooks_of(&self, id: ProcId) -> impl Iterator<Item = &Script> {
        let is_of_run = |script: &Script| script.hook.is_some_and(|(hook, _)| hook.belongs_to_run());
        self.scripts.values().filter(move |script| script.owner == id && is_of_run(script))
    }

    /// Those of them that live.
    pub(in super::super) fn hooks_alive(&self, id: ProcId) -> usize {
        let leaders = self.hooks_of(id).filter_map(|script| script.leader.as_ref());
        leaders.filter(|leader| leader.alive(self.now)).count()
    }

    /// A hook of its run is under way, or its end is not known yet.
    pub(in super::super) fn has_hook(&self, id: ProcId) -> bool {
        self.hooks_of(id).next().is_some()
    }

    /// A run of it has begun that was not cleaned up, and is to be.
    pub(in super::super) fn owes_clean_up(&self, id: ProcId) -> bool {
        self.books.get(&id).is_some_and(|book| book.owes_clean_up)
    }
}
