//! What `top` shows, and what its keys can do.

use std::collections::VecDeque;

use super::super::usage::UsageSample;
use crate::client::{Controller, ProcessStatus};

/// What is on the screen.
pub(super) struct Top<'a> {
    pub controller: Controller,
    pub socket: &'a str,
    pub processes: Vec<ProcessStatus>,
    pub sample: UsageSample,
    pub before: UsageSample,
    pub sort: Sort,
    /// By name, so that it stays where it is when the order changes.
    pub selected: String,
    pub stderr: bool,
    pub output: VecDeque<String>,
    /// The output's last line has not ended.
    pub open_line: bool,
    pub message: String,
    /// What `y` would do.
    pub question: Option<Action>,
}

/// What a key does to the selected program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop,
    Restart,
    Kill,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Restart => "restart",
            Action::Kill => "kill",
        }
    }
}

/// The order of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// That of the configuration.
    Order,
    Name,
    State,
    Cpu,
    Memory,
}

impl Sort {
    pub fn next(self) -> Sort {
        match self {
            Sort::Order => Sort::Name,
            Sort::Name => Sort::State,
            Sort::State => Sort::Cpu,
            Sort::Cpu => Sort::Memory,
            Sort::Memory => Sort::Order,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Sort::Order => "configuration",
            Sort::Name => "name",
            Sort::State => "state",
            Sort::Cpu => "CPU",
            Sort::Memory => "memory",
        }
    }
}
